"""Views: other shapes, orders and parts over the same memory."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dtorch.core.base import TensorBase
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.op import composite, method, view
from dtorch.core.ops.scatter import unslice
from dtorch.core.shapes import broadcast_shapes, infer_size, normalize_dim


@view(variadic="shape", method=False, public=False)
def _reshaped(xp: Any, input: Any, shape: Any) -> Any:
    shape = infer_size("view", tuple(shape), input.size)
    out = input.view()
    try:
        out.shape = shape  # NumPy refuses where it would have to copy
    except AttributeError:
        raise ShapeError(
            f"view: strides {tuple(s // input.itemsize for s in input.strides)} of shape "
            f"{input.shape} do not allow the shape {tuple(shape)} without a copy; use reshape()"
        ) from None
    return out


@_reshaped.gradient("input")
def _(grad, input_shape):
    return grad.reshape(input_shape)


def _view(input: Any, *shape: Any) -> Any:
    """The same memory in another shape; one size may be -1.

    Raises:
        ShapeError: the elements do not fit, or their order in memory asks for a copy.
    """
    return _reshaped.function(input, *shape)


def viewable(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether ``array`` can take ``shape`` without a copy."""
    try:
        array.view().shape = shape
    except AttributeError:
        return False
    return True


@composite(variadic="shape", tensors=("input",))
def reshape(input: Any, shape: Any) -> Any:
    """The elements in another shape: a view where the order in memory allows it, else a copy."""
    shape = infer_size("reshape", tuple(shape), input._array.size)
    if viewable(input._array, shape):
        return _reshaped.function(input, shape)
    return _reshaped.function(input.contiguous(), shape)


@reshape.samples
def _(make):
    yield (make(2, 6), (3, 4)), {}
    yield (make(2, 6).t(), (3, -1)), {}
    yield (make(1), ()), {}


@reshape.expect
def _(input, shape):
    return np.array(input.ravel().tolist(), input.dtype).reshape(shape)


@view()
def transpose(xp: Any, input: Any, dim0: int, dim1: int) -> Any:
    """A view with two dims exchanged."""
    a = normalize_dim("transpose", dim0, input.ndim)
    b = normalize_dim("transpose", dim1, input.ndim)
    return xp.swapaxes(input, a, b) if input.ndim else input.view()


@transpose.gradient("input")
def _(grad, dim0, dim1):
    return transpose(grad, dim0, dim1)


@transpose.samples
def _(make):
    yield (make(2, 3, 4), 0, 2), {}
    yield (make(2, 3), -1, 0), {}


@transpose.expect
def _(input, dim0, dim1):
    return np.moveaxis(input, [dim0, dim1], [dim1, dim0])


@view(variadic="dims")
def permute(xp: Any, input: Any, dims: Any) -> Any:
    """A view with the dims in the given order."""
    order = tuple(normalize_dim("permute", dim, input.ndim) for dim in dims)
    if sorted(order) != list(range(input.ndim)):
        raise ArgumentError(
            f"permute: dims are {tuple(dims)}, expected each of {input.ndim} dims once"
        )
    return xp.transpose(input, order)


@permute.gradient("input")
def _(grad, dims):
    n = len(dims)
    back = sorted(range(n), key=lambda i: dims[i] % n)
    return permute(grad, tuple(back))


@permute.samples
def _(make):
    yield (make(2, 3, 4), (2, 0, 1)), {}
    yield (make(2, 3, 4), (-1, 0, 1)), {}


@permute.expect
def _(input, dims):
    return np.einsum(input, list(range(input.ndim)), [d % input.ndim for d in dims])


@composite(tensors=("input",))
def t(input: Any) -> Any:
    """The transpose of a matrix; tensors with fewer dims as they are.

    Raises:
        ShapeError: more than two dims.
    """
    if input._array.ndim > 2:
        raise ShapeError(
            f"t: input has shape {tuple(input.shape)}, expected at most 2 dimensions; "
            "use transpose or permute"
        )
    return transpose(input, 0, -1)


@t.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(3),), {}


@t.expect
def _(input):
    return input.T


@view()
def squeeze(xp: Any, input: Any, dim: Any = None) -> Any:
    """A view without dims of size 1: all such, or those given if their size is 1."""
    if dim is None:
        return xp.squeeze(input)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    normal = tuple(normalize_dim("squeeze", d, input.ndim) for d in dims)
    return xp.squeeze(input, tuple(d for d in normal if input.ndim and input.shape[d] == 1))


@squeeze.gradient("input")
def _(grad, input_shape):
    return grad.reshape(input_shape)


@squeeze.samples
def _(make):
    yield (make(2, 1, 3, 1),), {}
    yield (make(2, 1, 3, 1), 1), {}
    yield (make(2, 1, 3, 1), 0), {}


@squeeze.expect
def _(input, dim=None):
    keep = [n for d, n in enumerate(input.shape) if n != 1 or (dim is not None and d != dim)]
    return input.reshape(keep)


@view()
def unsqueeze(xp: Any, input: Any, dim: int) -> Any:
    """A view with a dim of size 1 inserted before ``dim``."""
    return xp.expand_dims(input, _insertion("unsqueeze", dim, input.ndim))


def _insertion(op: str, dim: int, ndim: int) -> int:
    if not -ndim - 1 <= dim <= ndim:
        raise DimensionError(f"{op}: dim {dim} is out of range, expected {-ndim - 1} to {ndim}")
    return dim % (ndim + 1)


@unsqueeze.gradient("input")
def _(grad, input_shape):
    return grad.reshape(input_shape)


@unsqueeze.samples
def _(make):
    yield (make(2, 3), 1), {}
    yield (make(2, 3), -1), {}
    yield (make(), 0), {}


@unsqueeze.expect
def _(input, dim):
    shape = list(input.shape)
    shape.insert(dim if dim >= 0 else dim + input.ndim + 1, 1)
    return input.reshape(shape)


@view(variadic="sizes")
def expand(xp: Any, input: Any, sizes: Any) -> Any:
    """A view in which dims of size 1 are repeated to ``sizes``, and leading dims added.

    Args:
        sizes: the new sizes; -1 keeps one.
    """
    lead = len(sizes) - input.ndim
    if lead < 0 or any(size == -1 for size in sizes[: max(lead, 0)]):
        raise ShapeError(f"expand: sizes {tuple(sizes)} do not fit the shape {input.shape}")
    shape = tuple(input.shape[i - lead] if size == -1 else size for i, size in enumerate(sizes))
    for old, new in zip(input.shape, shape[lead:], strict=True):
        if old not in (1, new):
            raise ShapeError(
                f"expand: sizes {tuple(sizes)} do not fit the shape {input.shape}: "
                f"only sizes of 1 can grow, {old} cannot become {new}"
            )
    return xp.broadcast_to(input, shape)


@expand.gradient("input")
def _(grad):
    return grad  # the engine sums over the dims that were repeated


@expand.samples
def _(make):
    yield (make(3, 1), (2, 3, 4)), {}
    yield (make(3, 1), (-1, 4)), {}


@expand.expect
def _(input, sizes):
    sizes = [input.shape[i - len(sizes)] if n == -1 else n for i, n in enumerate(sizes)]
    return np.zeros(sizes) + input


@view(aliases={"dimension": "dim"})
def narrow(xp: Any, input: Any, dim: int, start: int, length: int) -> Any:
    """A view of ``length`` elements along ``dim``, from ``start`` on."""
    return input[_narrow_index(input.shape, dim, start, length)]


def _narrow_index(shape: Any, dim: int, start: int, length: int) -> Any:
    dim = normalize_dim("narrow", dim, len(shape))
    size = shape[dim] if shape else 0
    begin = start + size if start < 0 else start
    if length < 0 or not 0 <= begin <= begin + length <= size:
        raise DimensionError(
            f"narrow: {length} elements from {start} on are not within the {size} of dim {dim}"
        )
    return (slice(None),) * dim + (slice(begin, begin + length),)


@narrow.gradient("input")
def _(grad, input_shape, dim, start, length):
    return unslice(grad, _narrow_index(input_shape, dim, start, length), input_shape)


@narrow.samples
def _(make):
    yield (make(4, 5), 1, 1, 3), {}
    yield (make(4, 5), -2, -3, 2), {}


@narrow.expect
def _(input, dim, start, length):
    return np.take(input, range(start, start + length), axis=dim)


@view()
def select(xp: Any, input: Any, dim: int, index: int) -> Any:
    """A view of one index along ``dim``, which disappears."""
    return input[_select_index(input.shape, dim, index)]


def _select_index(shape: Any, dim: int, index: int) -> Any:
    if not shape:
        raise DimensionError("select: a 0-dim tensor has no dimension to select from")
    dim = normalize_dim("select", dim, len(shape))
    if not -shape[dim] <= index < shape[dim]:
        raise DimensionError(
            f"select: index {index} is out of range for the {shape[dim]} elements of dim {dim}"
        )
    return (slice(None),) * dim + (int(index), ...)


@select.gradient("input")
def _(grad, input_shape, dim, index):
    return unslice(grad, _select_index(input_shape, dim, index), input_shape)


@select.samples
def _(make):
    yield (make(4, 5), 1, 2), {}
    yield (make(4), 0, -1), {}


@select.expect
def _(input, dim, index):
    return np.take(input, index, axis=dim)


@view(aliases={"axis1": "dim1", "axis2": "dim2"})
def diagonal(xp: Any, input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A view of the diagonal of two dims, put last; writable."""
    a = normalize_dim("diagonal", dim1, input.ndim)
    b = normalize_dim("diagonal", dim2, input.ndim)
    out = xp.diagonal(input, offset, a, b)
    if isinstance(out, np.ndarray):
        out = np.lib.stride_tricks.as_strided(out, out.shape, out.strides, writeable=True)
    return out


@diagonal.gradient("input")
def _(grad, input_shape, offset, dim1, dim2):
    return undiagonal(grad, input_shape, offset, dim1, dim2)


def undiagonal(grad: Any, shape: Any, offset: int, dim1: int, dim2: int) -> Any:
    """Zeros of ``shape`` with ``grad`` on a diagonal: the gradient of `diagonal`."""
    ndim = len(shape)
    a, b = dim1 % ndim, dim2 % ndim
    n = grad.shape[-1]
    rows = np.arange(n) + max(-offset, 0)
    columns = np.arange(n) + max(offset, 0)
    # An advanced index on two separate dims puts their joint dim first.
    order = [d for d in range(ndim) if d not in (a, b)]
    moved = (rows, columns)
    zeros_shape = (shape[a], shape[b], *(shape[d] for d in order))
    back = [0] * ndim
    for position, d in enumerate((a, b, *order)):
        back[d] = position
    last_first = permute(grad, (grad.ndim - 1, *range(grad.ndim - 1)))
    return permute(unslice(last_first, moved, zeros_shape), tuple(back))


@diagonal.samples
def _(make):
    yield (make(3, 4),), {}
    yield (make(3, 4), 1), {}
    yield (make(2, 3, 3), -1, 1, 2), {}


@diagonal.expect
def _(input, offset=0, dim1=0, dim2=1):
    return np.diagonal(input, offset, dim1, dim2)


@composite(tensors=("input",))
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The dims from ``start_dim`` to ``end_dim`` joined to one."""
    shape = input._array.shape
    if not shape:
        return input.reshape(1)
    start = normalize_dim("flatten", start_dim, len(shape))
    end = normalize_dim("flatten", end_dim, len(shape))
    if start > end:
        raise ArgumentError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    joined = math.prod(shape[start : end + 1])
    return input.reshape(*shape[:start], joined, *shape[end + 1 :])


@flatten.samples
def _(make):
    yield (make(2, 3, 4),), {}
    yield (make(2, 3, 4), 1), {}
    yield (make(2, 3, 4), 0, 1), {}


@flatten.expect
def _(input, start_dim=0, end_dim=-1):
    end = end_dim % input.ndim
    return input.reshape(*input.shape[:start_dim], -1, *input.shape[end + 1 :])


@view(several=True)
def unbind(xp: Any, input: Any, dim: int = 0) -> Any:
    """Views of every index along ``dim``, as a tuple."""
    if not input.ndim:
        raise DimensionError("unbind: a 0-dim tensor has no dimension to unbind")
    dim = normalize_dim("unbind", dim, input.ndim)
    return tuple(input[(slice(None),) * dim + (i, ...)] for i in range(input.shape[dim]))


@unbind.gradient("input")
def _(grads, dim):
    from dtorch.core.ops.joining import stack  # noqa: PLC0415 - joining needs views itself

    return stack(grads, dim)


@unbind.samples
def _(make):
    yield (make(3, 2),), {}
    yield (make(3, 2), 1), {}


@unbind.expect
def _(input, dim=0):
    return tuple(np.moveaxis(input, dim, 0))


@view(
    several=True,
    tensors=("tensor",),
    aliases={"split_size": "split_size_or_sections", "input": "tensor"},
)
def split(xp: Any, tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    """Views of pieces along ``dim``: of one size (the last may be smaller), or of given sizes."""
    dim = normalize_dim("split", dim, tensor.ndim)
    size = tensor.shape[dim]
    starts = _starts(split_size_or_sections, size)
    return tuple(
        tensor[(slice(None),) * dim + (slice(a, b),)] for a, b in itertools.pairwise(starts)
    )


def _starts(sizes: Any, total: int) -> list[int]:
    if isinstance(sizes, (tuple, list)):
        if sum(sizes) != total or any(size < 0 for size in sizes):
            raise ShapeError(f"split: sizes {list(sizes)} do not add up to {total}")
        return [0, *np.cumsum(sizes).tolist()]
    if sizes < 0 or (sizes == 0 and total):
        raise ArgumentError(f"split: split_size is {sizes}, expected at least 1")
    return [*range(0, total, sizes or 1), total] if total else [0, 0]


@split.gradient("tensor")
def _(grads, dim):
    from dtorch.core.ops.joining import cat  # noqa: PLC0415 - joining needs views itself

    return cat(grads, dim)


@split.samples
def _(make):
    yield (make(5, 2), 2), {}
    yield (make(5, 2), [1, 4]), {}
    yield (make(2, 5), 3, 1), {}


@split.expect
def _(tensor, split_size_or_sections, dim=0):
    sizes = split_size_or_sections
    n = tensor.shape[dim]
    at = np.cumsum(sizes)[:-1] if isinstance(sizes, list) else range(sizes, n, sizes)
    return tuple(np.split(tensor, at, dim))


@composite(tensors=("input",), has_out=False, aliases={"tensor": "input", "n_chunks": "chunks"})
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """Views of at most ``chunks`` pieces along ``dim``, of equal size but the last."""
    if chunks < 1:
        raise ArgumentError(f"chunk: chunks is {chunks}, expected at least 1")
    size = input._array.shape[normalize_dim("chunk", dim, input._array.ndim)]
    return split(input, -(-size // chunks) or 1, dim) if size else split(input, [0] * chunks, dim)


@chunk.samples
def _(make):
    yield (make(5, 2), 2), {}
    yield (make(2, 6), 3, -1), {}


@chunk.expect
def _(input, chunks, dim=0):
    step = -(-input.shape[dim] // chunks)
    return tuple(np.split(input, range(step, input.shape[dim], step), dim))


@composite(tensors=("input",))
def broadcast_to(input: Any, size: Any) -> Any:
    """A view repeated to ``size`` by the rules of broadcasting."""
    return expand(input, tuple(size))


@broadcast_to.samples
def _(make):
    yield (make(3, 1), (2, 3, 4)), {}


@broadcast_to.expect
def _(input, size):
    return np.zeros(size) + input


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Views of all tensors in the shape to which they broadcast."""
    shape = broadcast_shapes("broadcast_tensors", *(t._array.shape for t in tensors))
    return tuple(expand(t, shape) for t in tensors)


def _expand_as(input: Any, other: TensorBase) -> Any:
    """A view repeated to the sizes of ``other``."""
    return expand.function(input, other._array.shape)


def _view_as(input: Any, other: TensorBase) -> Any:
    """The same memory in the shape of ``other``."""
    return _reshaped.function(input, other._array.shape)


def _transposed(input: Any) -> Any:
    """A view with the dims in reverse order."""
    return permute.function(input, tuple(range(input._array.ndim))[::-1])


def _matrix_transposed(input: Any) -> Any:
    """A view with the last two dims exchanged."""
    return transpose.function(input, -2, -1)


method("view", _view)
method("expand_as", _expand_as)
method("view_as", _view_as)
method("T", property(_transposed))
method("mT", property(_matrix_transposed))
