"""Rules about sizes that several operations share."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.arrays import Array
from dtorch.core.backend import compiled
from dtorch.core.base import TensorBase
from dtorch.core.classic import Classic
from dtorch.core.errors import ArgumentError, ArgumentTypeError, DimensionError, ShapeError
from dtorch.core.meta import MetaArray
from dtorch.core.naming import package

_LARGEST = 2**63 - 1


size_of = tuple.__new__  # makes a Size of what is known to be ints, without a look


class Size(tuple[int, ...]):
    """Sizes of a tensor: a tuple that prints as ``dtorch.Size([2, 3])`` and knows its product."""

    __slots__ = ()

    def __new__(cls, iterable: Iterable[Any] = ()) -> Size:
        """From ints, also those in tensors of one element.

        Raises:
            ArgumentTypeError: something else.
        """
        found = tuple(iterable)
        try:
            return size_of(cls, map(operator.index, found))
        except TypeError:
            raise ArgumentTypeError(f"Size: got {found!r}, expected ints") from None

    def numel(self) -> int:
        """Number of elements of a tensor of these sizes."""
        product = 1
        for size in self:
            product *= size
        return product

    def __repr__(self) -> str:
        return f"{package()}.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        try:
            found = super().__getitem__(index)
        except IndexError as error:
            if self or index not in (0, -1):
                raise
            if classic.allows(Classic.ONE_ELEMENT):
                return 1
            raise classic.hinted(error) from None
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Any:
        return Size(super().__add__(tuple(other)))

    def __radd__(self, other: Any) -> Any:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count: Any) -> Any:
        return Size(super().__mul__(count))

    __rmul__ = __mul__


def merged(shape: Sequence[int], start: int, stop: int) -> tuple[int, ...]:
    """``shape`` with the dims from ``start`` up to ``stop`` made one.

    Unlike -1 in a reshape it is known when another size is 0.
    """
    return (*shape[:start], math.prod(shape[start:stop]), *shape[stop:])


def normalize_dim(op: str, dim: Any, ndim: int, *, scalars: bool = True) -> int:
    """A dim counted from the front.

    Args:
        scalars: whether 0-dim tensors have the dims 0 and -1, as they do for reductions.

    Raises:
        DimensionError: out of range, naming the range.
    """
    if type(dim) is int and -ndim <= dim < ndim:
        return dim % ndim
    if not (ndim or scalars):
        raise DimensionError(f"{op}: a 0-dim tensor has no dimension {dim}")
    try:
        index = operator.index(dim)
    except TypeError:
        raise ArgumentTypeError(f"{op}: dim is {dim!r}, expected an int") from None
    if isinstance(dim, (bool, np.bool_)):  # a flag at the place of a dim
        raise ArgumentTypeError(f"{op}: dim is {dim!r}, expected an int")
    limit = max(ndim, 1)
    if not -limit <= index < limit:
        raise DimensionError(
            f"{op}: dim {index} is out of range for {ndim} dimensions, expected "
            f"{-limit} to {limit - 1}"
        )
    return index % limit


def normalize_dims(op: str, dims: Any, ndim: int) -> tuple[int, ...]:
    """A tuple of different dims from an int or a sequence of ints; all of them for None or ()."""
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        return tuple(range(ndim))
    if not isinstance(dims, (tuple, list)):
        dim = normalize_dim(op, dims, ndim)
        return (dim,) if ndim else ()
    normal = tuple([normalize_dim(op, dim, ndim) for dim in dims])
    if len(set(normal)) != len(normal):
        raise ArgumentError(f"{op}: dim {tuple(dims)} names a dimension twice")
    return normal if ndim else ()


def as_sizes(op: str, sizes: Sequence[Any]) -> tuple[int, ...]:
    """Sizes given as ints or as one sequence of ints.

    Raises:
        ShapeError: a negative size, or one that is no int64.
    """
    if len(sizes) == 1 and isinstance(sizes[0], Iterable):
        sizes = tuple(sizes[0])
    try:
        found = tuple(map(operator.index, sizes))
    except TypeError:
        raise ArgumentTypeError(f"{op}: sizes are {tuple(sizes)!r}, expected ints") from None
    for size in found:
        if not 0 <= size <= _LARGEST:
            wrong = "must not be negative" if size < 0 else "do not fit into 64 bits"
            raise ShapeError(f"{op}: sizes {found} {wrong}")
    return found


def given_sizes(op: str, sizes: Sequence[Any], size: Any) -> Sequence[Any]:
    """Sizes given by the keyword ``size``, and by nothing else.

    Raises:
        TypeError: they are no sequence, or there are others.
    """
    if sizes or not isinstance(size, Iterable):
        raise TypeError(
            f"{op}: size is {size!r} beside {tuple(sizes)}, expected one sequence of ints"
        )
    return (size,)


def infer_size(op: str, shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """Replace one -1 in ``shape`` so that it holds ``numel`` elements.

    Raises:
        ShapeError: several -1, or the elements do not fit.
    """
    known = 1
    for size in shape:
        if size < -1:
            raise ShapeError(f"{op}: size {size} in {shape} is negative")
        if size != -1:
            known *= size
    unknown = shape.count(-1)
    if unknown > 1:
        raise ShapeError(f"{op}: {shape} has {unknown} sizes of -1, expected at most one")
    if unknown:
        if known == 0 or numel % known:
            raise ShapeError(f"{op}: {numel} elements cannot have the shape {shape}")
        return tuple(numel // known if size == -1 else size for size in shape)
    if known != numel:
        raise ShapeError(f"{op}: {numel} elements cannot have the shape {shape}, which has {known}")
    return shape


def broadcast_shapes(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which all ``shapes`` broadcast.

    Raises:
        ShapeError: two sizes of one dimension differ and neither is 1.
    """
    out: list[int] = []
    for shape in shapes:
        if len(shape) > len(out):
            out = [1] * (len(shape) - len(out)) + out
        offset = len(out) - len(shape)
        for i, size in enumerate(shape, offset):
            if out[i] == 1:
                out[i] = size
            elif size not in (1, out[i]):
                raise ShapeError(
                    f"{op}: shapes {' and '.join(str(tuple(s)) for s in shapes)} cannot be "
                    f"broadcast: sizes {out[i]} and {size} of dimension {i - len(out)} differ and "
                    "neither is 1"
                )
    return tuple(out)


def sum_to(grad: Any, shape: tuple[int, ...]) -> Any:
    """Sum an array or a tensor over the dims in which ``shape`` was broadcast to it."""
    lead = grad.ndim - len(shape)
    dims = tuple(range(lead)) + tuple(
        dim for dim, size in enumerate(shape, lead) if size == 1 and grad.shape[dim] != 1
    )
    if isinstance(grad, TensorBase):
        summed: Any = grad.sum(dims, keepdim=True) if dims else grad  # type: ignore[attr-defined]
        return summed.reshape(shape)
    return (sum_dims(grad, dims) if dims else grad).reshape(shape)


def sum_dims(array: Array, dims: tuple[int, ...], keepdims: bool = False) -> Any:
    """Sum of an array over some dims, none of them negative; in the dtype of the array if that is a
    floating type."""
    if dims and (last := max(dims) + 1) - (first := min(dims)) == len(dims):
        summed = array_sum_dims(array, first, last)
        if summed is not None:
            if not keepdims:
                return summed
            shape = array.shape
            return summed.reshape((*shape[:first], *(1,) * len(dims), *shape[last:]))
    return array_sum(array, dims, keepdims)


@compiled
def array_sum_dims(array: Array, first: int, last: int) -> Any:
    """Sum over the dims ``first`` to ``last - 1``; None where there is no loop for it."""
    return None


def array_sum(
    array: Array, dims: tuple[int, ...] | None, keepdims: bool = False, dtype: Any = None
) -> Any:
    """What ``array.sum`` gives, of half precision with the digits of single, and of single with those
    of double where NumPy would add up many numbers one by one."""
    kind = array.dtype if dtype is None else dtype
    if kind.itemsize == 2 and kind.kind in "fV":
        return array.sum(axis=dims, keepdims=keepdims, dtype=np.float32).astype(kind)
    wide = _ACCUMULATORS.get(kind.char)
    if wide is not None and _adds_one_by_one(array, dims):
        return array.sum(axis=dims, keepdims=keepdims, dtype=wide).astype(kind)
    return array.sum(axis=dims, keepdims=keepdims, dtype=dtype)


_ACCUMULATORS = {"f": np.dtype(np.float64), "F": np.dtype(np.complex128)}
_FEW_SUMMANDS = 256  # whose rounding errors do not matter


def _adds_one_by_one(array: Array, dims: tuple[int, ...] | None) -> bool:
    """Whether many numbers are added up in their order, which loses digits: NumPy sums neighbours in
    memory in pairs, but row upon row otherwise."""
    if array.size <= _FEW_SUMMANDS:
        return False
    longer = [d for d in range(array.ndim) if array.shape[d] > 1]
    rows = [d for d in longer if dims is None or d in dims]
    if math.prod(array.shape[d] for d in rows) <= _FEW_SUMMANDS:
        return False
    return min(longer, key=lambda d: abs(array.strides[d])) not in rows


def pair(value: Any) -> tuple[int, int]:
    """Two ints from one int or from a sequence of two (or of one)."""
    if isinstance(value, Iterable):
        values = tuple(operator.index(v) for v in value)
        if len(values) == 1:
            return values[0], values[0]
        if len(values) != 2:
            raise ArgumentError(f"got {values}, expected one int or a pair of ints")
        return values[0], values[1]
    number = operator.index(value)
    return number, number


def window_count(
    op: str, size: int, kernel: int, stride: int, padding: int, dilation: int = 1,
    ceil: bool = False,
) -> int:  # fmt: skip
    """How many windows of ``kernel`` fit into ``size`` with this stride, padding and dilation.

    Args:
        ceil: count windows, too, that begin within the input or its left padding and end beyond.

    Raises:
        ArgumentError: kernel, stride or dilation below 1, or padding below 0.
        ShapeError: the window is larger than the padded input.
    """
    if min(kernel, stride, dilation) < 1 or padding < 0:
        raise ArgumentError(
            f"{op}: kernel_size {kernel}, stride {stride}, dilation {dilation} must be at least 1 "
            f"and padding {padding} at least 0"
        )
    span = dilation * (kernel - 1) + 1
    room = size + 2 * padding - span
    if ceil and room + stride > 0:
        count = -(-room // stride) + 1
        return count if (count - 1) * stride < size + padding else count - 1
    if room < 0:
        raise ShapeError(
            f"{op}: a window of {span} does not fit into {size} elements with padding {padding}"
        )
    return room // stride + 1


def expect_ints(op: str, **sizes: Any) -> None:
    """Refuse sizes that are no ints, by their names."""
    for name, size in sizes.items():
        if not hasattr(size, "__index__"):
            raise ArgumentTypeError(f"{op}: {name} is {size!r}, expected an int")


def per_dim(op: str, what: str, value: Any, count: int) -> tuple[int, ...]:
    """One int for each of ``count`` dims, from one int or from a sequence of so many (or of one).

    Raises:
        TypeError: something else.
        ArgumentError: a sequence of another length.
    """
    try:
        values = tuple(map(operator.index, value if isinstance(value, Iterable) else (value,)))
    except TypeError:
        raise ArgumentTypeError(f"{op}: {what} is {value!r}, expected one int or {count}") from None
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise ArgumentError(f"{op}: {what} is {values}, expected one int or {count}")
    return values


def contiguous_stride(size: tuple[int, ...]) -> tuple[int, ...]:
    """Steps, in elements, of a tensor whose elements lie in the order of their indices."""
    stride, step = [], 1
    for n in reversed(size):
        stride.append(step)
        step *= max(n, 1)
    return tuple(reversed(stride))


def repeats(array: Array) -> bool:
    """Whether several elements share a place in memory, as those of an expanded array do."""
    return (
        0 in array.strides
        and array.size > 1
        and any(
            stride == 0 and size > 1
            for stride, size in zip(array.strides, array.shape, strict=True)
        )
    )


def each_once(array: Array) -> Any:
    """An expanded array without the repetitions."""
    if 0 not in array.strides or not array.size:
        return array
    return array[tuple(slice(1) if stride == 0 else slice(None) for stride in array.strides)]


def ends(numbers: Any) -> tuple[int, int]:
    """The least and the largest of some whole numbers; of one that is repeated once is enough."""
    if type(numbers) is MetaArray:
        return 0, -1  # those of no numbers: none is known to be out of range
    once = each_once(numbers)
    return int(once.min()), int(once.max())
