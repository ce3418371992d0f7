"""Pooling: one value for each window.

Any number of leading dims is left alone, so one image and a batch of them are treated alike.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dtorch.core.base import REQUIRES_GRAD
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.grad_mode import is_grad_enabled
from dtorch.core.op import structured
from dtorch.core.ops.power import power, root
from dtorch.core.shapes import per_dim, window_count

Ints = tuple[int, ...]


def sides_of_input(name: str, nd: int, input: Any) -> Ints:
    """The last ``nd`` sizes of ``(N, C, *sides)`` or ``(C, *sides)``."""
    shape = tuple(input.shape)
    if len(shape) not in (nd + 1, nd + 2):
        names = ("length", "height, width", "depth, height, width")[nd - 1]
        raise ShapeError(
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


def _padded(
    xp: Any, input: Any, value: Any, kernel: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints
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


def _taps(kernel: Ints, step: Ints, spread: Ints, counts: Ints) -> Any:
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


# -- the largest of each window -----------------------------------------------------------------


@structured(tensors=("input",), outputs=("out", "index"), public=False, wide=True)
def max_pool(
    xp: Any, input: Any, kernel: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints
) -> Any:
    """Largest value in each window, and its flat index in the last ``len(kernel)`` dims.

    Gradient: goes to the first largest element of a window; ties are not shared.
    """
    nd = len(kernel)
    low = -np.inf if input.dtype.kind in "fV" else np.iinfo(input.dtype).min
    padded = _padded(xp, input, low, kernel, step, pad, spread, counts)
    best = index = None
    for tap, at in _taps(kernel, step, spread, counts):
        values = padded[at]
        place = _places(input.shape[-nd:], tap, step, pad, spread, counts)
        if best is None:
            best = values.copy()
            index = np.broadcast_to(place, best.shape).copy()
            continue
        larger = values > best
        if input.dtype.kind in "fV":
            larger |= values != values  # nan wins
        xp.copyto(best, values, where=larger)
        xp.copyto(index, place, where=larger)
    if any(pad):  # a window of the lowest numbers alone has found its first in the padding
        first = _first_inside(input.shape[-nd:], step, pad, spread, counts)
        xp.copyto(index, first, where=best == low)
    return best, index


@structured(tensors=("input",), public=False, wide=True)
def largest(
    xp: Any, input: Any, kernel: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints
) -> Any:
    """The values of `max_pool` alone, where no gradient is recorded."""
    return max_pool.run_body(xp, (input, kernel, step, pad, spread, counts))[0]


def _places(sides: Ints, tap: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints) -> Any:
    """Flat index, in the input, of the element that ``tap`` meets in every window."""
    nd = len(sides)
    place: Any = 0
    for dim in range(nd):
        along = np.arange(counts[dim]) * step[dim] + (tap[dim] * spread[dim] - pad[dim])
        place = place * sides[dim] + along.reshape(-1, *(1,) * (nd - 1 - dim))
    return place


def _first_inside(sides: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints) -> Any:
    """Flat index of the first element of every window that is no padding."""
    nd = len(sides)
    place: Any = 0
    for dim in range(nd):
        start = np.arange(counts[dim]) * step[dim] - pad[dim]
        start += -(np.minimum(start, 0) // spread[dim]) * spread[dim]
        start = np.minimum(start, sides[dim] - 1)
        place = place * sides[dim] + start.reshape(-1, *(1,) * (nd - 1 - dim))
    return place


@max_pool.gradient("input")
def _(grad, index, input_shape, kernel):
    return unpool_sum(grad, index, tuple(input_shape), len(kernel))


def _flat(index: Any, nd: int, total: int) -> Any:
    """Indices into planes of ``total`` elements as indices into all planes one after another."""
    planes, places = math.prod(index.shape[:-nd]), math.prod(index.shape[-nd:])
    at = index.reshape(planes, places) + np.arange(planes)[:, None] * total
    return at.reshape(-1)


@structured(tensors=("delta", "index"), public=False, wide=True)
def unpool_sum(xp: Any, delta: Any, index: Any, shape: Any, nd: int) -> Any:
    """Zeros of ``shape`` to which ``delta`` is added at flat indices within each plane."""
    out = xp.zeros(math.prod(shape), delta.dtype)
    xp.add.at(out, _flat(index, nd, math.prod(shape[-nd:])), delta.reshape(-1))
    return out.reshape(shape)


@unpool_sum.gradient("delta")
def _(grad, index, nd):
    return pick(grad, index, nd)


@structured(tensors=("input", "index"), public=False, wide=True)
def pick(xp: Any, input: Any, index: Any, nd: int) -> Any:
    """The elements at flat indices within each plane."""
    at = _flat(index, nd, math.prod(input.shape[-nd:]))
    return input.reshape(-1)[at].reshape(index.shape)


@pick.gradient("input")
def _(grad, index, input_shape, nd):
    return unpool_sum(grad, index, tuple(input_shape), nd)


def _max_pool(
    nd: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    name = f"max_pool{nd}d"
    found = windows(name, nd, input, kernel_size, stride, padding, dilation, ceil_mode)
    recorded = is_grad_enabled() and input._mode == REQUIRES_GRAD
    if not (recorded or return_indices):
        return largest(input, *found)
    out, index = max_pool(input, *found)
    return (out, index) if return_indices else out


@composite(tensors=("input",), home="nn", has_out=False, takes="if")
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest value in each window of ``(N, C, L)`` or ``(C, L)``; see `max_pool2d`."""
    return _max_pool(
        1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


@composite(tensors=("input",), home="nn", has_out=False, takes="if")
def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest value in each ``kernel_size`` window of every channel.

    Args:
        input: ``(N, C, H, W)`` or ``(C, H, W)``.
        kernel_size: rows and columns of the window, in pixels; one int means square.
        stride: step between windows, in pixels. Default: ``kernel_size``.
        padding: pixels of -inf on each side, at most half the window.
        dilation: distance between the pixels of a window.
        ceil_mode: also take windows that reach beyond the end.
        return_indices: return also where each value was found, as an index into the plane of
            ``H * W`` pixels.
    Returns:
        ``(N, C, H', W')``,
        ``H' = floor((H + 2*padding - dilation * (kernel_size - 1) - 1) / stride) + 1``.
    Raises:
        ShapeError: input of other dimensions, or a window does not fit.
        ArgumentError: padding exceeds half the window.
    Gradient: goes to the first largest element of a window; ties are not shared.
    """
    return _max_pool(
        2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


@composite(tensors=("input",), home="nn", has_out=False, takes="if")
def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest value in each window of ``(N, C, D, H, W)`` or without batch; see `max_pool2d`."""
    return _max_pool(
        3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


@max_pool1d.samples
def _(make):
    yield (make(2, 3, 7), 2), {}
    yield (make(3, 8), 3), {"stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}


@max_pool2d.samples
def _(make):
    yield (make(2, 3, 6, 4), 2), {}
    yield (make(1, 2, 5, 5), 3), {"stride": 2, "padding": 1}
    yield (make(1, 1, 4, 6), (2, 3), (1, 2)), {}
    yield (make(2, 6, 7), 2), {"dilation": 2, "return_indices": True}


@max_pool3d.samples
def _(make):
    yield (make(1, 2, 4, 3, 4), 2), {"stride": (2, 1, 2), "padding": (0, 1, 0)}


def _each_window(input, kernel_size, stride, padding, dilation, ceil_mode, nd):
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


def _reference_max(nd):
    def reference(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                  return_indices=False):  # fmt: skip
        entries = list(_each_window(input, kernel_size, stride, padding, dilation, ceil_mode, nd))
        counts = tuple(max(at[i] for at, _ in entries) + 1 for i in range(nd))
        out = np.zeros((*input.shape[:-nd], *counts))
        index = np.zeros(out.shape, np.int64)
        for at, found in entries:
            values = np.stack(list(found.values()), -1)
            out[(..., *at)] = values.max(-1)
            index[(..., *at)] = np.array(list(found))[values.argmax(-1)]
        return (out, index) if return_indices else out

    return reference


for _nd, _op in enumerate((max_pool1d, max_pool2d, max_pool3d), 1):
    _op.expect(_reference_max(_nd))


# -- the mean of each window --------------------------------------------------------------------


@structured(tensors=("input",), public=False, wide=True)
def window_sum(
    xp: Any, input: Any, kernel: Ints, step: Ints, pad: Ints, counts: Ints, divisor: Any
) -> Any:
    """Sum of each window, divided by ``divisor``: a number or an array over the windows."""
    ones = (1,) * len(kernel)
    padded = _padded(xp, input, 0, kernel, step, pad, ones, counts)
    out: Any = None
    for _, at in _taps(kernel, step, ones, counts):
        if out is None:
            out = padded[at].copy()
        else:
            out += padded[at]
    out /= np.asarray(divisor, out.dtype)
    return out


@window_sum.gradient("input")
def _(grad, input_shape, kernel, step, pad, counts, divisor):
    return window_spread(grad, tuple(input_shape), kernel, step, pad, counts, divisor)


@structured(tensors=("delta",), public=False, wide=True)
def window_spread(
    xp: Any, delta: Any, shape: Any, kernel: Ints, step: Ints, pad: Ints, counts: Ints, divisor: Any
) -> Any:
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
    for _, at in _taps(kernel, step, ones, counts):
        out[at] += share
    return out[(..., *(slice(p, p + n) for p, n in zip(pad, sides, strict=True)))]


@window_spread.gradient("delta")
def _(grad, kernel, step, pad, counts, divisor):
    return window_sum(grad, kernel, step, pad, counts, divisor)


def _windows_of(make, *, spread):
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


@max_pool.samples
@largest.samples
def _(make):
    for values in _windows_of(make, spread=True):
        yield values, {}


@unpool_sum.samples
def _(make):
    n, side = make.size(2, 30), make.size(4, 40)
    places = make.index(n, side, side, high=4 * side * side)
    yield (make(n, side, side), places, (n, 2 * side, 2 * side), 2), {}


@window_sum.samples
def _(make):
    for values in _windows_of(make, spread=False):
        yield (*values, 3.0), {}


@window_spread.samples
def _(make):
    for input, kernel, step, pad, counts in _windows_of(make, spread=False):
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
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Mean of each window of ``(N, C, L)`` or ``(C, L)``; see `avg_pool2d`."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@composite(tensors=("input",), home="nn", takes="f")
def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Any:  # fmt: skip
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
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Any:  # fmt: skip
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


# -- powers -------------------------------------------------------------------------------------


def _lp_pool(
    nd: int, input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    name = f"lp_pool{nd}d"
    p = float(norm_type)
    if p == math.inf:
        return _max_pool(nd, abs(input), kernel_size, stride, 0, 1, ceil_mode, False)
    if p == 0:
        raise ArgumentError(f"{name}: norm_type is 0, expected another number")
    kernel, step, pad, _, counts = windows(name, nd, input, kernel_size, stride, 0, 1, ceil_mode)
    total = window_sum(power(input, p), kernel, step, pad, counts, 1)
    return total.sign() * root(total.abs(), p)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def lp_pool1d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, L)``; see `lp_pool2d`."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def lp_pool2d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, H, W)``.

    Args:
        norm_type: p; inf gives `max_pool2d` of the absolute values.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def lp_pool3d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
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
        entries = list(_each_window(input, kernel_size, stride, 0, 1, False, nd))
        counts = tuple(max(at[i] for at, _ in entries) + 1 for i in range(nd))
        out = np.zeros((*input.shape[:-nd], *counts))
        for at, found in entries:
            out[(..., *at)] = np.linalg.norm(np.stack(list(found.values()), -1), norm_type, -1)
        return out

    return reference


for _nd, _op in enumerate((lp_pool1d, lp_pool2d, lp_pool3d), 1):
    _op.expect(_reference_lp(_nd))


# -- back to where the largest were -------------------------------------------------------------


@structured(tensors=("input", "indices"), public=False)
def unpool(xp: Any, input: Any, indices: Any, shape: Any, nd: int) -> Any:
    """Zeros of ``shape`` with ``input`` at flat indices within each plane."""
    out = xp.zeros(math.prod(shape), input.dtype)
    out[_flat(indices, nd, math.prod(shape[-nd:]))] = input.reshape(-1)
    return out.reshape(shape)


@unpool.gradient("input")
def _(grad, indices, nd):
    return pick(grad, indices, nd)


def _max_unpool(
    nd: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    name = f"max_unpool{nd}d"
    sides = sides_of_input(name, nd, input)
    if tuple(indices.shape) != tuple(input.shape):
        raise ShapeError(
            f"{name}: indices have shape {tuple(indices.shape)}, expected {tuple(input.shape)} "
            "like the input"
        )
    kernel = per_dim(name, "kernel_size", kernel_size, nd)
    step = kernel if stride is None else per_dim(name, "stride", stride, nd)
    pad = per_dim(name, "padding", padding, nd)
    default = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(sides, step, pad, kernel, strict=True)
    )
    wanted = default if output_size is None else tuple(int(n) for n in output_size)[-nd:]
    if len(wanted) != nd or any(
        not d - s < w < d + s for w, d, s in zip(wanted, default, step, strict=True)
    ):
        raise ArgumentError(
            f"{name}: output_size is {wanted}, expected sizes within one stride {step} of {default}"
        )
    index, total = indices._array, math.prod(wanted)
    if index.size and (int(index.min()) < 0 or int(index.max()) >= total):
        raise DimensionError(
            f"{name}: indices from {int(index.min())} to {int(index.max())} do not lie in an "
            f"output of {wanted}, which has {total} elements"
        )
    return unpool(input, indices, (*tuple(input.shape)[:-nd], *wanted), nd)


@composite(tensors=("input", "indices"), home="nn", takes="bif")
def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """Values put back to where `max_pool1d` found them; see `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@composite(tensors=("input", "indices"), home="nn", takes="bif")
def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """Values put back to where `max_pool2d` found them, zeros elsewhere.

    Args:
        indices: what `max_pool2d` returned with ``return_indices=True``.
        kernel_size, stride, padding: those of the pooling.
        output_size: sizes of its input; they must be within one stride of what follows from the
            sizes of ``input``.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@composite(tensors=("input", "indices"), home="nn", takes="bif")
def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """Values put back to where `max_pool3d` found them; see `max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _found(make, shape, nd):
    """An input of a pooling with windows of 2, as values and indices."""
    return _max_pool(nd, make(*shape), 2, None, 0, 1, False, True)


@max_unpool1d.samples
def _(make):
    yield (*_found(make, (2, 2, 7), 1), 2), {"output_size": (7,)}


@max_unpool2d.samples
def _(make):
    yield (*_found(make, (2, 2, 4, 6), 2), 2), {}


@max_unpool3d.samples
def _(make):
    yield (*_found(make, (1, 2, 4, 2, 2), 3), 2), {}


def _reference_unpool(nd):
    def reference(input, indices, kernel_size, output_size=None):
        sides = output_size or tuple(2 * n for n in input.shape[-nd:])
        out = np.zeros((*input.shape[:-nd], math.prod(sides)))
        flat = (*input.shape[:-nd], -1)
        np.put_along_axis(out, indices.reshape(flat), input.reshape(flat), -1)
        return out.reshape(*input.shape[:-nd], *sides)

    return reference


for _nd, _op in enumerate((max_unpool1d, max_unpool2d, max_unpool3d), 1):
    _op.expect(_reference_unpool(_nd))
