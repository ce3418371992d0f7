"""Sparse arrays in coordinate form: what a sparse tensor holds in place of a NumPy array.

A `CooArray` answers NumPy's functions for the few operations that make sense for it (``a + b``,
``a * 2``, ``a @ b``, ``numpy.abs(a)``, ``a.sum()``), so that the bodies of operations and the
gradient engine work on it unchanged; everything else is an error that says what to do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.errors import DtypeError, LayoutError, ShapeError

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
        return f"dtorch.{self.name}"

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
        raise self._refuse("indexing")

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
        raise self._refuse("view")

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
            out[tuple(whole.indices)] += whole.values

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
    if len(a.shape) != 2 or len(b.shape) not in (1, 2):
        raise ShapeError(f"matmul: shapes {a.shape} and {b.shape}, expected matrices with sparse")
    if not isinstance(a, CooArray):
        return _matmul(b.swapaxes(0, 1), a.T).T
    if a.values.ndim > 1 or (isinstance(b, CooArray) and b.values.ndim > 1):
        raise DtypeError("matmul: sparse matrices with dense dims are not supported")
    return _product_of_sparse(a, b) if isinstance(b, CooArray) else _times_dense(a, b)


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
    np.matmul: _matmul,
}  # fmt: skip
_FUNCTIONS = {
    np.shape: lambda a: a.shape,
    np.result_type: lambda *args: np.result_type(*(getattr(a, "dtype", a) for a in args)),
    np.sum: CooArray.sum,
    np.swapaxes: CooArray.swapaxes,
    np.transpose: CooArray.transpose,
    np.zeros_like: lambda a, *_, **__: CooArray(a.indices[:, :0], a.values[:0], a.shape, True),
}
