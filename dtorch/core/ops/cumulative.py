"""Running sums, products and extremes along a dim, and differences of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.dtype import as_dtype
from dtorch.core.op import structured
from dtorch.core.ops.arithmetic import sub
from dtorch.core.ops.comparison import isfinite, keep
from dtorch.core.ops.exponential import share
from dtorch.core.ops.joining import cat
from dtorch.core.ops.scatter import scatter_sum
from dtorch.core.ops.selection import selection
from dtorch.core.ops.view import narrow
from dtorch.core.shapes import normalize_dim


def accumulator(input: Any, dtype: Any) -> Any:
    """NumPy dtype in which a sum or product is formed: int64 for integers and bool."""
    if dtype is not None:
        return as_dtype(dtype).numpy
    return np.dtype(np.int64) if input.dtype.kind in "iub" else input.dtype


def wide_accumulator(target: Any) -> Any:
    """NumPy dtype in which to add up results of ``target``: single precision for half."""
    return np.dtype(np.float32) if target.itemsize == 2 and target.kind in "fV" else target


@structured(tensors=("input",), inplace=True)
def cumsum(xp: ArrayModule, input: Array, dim: int, *, dtype: Any = None) -> Array:
    """Running sum along ``dim``.

    >>> import dtorch
    >>> dtorch.cumsum(dtorch.tensor([1, 2, 3]), 0).tolist()
    [1, 3, 6]
    """
    dim = normalize_dim("cumsum", dim, input.ndim)
    if not input.ndim:
        return input.astype(accumulator(input, dtype))
    target = accumulator(input, dtype)
    return xp.cumsum(input, dim, dtype=wide_accumulator(target)).astype(target, copy=False)


@cumsum.gradient("input")
def _(grad, dim):
    return running_back(grad, dim)


@structured(tensors=("input",), public=False, wide=True)
def running_back(xp: ArrayModule, input: Array, dim: int) -> Array:
    """Running sum from the end."""
    if not input.ndim:
        return input.copy()
    return xp.flip(xp.cumsum(xp.flip(input, dim), dim), dim)


@running_back.gradient("input")
def _(grad, dim):
    return cumsum(grad, dim)


@cumsum.samples
def _(make):
    yield (make(make.size(2, 300), make.size(3, 300)), 1), {}
    yield (make(2, 3), 0), {}


@cumsum.expect
def _(input, dim):
    return np.add.accumulate(input, dim)


@structured(tensors=("input",), inplace=True)
def cumprod(xp: ArrayModule, input: Array, dim: int, *, dtype: Any = None) -> Array:
    """Running product along ``dim``.

    >>> import dtorch
    >>> dtorch.cumprod(dtorch.tensor([1, 2, 3]), 0).tolist()
    [1, 2, 6]
    """
    dim = normalize_dim("cumprod", dim, input.ndim)
    if not input.ndim:
        return input.astype(accumulator(input, dtype))
    target = accumulator(input, dtype)
    return xp.cumprod(input, dim, dtype=wide_accumulator(target)).astype(target, copy=False)


@cumprod.gradient("input")
def _(grad, input, out, dim):
    if bool(((out != 0) & isfinite(out)).all()):
        return running_back(grad * out.conj(), dim) / input.conj()
    if input.ndim == 0:
        return grad
    n = input.shape[dim]
    before = cat([keep(narrow(input, dim, 0, 1), False) + 1, narrow(out, dim, 0, n - 1)], dim)
    return before.conj() * recurrence_back(grad, input.conj(), dim)


@cumprod.samples
def _(make):
    yield (make(make.size(2, 9000), make.size(3, 8), low=0.5), 1), {}
    yield (make(3, 2), 0), {}
    yield (make.constant(2, 4).round(), 1), {}


@cumprod.expect
def _(input, dim):
    return np.multiply.accumulate(input, dim)


@structured(tensors=("input", "factor"), public=False)
def recurrence_back(xp: ArrayModule, input: Array, factor: Array, dim: int) -> Array:
    """``out[i] = input[i] + factor[i+1] * out[i+1]`` along ``dim``, from the end."""
    out = input.copy()
    lines, factors = xp.moveaxis(out, dim, 0), xp.moveaxis(factor, dim, 0)
    for i in range(len(lines) - 2, -1, -1):
        lines[i] += factors[i + 1] * lines[i + 1]
    return out


@structured(tensors=("input", "factor"), public=False)
def recurrence(xp: ArrayModule, input: Array, factor: Array, dim: int) -> Array:
    """``out[i] = input[i] + factor[i] * out[i-1]`` along ``dim``."""
    out = input.copy()
    lines, factors = xp.moveaxis(out, dim, 0), xp.moveaxis(factor, dim, 0)
    for i in range(1, len(lines)):
        lines[i] += factors[i] * lines[i - 1]
    return out


@recurrence_back.gradient("input")
def _(grad, factor, dim):
    return recurrence(grad, factor.conj(), dim)


@recurrence_back.gradient("factor")
def _(grad, factor, out, dim):
    n = factor.shape[dim]
    total = narrow(recurrence(grad, factor.conj(), dim), dim, 0, n - 1)
    part = total * narrow(out, dim, 1, n - 1).conj()
    return cat([keep(narrow(factor, dim, 0, 1), False), part], dim)


@recurrence.gradient("input")
def _(grad, factor, dim):
    return recurrence_back(grad, factor.conj(), dim)


@recurrence.gradient("factor")
def _(grad, factor, out, dim):
    n = factor.shape[dim]
    total = narrow(recurrence_back(grad, factor.conj(), dim), dim, 1, n - 1)
    part = total * narrow(out, dim, 0, n - 1).conj()
    return cat([keep(narrow(factor, dim, 0, 1), False), part], dim)


@structured(tensors=("input",), takes="f", wide=True)
def logcumsumexp(xp: ArrayModule, input: Array, dim: int) -> Array:
    """Logarithm of the running sum of ``exp(input)`` along ``dim``, without overflow."""
    dim = normalize_dim("logcumsumexp", dim, input.ndim)
    return xp.logaddexp.accumulate(input, dim) if input.ndim else input.copy()


@logcumsumexp.gradient("input")
def _(grad, input, out, dim):
    n = input.shape[dim] if input.ndim else 0
    if n == 0:
        return grad
    # exp(out[i-1] - out[i]), never above 1: nothing overflows.
    step = share(narrow(out, dim, 0, n - 1), narrow(out, dim, 1, n - 1))
    factor = cat([keep(narrow(out, dim, 0, 1), False), step], dim)
    return share(input, out) * recurrence_back(grad, factor, dim)


@logcumsumexp.samples
def _(make):
    yield (make(2, 4), 1), {}
    yield (make(3, 2), 0), {}
    yield (make(0, 2), 0), {}


@logcumsumexp.expect
def _(input, dim):
    return np.log(np.cumsum(np.exp(input), dim))


def _running_extreme(xp: ArrayModule, name: str, input: Any, dim: int) -> Any:
    dim = normalize_dim(name, dim, input.ndim)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    accumulate = (xp.maximum if name == "cummax" else xp.minimum).accumulate
    values = accumulate(input, dim)
    sizes = [1] * input.ndim
    sizes[dim] = -1
    places = xp.arange(input.shape[dim]).reshape(sizes)
    record = (input == values) | (input != input)
    return values, xp.maximum.accumulate(xp.where(record, places, 0), dim)


@selection
def cummax(xp: ArrayModule, input: Array, dim: int) -> Any:
    """Running maximum along ``dim``, and the last index at which it was met.

    >>> import dtorch
    >>> dtorch.cummax(dtorch.tensor([1, 3, 2]), 0)[0].tolist()
    [1, 3, 3]
    """
    return _running_extreme(xp, "cummax", input, dim)


@selection
def cummin(xp: ArrayModule, input: Array, dim: int) -> Any:
    """Running minimum along ``dim``, and the last index at which it was met."""
    return _running_extreme(xp, "cummin", input, dim)


for _op, _sign in ((cummax, 1), (cummin, -1)):

    @_op.gradient("input")
    def _(grad, indices, dim, input_shape):
        if not input_shape:
            return grad
        return scatter_sum(grad, dim % len(input_shape), indices, input_shape)

    @_op.samples
    def _(make):
        yield (make(2, 5), 1), {}
        yield (make(5, 2), 0), {}

    @_op.expect
    def _(input, dim, _sign=_sign):
        values, indices = input.copy(), np.zeros(input.shape, np.int64)
        for place in np.ndindex(input.shape):
            line = np.moveaxis(input, dim, -1)[place[1 - dim]][: place[dim] + 1]
            indices[place] = np.argmax(_sign * line)
            values[place] = line[indices[place]]
        return values, indices


@composite(tensors=("input", "prepend", "append"), wide=True)
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along ``dim``, ``n`` times over.

    Args:
        prepend, append: values put before and behind first.

    >>> import dtorch
    >>> dtorch.diff(dtorch.tensor([1, 4, 9])).tolist()
    [3, 5]
    """
    dim = normalize_dim("diff", dim, input.ndim, scalars=False)
    parts = [part for part in (prepend, input, append) if part is not None]
    out = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        size = out.shape[dim]
        left = max(size - 1, 0)
        later, earlier = narrow(out, dim, min(size, 1), left), narrow(out, dim, 0, left)
        out = later != earlier if str(out.dtype).endswith("bool") else sub(later, earlier)
    return out


@diff.samples
def _(make):
    yield (make(2, 5),), {}
    yield (make(5, 2), 2, 0), {}
    yield (make(2, 3), 1, -1, make(2, 1)), {}


@diff.expect
def _(input, n=1, dim=-1, prepend=None):
    return np.diff(input, n, dim, *([] if prepend is None else [prepend]))


@running_back.samples
def _(make):
    n = make.size(3, 300)
    yield (make(n, n), 0), {}
    yield (make(n, n), 1), {}
