"""Chains of operations that are computed in one pass over memory where no gradient is recorded.

Each is the chain by definition; compiled, every number is finished while it is in a cache.
"""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.errors import ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.convolution import check_conv, conv
from dtorch.core.ops.normalization import standardize_by

Ints = tuple[int, ...]


@structured(
    tensors=("input", "average", "variance", "weight", "bias", "added"), public=False, wide=True
)
def fused_norm(
    xp: ArrayModule, input: Array, average: Array, variance: Array, weight: Array, bias: Array, eps:
    float, added: Array | None = None, low: float = -math.inf, high: float = math.inf,
) -> Array:  # fmt: skip
    """`standardize_by`, then ``+ added``, clamped to ``low`` and ``high``."""
    out = standardize_by.run_body(xp, (input, average, variance, weight, bias, eps))
    return _add_and_clamp(xp, out, added, low, high)


def _add_and_clamp(xp: ArrayModule, out: Any, added: Any, low: float, high: float) -> Any:
    if added is not None:
        out += added
    if low > -math.inf or high < math.inf:
        out = xp.clip(out, out.dtype.type(low), out.dtype.type(high), out=out)
    return out


@fused_norm.shape
def _(input, average, variance, weight, bias, eps, added, low, high):
    _check_added("fused_norm", added, input.shape)


def _check_added(name: str, added: Any, shape: Ints) -> None:
    if added is not None and tuple(added.shape) != tuple(shape):
        raise ShapeError(
            f"{name}: added has shape {tuple(added.shape)}, expected the result's {tuple(shape)}"
        )


@fused_norm.samples
def _(make):
    c = make.size(4, 16)
    shape = (3, c, make.size(5, 2000))
    statistics = (make(c), make(c, low=0.5), make(c), make(c), 1e-5)
    yield (make(*shape), *statistics, make(*shape), 0.0, 6.0), {}
    yield (make(*shape), *statistics), {}


@structured(
    tensors=(
        "input", "weight", "bias", "average", "variance", "norm_weight", "norm_bias", "added",
    ),
    public=False, wide=True,
)  # fmt: skip
def fused_conv(
    xp: ArrayModule, input: Array, weight: Array, bias: Array, stride: Ints, padding: Ints,
    dilation: Ints, groups: int, average: Array, variance: Array, norm_weight: Array, norm_bias:
    Array, eps: float, added: Array | None = None, low: float = -math.inf, high: float = math.inf,
) -> Array:  # fmt: skip
    """`conv`, then `standardize_by` if ``average`` is given, ``+ added``, clamped."""
    out = conv.run_body(xp, (input, weight, bias, stride, padding, dilation, groups))
    if average is not None:
        out = standardize_by.run_body(xp, (out, average, variance, norm_weight, norm_bias, eps))
    _check_added("fused_conv", added, out.shape)
    return _add_and_clamp(xp, out, added, low, high)


@fused_conv.shape
def _(input, weight, bias, stride, padding, dilation, groups, *rest):
    check_conv(input, weight, bias, stride, padding, dilation, groups)


@fused_conv.samples
def _(make):
    n, c, side = make.size(2, 8), make.size(4, 16), make.size(5, 24)
    image, weight = make(n, c, side, side), make(c, c, 3, 3)
    geometry = ((1, 1), (1, 1), (1, 1), 1)
    statistics = (make(c), make(c, low=0.5), make(c), make(c), 1e-5)
    yield (image, weight, None, *geometry, *statistics, make(n, c, side, side), 0.0), {}
    yield (image, weight, make(c), *geometry, *(None,) * 4, 1e-5, None, 0.0, 6.0), {}
