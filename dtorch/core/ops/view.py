"""Views: other shapes, orders and parts over the same memory."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, set_counter, shared_version, wrap
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import dtype
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, DimensionError, RankError, ShapeError
from dtorch.core.inplace import bump, check_history
from dtorch.core.op import method
from dtorch.core.ops.copies import reshaped
from dtorch.core.ops.scatter import unslice
from dtorch.core.shapes import Size, broadcast_shapes, expect_ints, infer_size, normalize_dim
from dtorch.core.storage import storage_of
from dtorch.core.tensor import Tensor
from dtorch.core.views import view


@view(variadic="shape", method=False, public=False, recorded_as="View")
def _reshaped(xp: ArrayModule, input: Array, shape: Any) -> Array:
    shape = infer_size("view", tuple(shape), input.size)
    try:
        return xp.reshape(input, shape, copy=False)
    except ValueError:
        raise ShapeError(
            f"view: strides {tuple(s // input.itemsize for s in input.strides)} of shape "
            f"{input.shape} do not allow the shape {tuple(shape)} without a copy; use reshape()"
        ) from None


@_reshaped.formerly(Classic.VIEW)
def _(values):
    input, shape = values
    if any(size < -1 for size in shape) or shape.count(-1) > 1:
        return None
    known = math.prod(size for size in shape if size != -1)
    fits = known == input.numel() or (-1 in shape and known and input.numel() % known == 0)
    return [input.contiguous(), shape] if fits and not input.is_contiguous() else None


@_reshaped.gradient("input")
def _(grad, input_shape):
    return reshaped(grad, input_shape)


def _view(input: Any, *shape: Any) -> Any:
    """The same memory in another shape, of which one size may be -1; or read as another dtype.

    Raises:
        ShapeError: the elements do not fit, or their order in memory asks for a copy.
    """
    if len(shape) == 1 and isinstance(shape[0], dtype):
        return _read_as(input, shape[0])
    return _reshaped.function(input, *shape)


def _read_as(input: Any, dtype: dtype) -> Any:
    out = _reinterpreted.function(input, dtype)
    strides = zip(out._array.strides, out._array.shape, strict=True)
    places = [stride for stride, size in strides if size > 1]
    places.append(input.storage_offset() * input.element_size())
    if any(place % dtype.itemsize for place in places):
        raise ShapeError(
            f"view: {input.dtype} of shape {tuple(input.shape)}, {places[-1]} bytes into its storage, "
            f"cannot be read as {dtype}: elements would not begin at multiples of their "
            f"{dtype.itemsize} bytes; clone() it first"
        )
    return out


@view(method=False, public=False)
def _reinterpreted(xp: ArrayModule, input: Array, dtype: dtype) -> Array:
    try:
        return input.view(dtype.numpy)
    except ValueError as error:
        raise ShapeError(
            f"view: {input.dtype} of shape {input.shape} cannot be read as {dtype}: {error}"
        ) from None


def viewable(array: Array, shape: tuple[int, ...]) -> bool:
    """Whether ``array`` can take ``shape`` without a copy."""
    try:
        np.reshape(array, shape, copy=False)
    except ValueError:
        return False
    return True


@composite(variadic="shape", tensors=("input",))
def reshape(input: Tensor, shape: Any) -> Tensor:
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


@view(way="transpose")
def transpose(xp: ArrayModule, input: Array, dim0: int, dim1: int) -> Array:
    """A view with two dims exchanged.

    >>> import dtorch
    >>> dtorch.tensor([[1, 2], [3, 4]]).transpose(0, 1).tolist()
    [[1, 3], [2, 4]]
    """
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
def permute(xp: ArrayModule, input: Array, dims: Any) -> Array:
    """A view with the dims in the given order.

    >>> import dtorch
    >>> tuple(dtorch.zeros(2, 3, 4).permute(2, 0, 1).shape)
    (4, 2, 3)
    """
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


@view(way="transpose_2d")
def t(xp: ArrayModule, input: Array) -> Array:
    """The transpose of a matrix; tensors with fewer dims as they are.

    Raises:
        ShapeError: more than two dims.
    """
    if input.ndim > 2:
        raise RankError(
            f"t: input has shape {tuple(input.shape)}, expected at most 2 dimensions; "
            "use transpose or permute"
        )
    return xp.swapaxes(input, 0, -1) if input.ndim else input.view()


@t.gradient("input")
def _(grad):
    return t(grad)


@t.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(3),), {}


@t.expect
def _(input):
    return input.T


@view()
def squeeze(xp: ArrayModule, input: Array, dim: Any = None) -> Array:
    """A view without dims of size 1: all such, or those given if their size is 1.

    >>> import dtorch
    >>> tuple(dtorch.zeros(1, 2, 1).squeeze().shape)
    (2,)
    """
    if dim is None:
        return xp.squeeze(input)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    normal = tuple(normalize_dim("squeeze", d, input.ndim) for d in dims)
    return xp.squeeze(input, tuple(d for d in normal if input.ndim and input.shape[d] == 1))


@squeeze.formerly(Classic.KEPT_DIM)
def _(values):
    input, dim = values
    return [input, ()] if isinstance(dim, int) and dim == input.ndim else None


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
def unsqueeze(xp: ArrayModule, input: Array, dim: int) -> Array:
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
def expand(xp: ArrayModule, input: Array, sizes: Any) -> Array:
    """A view in which dims of size 1 are repeated to ``sizes``, and leading dims added.

    Args:
        sizes: the new sizes; -1 keeps one.

    >>> import dtorch
    >>> dtorch.tensor([[1], [2]]).expand(2, 3).tolist()
    [[1, 1, 1], [2, 2, 2]]
    """
    lead = len(sizes) - input.ndim
    if lead < 0 or -1 in sizes[:lead]:
        raise ShapeError(f"expand: sizes {tuple(sizes)} do not fit the shape {input.shape}")
    shape = tuple(input.shape[i - lead] if size == -1 else size for i, size in enumerate(sizes))
    for old, new in zip(input.shape, shape[lead:], strict=True):
        if old not in (1, new):
            raise ShapeError(
                f"expand: sizes {tuple(sizes)} do not fit the shape {input.shape}: "
                f"only sizes of 1 can grow, {old} cannot become {new}"
            )
    out = xp.broadcast_to(input, shape)
    return input.reshape(shape) if out.size == input.size else out  # nothing is repeated


@expand.formerly(Classic.KEPT_DIM)
def _(values):
    """Dims that a reduction took, put in again where the sizes ask for them."""
    input, sizes = values
    shape = input.shape
    missing = len(sizes) - len(shape)
    fitting = [
        filled
        for places in itertools.combinations(range(len(sizes)), max(missing, 0))
        if _can_grow(filled := _with_ones(shape, places), sizes)
    ]
    # A dim that was reduced is most often the last one.
    return [input.reshape(fitting[-1]), sizes] if fitting else None


def _with_ones(shape: tuple[int, ...], places: tuple[int, ...]) -> tuple[int, ...]:
    rest = iter(shape)
    return tuple(1 if i in places else next(rest) for i in range(len(shape) + len(places)))


def _can_grow(shape: tuple[int, ...], sizes: Any) -> bool:
    return len(shape) == len(sizes) and all(
        old in (1, new) or new == -1 for old, new in zip(shape, sizes, strict=True)
    )


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


@view(aliases={"dimension": "dim"}, recorded_as="Slice")
def narrow(xp: ArrayModule, input: Array, dim: int, start: int, length: int) -> Array:
    """A view of ``length`` elements along ``dim``, from ``start`` on.

    >>> import dtorch
    >>> dtorch.arange(5).narrow(0, 1, 3).tolist()
    [1, 2, 3]
    """
    return input[_narrow_index(input.shape, dim, start, length)]


def _narrow_index(shape: Any, dim: int, start: int, length: int) -> Any:
    dim = normalize_dim("narrow", dim, len(shape), scalars=False)
    size = shape[dim]
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
def select(xp: ArrayModule, input: Array, dim: int, index: int) -> Array:
    """A view of one index along ``dim``, which disappears."""
    return input[_select_index(input.shape, dim, index)]


def _select_index(shape: Any, dim: int, index: int) -> Any:
    if not shape:
        raise DimensionError("select: a 0-dim tensor has no dimension to select from")
    dim = normalize_dim("select", dim, len(shape))
    expect_ints("select", index=index)
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


@composite(tensors=("input",))
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dims from ``start_dim`` to ``end_dim`` joined to one."""
    shape = input._array.shape
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


@composite(tensors=("input",))
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dim split into several of ``sizes``, of which one may be -1."""
    shape = input._array.shape
    at = normalize_dim("unflatten", dim, len(shape))
    parts = infer_size("unflatten", tuple(sizes), shape[at])
    return input.reshape(*shape[:at], *parts, *shape[at + 1 :])


@unflatten.samples
def _(make):
    yield (make(2, 6), 1, (3, -1)), {}


@unflatten.expect
def _(input, dim, sizes):
    return input.reshape(*input.shape[:dim], *sizes, *input.shape[dim + 1 :])


@composite(tensors=("input",))
def ravel(input: Tensor) -> Tensor:
    """All dims joined to one."""
    return input.reshape(-1)


ravel.samples(lambda make: iter([((make(2, 3),), {}), ((make(2, 3).t(),), {})]))
ravel.expect(lambda input: np.concatenate(list(input)))


@composite(tensors=("input",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """A view with dims moved to other places; the rest keeps its order."""
    sources = tuple(source) if isinstance(source, (tuple, list)) else (source,)
    places = tuple(destination) if isinstance(destination, (tuple, list)) else (destination,)
    ndim = input.ndim
    if len(sources) != len(places):
        raise ArgumentError(f"movedim: {len(sources)} sources, but {len(places)} destinations")
    moved = dict(
        zip(
            (normalize_dim("movedim", d, ndim) for d in places),
            (normalize_dim("movedim", d, ndim) for d in sources),
            strict=True,
        )
    )
    if len(moved) < len(places) or len(set(moved.values())) < len(places):
        raise ArgumentError(f"movedim: {source} to {destination} names a dimension twice")
    rest = iter(d for d in range(ndim) if d not in moved.values())
    return permute(input, tuple(moved[d] if d in moved else next(rest) for d in range(ndim)))


@movedim.samples
def _(make):
    yield (make(2, 3, 4), 0, -1), {}
    yield (make(2, 3, 4), (0, 1), (2, 0)), {}


@movedim.expect
def _(input, source, destination):
    return np.moveaxis(input, source, destination)


@composite(tensors=("input",))
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """A view with two dims exchanged: `transpose` by NumPy's name."""
    return transpose(input, axis0, axis1)


swapaxes.samples(lambda make: iter([((make(2, 3, 4), 0, 2), {})]))
swapaxes.expect(lambda input, axis0, axis1: np.swapaxes(input, axis0, axis1))


@composite(tensors=("input",))
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """A view repeated to ``size`` by the rules of broadcasting."""
    return expand(input, tuple(size))


@broadcast_to.samples
def _(make):
    yield (make(3, 1), (2, 3, 4)), {}


@broadcast_to.expect
def _(input, size):
    return np.zeros(size) + input


def common_shape(*shapes: Any) -> Size:
    """The shape to which all ``shapes`` broadcast.

    >>> common_shape((2, 1), (3,))
    dtorch.Size([2, 3])
    """
    sizes = ((shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes)
    return Size(broadcast_shapes("broadcast_shapes", *sizes))


@entry("broadcast_tensors")
def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Views of all tensors in the shape to which they broadcast."""
    shape = broadcast_shapes("broadcast_tensors", *(t._array.shape for t in tensors))
    return tuple(expand(t, shape) for t in tensors)


def _replace_by_view(name: str, input: Any, op: Any, *args: Any) -> Any:
    """Let ``input`` itself become a view of what it was, other views of it included."""
    check_history(name, input, input._mode)
    source = input
    if input._view is None:
        source = wrap(input._array)
        source._mode, source._grad_fn, source._output_nr = (
            input._mode, input._grad_fn, input._output_nr,
        )  # fmt: skip
        set_counter(source, shared_version(input))
        storage = storage_of(input)
        storage.track(source)
        for tensor in storage.tensors():
            if tensor._view is not None and tensor._view.base is input:
                tensor._view = tensor._view.rebased(source)
    result = op.function(source, *args)
    input._array, input._view = result._array, result._view
    input._mode, input._grad_fn, input._output_nr = (
        result._mode, result._grad_fn, result._output_nr,
    )  # fmt: skip
    bump(input)
    return input


def _squeeze(input: Any, dim: Any = None) -> Any:
    """In-place form of ``squeeze``: the tensor itself loses dims of size 1."""
    return _replace_by_view("squeeze_", input, squeeze, dim)


def _unsqueeze(input: Any, dim: int) -> Any:
    """In-place form of ``unsqueeze``: the tensor itself gets a dim of size 1."""
    return _replace_by_view("unsqueeze_", input, unsqueeze, dim)


def _transpose(input: Any, dim0: int, dim1: int) -> Any:
    """In-place form of ``transpose``: two dims of the tensor itself are exchanged."""
    return _replace_by_view("transpose_", input, transpose, dim0, dim1)


def _t(input: Any) -> Any:
    """In-place form of ``t``."""
    if input._array.ndim > 2:
        t(input)  # complains
    return _replace_by_view("t_", input, transpose, 0, -1)


@entry("expand_as")
def _expand_as(input: Any, other: TensorBase) -> Any:
    """A view repeated to the sizes of ``other``."""
    return expand.function(input, other._array.shape)


@entry("view_as")
def _view_as(input: Any, other: TensorBase) -> Any:
    """The same memory in the shape of ``other``."""
    return _reshaped.function(input, other._array.shape)


@entry("reshape_as")
def _reshape_as(input: Any, other: TensorBase) -> Any:
    """The elements in the shape of ``other``: a view where possible, else a copy."""
    return reshape(input, other._array.shape)


def _adjoint(input: Any) -> Any:
    """The conjugate of the last two dims exchanged."""
    return transpose.function(input, -2, -1).conj()


def _transposed(input: Any) -> Any:
    """A view with the dims in reverse order."""
    return permute.function(input, tuple(range(input._array.ndim))[::-1])


def _matrix_transposed(input: Any) -> Any:
    """A view with the last two dims exchanged."""
    return transpose.function(input, -2, -1)


method("view", _reshaped.by_way("reshape", _view))
method("expand_as", _expand_as)
method("view_as", _view_as)
method("T", property(_transposed))
method("mT", property(_matrix_transposed))
method("squeeze_", _squeeze)
method("unsqueeze_", _unsqueeze)
method("swapdims_", _transpose)
method("transpose_", _transpose)
method("swapaxes_", _transpose)
method("t_", _t)
method("reshape_as", _reshape_as)
method("H", property(_adjoint))
method("mH", property(_adjoint))
method("adjoint", _adjoint)
