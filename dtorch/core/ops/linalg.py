"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.errors import ShapeError
from dtorch.core.op import composite, structured
from dtorch.core.ops.view import permute, transpose, unsqueeze


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape)


@structured(tensors=("input", "other"))
def matmul(xp: Any, input: Any, other: Any) -> Any:
    """Matrix product of the last two dims; leading dims broadcast, 1-D operands are vectors.

    Raises:
        ShapeError: a 0-dim operand, or inner sizes that differ.
    """
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
    _same_dtype("matmul", input, other)


def _same_dtype(name: str, input: Any, other: Any) -> None:
    if input.dtype != other.dtype:
        from dtorch.core.errors import DtypeError  # noqa: PLC0415

        raise DtypeError(
            f"{name}: operands are {input.dtype} and {other.dtype}, expected one dtype"
        )


@matmul.gradient("input")
def _(grad, input_shape, other):
    if len(input_shape) == 1 and other.ndim == 1:
        return grad * other.conj()
    if other.ndim == 1:
        return unsqueeze(grad, -1) * other.conj()
    g = unsqueeze(grad, -2) if len(input_shape) == 1 else grad
    out = matmul(g, transpose(other, -2, -1).conj())
    return out.reshape((*out.shape[:-2], out.shape[-1])) if len(input_shape) == 1 else out


@matmul.gradient("other")
def _(grad, input, other_shape):
    if input.ndim == 1 and len(other_shape) == 1:
        return grad * input.conj()
    if input.ndim == 1:
        return unsqueeze(input.conj(), -1) * unsqueeze(grad, -2)
    if len(other_shape) == 1:
        out = matmul(transpose(input, -2, -1).conj(), unsqueeze(grad, -1))
        return out.reshape(out.shape[:-1])
    if len(other_shape) == 2 and input.ndim > 2:
        # One product over all leading dims, instead of many that would then be summed.
        flat = input.reshape((-1, input.shape[-1]))
        return matmul(transpose(flat, 0, 1).conj(), grad.reshape((-1, grad.shape[-1])))
    return matmul(transpose(input, -2, -1).conj(), grad)


@matmul.samples
def _(make):
    yield (make(2, 3), make(3, 4)), {}
    yield (make(5, 2, 3), make(5, 3, 4)), {}
    yield (make(5, 2, 3), make(3, 4)), {}
    yield (make(2, 3), make(5, 3, 4)), {}
    yield (make(3), make(3)), {}
    yield (make(2, 3), make(3)), {}
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
        raise ShapeError(
            f"{name}: shapes {a} and {b}, expected {ndims[0]} and {ndims[1]} dimensions"
        )


@composite(tensors=("input", "mat2"), aliases={"mat1": "input", "mat": "input"})
def mm(input: Any, mat2: Any) -> Any:
    """Product of two matrices, ``(n, k)`` and ``(k, m)``."""
    _expect_matrices("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


@mm.samples
def _(make):
    yield (make(2, 3), make(3, 4)), {}


@composite(tensors=("input", "mat2"), aliases={"batch1": "input", "batch2": "mat2"})
def bmm(input: Any, mat2: Any) -> Any:
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


@composite(tensors=("input", "vec"), aliases={"mat": "input"})
def mv(input: Any, vec: Any) -> Any:
    """Product of a matrix ``(n, k)`` and a vector ``(k,)``."""
    _expect_matrices("mv", (2, 1), input, vec)
    return matmul(input, vec)


@mv.samples
def _(make):
    yield (make(2, 3), make(3)), {}


@composite(tensors=("input", "other"), aliases={"tensor1": "input", "tensor2": "other"})
def dot(input: Any, other: Any) -> Any:
    """Inner product of two vectors of one size."""
    _expect_matrices("dot", (1, 1), input, other)
    return matmul(input, other)


@dot.samples
def _(make):
    yield (make(3), make(3)), {}


@composite(tensors=("input", "vec2"), aliases={"vec1": "input"})
def outer(input: Any, vec2: Any) -> Any:
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
    """Classic ``addmm(beta, input, mat1, mat2)`` and ``addmm(beta, input, alpha, mat1, mat2)``."""
    if len(args) == 4:
        beta, input, mat1, mat2 = args
        return (input, mat1, mat2), {"beta": beta}
    beta, input, alpha, mat1, mat2 = args
    return (input, mat1, mat2), {"beta": beta, "alpha": alpha}


@composite(tensors=("input", "mat1", "mat2"), aliases={"mat": "input"}, inplace=True)
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)``."""
    return _weighted(input, mm(mat1, mat2), beta, alpha)


def _weighted(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
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


@composite(tensors=("input", "weight", "bias"), method=False)
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Affine map ``input @ weight.T + bias`` of the last dim.

    Shape: input ``(*, in)``, weight ``(out, in)``, bias ``(out,)``; result ``(*, out)``.
    """
    if weight.ndim != 2 or input.ndim < 1 or input.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: input of shape {_shape(input)} does not fit the weight of shape "
            f"{_shape(weight)}; the last size of the input must be the second of the weight"
        )
    out = matmul(input, permute(weight, (1, 0)))
    return out if bias is None else out + bias


@linear.samples
def _(make):
    yield (make(2, 3), make(4, 3), make(4)), {}
    yield (make(2, 5, 3), make(4, 3)), {}
    yield (make(3), make(4, 3), make(4)), {}


@linear.expect
def _(input, weight, bias=None):
    return np.einsum("...i,oi->...o", input, weight) + (0 if bias is None else bias)
