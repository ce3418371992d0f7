"""Sparse tensors: made, converted, multiplied; the gradients of a sparse tensor are sparse."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import PLAIN, TensorBase, wrap
from dtorch.core.coo import CooArray, layout, sparse_coo, strided
from dtorch.core.creation import as_tensor, new
from dtorch.core.dtype import as_dtype, get_default_dtype
from dtorch.core.elements import require_cpu
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError, LayoutError, ShapeError
from dtorch.core.inplace import check_inplace
from dtorch.core.op import method, structured
from dtorch.core.ops.exponential import exp, log
from dtorch.core.ops.indexing import copy_
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.softmax import log_softmax, softmax
from dtorch.core.ops.view import transpose
from dtorch.core.shapes import as_sizes, normalize_dim, normalize_dims
from dtorch.core.storage import MAX_DIMS
from dtorch.core.tensor import Tensor

__all__ = [
    "dsmm", "hsmm", "hspmm", "saddmm", "smm", "spadd", "sparse_coo_tensor", "spmm", "sspaddmm",
    "sspmm",
]  # fmt: skip


def _coo(name: str, tensor: Any) -> CooArray:
    array = tensor._array if isinstance(tensor, TensorBase) else tensor
    if not isinstance(array, CooArray):
        raise LayoutError(f"{name}: the tensor is dense, expected a sparse one; use to_sparse()")
    return array


# -- making ------------------------------------------------------------------------------------


@structured(tensors=("values", "indices"), public=False)
def scattered(xp: ArrayModule, values: Any, indices: Any, size: Any, coalesced: bool) -> Any:
    """The sparse array of these values."""
    return CooArray(indices, values, size, coalesced)


@scattered.gradient("values")
def _(grad, indices):
    return picked(grad, indices)


@structured(tensors=("input", "indices"), public=False)
def picked(xp: ArrayModule, input: Any, indices: Any) -> Any:
    """The elements of a dense or sparse array at the indices of a sparse one."""
    if isinstance(input, CooArray):
        return input.values_at(CooArray(indices, input.values, input.shape).places()
                               if indices.shape[1] == input.nnz
                               else _places(indices, input))  # fmt: skip
    return _elements_at(input, indices)


def _elements_at(array: Array, indices: Any) -> Any:
    """``(n, *dense dims)`` of an ordinary array; without sparse dims each of the n is all of it."""
    at = tuple(indices)
    return array[at] if at else np.repeat(array[None], indices.shape[1], 0)


def _places(indices: Any, like: CooArray) -> Any:
    sizes = like.shape[: like.sparse_dim]
    return np.ravel_multi_index(tuple(indices), sizes) if sizes else np.zeros(indices.shape[1], int)


@picked.gradient("input")
def _(grad, indices, input_shape):
    return densified(scattered(grad, indices, tuple(input_shape), False))


@structured(tensors=("input",), public=False)
def densified(xp: ArrayModule, input: Any) -> Any:
    """All elements as an ordinary array."""
    return input.to_dense() if isinstance(input, CooArray) else input.copy()


@densified.gradient("input")
def _(grad, input):
    return masked_as(grad, input)


@structured(tensors=("input", "pattern"), public=False)
def masked_as(xp: ArrayModule, input: Any, pattern: Any) -> Any:
    """The elements where ``pattern``, sparse or dense, stores some."""
    if not isinstance(pattern, CooArray):
        return input
    pattern = pattern.coalesce()
    if isinstance(input, CooArray):
        return pattern.with_values(input.values_at(pattern.places()))
    return pattern.with_values(_elements_at(input, pattern.indices))


@masked_as.gradient("input")
def _(grad):
    return densified(grad)


def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Any = None, *, dtype: Any = None,
    device: Any = None, layout: Any = sparse_coo, requires_grad: bool = False, is_coalesced: bool | None = None,
) -> Tensor:  # fmt: skip
    """A sparse tensor with ``values`` at ``indices`` and zeros elsewhere; repeated indices add up.

    Args:
        indices: ints ``(sparse dims, n)``.
        values: ``(n, *dense dims)``, or one number of one index.
        size: sizes of all dims. Default: just large enough for the indices.
        is_coalesced: promise that the indices are sorted and none is repeated.

    Raises:
        ShapeError: indices, values and size do not fit together.
        DimensionError: an index is negative or outside of ``size``.

    Example:
        >>> sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
        tensor([[0., 0., 3.],
                [4., 0., 0.]])
    """
    require_cpu("sparse_coo_tensor", device)
    if values is None or (size is None and _is_size(indices)):
        sizes = size if indices is None else values if _is_size(values) else indices
        out = _empty(sizes, dtype)
        return out.requires_grad_() if requires_grad else out
    places, given = as_tensor(indices), as_tensor(values)
    if not given.ndim:
        given = given.reshape(1)  # the value of the one index
    if dtype is not None:
        given = given.to(as_dtype(dtype))
    array = places._array
    if array.dtype.kind not in ("iu" if array.size else "iuf"):  # [] makes a float tensor
        raise DtypeError(f"sparse_coo_tensor: indices are {places.dtype}, expected int64")
    if array.ndim != 2 or given.ndim < 1 or array.shape[1] != given.shape[0]:
        raise ShapeError(
            f"sparse_coo_tensor: indices of shape {tuple(array.shape)} and values of shape "
            f"{tuple(given.shape)}, expected (sparse dims, n) and (n, *dense dims)"
        )
    _check_dims(len(array) + given.ndim - 1)
    array = array.astype(np.int64)
    shape = _fitting_size(array, tuple(given.shape[1:]), size)
    out = scattered(given, wrap(array), shape, bool(is_coalesced))
    if requires_grad:
        out = out.detach().requires_grad_() if out._mode == PLAIN else out
    return out


def _is_size(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(type(n) is int for n in value)


def _empty(size: Any, dtype: Any) -> Tensor:
    kind = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    shape = tuple(size or (0,))
    _check_dims(len(shape))
    array = CooArray(np.zeros((len(shape), 0), np.int64), np.zeros(0, kind), shape, True)
    return wrap(array)


def _check_dims(count: int) -> None:
    # Indices without elements can claim any number of dims.
    if count > MAX_DIMS:
        raise ShapeError(f"sparse_coo_tensor: {count} dims, expected at most {MAX_DIMS}")


def _fitting_size(indices: Any, dense: tuple[int, ...], size: Any) -> tuple[int, ...]:
    # Python's numbers: one more than the largest index may be beyond 64 bits.
    smallest = [int(largest) + 1 for largest in indices.max(1, initial=-1)] if len(indices) else []
    if indices.size and indices.min() < 0:
        raise DimensionError(f"sparse_coo_tensor: the index {int(indices.min())} is negative")
    if size is None:
        return (*smallest, *dense)
    shape = tuple(int(n) for n in size)
    if len(shape) != len(indices) + len(dense) or shape[len(indices) :] != dense:
        raise ShapeError(
            f"sparse_coo_tensor: size {shape} does not fit {len(indices)} sparse dims and values "
            f"with dims {dense}"
        )
    if any(least > n for least, n in zip(smallest, shape, strict=False)):
        raise DimensionError(
            f"sparse_coo_tensor: indices up to {[n - 1 for n in smallest]} are outside of size {shape}"
        )
    return shape


@structured(tensors=("grad", "index"), public=False)
def sparse_rows(xp: ArrayModule, grad: Any, index: Any, shape: Any) -> Any:
    """A sparse array of ``shape`` whose rows ``index`` are those of ``grad``: the gradient of
    rows looked up in a table, without the table's size."""
    rows = grad.reshape((index.size, *shape[1:]))
    return CooArray(index.reshape((1, -1)).astype(np.int64), rows, shape)


@sparse_rows.gradient("grad")
def _(grad, index, grad_shape):
    return picked(grad, index.reshape((1, -1))).reshape(tuple(grad_shape))


# -- methods -----------------------------------------------------------------------------------


def _to_dense(input: Any, dtype: Any = None) -> Any:
    """The tensor with all its elements stored; a dense one as it is."""
    out = densified.function(input) if isinstance(input._array, CooArray) else input
    return out if dtype is None else out.to(dtype)


def _to_sparse(input: Any, sparse_dim: int | None = None) -> Any:
    """The tensor with only those elements (slices, for fewer sparse dims) stored that are not
    zero."""
    array = input._array
    if isinstance(array, CooArray):
        return input
    count = array.ndim if sparse_dim is None else sparse_dim
    if not min(1, array.ndim) <= count <= array.ndim:
        raise ArgumentError(f"to_sparse: sparse_dim is {count}, expected 1 to {array.ndim}")
    filled = array != 0
    if count < array.ndim:
        filled = filled.any(tuple(range(count, array.ndim)))
    indices = np.stack(np.nonzero(filled)) if count else np.zeros((0, 1), np.int64)
    places = wrap(indices.astype(np.int64))
    return scattered.function(picked.function(input, places), places, array.shape, True)


def _sparse_mask(input: Any, mask: Any) -> Any:
    """The elements where ``mask``, a sparse tensor, stores some."""
    pattern = _coo("sparse_mask", mask)
    if tuple(input.shape) != pattern.shape:
        raise ShapeError(f"sparse_mask: shapes {tuple(input.shape)} and {pattern.shape} differ")
    return masked_as.function(input, mask)


def _coalesced(name: str, input: Any) -> CooArray:
    array = _coo(name, input)
    if not array.coalesced:
        raise LayoutError(
            f"{name}: the tensor is not coalesced; call coalesce() first, or _{name}() for the raw "
            f"{name}"
        )
    return array


def _indices(input: Any) -> Any:
    """Indices as they are stored, ``(sparse dims, n)``."""
    return wrap(_coo("indices", input).indices)


def _values(input: Any) -> Any:
    """Values as they are stored, ``(n, *dense dims)``, sharing their memory."""
    return wrap(_coo("values", input).values)


def _sorted_indices(input: Any) -> Any:
    """Indices of a coalesced sparse tensor, ``(sparse dims, n)``."""
    return wrap(_coalesced("indices", input).indices)


def _sorted_values(input: Any) -> Any:
    """Values of a coalesced sparse tensor, ``(n, *dense dims)``."""
    array = _coalesced("values", input)
    return picked.function(input, wrap(array.indices)) if input._mode else wrap(array.values)


@structured(tensors=("input",), public=False)
def summed_up(xp: ArrayModule, input: Any) -> Any:
    """The same with sorted indices, of which none is repeated."""
    return _coo("coalesce", input).coalesce()


@summed_up.gradient("input")
def _(grad):
    return grad


def _coalesce(input: Any) -> Any:
    """The same tensor with sorted indices, repeated ones added up."""
    return input if _coo("coalesce", input).coalesced else summed_up.function(input)


def _nnz(input: Any) -> int:
    """Number of stored elements."""
    return _coo("nnz", input).nnz


def _sparse_dim(input: Any) -> int:
    """Number of dims that indices address; 0 of a dense tensor."""
    return input._array.sparse_dim if isinstance(input._array, CooArray) else 0


def _dense_dim(input: Any) -> int:
    """Number of dims that each value has; all of a dense tensor."""
    return int(input._array.ndim) - _sparse_dim(input)


def _sparse_resize_(input: Any, size: Any, sparse_dim: int, dense_dim: int) -> Any:
    """Change the sizes in place; stored elements keep their indices, so sizes can only grow as long
    as there are any."""
    array, shape = _coo("sparse_resize_", input), as_sizes("sparse_resize_", (size,))
    if sparse_dim + dense_dim != len(shape):
        raise ShapeError(
            f"sparse_resize_: {sparse_dim} sparse and {dense_dim} dense dims for sizes {shape}"
        )
    check_inplace("sparse_resize_", input, input._mode)
    array.resize(shape, sparse_dim)
    return input


def _sparse_resize_and_clear_(input: Any, size: Any, sparse_dim: int, dense_dim: int) -> Any:
    """`sparse_resize_` of a tensor that is emptied before."""
    return _sparse_resize_(input.zero_(), size, sparse_dim, dense_dim)


def _resize_as_(input: Any, tensor: Any) -> Any:
    """Change the sizes in place to those of ``tensor``."""
    if not isinstance(input._array, CooArray):
        return input.resize_(*tensor._array.shape)
    return _sparse_resize_(input, tuple(tensor.shape), _sparse_dim(tensor), _dense_dim(tensor))


def _copy_(
    input: Any, src: Any, non_blocking: bool = False, broadcast: bool = True, **kwargs: Any
) -> Any:
    """Overwrite the elements with those of ``src``, which broadcasts and is converted; a sparse
    tensor becomes one of the sizes of ``src``, which is sparse."""
    array = input._array
    if isinstance(array, CooArray) and array.shape != tuple(_coo("copy_", src).shape):
        _sparse_resize_and_clear_(input, tuple(src.shape), _sparse_dim(src), _dense_dim(src))
    return copy_(input, src, non_blocking, broadcast, **kwargs)


def classic_sparse(args: tuple[Any, ...], kind: Any) -> Any:
    """A sparse tensor by the rules of classic constructors: of indices, values and perhaps the size;
    of sizes alone; of nothing."""
    if args and all(isinstance(arg, int) for arg in args):
        args = (args,)
    if len(args) < 2:
        return _empty(args[0] if args else (0,), kind)
    return sparse_coo_tensor(*args, dtype=kind)


def _new(self: Any, *args: Any, device: Any = None, **kwargs: Any) -> Any:
    """A tensor of the same dtype and layout, by the rules of the classic constructors."""
    if not isinstance(self._array, CooArray):
        return new(self, *args, device=device, **kwargs)
    require_cpu("new", device)
    return classic_sparse(args, self.dtype)


def _narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """`narrow`, copied."""
    return input.narrow(dim, start, length).clone()


def _is_coalesced(input: Any) -> bool:
    """Whether the indices are sorted and none is repeated."""
    return _coo("is_coalesced", input).coalesced


def _is_sparse(input: Any) -> bool:
    """Whether only elements that are not zero are stored."""
    return isinstance(input._array, CooArray)


def _layout(input: Any) -> layout:
    """How the elements are stored."""
    return sparse_coo if isinstance(input._array, CooArray) else strided


for _name, _function in {
    "to_dense": _to_dense, "to_sparse": _to_sparse, "sparse_mask": _sparse_mask,
    "indices": _sorted_indices, "values": _sorted_values, "coalesce": _coalesce,
    "is_coalesced": _is_coalesced, "sparse_dim": _sparse_dim, "dense_dim": _dense_dim,
    "_indices": _indices, "_values": _values, "nnz": _nnz, "sparse_resize_": _sparse_resize_,
    "sparse_resize_and_clear_": _sparse_resize_and_clear_, "resize_as_": _resize_as_,
    "copy_": _copy_, "new": _new, "narrow_copy": _narrow_copy,
}.items():  # fmt: skip
    method(_name, _function)
method("_nnz", _nnz)
for _name in ("_nDimI", "_dimI"):
    method(_name, _sparse_dim)
for _name in ("_nDimV", "_dimV"):
    method(_name, _dense_dim)
method("is_sparse", property(_is_sparse))
method("layout", property(_layout))


# -- products ----------------------------------------------------------------------------------


@structured(tensors=("sparse", "dense"), public=False)
def product(xp: ArrayModule, sparse: Any, dense: Any) -> Any:
    """``sparse @ dense`` of matrices; sparse if both are."""
    if sparse.ndim != 2 or dense.ndim != 2 or sparse.shape[1] != dense.shape[0]:
        raise ShapeError(
            f"sparse.mm: shapes {sparse.shape} and {dense.shape}, expected (n, k) and (k, m)"
        )
    if sparse.dtype != dense.dtype:
        raise DtypeError(
            f"sparse.mm: operands are {sparse.dtype} and {dense.dtype}, expected one dtype"
        )
    return backend.matmul(sparse, dense)


@product.gradient("sparse")
def _(grad, sparse, dense):
    return masked_as(matmul(grad, transpose(dense, 0, 1).conj()), sparse)


@product.gradient("dense")
def _(grad, sparse, dense):
    return masked_as(matmul(transpose(sparse, 0, 1).conj(), grad), dense)


def spmm(sparse: Tensor, dense: Tensor) -> Tensor:
    """Product of a sparse and a dense matrix, dense; the gradient of a sparse one is sparse."""
    return product.function(sparse, dense)


def sspmm(sparse1: Tensor, sparse2: Tensor) -> Tensor:
    """Product of two sparse matrices, or of a sparse and a dense one, as a sparse matrix."""
    _coo("sspmm", sparse1)
    return _to_sparse(product.function(sparse1, sparse2))


def hspmm(mat1: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Product of a sparse and a dense matrix as a tensor with one sparse and one dense dim: of the
    rows that the sparse matrix stores.

    >>> m = sparse_coo_tensor([[0, 2], [1, 0]], [3.0, 4.0], (4, 2))
    >>> hspmm(m, as_tensor([[1.0, 2.0], [3.0, 4.0]]))._indices()
    tensor([[0, 2]])
    """
    rows = wrap(np.unique(_coo("hspmm", mat1).indices[:1])[None])
    whole = product.function(mat1, mat2)
    result = scattered.function(picked.function(whole, rows), rows, whole._array.shape, True)
    return result if out is None else out.copy_(result)


def _weighted_arguments(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Input, matrices, beta and alpha of the modern and the classic orders of arguments."""
    beta, alpha = named.pop("beta", 1), named.pop("alpha", 1)
    if len(args) == 4:
        beta, *args_left = args
        args = tuple(args_left)
    elif len(args) == 5:
        beta, input, alpha, mat1, mat2 = args
        args = (input, mat1, mat2)
    for key in ("input", "mat", "mat1", "mat2"):
        if key in named:
            args = (named.pop(key), *args) if key in ("input", "mat") else (*args, named.pop(key))
    if len(args) != 3 or named:
        raise TypeError(
            f"{name}() takes input, mat1, mat2, beta and alpha, got {len(args)} tensors"
        )
    return (*args, beta, alpha)


def sspaddmm(
    input: Any, mat1: Any, mat2: Any, *rest: Any, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` as a sparse matrix; ``input`` and ``mat1`` are
    sparse.

    The classic orders ``sspaddmm(beta, input, mat1, mat2)`` and
    ``sspaddmm(beta, input, alpha, mat1, mat2)`` work, too.
    """
    input, mat1, mat2, beta, alpha = _weighted_arguments(
        "sspaddmm", (input, mat1, mat2, *rest), {"beta": beta, "alpha": alpha}
    )
    result = _coalesce(input * beta + sspmm(mat1, mat2) * alpha)
    return result if out is None else out.copy_(result)


dsmm, hsmm, smm, saddmm = spmm, hspmm, sspmm, sspaddmm  # by the names of their BLAS
method("smm", sspmm)
method("sspaddmm", sspaddmm)


def sparse_addmm(
    input: Any, mat1: Any, mat2: Any, *rest: Any, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` with a sparse ``mat1``; the rest is dense."""
    input, mat1, mat2, beta, alpha = _weighted_arguments(
        "sparse.addmm", (input, mat1, mat2, *rest), {"beta": beta, "alpha": alpha}
    )
    return input * beta + spmm(mat1, mat2) * alpha


def spadd(input: Tensor, value: Any, other: Tensor | None = None) -> Tensor:
    """``input + value * other`` of a dense and a sparse tensor, dense; ``spadd(input, other)``
    without a factor."""
    if other is None:
        value, other = 1, value
    return input + other * value


# -- reductions --------------------------------------------------------------------------------


@structured(tensors=("input",), public=False)
def sum_of(xp: ArrayModule, input: Any, dim: Any) -> Any:
    """Sum over some dims; sparse as long as a sparse dim is left."""
    return input.sum(dim)


@sum_of.gradient("input")
def _(grad, input, dim):
    return spread_as(grad, input, dim)


@structured(tensors=("grad", "pattern"), public=False)
def spread_as(xp: ArrayModule, grad: Any, pattern: Any, dim: Any) -> Any:
    """A reduced gradient, repeated over the dims that were reduced, where ``pattern`` stores."""
    if isinstance(grad, CooArray):
        grad = grad.to_dense()
    full = grad if dim is None else np.expand_dims(grad, dim)
    whole = np.broadcast_to(full, pattern.shape)
    pattern = pattern.coalesce()
    return pattern.with_values(whole[tuple(pattern.indices)])


@spread_as.gradient("grad")
def _(grad, dim):
    return densified(sum_of(grad, dim))


def sparse_sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """Sum of a sparse tensor, of all elements or over ``dim``; sparse while a sparse dim is left."""
    array = _coo("sparse.sum", input)
    dims = None if dim is None else normalize_dims("sparse.sum", dim, array.ndim)
    return sum_of.function(input if dtype is None else input.to(dtype), dims)


def sparse_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Softmax along ``dim`` of the stored elements alone: zeros not stored stay zero."""
    if (along := _dense_dim_of("sparse.softmax", input, dim)) is not None:
        whole = _coalesce(input if dtype is None else input.to(dtype))
        return _with_values(whole, softmax.function(_stored(whole), along))
    whole, group, shifted, total = _normalized("sparse.softmax", input, dim, dtype)
    return _with_values(whole, exp.function(shifted) / total.index_select(0, group))


def sparse_log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Logarithm of `softmax`, of the stored elements alone: zeros not stored stay zero."""
    if (along := _dense_dim_of("sparse.log_softmax", input, dim)) is not None:
        whole = _coalesce(input if dtype is None else input.to(dtype))
        return _with_values(whole, log_softmax.function(_stored(whole), along))
    whole, group, shifted, total = _normalized("sparse.log_softmax", input, dim, dtype)
    return _with_values(whole, shifted - log.function(total).index_select(0, group))


def _dense_dim_of(name: str, input: Any, dim: int) -> int | None:
    """The dim of the values that a dense ``dim`` is; None for a sparse one."""
    array = _coo(name, input)
    at = normalize_dim(name, dim, array.ndim)
    return None if at < array.sparse_dim else at - array.sparse_dim + 1


def _stored(whole: Any) -> Any:
    """The values of a coalesced tensor, with their history."""
    return picked.function(whole, wrap(whole._array.indices))


def _with_values(whole: Any, values: Any) -> Any:
    return scattered.function(values, wrap(whole._array.indices), whole._array.shape, True)


def _normalized(name: str, input: Any, dim: int, dtype: Any) -> tuple[Any, Any, Any, Any]:
    """The coalesced tensor, the group of each element along ``dim``, the elements less the largest of
    their group, and the sum of the exponentials of these for each group."""
    array = _coo(name, input)
    at = normalize_dim(name, dim, array.ndim)
    whole = _coalesce(input if dtype is None else input.to(dtype))
    indices = whole._array.indices
    rest = np.delete(indices, at, 0)
    group: Any = (
        np.unique(rest, axis=1, return_inverse=True)[1].reshape(-1)
        if len(rest)
        else np.zeros(indices.shape[1], np.int64)
    )
    values = picked.function(whole, wrap(indices))
    count = int(group.max(initial=-1)) + 1
    top = np.full((count, *values.shape[1:]), -np.inf, values._array.dtype)
    np.maximum.at(top, group, values._array)
    shifted = values - wrap(top[group])
    total = shifted.new_zeros(*top.shape).index_add(0, wrap(group), exp.function(shifted))
    return whole, wrap(group), shifted, total
