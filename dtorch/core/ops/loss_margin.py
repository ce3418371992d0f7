"""Losses that ask for a margin between right and wrong, or near and far."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DimensionError, RankError, ShapeError
from dtorch.core.ops.activation import logsigmoid
from dtorch.core.ops.bounds import clamp, minimum
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.gathering import gather
from dtorch.core.ops.loss import legacy_reduction, reduced
from dtorch.core.ops.rectifiers import relu
from dtorch.core.ops.reduction import mean, sum
from dtorch.core.ops.similarity import distance
from dtorch.core.ops.view import unsqueeze
from dtorch.core.shapes import ends
from dtorch.core.tensor import Tensor


def _reduce(losses, reduction):
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


@composite(tensors=("input", "target"), home="nn", wide=True, takes="if")
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The distance itself for pairs alike (1), what it lacks of ``margin`` for others (-1)."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    near = keep(input, target != -1)
    far = keep(clamp(margin - input, 0), target != 1)
    return reduced("hinge_embedding_loss", near + far, reduction)


def _constant_signs(make, *shape):
    signs = make(*shape).sign()
    signs.is_constant = True
    return signs


@hinge_embedding_loss.samples
def _(make):
    yield (make(2, 3, low=0.1, high=2), _constant_signs(make, 2, 3)), {}
    yield (
        (make(2, 3, low=0.1, high=2), _constant_signs(make, 2, 3)),
        {"margin": 0.7, "reduction": "none"},
    )


@hinge_embedding_loss.expect
def _(input, target, margin=1.0, reduction="mean"):
    return _reduce(np.where(target == 1, input, np.maximum(0, margin - input)), reduction)


@composite(tensors=("input1", "input2", "target"), home="nn", wide=True, takes="if")
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, -target * (input1 - input2) + margin)``; target 1 ranks the first higher, -1 the
    second."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    shapes = {tuple(t.shape) for t in (input1, input2, target)}
    if len({len(shape) for shape in shapes}) > 1:
        raise RankError(
            f"margin_ranking_loss: shapes {', '.join(map(str, sorted(shapes)))}, expected equal "
            "numbers of dimensions"
        )
    losses = clamp(-target * (input1 - input2) + margin, 0)
    return reduced("margin_ranking_loss", losses, reduction)


@margin_ranking_loss.samples
def _(make):
    yield (make(4), make(4), _constant_signs(make, 4)), {"margin": 0.3}
    yield (make(4), make(4), _constant_signs(make, 4)), {"reduction": "sum"}


@margin_ranking_loss.expect
def _(input1, input2, target, margin=0, reduction="mean"):
    return _reduce(np.maximum(0, margin - target * (input1 - input2)), reduction)


_TINY = 1e-12  # added to squared lengths


@composite(tensors=("input1", "input2", "target"), home="nn", wide=True, takes="if")
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``1 - cos`` for pairs alike (1), ``max(0, cos - margin)`` for others (-1).

    Args:
        input1, input2: ``(N, D)`` or ``(D,)``.
        target: ``(N,)`` or ``()``.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    a, y = tuple(input1.shape), tuple(target.shape)
    if len(y) > 1 or a[:-1] != y or tuple(input2.shape) != a:
        raise ShapeError(
            f"cosine_embedding_loss: inputs of shape {a} and {tuple(input2.shape)} with a target "
            f"of shape {y}, expected (N, D) and (N,), or (D,) and ()"
        )
    dot = sum(input1 * input2, -1)
    squares = (sum(input1 * input1, -1) + _TINY) * (sum(input2 * input2, -1) + _TINY)
    cos = dot / squares**0.5
    near = keep(1 - cos, target == 1)
    far = keep(clamp(cos - margin, 0), target == -1)
    return reduced("cosine_embedding_loss", near + far, reduction)


@cosine_embedding_loss.samples
def _(make):
    yield (make(5, 3), make(5, 3), _constant_signs(make, 5)), {"margin": 0.1}
    yield (make(4, 3), make(4, 3), _constant_signs(make, 4)), {"reduction": "sum"}


@cosine_embedding_loss.expect
def _(input1, input2, target, margin=0, reduction="mean"):
    cos = (input1 * input2).sum(-1)
    cos = cos / np.linalg.norm(input1, axis=-1) / np.linalg.norm(input2, axis=-1)
    return _reduce(np.where(target == 1, 1 - cos, np.maximum(0, cos - margin)), reduction)


@composite(tensors=("input", "target"), home="nn", wide=True, takes="f")
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``log(1 + exp(-target * input))`` for targets of 1 and -1."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if tuple(input.shape) != tuple(target.shape):
        raise ShapeError(
            f"soft_margin_loss: target has shape {tuple(target.shape)}, expected "
            f"{tuple(input.shape)} like the input"
        )
    return reduced("soft_margin_loss", -logsigmoid(target * input), reduction)


@soft_margin_loss.samples
def _(make):
    yield (make(2, 3), _constant_signs(make, 2, 3)), {}


@soft_margin_loss.expect
def _(input, target):
    return np.logaddexp(0, -target * input).mean()


@composite(tensors=("input", "target", "weight"), home="nn", wide=True, takes="f")
def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Binary cross-entropy of scores, averaged over the classes (the last dim), then reduced.

    Args:
        target: 0 or 1 for each class.
        weight: of each class.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced("multilabel_soft_margin_loss", mean(losses, -1), reduction)


@multilabel_soft_margin_loss.samples
def _(make):
    yield (make(2, 3), make(2, 3, low=0)), {}
    yield (make(2, 3), make(2, 3, low=0), make.constant(3)), {"reduction": "none"}


@multilabel_soft_margin_loss.expect
def _(input, target, weight=1, reduction="mean"):
    losses = target * np.logaddexp(0, -input) + (1 - target) * np.logaddexp(0, input)
    return _reduce((losses * weight).mean(-1), reduction)


def _class_numbers(name: str, input: Any, target: Any, least: int) -> None:
    array, classes = target._array, input.shape[-1]
    low, high = ends(array) if array.size else (least, -1)
    if low < least or high >= classes:
        raise DimensionError(
            f"{name}: target from {low} to {high} is out of range for {classes} classes"
        )


@composite(tensors=("input", "target", "weight"), home="nn", wide=True, takes="f")
def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """What every wrong class lacks of being ``margin`` below the right one, to the power ``p``,
    summed and divided by the number of classes.

    Args:
        input: scores ``(N, C)`` or ``(C,)``.
        target: class numbers ``(N,)``; for one row of scores ``()`` or ``(1,)``.
        p: 1 or 2.
        weight: ``(C,)``, of the right class.
    """
    name = "multi_margin_loss"
    reduction = legacy_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ArgumentError(f"{name}: p is {p}, expected 1 or 2")
    shape, rows = tuple(input.shape), tuple(target.shape)
    if len(shape) == 1 and rows == (1,):
        input, shape = unsqueeze(input, 0), (1, *shape)
    if len(shape) not in (1, 2) or rows != shape[:-1]:
        raise ShapeError(
            f"{name}: input of shape {shape} and target of shape {rows}, expected "
            "(N, C) and (N,), or (C,) and ()"
        )
    if weight is not None and tuple(weight.shape) != shape[-1:]:
        raise ShapeError(
            f"{name}: weight has shape {tuple(weight.shape)}, expected {shape[-1:]}, one of each class"
        )
    _class_numbers(name, input, target, 0)
    index = unsqueeze(target, -1)
    wrong = wrap(np.arange(shape[-1]) != index._array)
    lacking = keep(relu(margin - gather(input, -1, index) + input), wrong)
    losses = sum(lacking if p == 1 else lacking * lacking, -1) / shape[-1]
    if weight is not None:
        losses = losses * wrap(weight._array[target._array])
    return reduced(name, losses, reduction)


@multi_margin_loss.samples
def _(make):
    yield (make(3, 4), make.index(3, high=4)), {}
    yield (make(3, 4), make.index(3, high=4)), {"p": 2, "margin": 0.5, "reduction": "none"}
    yield (
        (make(3, 4), make.index(3, high=4)),
        {"weight": make.constant(4, low=0.5), "reduction": "sum"},
    )


@multi_margin_loss.expect
def _(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    losses = np.zeros(len(input))
    for n, y in enumerate(target):
        for c in range(input.shape[1]):
            if c != y:
                losses[n] += max(0, margin - input[n, y] + input[n, c]) ** p * (
                    1 if weight is None else weight[y]
                )
    return _reduce(losses / input.shape[1], reduction)


@composite(tensors=("input", "target"), home="nn", wide=True, takes="f")
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """What every wrong class lacks of being 1 below each right one, summed and divided by the
    number of classes.

    Args:
        input: scores ``(N, C)``, ``(C,)`` or ``()``.
        target: of the same shape, the right classes first, then -1.
    """
    name = "multilabel_margin_loss"
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not len(input.shape) and not len(target.shape):
        input, target = unsqueeze(input, 0), unsqueeze(target, 0)
    shape = tuple(input.shape)
    if len(shape) not in (1, 2) or tuple(target.shape) != shape:
        raise ShapeError(
            f"{name}: input of shape {shape} and target of shape {tuple(target.shape)}, expected "
            "equal ones, (N, C) or (C,)"
        )
    _class_numbers(name, input, target, -1)
    numbers = target._array
    listed = np.logical_and.accumulate(numbers >= 0, axis=-1)  # entries before the first -1
    safe = np.where(listed, numbers, 0)
    is_target = np.zeros(shape, bool)
    np.logical_or.at(is_target, (*np.indices(shape)[:-1], safe), listed)
    right = gather(input, -1, wrap(safe.astype(np.int64)))
    lacking = relu(1 - unsqueeze(right, -1) + unsqueeze(input, -2))  # (*, right, wrong)
    counted = keep(lacking, wrap(listed[..., :, None] & ~is_target[..., None, :]))
    return reduced(name, sum(counted, (-2, -1)) / shape[-1], reduction)


@multilabel_margin_loss.samples
def _(make):
    target = make.index(2, 4, high=4)
    target._array[...] = [[3, 0, -1, 1], [2, -1, -1, -1]]
    yield (make(2, 4), target), {}
    yield (make(2, 4), target), {"reduction": "none"}
    yield (make(4), target[0]), {}


@multilabel_margin_loss.expect
def _(input, target, reduction="mean"):
    losses = []
    for x, numbers in zip(np.atleast_2d(input), np.atleast_2d(target), strict=True):
        right = list(numbers[: list(numbers).index(-1)] if -1 in numbers else numbers)
        wrong = [c for c in range(len(x)) if c not in right]
        losses.append(math.fsum(max(0, 1 - x[r] + x[w]) for r in right for w in wrong) / len(x))
    return _reduce(np.array(losses if input.ndim == 2 else losses[0]), reduction)


def triplet(
    name: str, distance: Callable[..., Any], anchor: Any, positive: Any, negative: Any,
    margin: float, swap: bool, reduction: str,
) -> Any:  # fmt: skip
    """What the negative lacks of being ``margin`` farther from the anchor than the positive."""
    if margin <= 0:
        raise ArgumentError(f"{name}: margin is {margin}, expected a number above 0")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(name, clamp(near - far + margin, 0), reduction)


@composite(tensors=("anchor", "positive", "negative"), home="nn", wide=True, takes="ifc")
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-6, swap: bool = False, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``, d being
    `pairwise_distance`.

    Args:
        swap: take the distance of positive and negative if it is smaller.

    Reference: Balntas et al. 2016, "Learning local feature descriptors with triplets and shallow
    convolutional neural networks".
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return triplet(
        "triplet_margin_loss", lambda a, b: distance(a, b, p, eps), anchor, positive,
        negative, margin, swap, reduction,
    )  # fmt: skip


@triplet_margin_loss.samples
def _(make):
    yield (make(3, 4), make(3, 4), make(3, 4)), {}
    yield (make(3, 4), make(3, 4), make(3, 4)), {"swap": True, "p": 1, "reduction": "none"}


@triplet_margin_loss.expect
def _(anchor, positive, negative, margin=1.0, p=2, swap=False, reduction="mean"):
    near = np.linalg.norm(anchor - positive + 1e-6, p, -1)
    far = np.linalg.norm(anchor - negative + 1e-6, p, -1)
    if swap:
        far = np.minimum(far, np.linalg.norm(positive - negative + 1e-6, p, -1))
    return _reduce(np.maximum(0, near - far + margin), reduction)
