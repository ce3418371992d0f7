"""Losses of numbers: how far predicted values or probabilities are from given ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.meta import is_meta
from dtorch.core.notices import warn
from dtorch.core.ops.activation import logsigmoid
from dtorch.core.ops.arithmetic import abs
from dtorch.core.ops.bounds import clamp
from dtorch.core.ops.comparison import choose, keep, logical_not
from dtorch.core.ops.exponential import exp, log
from dtorch.core.ops.loss import check_reduction, legacy_reduction, reduced
from dtorch.core.ops.power import square
from dtorch.core.ops.reduction import sum
from dtorch.core.shapes import broadcast_shapes
from dtorch.core.tensor import Tensor


def _broadcast_target(name: str, input: Any, target: Any) -> Any:
    """The target, if it broadcasts; differing sizes that do are nearly always a mistake."""
    a, b = tuple(input.shape), tuple(target.shape)
    if a == b:
        return target
    if _as_many(input, target) and classic.is_on():
        return _in_order(input, target)
    try:
        broadcast_shapes(name, a, b)
    except ShapeError as error:
        raise (classic.hinted(error) if _as_many(input, target) else error) from None
    warn(f"{name}: input has shape {a}, target {b}; they are broadcast, which is seldom meant")
    return target


def _same_shape(name: str, input: Any, target: Any) -> Any:
    """The target, if it has the shape of the input."""
    if tuple(input.shape) == tuple(target.shape):
        return target
    if _as_many(input, target) and classic.is_on():
        return _in_order(input, target)
    error = ShapeError(
        f"{name}: target has shape {tuple(target.shape)}, expected {tuple(input.shape)} like "
        "the input"
    )
    raise classic.hinted(error) if _as_many(input, target) else error


def _as_many(input: Any, target: Any) -> bool:
    return math.prod(input.shape) == math.prod(target.shape)


def _in_order(input: Any, target: Any) -> Any:
    """The elements of the target in the shape of the input, as classic mode allows."""
    classic.allows(Classic.TARGET)
    return target.reshape(input.shape)


def weighted(name: str, losses: Any, weight: Any, reduction: str) -> Any:
    """Losses times ``weight`` and reduced; the mean divides by the weights used."""
    if weight is None:
        return reduced(name, losses, reduction)
    if tuple(weight.shape) != tuple(losses.shape):
        raise ShapeError(
            f"{name}: weight has shape {tuple(weight.shape)}, expected {tuple(losses.shape)}"
        )
    check_reduction(name, reduction)
    losses = losses * weight
    if reduction == "mean":
        return sum(losses) / sum(weight)
    return reduced(name, losses, reduction)


@composite(
    tensors=("input", "target", "weight"),
    home="nn",
    wide=True,
    takes="f",
    takes_of=("input", "target"),
)
def mse_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """Mean of the squared differences (or their sum, or all of them).

    Args:
        weight: weight of each element; the mean divides by their sum.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    target = _broadcast_target("mse_loss", input, target)
    return weighted("mse_loss", square(input - target), weight, reduction)


@composite(tensors=("input", "target", "weight"), home="nn", wide=True, takes="ifc")
def l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """Mean of the absolute differences (or their sum, or all of them).

    Args:
        weight: weight of each element; the mean divides by their sum.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    target = _broadcast_target("l1_loss", input, target)
    return weighted("l1_loss", abs(input - target), weight, reduction)


@elementwise(method=False, public=False)
def huber(xp: ArrayModule, input: Array, delta: float) -> Array:
    """``input**2 / 2`` near 0, linear with slope ``delta`` where ``|input|`` exceeds it."""
    size = xp.abs(input)
    within = xp.minimum(size, input.dtype.type(delta))
    return within * (size - input.dtype.type(0.5) * within)


@huber.gradient("input")
def _(grad, input, delta):
    return grad * clamp(input, -delta, delta)


@composite(
    tensors=("input", "target", "weight"),
    home="nn",
    wide=True,
    takes="f",
    takes_of=("input", "target"),
)
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """Half the squared difference up to ``delta``, linear with slope ``delta`` beyond.

    Reference: Huber 1964, "Robust estimation of a location parameter".
    """
    if delta <= 0:
        raise ArgumentError(f"huber_loss: delta is {delta}, expected a number above 0")
    target = _broadcast_target("huber_loss", input, target)
    return weighted("huber_loss", huber(input - target, delta), weight, reduction)


@composite(
    tensors=("input", "target"), home="nn", wide=True, takes="f", takes_of=("input", "target")
)
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """Squared difference over ``2 * beta`` up to ``beta``, absolute less ``beta / 2`` beyond.

    Reference: Girshick 2015, arXiv:1504.08083.
    """
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta is {beta}, expected at least 0")
    reduction = legacy_reduction(size_average, reduce, reduction)
    target = _broadcast_target("smooth_l1_loss", input, target)
    difference = input - target
    losses = abs(difference) if beta == 0 else huber(difference, beta) / beta
    return reduced("smooth_l1_loss", losses, reduction)


def _pair_samples(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(2, 3), make(2, 3)), {"reduction": "none"}
    yield (make(2, 3), make(2, 3)), {"reduction": "sum"}


def _reduce(losses, reduction):
    if reduction == "none":
        return losses
    return math.fsum(losses.ravel()) / (losses.size if reduction == "mean" else 1)


@mse_loss.samples
def _(make):
    yield from _pair_samples(make)
    yield (make(2, 3), make(2, 3)), {"weight": make.constant(2, 3, low=0.5)}


@l1_loss.samples
def _(make):
    yield from _pair_samples(make)
    yield (make(2, 3), make(2, 3)), {"weight": make.constant(2, 3, low=0.5)}


def _weighted_reference(losses, reduction, weight):
    if weight is not None:
        return (losses * weight).sum() / weight.sum()
    return _reduce(losses, reduction)


@mse_loss.expect
def _(input, target, reduction="mean", weight=None):
    return _weighted_reference((input - target) ** 2, reduction, weight)


@l1_loss.expect
def _(input, target, reduction="mean", weight=None):
    return _weighted_reference(np.abs(input - target), reduction, weight)


@huber_loss.samples
def _(make):
    yield from _pair_samples(make)
    yield (make(2, 3), make(2, 3)), {"delta": 0.4}


@huber_loss.expect
def _(input, target, reduction="mean", delta=1.0):
    d = np.abs(input - target)
    return _reduce(np.where(d < delta, d**2 / 2, delta * d - delta**2 / 2), reduction)


@smooth_l1_loss.samples
def _(make):
    yield from _pair_samples(make)
    yield (make(2, 3), make(2, 3)), {"beta": 0.4}
    yield (make(2, 3), make(2, 3)), {"beta": 0.0}


@smooth_l1_loss.expect
def _(input, target, reduction="mean", beta=1.0):
    d = np.abs(input - target)
    return _reduce(np.where(d < beta, d**2 / 2 / (beta or 1), d - beta / 2), reduction)


# -- probabilities ------------------------------------------------------------------------------


@elementwise(method=False, public=False, inplace=False)
def bernoulli_surprise(xp: ArrayModule, input: Array, target: Array) -> Array:
    """``-target * log(input) - (1 - target) * log(1 - input)``, logarithms of at least -100."""
    low = input.dtype.type(-100)
    yes, no = xp.maximum(xp.log(input), low), xp.maximum(xp.log1p(-input), low)
    return (target - 1) * no - target * yes


@bernoulli_surprise.gradient("input")
def _(grad, input, target):
    return grad * (input - target) / clamp((1 - input) * input, 1e-12)


@bernoulli_surprise.gradient("target")
def _(grad, input):
    return grad * (clamp(log(1 - input), -100.0) - clamp(log(input), -100.0))


@composite(tensors=("input", "target", "weight"), home="nn", wide=True, takes="f")
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Cross-entropy of probabilities and target probabilities of one event each.

    Args:
        input: probabilities from 0 to 1; logarithms are cut off at -100.
        target: probabilities of the same shape.
        weight: factor of each element; broadcasts.
    Raises:
        ArgumentError: an input or a target outside 0 to 1.
    """
    name = "binary_cross_entropy"
    reduction = legacy_reduction(size_average, reduce, reduction)
    target = _same_shape(name, input, target)
    _expect_probabilities(
        name, "input", input._array, "; use binary_cross_entropy_with_logits for scores"
    )
    _expect_probabilities(name, "target", target._array)
    losses = bernoulli_surprise(input, target)
    return reduced(name, losses if weight is None else losses * weight, reduction)


def _expect_probabilities(name: str, what: str, array: Array, remedy: str = "") -> None:
    if is_meta(array):
        return
    if array.size and not (float(array.min()) >= 0 and float(array.max()) <= 1):
        raise ArgumentError(
            f"{name}: {what} from {float(array.min()):g} to {float(array.max()):g}, expected "
            f"probabilities from 0 to 1{remedy}"
        )


@binary_cross_entropy.samples
def _(make):
    low_high = {"low": 0.1, "high": 0.9}
    yield (make(2, 3, **low_high), make(2, 3, **low_high)), {}
    yield (make(2, 3, **low_high), make(2, 3, **low_high), make.constant(3)), {"reduction": "sum"}


@binary_cross_entropy.expect
def _(input, target, weight=None, reduction="mean"):
    losses = -(target * np.log(input) + (1 - target) * np.log(1 - input))
    return _reduce(losses if weight is None else losses * weight, reduction)


@composite(tensors=("input", "target", "weight", "pos_weight"), home="nn", wide=True, takes="f")
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Any:  # fmt: skip
    """`binary_cross_entropy` of the sigmoid of scores, without overflow or loss of digits.

    Args:
        input: scores.
        pos_weight: factor of the part of events that happen; broadcasts.
    """
    name = "binary_cross_entropy_with_logits"
    reduction = legacy_reduction(size_average, reduce, reduction)
    target = _same_shape(name, input, target)
    part = logsigmoid(input)
    if pos_weight is not None:
        part = part * ((pos_weight - 1) * target + 1)
    losses = (1 - target) * input - part
    return reduced(name, losses if weight is None else losses * weight, reduction)


@binary_cross_entropy_with_logits.samples
def _(make):
    yield (make(2, 3), make(2, 3, low=0.1)), {}
    yield (make(2, 3), make(2, 3, low=0.1), make.constant(3)), {"reduction": "none"}
    yield (
        (make(2, 3), make(2, 3, low=0.1)),
        {"pos_weight": make.constant(3, low=0.5, high=2), "reduction": "sum"},
    )
    yield (make(2, 3, low=-900, high=900), make.constant(2, 3, low=0.1)), {}


@binary_cross_entropy_with_logits.expect
def _(input, target, weight=None, reduction="mean", pos_weight=1):
    yes, no = np.logaddexp(0, -input), np.logaddexp(0, input)
    losses = pos_weight * target * yes + (1 - target) * no
    return _reduce(losses if weight is None else losses * weight, reduction)


@elementwise(method=False, public=False, inplace=False)
def divergence(xp: ArrayModule, input: Array, target: Array) -> Array:
    """``target * (log(target) - input)``; 0 where ``target`` is 0."""
    return xp.where(target == 0, input.dtype.type(0), target * (xp.log(target) - input))


@divergence.gradient("input")
def _(grad, target):
    return -grad * target


@divergence.gradient("target")
def _(grad, input, target):
    some = target != 0
    return keep(grad * (log(choose(some, target, 1.0)) + 1 - input), some)


@composite(tensors=("input", "target"), home="nn", wide=True, takes="f")
def kl_div(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:  # fmt: skip
    """Kullback-Leibler divergence of a distribution from the target's, element by element.

    Args:
        input: log-probabilities.
        target: probabilities, or with ``log_target`` their logarithms.
        reduction: ``"mean"`` over all elements, ``"batchmean"`` (the sum over the batch size, the
            true divergence), ``"sum"`` or ``"none"``.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    broadcast_shapes("kl_div", tuple(input.shape), tuple(target.shape))
    losses = exp(target) * (target - input) if log_target else divergence(input, target)
    if reduction == "batchmean":
        return sum(losses) / (input.shape[0] if input.ndim else 1)
    return reduced("kl_div", losses, reduction)


@kl_div.samples
def _(make):
    yield (make(2, 3), make(2, 3, low=0.1)), {}
    yield (make(2, 3), make(2, 3, low=0.1)), {"reduction": "batchmean"}
    yield (make(2, 3), make(2, 3)), {"log_target": True, "reduction": "sum"}


@kl_div.expect
def _(input, target, reduction="mean", log_target=False):
    p = np.exp(target) if log_target else target
    losses = p * (np.log(p) - input)
    return losses.sum() / len(input) if reduction == "batchmean" else _reduce(losses, reduction)


# -- distributions ------------------------------------------------------------------------------


@composite(tensors=("input", "target"), home="nn", wide=True, takes="if")
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Any = None,
    eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log-likelihood of counts under Poisson distributions.

    Args:
        input: logarithms of the expected counts, or (``log_input=False``) the counts.
        full: add Stirling's approximation of the constant term for targets above 1.
        eps: added to expected counts before their logarithm is taken.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = choose(target > 1, target, 2.0)
        term = safe * log(safe) - safe + log(safe * (2 * math.pi)) * 0.5
        losses = losses + keep(term, logical_not(target <= 1))
    return reduced("poisson_nll_loss", losses, reduction)


@poisson_nll_loss.samples
def _(make):
    yield (make(2, 3), make(2, 3, low=0.2, high=4)), {}
    yield (
        (make(2, 3, low=0.5, high=2), make(2, 3, low=0.2, high=4)),
        {"log_input": False, "full": True, "reduction": "sum"},
    )


@poisson_nll_loss.expect
def _(input, target, log_input=True, full=False, reduction="mean"):
    rate = np.exp(input) if log_input else input
    losses = rate - target * np.log(rate + (0 if log_input else 1e-8))
    if full:
        stirling = target * np.log(target) - target + 0.5 * np.log(2 * math.pi * target)
        losses = losses + np.where(target > 1, stirling, 0)
    return _reduce(losses, reduction)


@composite(tensors=("input", "target", "var"), home="nn", wide=True, takes="f")
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log-likelihood of values under normal distributions.

    Args:
        input: means.
        var: variances: of the input's shape, without its last dim or with that of size 1; or a
            number.
        full: add the constant term.
        eps: least variance; the gradient ignores it.
    """
    name = "gaussian_nll_loss"
    if eps <= 0:
        raise ArgumentError(f"{name}: eps is {eps}, expected a number above 0")
    if not isinstance(var, TensorBase):
        var = keep(input.detach(), False) + var
    shape, given = tuple(input.shape), tuple(var.shape)
    if given != shape:
        if given == shape[:-1]:
            var = var.reshape((*given, 1))
        elif given != (*shape[:-1], 1):
            raise ShapeError(
                f"{name}: var has shape {given}, expected {shape}, {shape[:-1]} or "
                f"{(*shape[:-1], 1)}"
            )
    if bool((var._array < 0).any()):
        raise ArgumentError(f"{name}: var has negative entries")
    fixed = var + keep((eps - var).detach(), var < eps)
    losses = (log(fixed) + square(input - target) / fixed) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(name, losses, reduction)


@gaussian_nll_loss.samples
def _(make):
    yield (make(2, 3), make(2, 3), make(2, 3, low=0.2)), {}
    yield (make(2, 3), make(2, 3), make(2, 1, low=0.2)), {"full": True, "reduction": "none"}
    yield (make(2, 3), make(2, 3), make(2, low=0.2)), {"reduction": "sum"}


@gaussian_nll_loss.expect
def _(input, target, var, full=False, reduction="mean"):
    v = var if var.ndim == input.ndim else var[..., None]
    losses = 0.5 * (np.log(v) + (input - target) ** 2 / v + full * math.log(2 * math.pi))
    return _reduce(losses, reduction)
