"""Normalisation over a batch by channel, and over rows, and its gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.ops.convolution import channel_sum
from dtorch.core.ops.fused import fused_norm
from dtorch.core.ops.normalization import (
    around_zero,
    factor_and_shift,
    standardize,
    standardize_by,
)
from dtorch.core.shapes import sum_dims

Ints = tuple[int, ...]


def _parts(rows: int) -> int:
    """Parts of the rows whose gradients of weight and bias are summed up by themselves: several for
    the threads, on whose number the result does not depend, and none of them long."""
    return min(max(8, rows // 128), rows)


def _known(*arrays: Any) -> bool:
    first = arrays[0]
    return (
        first.size != 0
        and first.dtype in (np.float32, np.float64)
        and all(a is None or a.dtype == first.dtype for a in arrays)
    )


def _is_by_channel(ndim: int, grouped: Any, dims: Ints, affine: Ints) -> bool:
    return (
        grouped is None
        and tuple(dims) == (0, *range(2, ndim))
        and len(affine) == ndim
        and math.prod(affine) == affine[1]
    )


def _is_by_row(shape: Ints, grouped: Any, dims: Ints, affine: Ints) -> bool:
    lead = len(shape) - len(affine)
    return (
        grouped is None
        and tuple(dims) == tuple(range(lead, len(shape)))
        and tuple(affine) == shape[lead:]
    )


def _is_by_group(grouped: Any, dims: Ints, affine: Ints) -> bool:
    """Whether rows are the groups of the channels of each sample."""
    return (
        grouped is not None
        and tuple(dims) == tuple(range(2, len(grouped)))
        and len(affine) == len(grouped) - 1
        and math.prod(affine) == affine[1] == grouped[1] * grouped[2]
    )


def _planes(array: Array) -> Any:
    shape = array.shape
    return np.ascontiguousarray(array).reshape(shape[0], shape[1], -1)


def _rows(array: Array, columns: int) -> Any:
    return np.ascontiguousarray(array).reshape(-1, columns)


def _flat(array: Array) -> Any:
    return None if array is None else np.ascontiguousarray(array).reshape(-1)


@standardize.kernel("cpu")
def _(input, weight, bias, grouped, dims, affine, eps):
    if not _known(input, weight, bias):
        return None
    shape, kind = input.shape, input.dtype
    out = np.empty(shape, kind)
    if _is_by_channel(input.ndim, grouped, dims, affine):
        statistics = [np.empty(affine, kind) for _ in range(3)]
        function, x, result = native.normalize_channels, _planes(input), _planes(out)
    elif _is_by_row(shape, grouped, dims, affine):
        kept = (*shape[: len(shape) - len(affine)], *(1,) * len(affine))
        statistics = [np.empty(kept, kind) for _ in range(3)]
        columns = math.prod(affine)
        function, x, result = native.normalize_rows, _rows(input, columns), _rows(out, columns)
    elif _is_by_group(grouped, dims, affine):
        return _normalize_groups(input, weight, bias, grouped, eps)
    else:
        return None
    function(x, _flat(weight), _flat(bias), eps, result, *(s.reshape(-1) for s in statistics))
    average, variance, scale = statistics
    return out, average, variance, scale


def _normalize_groups(
    input: Any, weight: Any, bias: Any, grouped: Ints, eps: float
) -> tuple[Any, Any, Any, Any]:
    kind, columns = input.dtype, math.prod(grouped[2:])
    out = np.empty(input.shape, kind)
    statistics = [np.empty((*grouped[:2], *(1,) * (len(grouped) - 2)), kind) for _ in range(3)]
    native.normalize_rows(
        _rows(input, columns), None, None, eps, _rows(out, columns),
        *(s.reshape(-1) for s in statistics),
    )  # fmt: skip
    if weight is not None or bias is not None:
        channels = out.shape[1]
        factor = np.ones(channels, kind) if weight is None else _flat(weight)
        shift = np.zeros(channels, kind) if bias is None else _flat(bias)
        native.finish_planes(_planes(out), _planes(out), factor, shift)
    average, variance, scale = statistics
    return out, average, variance, scale


def _group_gradients(
    grad: Any, input: Any, weight: Any, average: Any, scale: Any, grouped: Ints,
    needs: tuple[bool, bool, bool],
) -> list[Any]:  # fmt: skip
    n, channels = input.shape[:2]
    columns = math.prod(grouped[2:])
    found: list[Any] = [None, None, None]
    nothing = np.zeros(channels, input.dtype)
    if needs[0]:
        scaled = grad if weight is None else _finish_planes(grad, weight, nothing)
        found[0] = np.empty(input.shape, input.dtype)
        sums = np.empty((2, _parts(average.size), columns), input.dtype)  # not needed
        native.normalize_rows_backward(
            _rows(scaled, columns), _rows(input, columns), None, _flat(average), _flat(scale),
            _rows(found[0], columns), *sums,
        )  # fmt: skip
    if needs[1]:
        # Those of one sample with n * channels channels, which have what was found for their group.
        of_samples = np.empty(n * channels, input.dtype)
        native.normalize_channels_backward(
            grad.reshape(1, n * channels, -1), input.reshape(1, n * channels, -1), None,
            np.repeat(_flat(average), grouped[2]), np.repeat(_flat(scale), grouped[2]),
            None, of_samples, None,
        )  # fmt: skip
        found[1] = sum_dims(of_samples.reshape(n, channels), (0,))
    if needs[2]:
        found[2] = channel_sum(grad)
    return found


@standardize.gradient_kernel("input", "weight", "bias")
def _(grad, input, weight, bias_shape, average, scale, grouped, dims, affine, eps, needs):
    if not _known(input, grad, weight, average, scale):
        return None
    input, average = around_zero(input, average, scale, grouped, dims)
    shape, kind = input.shape, input.dtype
    d_input = np.empty(shape, kind) if needs[0] else None
    factors = _flat(weight), _flat(average), _flat(scale)
    if _is_by_channel(input.ndim, grouped, dims, affine):
        d_weight = np.empty(affine[1], kind) if needs[1] else None
        d_bias = np.empty(affine[1], kind) if needs[2] else None
        native.normalize_channels_backward(
            _planes(grad), _planes(input), *factors, None if d_input is None else _planes(d_input),
            d_weight, d_bias,
        )  # fmt: skip
    elif _is_by_row(shape, grouped, dims, affine):
        columns = math.prod(affine)
        rows = math.prod(average.shape)
        weight_sums, bias_sums = np.empty((2, _parts(rows), columns), kind)
        native.normalize_rows_backward(
            _rows(grad, columns), _rows(input, columns), *factors,
            None if d_input is None else _rows(d_input, columns), weight_sums, bias_sums,
        )  # fmt: skip
        d_weight = sum_dims(weight_sums, (0,)) if needs[1] else None
        d_bias = sum_dims(bias_sums, (0,)) if needs[2] else None
    elif _is_by_group(grouped, dims, affine):
        d_input, d_weight, d_bias = _group_gradients(
            grad, input, weight, average, scale, grouped, needs
        )
    else:
        return None
    return [
        d_input,
        None if d_weight is None else d_weight.reshape(weight.shape),
        None if d_bias is None else d_bias.reshape(bias_shape),
    ]


@standardize_by.kernel("cpu")
def _(input, average, variance, weight, bias, eps):
    return _finish_planes(input, *factor_and_shift(np, average, variance, weight, bias, eps))


@fused_norm.kernel("cpu")
def _(input, average, variance, weight, bias, eps, *rest):
    factors = factor_and_shift(np, average, variance, weight, bias, eps)
    return _finish_planes(input, *factors, *rest)


def _finish_planes(
    input: Any, factor: Any, shift: Any, added: Any = None, low: float = -math.inf,
    high: float = math.inf,
) -> Any:  # fmt: skip
    """``input * factor + shift`` by channel, ``+ added``, clamped between ``low`` and ``high``."""
    if not _known(input, factor, shift, added):
        return None
    out = np.empty(input.shape, input.dtype)
    planes = None if added is None else _planes(added)
    native.finish_planes(
        _planes(input), _planes(out), _flat(factor), _flat(shift), planes, low, high
    )
    return out
