"""Losses: how far predictions are from targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import refuse_dtypes
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError, ShapeError
from dtorch.core.meta import MetaArray
from dtorch.core.op import structured
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.composed import recorded_gradients
from dtorch.core.ops.reduction import mean, sum
from dtorch.core.ops.softmax import log_softmax

_REDUCTIONS = ("none", "mean", "sum")


def reduced(name: str, losses: Any, reduction: str) -> Any:
    """Losses as they are, their mean or their sum."""
    check_reduction(name, reduction)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum(losses)
    refuse_dtypes(name, "bi", losses.dtype)
    return mean(losses)


def check_reduction(name: str, reduction: str) -> None:
    """Complain about an unknown kind of reduction."""
    if reduction not in _REDUCTIONS:
        raise ArgumentError(
            f"{name}: reduction is {reduction!r}, expected one of {', '.join(_REDUCTIONS)}"
        )


@structured(
    tensors=("input", "target", "weight"),
    outputs=("out", "total"),
    returns=1,
    public=False,
    wide=True,
    recorded_as="NllLoss",
)
def negative_likelihood(
    xp: ArrayModule, input: Array, target: Array, weight: Array, ignore_index: int, reduction: str
) -> Any:
    """``-weight[target] * input[target]`` of each place, or their mean or sum.

    The hidden second output is the sum of the weights used, by which the mean divides.
    """
    picked, scale = _pick(xp, input, target, weight, ignore_index)
    losses = -picked * scale
    total = xp.sum(scale)
    if reduction == "none":
        return losses, total
    out = xp.sum(losses, dtype=input.dtype)
    return (out / total if reduction == "mean" else out), total


@negative_likelihood.shape
def _(input, target, weight, ignore_index, reduction):
    _check_shapes("nll_loss", input, target, weight)
    check_targets("nll_loss", input, target, ignore_index)


def _check_shapes(name: str, input: Any, target: Any, weight: Any) -> None:
    if target.dtype.kind not in "iu":
        raise DtypeError(
            f"{name}: target is {target.dtype}, expected int64 class numbers; use target.long()"
        )
    expected = (input.shape[0], *input.shape[2:]) if input.ndim > 1 else ()
    if input.ndim < 1 or target.shape != expected:
        raise ShapeError(
            f"{name}: target has shape {target.shape}, expected {expected} for an input of shape "
            f"{input.shape}"
        )
    classes = input.shape[1 if input.ndim > 1 else 0]
    if weight is not None and weight.shape != (classes,):
        raise ShapeError(f"{name}: weight has shape {weight.shape}, expected ({classes},)")


def check_targets(name: str, input: Any, target: Any, ignore_index: int) -> None:
    classes = input.shape[1 if input.ndim > 1 else 0]
    wrong = (target != ignore_index) & ((target < 0) | (target >= classes))
    if wrong.any():
        raise DimensionError(
            f"{name}: target {int(target[wrong].flat[0])} is out of range for {classes} classes"
        )


def _pick(
    xp: ArrayModule, input: Any, target: Any, weight: Any, ignore_index: int
) -> tuple[Any, Any]:
    dim = 1 if input.ndim > 1 else 0
    used = target != ignore_index
    safe = xp.where(used, target, 0)
    picked = xp.take_along_axis(input, xp.expand_dims(safe, dim), dim).squeeze(dim)
    scale = used.astype(input.dtype) if weight is None else weight[safe] * used
    return xp.where(used, picked, input.dtype.type(0)), scale


@negative_likelihood.gradient("input")
def _(grad, input_shape, target, weight, total, ignore_index, reduction):
    return likelihood_gradient(grad, target, weight, total, input_shape, ignore_index, reduction)


@structured(tensors=("delta", "target", "weight", "total"), public=False, wide=True)
def likelihood_gradient(
    xp: ArrayModule, delta: Array, target: Array, weight: Array, total: Array, shape: Any,
    ignore_index: int, reduction: str,
) -> Array:  # fmt: skip
    """Zeros of ``shape`` with ``-weight * delta`` at the targets."""
    dim = 1 if len(shape) > 1 else 0
    used = target != ignore_index
    safe = xp.where(used, target, 0)
    scale = used.astype(delta.dtype) if weight is None else weight[safe] * used
    values = -delta * scale
    if reduction == "mean":
        values = values / total
    values = xp.where(used, values, delta.dtype.type(0))
    out = xp.zeros(shape, delta.dtype)
    xp.put_along_axis(out, xp.expand_dims(safe, dim), xp.expand_dims(values, dim), dim)
    return out


@likelihood_gradient.gradient("delta")
def _(grad, target, weight, total, ignore_index, reduction):
    return likelihood_of(grad, target, weight, total, ignore_index, reduction)


@structured(tensors=("input", "target", "weight", "total"), public=False, wide=True)
def likelihood_of(
    xp: ArrayModule,
    input: Array,
    target: Array,
    weight: Array,
    total: Array,
    ignore_index: int,
    reduction: str,
) -> Array:
    """`negative_likelihood` with the divisor given."""
    picked, scale = _pick(xp, input, target, weight, ignore_index)
    losses = -picked * scale
    if reduction == "none":
        return losses
    out = xp.sum(losses, dtype=input.dtype)
    return out / total if reduction == "mean" else out


@likelihood_of.gradient("input")
def _(grad, input_shape, target, weight, total, ignore_index, reduction):
    return likelihood_gradient(grad, target, weight, total, input_shape, ignore_index, reduction)


@composite(tensors=("input", "target", "weight"), home="nn", takes="f")
def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """Negative log-likelihood of the target classes.

    Args:
        input: log-probabilities ``(N, C, *)`` or ``(C,)``.
        target: class numbers ``(N, *)`` or ``()``, int64, from 0 to C - 1.
        weight: ``(C,)``, weight of each class; the mean divides by the weights used.
        ignore_index: target that counts nothing.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction("nll_loss", reduction)
    return negative_likelihood(input, target, weight, ignore_index, reduction)


def _target_of_one(values):
    """The target of one row, which is a number today where rows are vectors."""
    input, target = values[:2]
    if target.numel() != 1 or input.ndim != 2 - target.ndim:
        return None
    return [input, target.reshape(input.shape[:-1]), *values[2:]] if input.ndim else None


nll_loss.formerly(Classic.ONE_ELEMENT)(_target_of_one)


@nll_loss.samples
def _(make):
    yield (make(4, 3), make.index(4, high=3)), {}
    yield (make(4, 3), make.index(4, high=3)), {"reduction": "none"}
    yield (make(2, 3, 5), make.index(2, 5, high=3), make.constant(3, low=0.5)), {}
    yield (make(4, 3), make.index(4, high=3)), {"ignore_index": 1, "reduction": "sum"}


@nll_loss.expect
def _(input, target, weight=None, ignore_index=-100, reduction="mean"):
    moved = np.moveaxis(input, 1, -1)
    onehot = np.eye(moved.shape[-1])[target] * (target != ignore_index)[..., None]
    onehot = onehot if weight is None else onehot * weight
    losses = -(np.where(onehot != 0, moved * onehot, 0)).sum(-1)
    if reduction == "none":
        return losses
    return losses.sum() / (onehot.sum() if reduction == "mean" else 1)


@structured(
    tensors=("input", "target", "weight"), outputs=("out", "top", "log_sum", "total"), returns=1,
    public=False, wide=True, recorded_as="NllLoss",
)  # fmt: skip
def row_cross_entropy(
    xp: ArrayModule, input: Array, target: Array, weight: Array, ignore_index: int, reduction: str
) -> Any:
    """`negative_likelihood` of the log-softmax of the rows of a matrix, in one pass.

    The hidden outputs are of each row the largest score and the logarithm of the sum of the
    exponentials above it, and the sum of the weights used.
    """
    check_targets("cross_entropy", input, target, ignore_index)
    top = xp.max(input, axis=1)
    shifted = input - top[:, None]
    log_sum = xp.log(xp.sum(xp.exp(shifted), axis=1))
    picked, scale = _pick(xp, shifted, target, weight, ignore_index)
    losses = xp.where(target != ignore_index, (log_sum - picked) * scale, input.dtype.type(0))
    total = xp.sum(scale)
    return row_reduced(losses, total, reduction), top, log_sum, total


def row_reduced(losses: Any, total: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    return losses.sum() / total if reduction == "mean" else losses.sum()


@row_cross_entropy.shape
def _(input, target, weight, ignore_index, reduction):
    _check_shapes("cross_entropy", input, target, weight)


@row_cross_entropy.gradient("input")
def _(grad, input, target, weight, top, log_sum, total, ignore_index, reduction):
    if isinstance(grad, TensorBase):
        return recorded_gradients(
            lambda x: negative_likelihood(
                log_softmax(x, 1), target, weight, ignore_index, reduction
            ),
            (input,),
            (grad,),
        )[0]
    delta = grad / total if reduction == "mean" else grad
    xp = backend.array_module(input)
    delta = xp.ascontiguousarray(xp.broadcast_to(delta, top.shape), dtype=input.dtype)
    return _row_gradient(xp, delta, input, target, weight, top, log_sum, ignore_index)


@row_cross_entropy.samples
def _(make):
    n, classes = make.size(4, 300), make.size(3, 300)
    for weight, reduction in (
        (None, "mean"),
        (make.constant(classes, low=0.5), "sum"),
        (None, "none"),
    ):
        target = make.index(n, high=classes)
        yield (make(n, classes, low=-9, high=9), target, weight, 1, reduction), {}


def _row_gradient(
    xp: ArrayModule, delta: Any, input: Any, target: Any, weight: Any, top: Any, log_sum: Any,
    ignore_index: int,
) -> Any:  # fmt: skip
    used = target != ignore_index
    safe = xp.where(used, target, 0)
    scale = delta * used if weight is None else delta * weight[safe] * used
    out = xp.exp(input - top[:, None] - log_sum[:, None]) * scale[:, None]
    out[xp.arange(len(safe)), safe] -= scale
    return xp.where(used[:, None], out, input.dtype.type(0))


@composite(tensors=("input", "target", "weight"), home="nn", wide=True, takes="f")
def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """Cross-entropy of unnormalised scores and target classes: `nll_loss` of their `log_softmax`.

    Args:
        input: scores ``(N, C, *)`` or ``(C,)``.
        target: class numbers ``(N, *)`` or ``()``; or class probabilities of the input's shape.
        label_smoothing: share of the target given to all classes alike, from 0 to 1.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction("cross_entropy", reduction)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    if target.is_floating_point() and target.shape != input.shape:
        raise DtypeError(
            f"cross_entropy: target is {target.dtype} of shape {tuple(target.shape)}, expected int64 "
            f"class numbers, as target.long() is, or probabilities of shape {tuple(input.shape)}"
        )
    if label_smoothing == 0 and _has_rows(input, target):
        return row_cross_entropy(input, target, weight, ignore_index, reduction)
    dim = 1 if input.ndim > 1 else 0
    scores = log_softmax(input, dim)
    if tuple(target.shape) == tuple(input.shape) and target.is_floating_point():
        return _against_probabilities(scores, target, weight, reduction, label_smoothing, dim)
    loss = negative_likelihood(scores, target, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return loss
    classes = input.shape[dim]
    if weight is not None:
        scores = scores * weight.reshape((-1,) + (1,) * (input.ndim - 1 - dim))
    spread = -sum(scores, dim)
    used = target._array != ignore_index
    if not used.all():
        spread = keep(spread, wrap(used))
    if reduction == "mean":
        spread = sum(spread) / float(_weight_used(target._array, weight, used))
    elif reduction == "sum":
        spread = sum(spread)
    return loss * (1 - label_smoothing) + spread * (label_smoothing / classes)


def _has_rows(input: Any, target: Any) -> bool:
    scores, labels = input._array, target._array
    return (
        scores.ndim == 2 and scores.size > 0
        and scores.dtype.char in "fd" and labels.dtype.kind == "i"
    )  # fmt: skip


def _weight_used(target: Any, weight: Any, used: Any) -> Any:
    if type(target) is MetaArray:
        return 1
    return used.sum() if weight is None else weight._array[target[used]].sum()


def _against_probabilities(
    scores: Any, target: Any, weight: Any, reduction: str, smoothing: float, dim: int
) -> Any:
    classes = scores.shape[dim]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / max(classes, 1)
    if weight is not None:
        scores = scores * weight.reshape((-1,) + (1,) * (scores.ndim - 1 - dim))
    losses = -sum(scores * target, dim)
    if reduction == "mean":
        return mean(losses)
    return reduced("cross_entropy", losses, reduction)


def legacy_reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    """What the classic ``size_average`` and ``reduce`` ask for; they win over ``reduction``."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


cross_entropy.formerly(Classic.ONE_ELEMENT)(_target_of_one)


@cross_entropy.samples
def _(make):
    yield (make(4, 3), make.index(4, high=3)), {}
    yield (make(4, 3, low=-500, high=500), make.index(4, high=3)), {"reduction": "sum"}
    yield (make(4, 3), make.index(4, high=3)), {"label_smoothing": 0.2}
    yield (make(6, 3), make.index(6, high=3), make.constant(3, low=0.5)), {"label_smoothing": 0.3}
    yield (make(6, 3), make.index(6, high=3)), {"label_smoothing": 0.3, "ignore_index": 1}
    yield (make(2, 3, 4), make.constant(2, 3, 4, low=0.1), make.constant(3, low=0.5)), {}


@cross_entropy.expect
def _(input, target, weight=None, reduction="mean", label_smoothing=0.0, ignore_index=-100):
    top = input.max(1, keepdims=True)
    scores = input - top - np.log(np.exp(input - top).sum(1, keepdims=True))
    weights = np.ones(input.shape[1]) if weight is None else weight
    weights = weights.reshape((-1,) + (1,) * (input.ndim - 2))
    if target.shape == input.shape:
        return -(scores * target * weights).sum(1).mean()
    used = target != ignore_index
    onehot = np.moveaxis(np.eye(input.shape[1])[target], -1, 1)
    scale = (onehot * weights).sum(1) * used
    goal = onehot * (1 - label_smoothing) + label_smoothing / input.shape[1]
    losses = -(scores * goal * weights).sum(1) * used
    return losses.sum() / (scale.sum() if reduction == "mean" else 1)
