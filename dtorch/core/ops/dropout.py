"""Dropout: elements, or whole channels, set to zero at random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend, memory_format
from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import float32, refuse_dtypes
from dtorch.core.errors import ArgumentError, RankError, ShapeError
from dtorch.core.half import SINGLE, is_half
from dtorch.core.ops.arithmetic import mul
from dtorch.core.random import uniform
from dtorch.core.tensor import Tensor


def check_probability(name: str, p: float) -> None:
    """Complain about a probability outside 0 to 1."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p is {p}, expected a probability from 0 to 1")


def is_identity(name: str, input: Any, p: float, training: bool) -> bool:
    """Whether a call leaves the input alone; else its dtype has to be floating or complex."""
    check_probability(name, p)
    if not training or p == 0:
        return True
    if input._array.dtype.kind in "biu":
        refuse_dtypes(name, "bi", input.dtype)
    return False


def _kept(input: Any, shape: tuple[int, ...], p: float) -> Any:
    """Where elements are kept, each with probability ``1 - p``."""
    array = input._array
    if input.is_meta:
        return backend.array_module(array).empty(shape, np.bool_)
    kept = uniform(shape, SINGLE, None) >= p
    return kept if array.flags.c_contiguous else memory_format.kept(np, (array,), kept)


def _kind(input: Any) -> Any:
    """The NumPy type of factors."""
    return SINGLE.type if is_half(input._array) else input._array.dtype.type


def _times(input: Any, factor: Any, inplace: bool) -> Any:
    if is_half(input._array):  # rounded once, with the product
        out = mul(input.to(float32), wrap(factor)).to(input.dtype)
        return input.copy_(out) if inplace else out
    return input.mul_(wrap(factor)) if inplace else mul(input, wrap(factor))


def _drop(input: Any, shape: tuple[int, ...], p: float, inplace: bool) -> Any:
    """Zeros at random, the rest scaled so that the expectation stays."""
    kind = _kind(input)
    if p == 1:
        return _times(input, backend.array_module(input._array).zeros(shape, kind), inplace)
    return _times(input, np.multiply(_kept(input, shape, p), kind(1 / (1 - p))), inplace)


@composite(tensors=("input",), home="nn", has_out=False)
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros in place of elements chosen at random, the others scaled by ``1 / (1 - p)``.

    Args:
        p: probability of an element to be zeroed.
        training: if False, the input is returned as it is.
        inplace: change the input itself.

    Reference: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
    overfitting".
    """
    if is_identity("dropout", input, p, training):
        return input
    return _drop(input, input._array.shape, p, inplace)


def _drop_channels(
    name: str, sides: int, input: Any, p: float, training: bool, inplace: bool
) -> Any:
    shape = input._array.shape
    if len(shape) not in (sides + 1, sides + 2):
        raise RankError(
            f"{name}: input has shape {tuple(shape)}, expected {sides + 2} dimensions (batch, "
            f"channels and {sides} sides) or {sides + 1} without batch"
        )
    if is_identity(name, input, p, training):
        return input
    return _drop(input, (*shape[: len(shape) - sides], *(1,) * sides), p, inplace)


@composite(tensors=("input",), home="nn", has_out=False)
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of ``(N, C, L)`` or ``(C, L)``."""
    return _drop_channels("dropout1d", 1, input, p, training, inplace)


@composite(tensors=("input",), home="nn", has_out=False)
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of ``(N, C, H, W)`` or ``(C, H, W)``.

    Reference: Tompson et al. 2015, arXiv:1411.4280.
    """
    return _drop_channels("dropout2d", 2, input, p, training, inplace)


@composite(tensors=("input",), home="nn", has_out=False)
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``."""
    return _drop_channels("dropout3d", 3, input, p, training, inplace)


_SATURATION = -1.7580993408473766  # the value `selu` approaches for very negative input


def _alpha_drop(
    name: str, input: Any, shape: tuple[int, ...], p: float, training: bool, inplace: bool
) -> Any:
    if is_identity(name, input, p, training):
        return input
    if is_half(input._array):
        out = _alpha_drop(name, input.to(float32), shape, p, training, False).to(input.dtype)
        return input.copy_(out) if inplace else out
    kind = input._array.dtype.type
    if p == 1:
        return _times(input, backend.array_module(input._array).zeros(shape, kind), inplace)
    kept = _kept(input, shape, p)
    # Dropped elements become the saturation value; then mean 0 and variance 1 are restored.
    scale = 1 / math.sqrt((1 - p) * (1 + p * _SATURATION**2))
    shift = -scale * _SATURATION * p
    added = wrap(np.where(kept, kind(shift), kind(shift + scale * _SATURATION)))
    out = _times(input, np.multiply(kept, kind(scale)), inplace)
    return out.add_(added) if inplace else out + added


@composite(tensors=("input",), home="nn", has_out=False)
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout for `selu` networks: keeps mean 0 and variance 1 of the input.

    Reference: Klambauer et al. 2017, arXiv:1706.02515.
    """
    return _alpha_drop("alpha_dropout", input, input._array.shape, p, training, inplace)


@composite(tensors=("input",), home="nn", has_out=False)
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels (dim 1)."""
    shape = input._array.shape
    if len(shape) < 2:
        raise ShapeError(
            f"feature_alpha_dropout: input has shape {tuple(shape)}, expected (batch, channels, *)"
        )
    masked = (*shape[:2], *(1,) * (len(shape) - 2))
    return _alpha_drop("feature_alpha_dropout", input, masked, p, training, inplace)


def _certain(*shape):
    """Samples in which nothing is left to chance."""

    def samples(make):
        yield (make(*shape),), {"p": 0.0}
        yield (make(*shape),), {"p": 1.0, "training": True}
        yield (make(*shape),), {"training": False}

    return samples


def _certain_result(input, p=0.5, training=True):
    return input * 0 if training and p == 1 else input


for _op, _shape in (
    (dropout, (3, 4)), (dropout1d, (2, 3, 4)), (dropout2d, (2, 3, 2, 2)),
    (dropout3d, (2, 2, 2, 2)), (alpha_dropout, (3, 4)), (feature_alpha_dropout, (2, 3, 2)),
):  # fmt: skip
    _op.samples(_certain(*_shape))
    _op.expect(_certain_result)


@composite(tensors=("input",), home="nn", has_out=False, takes="f")
def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
    inplace: bool = False,
) -> Tensor:  # fmt: skip
    """`leaky_relu` whose slope is drawn for each element in training, and the mean otherwise.

    Args:
        lower, upper: bounds of the uniform distribution of the slope.

    Reference: Xu et al. 2015, arXiv:1505.00853.
    """
    if not lower <= upper:
        raise ArgumentError(f"rrelu: lower is {lower}, upper {upper}; expected lower <= upper")
    array, kind = input._array, _kind(input)
    if training:
        slope = uniform(array.shape, np.dtype(kind), None) * kind(upper - lower)
        slope += kind(lower)
    else:
        slope = kind((lower + upper) / 2)
    return _times(input, np.where(array <= 0, slope, kind(1)), inplace)


@rrelu.samples
def _(make):
    yield (make(3, 4),), {}
    yield (make(3, 4), 0.2, 0.2, True), {}


@rrelu.expect
def _(input, lower=1 / 8, upper=1 / 3, training=False):
    return np.maximum(input, 0) + (lower + upper) / 2 * np.minimum(input, 0)
