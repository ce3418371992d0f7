"""Products of matrices and vectors."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import as_dtype
from dtorch.core.errors import ArgumentError, DtypeError, RankError, ShapeError
from dtorch.core.half import is_half, narrowed, widened
from dtorch.core.op import structured
from dtorch.core.ops.complex import conj, conjugate
from dtorch.core.ops.repetition import roll
from dtorch.core.ops.view import permute, transpose, unsqueeze
from dtorch.core.shapes import broadcast_shapes, merged, normalize_dim, sum_dims, sum_to
from dtorch.core.tensor import Tensor


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape)


@structured(tensors=("input", "other"), ufunc=backend.matmul, takes="ifc", recorded_as="Mm")
def matmul(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Matrix product of the last two dims; leading dims broadcast, 1-D operands are vectors.

    Products of float16 and bfloat16 are added up in float32 and rounded once.

    Raises:
        ShapeError: a 0-dim operand, or inner sizes that differ.
    """
    if xp is np and is_half(input):
        return np.matmul(widened(input), widened(other)).astype(input.dtype)
    return xp.matmul(input, other)


@matmul.shape
def _(input, other):
    a, b = _shape(input), _shape(other)
    if not a or not b:
        raise ShapeError(f"matmul: shapes {a} and {b}, expected at least 1 dimension each")
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ShapeError(
            f"matmul: shapes {a} and {b} do not fit: {a[-1]} columns against {inner} rows"
        )
    if len(a) > 2 and len(b) > 2:
        broadcast_shapes("matmul", a[:-2], b[:-2])
    expect_one_dtype("matmul", input, other)


def expect_one_dtype(name: str, input: Any, other: Any, role: str = "other") -> None:
    """Refuse an input of another dtype than that of what it meets in the role of this parameter."""
    if input.dtype != other.dtype:
        given, wanted = as_dtype(input.dtype), as_dtype(other.dtype)
        raise DtypeError(
            f"{name}: input is {given} and {role} {wanted}, expected one dtype; convert one of them, "
            f"as by input{wanted.conversion}"
        )


@matmul.gradient("input")
def _(grad, input_shape, other):
    if len(input_shape) == 1 and other.ndim == 1:
        return grad * conjugate(other)
    if other.ndim == 1:
        return unsqueeze(grad, -1) * conjugate(other)
    g = unsqueeze(grad, -2) if len(input_shape) == 1 else grad
    out = matmul(g, conjugate(transpose(other, -2, -1)))
    return out.reshape((*out.shape[:-2], out.shape[-1])) if len(input_shape) == 1 else out


@matmul.gradient("other")
def _(grad, input, other_shape):
    if input.ndim == 1 and len(other_shape) == 1:
        return grad * conjugate(input)
    if input.ndim == 1:
        return unsqueeze(conjugate(input), -1) * unsqueeze(grad, -2)
    if len(other_shape) == 1:
        out = matmul(conjugate(transpose(input, -2, -1)), unsqueeze(grad, -1))
        return out.reshape(out.shape[:-1])
    if len(other_shape) == 2:
        # One product over all leading dims, instead of many that would then be summed; in the
        # memory order of a transposed matrix, as the weight of a linear layer is.
        if input.ndim > 2:
            input = input.reshape(merged(input.shape, 0, -1))
            grad = grad.reshape(merged(grad.shape, 0, -1))
        return transpose(matmul(transpose(grad, 0, 1), conjugate(input)), 0, 1)
    return matmul(conjugate(transpose(input, -2, -1)), grad)


@matmul.samples
def _(make):
    n = make.size(3, 200)
    yield (make(n - 1, n), make(n, n + 1)), {}
    yield (make(5, 2, 3), make(5, 3, 4)), {}
    yield (make(5, 2, 3), make(3, 4)), {}
    yield (make(2, 3), make(5, 3, 4)), {}
    yield (make(3), make(3)), {}
    yield (make(n - 1, n), make(n)), {}
    yield (make(3), make(3, 2)), {}
    yield (make(4, 2, 3), make(3)), {}
    yield (make(3), make(4, 3, 2)), {}
    yield (make(0, 3), make(3, 2)), {}


@matmul.expect
def _(input, other):
    a = input[None] if input.ndim == 1 else input
    b = other[:, None] if other.ndim == 1 else other
    out = np.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)
    out = out[..., 0] if other.ndim == 1 else out
    return (out[..., 0, :] if other.ndim > 1 else out[..., 0]) if input.ndim == 1 else out


matmul.operator("__matmul__", "__rmatmul__")


def _expect_matrices(name: str, ndims: tuple[int, int], input: Any, other: Any) -> None:
    a, b = _shape(input), _shape(other)
    if (len(a), len(b)) != ndims:
        raise RankError(
            f"{name}: shapes {a} and {b}, expected {ndims[0]} and {ndims[1]} dimensions"
        )


@composite(tensors=("input", "mat2"), aliases={"mat1": "input", "mat": "input"}, takes="ifc")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices, ``(n, k)`` and ``(k, m)``."""
    _expect_matrices("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


@mm.formerly(Classic.KEPT_DIM)
def _(values):
    """Vectors as the matrices of one row or column that they were when a reduction made them."""
    input, mat2 = values
    if input.ndim == 1 and mat2.ndim == 2:
        return [input.view((1, -1) if len(input) == len(mat2) else (-1, 1)), mat2]
    if input.ndim == 2 and mat2.ndim == 1:
        return [input, mat2.view((-1, 1) if input.shape[1] == len(mat2) else (1, -1))]
    return None


@mm.samples
def _(make):
    yield (make(2, 3), make(3, 4)), {}


@composite(tensors=("input", "mat2"), aliases={"batch1": "input", "batch2": "mat2"}, takes="ifc")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of the matrices of two batches, ``(b, n, k)`` and ``(b, k, m)``."""
    _expect_matrices("bmm", (3, 3), input, mat2)
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(
            f"bmm: batches of {input.shape[0]} and {mat2.shape[0]} matrices, expected equal sizes"
        )
    return matmul(input, mat2)


@bmm.samples
def _(make):
    yield (make(2, 3, 4), make(2, 4, 5)), {}


@composite(tensors=("input", "vec"), aliases={"mat": "input"}, takes="ifc")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Product of a matrix ``(n, k)`` and a vector ``(k,)``."""
    _expect_matrices("mv", (2, 1), input, vec)
    return matmul(input, vec)


@mv.samples
def _(make):
    yield (make(2, 3), make(3)), {}


@composite(
    tensors=("input", "other"), aliases={"tensor1": "input", "tensor2": "other"}, takes="ifc"
)
def dot(input: Tensor, other: Tensor) -> Tensor:
    """Inner product of two vectors of one size."""
    _expect_matrices("dot", (1, 1), input, other)
    return matmul(input, other)


@dot.formerly(Classic.POINTWISE)
def _(values):
    input, other = values
    if input.numel() != other.numel() or input.ndim == other.ndim == 1:
        return None
    return [input.reshape(-1), other.reshape(-1)]


@dot.samples
def _(make):
    yield (make(3), make(3)), {}


@composite(tensors=("input", "vec2"), aliases={"vec1": "input"})
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors: ``out[i, j] = input[i] * vec2[j]``."""
    _expect_matrices("outer", (1, 1), input, vec2)
    return unsqueeze(input, 1) * vec2


@outer.samples
def _(make):
    yield (make(3), make(2)), {}


for _op in (mm, bmm, mv, dot):
    _op.expect(np.matmul)
outer.expect(np.multiply.outer)


def _weights_by_position(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Classic ``addmm(beta, input, mat1, mat2)`` and ``addmm(beta, input, alpha, mat1, mat2)``, as
    methods ``input.addmm(beta, mat1, mat2)`` and ``input.addmm(beta, alpha, mat1, mat2)``."""
    *before, mat1, mat2 = args
    tensors = [value for value in before if isinstance(value, TensorBase)]
    numbers = [value for value in before if not isinstance(value, TensorBase)]
    if len(tensors) != 1 or len(numbers) > 2:
        raise TypeError(
            f"got {len(args)} arguments by position, expected a tensor, at most the two numbers beta "
            "and alpha, and the two tensors to multiply"
        )
    return (*tensors, mat1, mat2), dict(zip(("beta", "alpha"), numbers, strict=False))


_adding_product = partial(composite, aliases={"mat": "input"}, inplace=True, wide=True, takes="ifc")


@_adding_product()
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)``."""
    return _weighted("addmm", input, mm(mat1, mat2), beta, alpha)


def _weighted(name: str, input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    if broadcast_shapes(name, input.shape, product.shape) != tuple(product.shape):
        raise ShapeError(
            f"{name}: input of shape {_shape(input)} does not broadcast to the shape "
            f"{_shape(product)} of the product"
        )
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


@addmm.samples
def _(make):
    yield (make(2, 4), make(2, 3), make(3, 4)), {}
    yield (make(4), make(2, 3), make(3, 4)), {"beta": 0.5, "alpha": 2}


@addmm.expect
def _(input, mat1, mat2, beta=1, alpha=1):
    return beta * input + alpha * np.einsum("ij,jk->ik", mat1, mat2)


addmm.classic(_weights_by_position)


@_adding_product(aliases={"tensor": "input"})
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (mat @ vec)``."""
    return _weighted("addmv", input, mv(mat, vec), beta, alpha)


@addmv.samples
def _(make):
    yield (make(2), make(2, 3), make(3)), {}
    yield (make(2), make(2, 3), make(3)), {"beta": 0.5, "alpha": 2}


@addmv.expect
def _(input, mat, vec, beta=1, alpha=1):
    return beta * input + alpha * np.einsum("ij,j->i", mat, vec)


@_adding_product()
def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _weighted("addr", input, outer(vec1, vec2), beta, alpha)


@addr.samples
def _(make):
    yield (make(2, 3), make(2), make(3)), {}
    yield (make(2, 3), make(2), make(3)), {"beta": 0.5, "alpha": 2}


@addr.expect
def _(input, vec1, vec2, beta=1, alpha=1):
    return beta * input + alpha * np.einsum("i,j->ij", vec1, vec2)


@_adding_product()
def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * bmm(batch1, batch2)``."""
    return _weighted("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@baddbmm.samples
def _(make):
    yield (make(2, 3, 2), make(2, 3, 4), make(2, 4, 2)), {}
    yield (make(2, 3, 2), make(2, 3, 4), make(2, 4, 2)), {"beta": 0.5, "alpha": 2}


@baddbmm.expect
def _(input, batch1, batch2, beta=1, alpha=1):
    return beta * input + alpha * np.einsum("bij,bjk->bik", batch1, batch2)


@_adding_product()
def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * bmm(batch1, batch2).sum(0)``."""
    b, n, k = _shape(batch1) if batch1.ndim == 3 else (0, 0, 0)
    _expect_matrices("addbmm", (3, 3), batch1, batch2)
    if batch2.shape[0] != b:
        raise ShapeError(f"addbmm: batches of {b} and {batch2.shape[0]} matrices, expected equal")
    # One product of wide matrices instead of a sum of many.
    wide = permute(batch1, (1, 0, 2)).reshape(n, b * k)
    return _weighted(
        "addbmm", input, matmul(wide, batch2.reshape(b * k, batch2.shape[2])), beta, alpha
    )


@addbmm.samples
def _(make):
    yield (make(3, 2), make(2, 3, 4), make(2, 4, 2)), {}
    yield (make(3, 2), make(2, 3, 4), make(2, 4, 2)), {"beta": 0.5, "alpha": 2}


@addbmm.expect
def _(input, batch1, batch2, beta=1, alpha=1):
    return beta * input + alpha * np.einsum("bij,bjk->ik", batch1, batch2)


for _op in (addmv, addr, baddbmm, addbmm):
    _op.classic(_weights_by_position)


@composite(tensors=("vec1", "vec2"), aliases={"input": "vec1"})
def ger(vec1: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors: `outer` by its name in BLAS."""
    return outer(vec1, vec2)


@ger.samples
def _(make):
    yield (make(3), make(2)), {}


ger.expect(np.multiply.outer)


@composite(tensors=("input", "other"), takes="ifc")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Inner product of two vectors, of which the first is conjugated."""
    _expect_matrices("vdot", (1, 1), input, other)
    return matmul(conj(input), other)


@vdot.samples
def _(make):
    yield (make(3), make(3)), {}


vdot.expect(np.vdot)


@composite(tensors=("input", "other"), takes="ifc")
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dims."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.ndim == other.ndim == 1:
        return dot(input, other)
    return tensordot(input, other, ([-1], [-1]))


@inner.samples
def _(make):
    yield (make(3), make(3)), {}
    yield (make(2, 3), make(4, 3)), {}


inner.expect(np.inner)


@composite(tensors=("a", "b"), method=False, takes="ifc")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over dims of both tensors; the other dims are put side by side.

    Args:
        dims: number of last dims of ``a`` and first of ``b``; or their lists, as a pair.
    """
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ArgumentError(f"tensordot: dims is {dims}, expected 0 to {min(a.ndim, b.ndim)}")
        of_a, of_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        given_a, given_b = ([d] if isinstance(d, int) else list(d) for d in dims)
        of_a = [normalize_dim("tensordot", d, a.ndim) for d in given_a]
        of_b = [normalize_dim("tensordot", d, b.ndim) for d in given_b]
    sizes_a, sizes_b = [a.shape[d] for d in of_a], [b.shape[d] for d in of_b]
    if sizes_a != sizes_b:
        raise ShapeError(
            f"tensordot: shapes {_shape(a)} and {_shape(b)} do not fit: sizes {sizes_a} of dims "
            f"{of_a} against {sizes_b} of dims {of_b}"
        )
    rest_a = [d for d in range(a.ndim) if d not in of_a]
    rest_b = [d for d in range(b.ndim) if d not in of_b]
    count = int(np.prod(sizes_a, dtype=int))
    shape = [a.shape[d] for d in rest_a] + [b.shape[d] for d in rest_b]
    left_rows = int(np.prod([a.shape[d] for d in rest_a], dtype=int))
    right_columns = int(np.prod([b.shape[d] for d in rest_b], dtype=int))
    left = permute(a, (*rest_a, *of_a)).reshape(left_rows, count)
    right = permute(b, (*of_b, *rest_b)).reshape(count, right_columns)
    return matmul(left, right).reshape(shape)


@tensordot.samples
def _(make):
    yield (make(2, 3, 4), make(3, 4, 2)), {}
    yield (make(2, 3), make(3, 2), 1), {}
    yield (make(2, 3), make(2, 2), 0), {}
    yield (make(2, 3, 4), make(4, 2), ([0, 2], [1, 0])), {}


@tensordot.expect
def _(a, b, dims=2):
    return np.tensordot(a, b, dims)


@composite(tensors=("input", "other"))
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: every element of ``input`` times all of ``other``."""
    ndim = max(input.ndim, other.ndim)
    a = (1,) * (ndim - input.ndim) + _shape(input)
    b = (1,) * (ndim - other.ndim) + _shape(other)
    apart = input.reshape([size for n in a for size in (n, 1)])
    product = apart * other.reshape([size for n in b for size in (1, n)])
    return product.reshape([n * m for n, m in zip(a, b, strict=True)])


@kron.samples
def _(make):
    yield (make(2, 3), make(2, 2)), {}
    yield (make(3), make(2, 2)), {}


kron.expect(np.kron)


@composite(tensors=("input", "other"), wide=True, takes="ifc")
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Cross product of vectors of 3 elements along ``dim``.

    Args:
        dim: default: the first dim of size 3.
    """
    if dim is None:
        found = [
            d
            for d, size in enumerate(broadcast_shapes("cross", input.shape, other.shape))
            if size == 3
        ]
        if not found:
            raise ShapeError(f"cross: no dim of size 3 in the shape {_shape(input)}")
        dim = found[0]
    if input.ndim != other.ndim:
        raise RankError(
            f"cross: shapes {_shape(input)} and {_shape(other)}, expected as many dims in both"
        )
    dim = normalize_dim("cross", dim, input.ndim, scalars=False)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise ShapeError(
            f"cross: shapes {_shape(input)} and {_shape(other)}, expected size 3 in dim {dim}"
        )
    return roll(input, 2, dim) * roll(other, 1, dim) - roll(input, 1, dim) * roll(other, 2, dim)


@composite(tensors=("input", "other"), home="linalg", takes="ifc")
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Cross product of vectors of 3 elements along ``dim``, by default the last."""
    return cross(input, other, dim)


@linalg_cross.samples
def _(make):
    yield (make(3, 3), make(3, 3)), {}
    yield (make(3, 2), make(3, 2)), {"dim": 0}


@linalg_cross.expect
def _(input, other, dim=-1):
    return np.cross(input, other, axis=dim)


@cross.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(3, 2), make(3, 2), 0), {}


@cross.expect
def _(input, other, dim=None):
    return np.cross(input, other, axis=dim if dim is not None else input.shape.index(3))


@composite(tensors=("matrices",), variadic="matrices", method=False, takes="ifc")
def chain_matmul(matrices: Tensor) -> Tensor:
    """Product of several matrices, in the order that takes the fewest multiplications."""
    if not matrices:
        raise ArgumentError("chain_matmul: got no matrices, expected at least one")
    for position, m in enumerate(matrices):
        if m.ndim != 2:
            raise ShapeError(f"chain_matmul: matrix {position} has shape {_shape(m)}")
    sizes = [matrices[0].shape[0], *(m.shape[1] for m in matrices)]
    return _multiply(matrices, _cheapest_splits(sizes), 0, len(matrices) - 1)


def _cheapest_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each stretch of a chain of matrices (Cormen et al., section 14.2)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return split


def _multiply(matrices: Any, split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return matrices[i]
    k = split[i, j]
    return matmul(_multiply(matrices, split, i, k), _multiply(matrices, split, k + 1, j))


@chain_matmul.samples
def _(make):
    yield (make(2, 3), make(3, 4), make(4, 2)), {}
    yield (make(2, 3),), {}


@chain_matmul.expect
def _(*matrices):
    return np.linalg.multi_dot(matrices) if len(matrices) > 1 else matrices[0]


@structured(tensors=("input", "weight", "bias"), public=False, wide=True, recorded_as="Addmm")
def affine(xp: ArrayModule, input: Array, weight: Array, bias: Array) -> Array:
    """``input @ weight.T + bias``, all of one dtype and ``bias`` of one dim."""
    return xp.matmul(input, weight.T) + bias


def _column_sums(rows: Any) -> Any:
    shape = (rows.shape[-1],)
    if isinstance(rows, TensorBase):
        return sum_to(rows, shape)
    return narrowed(sum_to(widened(rows), shape), rows.dtype)


@affine.gradient("input", "weight", "bias")
def _(grad, input, weight, needs):
    rows = grad.reshape(merged(grad.shape, 0, -1))
    flat = input.reshape(merged(input.shape, 0, -1))
    return [
        matmul(grad, weight) if needs[0] else None,
        matmul(transpose(rows, 0, 1), flat) if needs[1] else None,
        _column_sums(rows) if needs[2] else None,
    ]


@structured(tensors=("input", "other"), outputs=("out", "sums"), public=False)
def product_and_row_sums(xp: ArrayModule, input: Array, other: Array) -> tuple[Any, Any]:
    """``input @ other`` of matrices, and the sums of the rows of ``input``."""
    return backend.matmul(input, other), sum_dims(input, (1,))


@affine.samples
def _(make):
    n, inner, outer = make.size(3, 300), make.size(4, 200), make.size(2, 100)
    yield (make(2, n, inner), make(outer, inner), make(outer)), {}


@product_and_row_sums.samples
def _(make):
    n, inner, outer = make.size(3, 300), make.size(4, 200), make.size(2, 100)
    yield (make(n, inner), make(inner, outer)), {}


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Affine map ``input @ weight.T + bias`` of the last dim.

    Shape: input ``(*, in)``, weight ``(out, in)``, bias ``(out,)``; result ``(*, out)``. Without
        ``out`` for a weight of ``(in,)`` and a bias of ``()``.
    """
    if weight.ndim != 2 or input.ndim < 1 or input.shape[-1] != weight.shape[1]:
        if weight.ndim == 1 and input.ndim and input.shape[-1] == weight.shape[0]:
            return linear(input, weight[None], None if bias is None else bias[None])[..., 0]
        raise ShapeError(
            f"linear: input of shape {_shape(input)} does not fit the weight of shape "
            f"{_shape(weight)}; the last size of the input must be the second of the weight"
        )
    if bias is not None and bias.ndim == 1 and _is_affine(input, weight, bias):
        return affine(input, weight, bias)
    expect_one_dtype("linear", input, weight, "weight")
    if bias is not None:
        return product_plus(input, weight, bias)
    return matmul(input, permute(weight, (1, 0)))


@composite(tensors=("input", "weight", "bias"), method=False, public=False, wide=True)
def product_plus(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `affine`, with a ``bias`` of any shape and dtype."""
    return matmul(input, permute(weight, (1, 0))) + bias


def _is_affine(input: Any, weight: Any, bias: Any) -> bool:
    kind = input._array.dtype
    return (
        (kind.kind == "f" or is_half(input._array))
        and kind == weight._array.dtype == bias._array.dtype
        and bias.shape[0] == weight.shape[0]
    )


@linear.samples
def _(make):
    yield (make(2, 3), make(4, 3), make(4)), {}
    yield (make(2, 5, 3), make(4, 3)), {}
    yield (make(3), make(4, 3), make(4)), {}
    yield (make(2, 3), make(3), make()), {}


@linear.expect
def _(input, weight, bias=None):
    return np.inner(input, weight) + (0 if bias is None else bias)
