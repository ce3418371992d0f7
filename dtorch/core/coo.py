"""Sparse arrays in coordinate form: what a sparse tensor holds in place of a NumPy array.

A `CooArray` answers NumPy's functions for the few operations that make sense for it (``a + b``,
``a * 2``, ``a @ b``, ``numpy.abs(a)``, ``a.sum()``), so that the bodies of operations and the
gradient engine work on it unchanged; everything else is an error that says what to do.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dtorch.core.errors import DtypeError, LayoutError, ShapeError
from dtorch.core.naming import package

# f(0) = 0, so that elements that are not stored stay zero.
_KEEPS_ZERO = {
    np.absolute, np.negative, np.positive, np.sign, np.sqrt, np.square, np.conjugate, np.sin,
    np.tan, np.arcsin, np.arctan, np.sinh, np.tanh, np.arcsinh, np.arctanh, np.expm1, np.log1p,
    np.floor, np.ceil, np.trunc, np.rint, np.deg2rad, np.rad2deg,
}  # fmt: skip
_LINEAR = {np.negative, np.positive, np.conjugate}


class layout:  # noqa: N801 - the public name of the reference API
    """How the elements of a tensor are stored: ``dtorch.strided`` or ``dtorch.sparse_coo``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{package()}.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    def __setstate__(self, state: Any) -> None:
        # A hostile pickle could otherwise change the one object of a layout.
        raise TypeError(f"{self} cannot be changed, not by a pickle either")


strided = layout("strided")
sparse_coo = layout("sparse_coo")


class CooArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Elements given by their indices; all others are zero, repeated ones add up.

    Attributes:
        indices: int64 ``(sparse dims, stored elements)``.
        values: ``(stored elements, *dense dims)``.
        shape: sizes of the sparse dims, then of the dense ones.
        coalesced: whether the indices are sorted and none is repeated.
    """

    __slots__ = ("coalesced", "indices", "shape", "values")
    __array_priority__ = 100
    strides = ()  # no element shares its place with another, as those of expanded arrays do

    def __init__(
        self, indices: np.ndarray, values: np.ndarray, shape: Any, coalesced: bool = False
    ) -> None:
        self.indices = indices
        self.values = values
        self.shape = tuple(shape)
        self.coalesced = coalesced or indices.shape[1] < 2

    # -- what an array says of itself -------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.values.itemsize

    @property
    def nnz(self) -> int:
        """Number of stored elements."""
        return int(self.indices.shape[1])

    @property
    def sparse_dim(self) -> int:
        return int(self.indices.shape[0])

    def __repr__(self) -> str:
        return f"<CooArray {self.dtype} {self.shape}, {self.nnz} stored>"

    def __reduce__(self) -> Any:
        return CooArray, (self.indices, self.values, self.shape, self.coalesced)

    def __len__(self) -> int:
        return int(self.shape[0])

    # -- what it cannot do ------------------------------------------------------------------------

    def _refuse(self, what: str) -> LayoutError:
        return LayoutError(
            f"{what}: not defined for a sparse tensor of shape {self.shape}; use to_dense() first"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._refuse("conversion to a NumPy array")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        method: Any = _FUNCTIONS.get(function)
        if method is None:
            raise self._refuse(getattr(function, "__name__", str(function)))
        return method(*args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        """Elements by ints, slices of step 1, None and ``...``; a dense array when no sparse dim is
        left."""
        out: Any = self
        dim = 0
        for part in _filled_up(index, self.ndim):
            if part is None:
                out, dim = out.expand_dims(dim), dim + 1
            elif isinstance(part, slice):
                out, dim = out.narrow(dim, part), dim + 1
            elif isinstance(part, (int, np.integer)):
                out = out.select(dim, int(part))
            else:
                raise self._refuse("indexing by arrays")
        if out.sparse_dim == 0 and self.sparse_dim:
            return out.to_dense()
        return out

    def select(self, dim: int, index: int) -> CooArray:
        """The slice at one index of a dim."""
        n, index = self.sparse_dim, index % max(self.shape[dim], 1)
        shape = (*self.shape[:dim], *self.shape[dim + 1 :])
        if dim >= n:
            values = self.values.take(index, axis=dim - n + 1)
            return CooArray(self.indices, values, shape, self.coalesced)
        here = self.indices[dim] == index
        rest = np.delete(self.indices[:, here], dim, 0)
        return CooArray(rest, self.values[here], shape, self.coalesced)

    def narrow(self, dim: int, part: slice) -> CooArray:
        """The indices of a slice of step 1 along a dim."""
        start, stop, step = part.indices(self.shape[dim])
        if step != 1:
            raise self._refuse("indexing with steps")
        stop, n = max(start, stop), self.sparse_dim
        if (start, stop) == (0, self.shape[dim]):
            return self
        shape = (*self.shape[:dim], stop - start, *self.shape[dim + 1 :])
        if dim >= n:
            values = self.values[(slice(None),) * (dim - n + 1) + (slice(start, stop),)]
            return CooArray(self.indices, values, shape, self.coalesced)
        here = (self.indices[dim] >= start) & (self.indices[dim] < stop)
        indices = self.indices[:, here]
        indices[dim] -= start
        return CooArray(indices, self.values[here], shape, self.coalesced)

    def expand_dims(self, axis: int) -> CooArray:
        """With a new dim of size 1: a sparse one up to behind the last sparse dim."""
        n = self.sparse_dim
        axis = axis % (self.ndim + 1)
        shape = (*self.shape[:axis], 1, *self.shape[axis:])
        if axis > n:
            values = np.expand_dims(self.values, axis - n + 1)
            return CooArray(self.indices, values, shape, self.coalesced)
        indices = np.insert(self.indices, axis, 0, axis=0)
        return CooArray(indices, self.values, shape, self.coalesced)

    def take(self, index: np.ndarray, axis: int) -> CooArray:
        """The slices at several indices of a dim, in their order."""
        n, index = self.sparse_dim, np.asarray(index).reshape(-1)
        shape = (*self.shape[:axis], len(index), *self.shape[axis + 1 :])
        if axis >= n:
            return CooArray(
                self.indices, self.values.take(index, axis - n + 1), shape, self.coalesced
            )
        index = index % max(self.shape[axis], 1)
        wanted, stored = np.nonzero(index[:, None] == self.indices[axis])
        indices = self.indices[:, stored]
        indices[axis] = wanted
        return CooArray(indices, self.values[stored], shape)

    def spread(self, index: Any, shape: tuple[int, ...]) -> CooArray:
        """The array of ``shape`` that has this one at ``index``, and zeros elsewhere."""
        out, dim = self, 0
        for part in _filled_up(index, len(shape)):
            if part is None:
                out = out.select(dim, 0)
                continue
            if not isinstance(part, slice):
                out, start = out.expand_dims(dim), int(part) % max(shape[dim], 1)
            else:
                start = part.indices(shape[dim])[0]
            out, dim = out.placed(dim, start, shape[dim]), dim + 1
        return out

    def placed(self, dim: int, start: int, size: int) -> CooArray:
        """With a dim of ``size`` in which this one begins at ``start``."""
        if (start, size) == (0, self.shape[dim]):
            return self
        n = self.sparse_dim
        shape = (*self.shape[:dim], size, *self.shape[dim + 1 :])
        if dim < n:
            indices = self.indices.copy()
            indices[dim] += start
            return CooArray(indices, self.values, shape, self.coalesced)
        before = [(0, 0)] * self.values.ndim
        before[dim - n + 1] = (start, size - start - self.shape[dim])
        return CooArray(self.indices, np.pad(self.values, before), shape, self.coalesced)

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is not Ellipsis or not isinstance(value, CooArray):
            raise self._refuse("assignment to elements")
        self._take(value)

    @property
    def base(self) -> Any:
        raise self._refuse("storage")

    @property
    def flags(self) -> Any:
        raise self._refuse("memory order")

    def reshape(self, *shape: Any) -> Any:
        """Without some dims of size 1."""
        wanted = tuple(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)
        out, dim = self, 0
        while out.shape != wanted and dim < out.ndim:
            if wanted[dim : dim + 1] == out.shape[dim : dim + 1]:
                dim += 1
            elif out.shape[dim] == 1:
                out = out.select(dim, 0)
            else:
                break
        if out.shape != wanted:
            raise self._refuse("view")
        return out

    view = reshape

    # -- copies -----------------------------------------------------------------------------------

    def _take(self, other: CooArray) -> None:
        if other.shape != self.shape:
            raise ShapeError(f"sparse: shape {other.shape} does not fit into {self.shape}")
        self.indices, self.coalesced = other.indices, other.coalesced
        self.values = other.values.astype(self.dtype, copy=False)

    def with_values(self, values: np.ndarray) -> CooArray:
        """The same pattern with other values."""
        return CooArray(self.indices, values, self.shape, self.coalesced)

    def astype(self, dtype: Any, copy: bool = True) -> CooArray:
        return self.with_values(self.values.astype(dtype, copy=copy))

    def copy(self, order: str = "K") -> CooArray:
        return CooArray(self.indices.copy(), self.values.copy(), self.shape, self.coalesced)

    def conj(self) -> CooArray:
        return self.with_values(self.values.conj())

    def resize(self, shape: tuple[int, ...], sparse_dim: int) -> None:
        """Change the sizes in place; stored elements keep their indices."""
        dense = shape[sparse_dim:]
        if self.nnz:
            if sparse_dim != self.sparse_dim or len(shape) != self.ndim:
                raise ShapeError(
                    f"resize: {self.sparse_dim} sparse and {self.ndim - self.sparse_dim} dense dims "
                    f"cannot become {sparse_dim} and {len(dense)} while elements are stored"
                )
            if any(new < old for new, old in zip(shape, self.shape, strict=True)):
                raise ShapeError(
                    f"resize: {self.shape} cannot shrink to {shape} while elements are stored"
                )
            more = [(0, new - old) for new, old in zip(dense, self.values.shape[1:], strict=True)]
            self.values = np.pad(self.values, [(0, 0), *more])
        else:
            self.indices = np.zeros((sparse_dim, 0), np.int64)
            self.values = np.zeros((0, *dense), self.dtype)
        self.shape = tuple(shape)

    def fill(self, value: Any) -> None:
        if value != 0:
            raise self._refuse(f"fill with {value}")
        self.indices, self.values = self.indices[:, :0], self.values[:0]
        self.coalesced = True

    def coalesce(self) -> CooArray:
        """The same with sorted indices, repeated ones added up."""
        if self.coalesced:
            return self
        place = self.places()
        order = np.argsort(place, kind="stable")
        place = place[order]
        first = np.flatnonzero(np.concatenate(([True], place[1:] != place[:-1])))
        values = np.add.reduceat(self.values[order], first, axis=0, dtype=self.dtype)
        return CooArray(self.indices[:, order[first]], values, self.shape, True)

    def places(self) -> np.ndarray:
        """The sparse part of each index as one number, in the order of a contiguous tensor."""
        sizes = self.shape[: self.sparse_dim]
        if not sizes or not self.nnz:
            return np.zeros(self.nnz, np.int64)
        return np.asarray(np.ravel_multi_index(tuple(self.indices), sizes))

    def to_dense(self) -> np.ndarray:
        """All elements as an ordinary array."""
        out = np.zeros(self.shape, self.dtype)
        self.add_to(out)
        return out

    def add_to(self, out: np.ndarray) -> None:
        """Add the stored elements to an ordinary array."""
        whole = self.coalesce()
        if whole.nnz:
            at = tuple(whole.indices)
            out[at] += whole.values if at else whole.values[0]

    def values_at(self, places: np.ndarray) -> np.ndarray:
        """Values at numbers as `places` gives them, zero where nothing is stored."""
        whole = self.coalesce()
        mine = whole.places()
        if not len(mine):
            return np.zeros((len(places), *whole.values.shape[1:]), self.dtype)
        at = np.minimum(np.searchsorted(mine, places), len(mine) - 1)
        hit = (mine[at] == places).reshape((-1, *(1,) * (whole.values.ndim - 1)))
        return np.where(hit, whole.values[at], self.dtype.type(0))

    # -- arithmetic -------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        if method != "__call__" or kwargs.keys() - {"dtype"}:
            raise self._refuse(ufunc.__name__)
        if ufunc in _BINARY and len(inputs) == 2:
            result = _BINARY[ufunc](*inputs)
        elif ufunc in _KEEPS_ZERO:
            source = self if ufunc in _LINEAR else self.coalesce()
            result = source.with_values(ufunc(source.values))
        else:
            raise self._refuse(ufunc.__name__)
        if out is None:
            return result
        target = out[0]
        if isinstance(target, CooArray) != isinstance(result, CooArray):
            raise self._refuse(f"{ufunc.__name__} in place of a tensor of the other layout")
        if isinstance(target, CooArray):
            target._take(result)
        else:
            target[...] = result
        return target

    def sum(
        self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        if keepdims:
            raise self._refuse("sum with keepdim")
        values = self.values if dtype is None else self.values.astype(dtype, copy=False)
        if axis is None:
            return values.sum()
        dims = {d % self.ndim for d in (axis if isinstance(axis, tuple) else (axis,))}
        dense = tuple(d - self.sparse_dim + 1 for d in dims if d >= self.sparse_dim)
        if dense:
            values = values.sum(dense)
        kept = [d for d in range(self.sparse_dim) if d not in dims]
        if not kept:
            return values.sum(0)
        shape = tuple(n for d, n in enumerate(self.shape) if d not in dims)
        return CooArray(self.indices[kept], values, shape).coalesce()

    def transpose(self, order: Any) -> CooArray:
        """The sparse dims in another order; dense dims must stay."""
        n = self.sparse_dim
        if any(order[d] != d for d in range(n, self.ndim)):
            raise self._refuse("transposing a dense dim")
        shape = [self.shape[d] for d in order]
        return CooArray(self.indices[list(order[:n])], self.values, shape)

    def swapaxes(self, a: int, b: int) -> CooArray:
        """Two sparse dims exchanged."""
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(order)


def _filled_up(index: Any, ndim: int) -> list[Any]:
    """The parts of an index, with a whole slice for each dim that ``...`` stands for."""
    parts = list(index) if isinstance(index, tuple) else [index]
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), None)
    if at is not None:
        taken = sum(part is not None for part in parts) - 1
        parts[at : at + 1] = [slice(None)] * (ndim - taken)
    return parts


def _expect_same_shape(name: str, a: Any, b: Any) -> None:
    if a.shape != b.shape:
        raise ShapeError(f"{name}: shapes {a.shape} and {b.shape}, expected equal ones with sparse")


def _add(a: Any, b: Any) -> Any:
    if not isinstance(a, CooArray) or not isinstance(b, CooArray):
        dense, sparse = (b, a) if isinstance(a, CooArray) else (a, b)
        dense = np.asarray(dense)
        if dense.shape != sparse.shape:
            raise ShapeError(
                f"add: shapes {np.shape(a)} and {np.shape(b)}, expected equal ones with a sparse "
                "tensor; to_dense() broadcasts"
            )
        out = dense.astype(np.result_type(dense, sparse.dtype))
        sparse.add_to(out)
        return out
    _expect_same_shape("add", a, b)
    if a.sparse_dim != b.sparse_dim:
        raise ShapeError(
            f"add: {a.sparse_dim} and {b.sparse_dim} sparse dims, expected equal numbers"
        )
    return CooArray(
        np.concatenate([a.indices, b.indices], 1), np.concatenate([a.values, b.values]), a.shape
    )


def _subtract(a: Any, b: Any) -> Any:
    return _add(a, -b)


def _multiply(a: Any, b: Any) -> Any:
    if not isinstance(a, CooArray):
        a, b = b, a
    if isinstance(b, CooArray):
        _expect_same_shape("mul", a, b)
        a, b = a.coalesce(), b.coalesce()
        _, of_a, of_b = np.intersect1d(a.places(), b.places(), True, True)
        return CooArray(a.indices[:, of_a], a.values[of_a] * b.values[of_b], a.shape, True)
    return _scaled(np.multiply, a, np.asarray(b))


def _divide(a: Any, b: Any) -> Any:
    if isinstance(b, CooArray):
        raise b._refuse("division by it")
    return _scaled(np.true_divide, a, np.asarray(b))


def _scaled(ufunc: Any, sparse: CooArray, dense: np.ndarray) -> CooArray:
    """Each stored element combined with a number, or with the element at its place."""
    if not dense.ndim:
        return sparse.with_values(ufunc(sparse.values, dense))
    if dense.ndim > sparse.ndim:
        raise ShapeError(f"{ufunc.__name__}: shapes {sparse.shape} and {dense.shape} do not fit")
    at = np.broadcast_to(dense, sparse.shape)[tuple(sparse.indices)]
    return sparse.with_values(ufunc(sparse.values, at))


def _matmul(a: Any, b: Any) -> Any:
    if len(a.shape) == len(b.shape) == 3 and isinstance(a, CooArray):
        return _matmul_of_batches(a, b)
    if len(a.shape) != 2 or len(b.shape) not in (1, 2):
        raise ShapeError(f"matmul: shapes {a.shape} and {b.shape}, expected matrices with sparse")
    if not isinstance(a, CooArray):
        return _matmul(b.swapaxes(0, 1), a.T).T
    if a.values.ndim > 1 or (isinstance(b, CooArray) and b.values.ndim > 1):
        raise DtypeError("matmul: sparse matrices with dense dims are not supported")
    return _product_of_sparse(a, b) if isinstance(b, CooArray) else _times_dense(a, b)


def _matmul_of_batches(a: CooArray, b: Any) -> np.ndarray:
    """Products of a batch, as one of a matrix in which those of the batch lie along the diagonal."""
    (n, rows, columns), (m, k, width) = a.shape, b.shape
    if isinstance(b, CooArray) or a.sparse_dim != 3 or (n, columns) != (m, k):
        raise ShapeError(
            f"bmm: shapes {a.shape} and {b.shape}, expected (b, n, k), all sparse, and a dense "
            "(b, k, m)"
        )
    batch, row, column = a.indices
    indices = np.stack([batch * rows + row, batch * columns + column])
    wide = CooArray(indices, a.values, (n * rows, n * columns), a.coalesced)
    return _times_dense(wide, b.reshape(n * k, width)).reshape(n, rows, width)


def _concatenate(arrays: Any, axis: int = 0) -> CooArray:
    if not all(isinstance(a, CooArray) for a in arrays):
        raise next(a for a in arrays if isinstance(a, CooArray))._refuse(
            "joining with dense tensors"
        )
    first = arrays[0]
    if any(a.sparse_dim != first.sparse_dim for a in arrays):
        raise ShapeError(
            "cat: sparse tensors have different numbers of sparse dims, expected equal"
        )
    size, start, placed = sum(a.shape[axis] for a in arrays), 0, []
    for a in arrays:
        placed.append(a.placed(axis, start, size))
        start += a.shape[axis]
    indices = np.concatenate([a.indices for a in placed], 1)
    return CooArray(indices, np.concatenate([a.values for a in placed]), placed[0].shape)


def _split(a: CooArray, bounds: Any, axis: int = 0) -> list[CooArray]:
    ends = [0, *(int(b) for b in bounds), a.shape[axis]]
    return [a.narrow(axis, slice(i, j)) for i, j in itertools.pairwise(ends)]


def _power(a: Any, b: Any) -> Any:
    if isinstance(b, CooArray) or np.ndim(b) or not b > 0:
        sparse = a if isinstance(a, CooArray) else b
        raise sparse._refuse(f"the power {b if np.ndim(b) == 0 else 'of a tensor'}")
    a = a.coalesce()
    return a.with_values(np.power(a.values, b))


def _floor_divide(a: Any, b: Any) -> Any:
    if isinstance(b, CooArray):
        raise b._refuse("division by it")
    return _scaled(np.floor_divide, a.coalesce(), np.asarray(b))


def _broadcast_to(a: Any, shape: Any) -> CooArray:
    if tuple(shape) != a.shape:
        raise ShapeError(
            f"a sparse tensor of shape {a.shape} cannot be broadcast to {tuple(shape)}"
        )
    return a  # type: ignore[no-any-return]


def _times_dense(a: CooArray, b: np.ndarray) -> np.ndarray:
    a = a.coalesce()
    out = np.zeros((a.shape[0], *b.shape[1:]), np.result_type(a.dtype, b.dtype))
    if not a.nnz:
        return out
    rows, columns = a.indices
    first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    terms = a.values.reshape((-1, *(1,) * (b.ndim - 1))) * b[columns]
    out[rows[first]] = np.add.reduceat(terms, first, axis=0)
    return out


def _product_of_sparse(a: CooArray, b: CooArray) -> CooArray:
    """Every stored element of ``a`` with all of the row of ``b`` that its column names."""
    b = b.coalesce()
    begin = np.searchsorted(b.indices[0], np.arange(b.shape[0] + 1))
    columns = a.indices[1]
    count = begin[columns + 1] - begin[columns]
    of_a = np.repeat(np.arange(a.nnz), count)
    within = np.arange(len(of_a)) - np.repeat(np.cumsum(count) - count, count)
    of_b = begin[columns[of_a]] + within
    indices = np.stack([a.indices[0][of_a], b.indices[1][of_b]])
    product = CooArray(indices, a.values[of_a] * b.values[of_b], (a.shape[0], b.shape[1]))
    return product.coalesce()


_BINARY = {
    np.add: _add, np.subtract: _subtract, np.multiply: _multiply, np.true_divide: _divide,
    np.matmul: _matmul, np.power: _power, np.floor_divide: _floor_divide,
}  # fmt: skip


def _any(a: CooArray, axis: Any = None, keepdims: bool = False) -> Any:
    if keepdims or len(axis or ()) not in (0, a.ndim):
        raise a._refuse("any along a dim")
    return np.asarray(bool(a.coalesce().values.any()))


def _full_like(a: CooArray, value: Any) -> CooArray:
    out = a.copy()
    out.fill(value)
    return out


_FUNCTIONS = {
    np.any: _any,
    np.full_like: _full_like,
    np.broadcast_to: _broadcast_to,
    np.concatenate: _concatenate,
    np.expand_dims: CooArray.expand_dims,
    np.ndim: lambda a: a.ndim,
    np.split: _split,
    np.take: CooArray.take,
    np.shape: lambda a: a.shape,
    np.result_type: lambda *args: np.result_type(*(getattr(a, "dtype", a) for a in args)),
    np.sum: CooArray.sum,
    np.swapaxes: CooArray.swapaxes,
    np.transpose: CooArray.transpose,
    np.zeros_like: lambda a, *_, **__: CooArray(a.indices[:, :0], a.values[:0], a.shape, True),
}
