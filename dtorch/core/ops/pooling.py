"""Pooling: one value for each window; here its mean.

Any number of leading dims is left alone, so one image and a batch of them are treated alike.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, RankError
from dtorch.core.op import structured
from dtorch.core.shapes import per_dim, window_count
from dtorch.core.tensor import Tensor

Ints = tuple[int, ...]


def sides_of_input(name: str, nd: int, input: Any) -> Ints:
    """The last ``nd`` sizes of ``(N, C, *sides)`` or ``(C, *sides)``."""
    shape = tuple(input.shape)
    if len(shape) not in (nd + 1, nd + 2):
        names = ("length", "height, width", "depth, height, width")[nd - 1]
        raise RankError(
            f"{name}: input has shape {shape}, expected {nd + 2} dimensions (batch, channels, "
            f"{names}) or {nd + 1} without batch; use unsqueeze(0) to add a dimension"
        )
    return shape[-nd:]


def windows(
    name: str, nd: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> tuple[Ints, Ints, Ints, Ints, Ints]:  # fmt: skip
    """Kernel, stride, padding and dilation of each dim, and the number of windows.

    Raises:
        ShapeError: a window does not fit.
        ArgumentError: padding exceeds half of the window.
    """
    sides = sides_of_input(name, nd, input)
    kernel = per_dim(name, "kernel_size", kernel_size, nd)
    no_stride = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    step = kernel if no_stride else per_dim(name, "stride", stride, nd)
    pad = per_dim(name, "padding", padding, nd)
    spread = per_dim(name, "dilation", dilation, nd)
    if any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        raise ArgumentError(f"{name}: padding {pad} exceeds half of the window {kernel}")
    counts = tuple(
        window_count(name, n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(sides, kernel, step, pad, spread, strict=True)
    )
    return kernel, step, pad, spread, counts


def padded_to(
    xp: ArrayModule,
    input: Any,
    value: Any,
    kernel: Ints,
    step: Ints,
    pad: Ints,
    spread: Ints,
    counts: Ints,
) -> Any:
    """The input with ``value`` at both ends, as far as the windows reach."""
    nd = len(kernel)
    sides = input.shape[-nd:]
    after = [
        max((count - 1) * s + d * (k - 1) + 1 - p - n, 0)
        for n, k, s, p, d, count in zip(sides, kernel, step, pad, spread, counts, strict=True)
    ]
    if not any(pad) and not any(after):
        return input
    sizes = [n + p + a for n, p, a in zip(sides, pad, after, strict=True)]
    out = xp.full((*input.shape[:-nd], *sizes), value, input.dtype)
    out[(..., *(slice(p, p + n) for p, n in zip(pad, sides, strict=True)))] = input
    return out


def taps(kernel: Ints, step: Ints, spread: Ints, counts: Ints) -> Any:
    """For each element of the window, where all windows find it in the padded input."""
    for tap in itertools.product(*map(range, kernel)):
        yield (
            tap,
            (
                ...,
                *(
                    slice(t * d, t * d + s * (count - 1) + 1, s)
                    for t, s, d, count in zip(tap, step, spread, counts, strict=True)
                ),
            ),
        )


def window_samples(make, *, spread):
    """An input, with kernel, step, padding, spread and number of windows."""
    n, side = make.size(2, 30), make.size(6, 50)
    for kernel, step, pad, apart in (
        ((2, 2), (2, 2), (0, 0), (1, 1)),
        ((3, 3), (2, 2), (1, 1), (1, 1)),
        ((3, 2), (1, 2), (1, 0), (1, 1)),
        ((3, 3), (1, 1), (1, 1), (2, 2)),
        ((4,), (3,), (2,), (1,)),
    ):
        if not spread and max(apart) > 1:
            continue
        input = make(n, *(side,) * 2)
        sides = tuple(input.shape)[-len(kernel) :]
        places = zip(sides, kernel, step, pad, apart, strict=True)
        counts = tuple(window_count("pool", *place) for place in places)
        yield input, kernel, step, pad, *((apart,) if spread else ()), counts


def each_window(input, kernel_size, stride, padding, dilation, ceil_mode, nd):
    """``(place in the output, {flat index: value} of the window)``, the padding left out."""
    sides = input.shape[-nd:]
    kernel = per_dim("", "", kernel_size, nd)
    step = kernel if stride is None else per_dim("", "", stride, nd)
    pad, spread = per_dim("", "", padding, nd), per_dim("", "", dilation, nd)
    starts = []
    for n, k, s, p, d in zip(sides, kernel, step, pad, spread, strict=True):
        last = n + p - (d * (k - 1) + 1)
        if ceil_mode:
            last = min(last + s - 1, n - 1)
        starts.append(range(-p, last + 1, s))
    for at in np.ndindex(*map(len, starts)):
        taps = [[starts[i][a] + t * spread[i] for t in range(kernel[i])] for i, a in enumerate(at)]
        found = {}
        for place in itertools.product(*taps):
            if all(0 <= q < n for q, n in zip(place, sides, strict=True)):
                found[int(np.ravel_multi_index(place, sides))] = input[(..., *place)]
        yield at, found


# -- the mean of each window --------------------------------------------------------------------


@structured(tensors=("input",), public=False, wide=True, keeps_format=("input",))
def window_sum(
    xp: ArrayModule, input: Array, kernel: Ints, step: Ints, pad: Ints, counts: Ints, divisor: Any
) -> Array:
    """Sum of each window, divided by ``divisor``: a number or an array over the windows."""
    ones = (1,) * len(kernel)
    padded = padded_to(xp, input, 0, kernel, step, pad, ones, counts)
    out: Any = None
    for _, at in taps(kernel, step, ones, counts):
        if out is None:
            out = padded[at].copy()
        else:
            out += padded[at]
    out /= np.asarray(divisor, out.dtype)
    return out


@window_sum.gradient("input")
def _(grad, input_shape, kernel, step, pad, counts, divisor):
    return window_spread(grad, tuple(input_shape), kernel, step, pad, counts, divisor)


@structured(tensors=("delta",), public=False, wide=True, keeps_format=("delta",))
def window_spread(
    xp: ArrayModule,
    delta: Array,
    shape: Any,
    kernel: Ints,
    step: Ints,
    pad: Ints,
    counts: Ints,
    divisor: Any,
) -> Array:
    """The transpose of `window_sum`."""
    nd = len(kernel)
    ones = (1,) * nd
    share = delta / np.asarray(divisor, delta.dtype)
    sides = shape[-nd:]
    sizes = [
        max(n + p, (count - 1) * s + k)
        for n, k, s, p, count in zip(sides, kernel, step, pad, counts, strict=True)
    ]
    out = xp.zeros((*shape[:-nd], *sizes), delta.dtype)
    for _, at in taps(kernel, step, ones, counts):
        out[at] += share
    return out[(..., *(slice(p, p + n) for p, n in zip(pad, sides, strict=True)))]


@window_spread.gradient("delta")
def _(grad, kernel, step, pad, counts, divisor):
    return window_sum(grad, kernel, step, pad, counts, divisor)


@window_sum.samples
def _(make):
    for values in window_samples(make, spread=False):
        yield (*values, 3.0), {}


@window_spread.samples
def _(make):
    for input, kernel, step, pad, counts in window_samples(make, spread=False):
        delta = make(*tuple(input.shape)[: -len(kernel)], *counts)
        yield (delta, tuple(input.shape), kernel, step, pad, counts, 3.0), {}


def _divisor(
    sides: Ints, kernel: Ints, step: Ints, pad: Ints, counts: Ints, count_include_pad: bool
) -> Any:
    """Elements that count in each window: those of the padding may, those beyond it never do."""
    out: Any = 1
    nd = len(sides)
    for dim in range(nd):
        start = np.arange(counts[dim]) * step[dim] - pad[dim]
        end = start + kernel[dim]
        if count_include_pad:
            along = np.minimum(end, sides[dim] + pad[dim]) - start
        else:
            along = np.minimum(end, sides[dim]) - np.maximum(start, 0)
        out = out * along.reshape(-1, *(1,) * (nd - 1 - dim))
    return int(out.flat[0]) if (out == out.flat[0]).all() else out


def _avg_pool(
    nd: int, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: Any,
) -> Any:  # fmt: skip
    name = f"avg_pool{nd}d"
    kernel, step, pad, _, counts = windows(
        name, nd, input, kernel_size, stride, padding, 1, ceil_mode
    )
    if divisor_override is not None:
        if divisor_override == 0:
            raise ArgumentError(f"{name}: divisor_override is 0")
        divisor = divisor_override
    else:
        divisor = _divisor(tuple(input.shape)[-nd:], kernel, step, pad, counts, count_include_pad)
    return window_sum(input, kernel, step, pad, counts, divisor)


@composite(tensors=("input",), home="nn", takes="f")
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Mean of each window of ``(N, C, L)`` or ``(C, L)``; see `avg_pool2d`."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@composite(tensors=("input",), home="nn", takes="f")
def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Tensor:  # fmt: skip
    """Mean of each ``kernel_size`` window of every channel.

    Args:
        input: ``(N, C, H, W)`` or ``(C, H, W)``.
        kernel_size, stride, padding, ceil_mode: as in `max_pool2d`; the padding is zeros.
        count_include_pad: whether the zeros of the padding count in the mean.
        divisor_override: divide by this number instead.
    """
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@composite(tensors=("input",), home="nn", takes="f")
def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Tensor:  # fmt: skip
    """Mean of each window of ``(N, C, D, H, W)`` or without batch; see `avg_pool2d`."""
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@avg_pool1d.samples
def _(make):
    yield (make(2, 3, 7), 2), {}
    yield (make(3, 6), 3), {"stride": 2, "padding": 1, "ceil_mode": True}


@avg_pool2d.samples
def _(make):
    yield (make(2, 2, 6, 4), 2), {}
    yield (make(1, 2, 5, 5), 3), {"stride": 2, "padding": 1, "count_include_pad": False}
    yield (make(2, 6, 6), 3), {"stride": 2, "ceil_mode": True, "divisor_override": 5}


@avg_pool3d.samples
def _(make):
    yield (make(1, 2, 4, 3, 4), 2), {"stride": (2, 1, 2), "padding": (0, 1, 0)}


def _reference_avg(nd):
    def reference(input, kernel_size, stride=None, padding=0, ceil_mode=False,
                  count_include_pad=True, divisor_override=None):  # fmt: skip
        pad = per_dim("", "", padding, nd)
        x: Any = np.pad(input, [(0, 0)] * (input.ndim - nd) + [(p, p) for p in pad])
        inside = np.pad(np.ones(input.shape[-nd:]), [(p, p) for p in pad])
        ones = np.ones(x.shape[-nd:])
        kernel = per_dim("", "", kernel_size, nd)
        step = kernel if stride is None else per_dim("", "", stride, nd)
        limit = [n - p for n, p in zip(x.shape[-nd:], pad, strict=True)]
        starts = [
            [a for a in range(0, n, s) if a + k <= n or (ceil_mode and a < m)]
            for n, s, k, m in zip(x.shape[-nd:], step, kernel, limit, strict=True)
        ]
        for i, k in enumerate(kernel):  # at most one window reaches beyond the end
            n = x.shape[-nd + i]
            beyond = [a for a in starts[i] if a + k > n]
            starts[i] = [a for a in starts[i] if a + k <= n] + beyond[:1]
        out: Any = np.zeros((*input.shape[:-nd], *map(len, starts)))
        for at in np.ndindex(*map(len, starts)):
            cut = tuple(slice(starts[i][a], starts[i][a] + kernel[i]) for i, a in enumerate(at))
            total = x[(..., *cut)].reshape(*input.shape[:-nd], -1).sum(-1)
            counted = (ones if count_include_pad else inside)[cut].sum()
            out[(..., *at)] = total / (divisor_override or counted)
        return out

    return reference


for _nd, _op in enumerate((avg_pool1d, avg_pool2d, avg_pool3d), 1):
    _op.expect(_reference_avg(_nd))
