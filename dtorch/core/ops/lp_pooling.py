"""Pooling by the norm of each window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError
from dtorch.core.ops.max_pooling import max_pooled
from dtorch.core.ops.pooling import each_window, window_sum, windows
from dtorch.core.ops.power import power, root
from dtorch.core.tensor import Tensor


def _lp_pool(
    nd: int, input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    name = f"lp_pool{nd}d"
    p = float(norm_type)
    if p == math.inf:
        return max_pooled(nd, abs(input), kernel_size, stride, 0, 1, ceil_mode, False)
    if p == 0:
        raise ArgumentError(f"{name}: norm_type is 0, expected another number")
    kernel, step, pad, _, counts = windows(name, nd, input, kernel_size, stride, 0, 1, ceil_mode)
    total = window_sum(power(input, p), kernel, step, pad, counts, 1)
    return total.sign() * root(total.abs(), p)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def lp_pool1d(
    input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, L)``; see `lp_pool2d`."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def lp_pool2d(
    input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, H, W)``.

    Args:
        norm_type: p; inf gives `max_pool2d` of the absolute values.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def lp_pool3d(
    input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, D, H, W)``; see `lp_pool2d`."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


@lp_pool1d.samples
def _(make):
    yield (make(2, 2, 6, low=0.2), 2, 2), {}


@lp_pool2d.samples
def _(make):
    yield (make(1, 2, 4, 5, low=0.2), 3, 2), {"stride": 1}
    yield (make(1, 2, 4, 4), math.inf, 2), {}


@lp_pool3d.samples
def _(make):
    yield (make(1, 1, 4, 2, 4, low=0.2), 2, 2), {}


def _reference_lp(nd):
    def reference(input, norm_type, kernel_size, stride=None):
        entries = list(each_window(input, kernel_size, stride, 0, 1, False, nd))
        counts = tuple(max(at[i] for at, _ in entries) + 1 for i in range(nd))
        out = np.zeros((*input.shape[:-nd], *counts))
        for at, found in entries:
            out[(..., *at)] = np.linalg.norm(np.stack(list(found.values()), -1), norm_type, -1)
        return out

    return reference


for _nd, _op in enumerate((lp_pool1d, lp_pool2d, lp_pool3d), 1):
    _op.expect(_reference_lp(_nd))
