"""What distributions share: parameters that broadcast, values computed when first asked for, and
probabilities and their logits."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any, Generic, TypeVar

from dtorch.core.creation import full, tensor
from dtorch.core.dtype import finfo, get_default_dtype
from dtorch.core.functions import (
    binary_cross_entropy_with_logits,
    broadcast_tensors,
    clamp,
    log,
    log1p,
    logsumexp,
    sigmoid,
    softmax,
    tril,
)
from dtorch.core.grad_mode import enable_grad
from dtorch.core.ops.diagonal import tril_indices
from dtorch.core.random import randn
from dtorch.core.tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "euler_constant", "lazy_property", "logits_to_probs",
    "probs_to_logits", "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060  # Euler Mascheroni Constant


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one shape from tensors and numbers.

    Numbers become tensors of the dtype of the first tensor, or of the default dtype.

    >>> import dtorch
    >>> broadcast_all(1.0, dtorch.zeros(2))
    (tensor([1., 1.]), tensor([0., 0.]))

    Raises:
        ValueError: something is neither.
    """
    for value in values:
        if not isinstance(value, (Tensor, Number)):
            raise ValueError(
                f"Input arguments must all be instances of Number or Tensor, got "
                f"{type(value).__name__}"
            )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    dtype = get_default_dtype() if first is None else first.dtype
    if len({v.shape for v in values if isinstance(v, Tensor)}) == 1 and first is not None:
        # The common case, without views of what has the shape already.
        return tuple(
            v if isinstance(v, Tensor) else full(first.shape, v, dtype=dtype) for v in values
        )
    tensors = [v if isinstance(v, Tensor) else tensor(v, dtype=dtype) for v in values]
    return tuple(broadcast_tensors(*tensors))


def standard_normal(shape: Any, dtype: Any, device: Any = None) -> Tensor:
    """Standard normal numbers of these sizes."""
    return randn(*shape, dtype=dtype, device=device)


def sum_rightmost(value: Any, dims: int) -> Any:
    """The sum over that many of the last dims."""
    return value if dims == 0 else value.sum(tuple(range(-dims, 0)))


def all_rightmost(value: Tensor, dims: int) -> Tensor:
    """Whether all are true over that many of the last dims."""
    return value if dims == 0 else value.all(tuple(range(-dims, 0)))


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from log odds, or from logarithms up to a constant, of the last dim."""
    return sigmoid(logits) if is_binary else softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Log odds, or logarithms, of probabilities that are first kept apart from 0 and 1."""
    clamped = clamp_probs(probs)
    return log(clamped) - log1p(-clamped) if is_binary else log(clamped)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities no nearer to 0 and 1 than their dtype's resolution."""
    eps = finfo(probs.dtype).eps
    return clamp(probs, eps, 1 - eps)


def normalized_logits(logits: Tensor) -> Tensor:
    """Logarithms of probabilities, which sum to 1 along the last dim."""
    return logits - logsumexp(logits, -1, keepdim=True)


def binary_log_prob(logits: Tensor, value: Tensor) -> Tensor:
    """``value`` times the logarithm of a probability plus the rest times that of its complement."""
    return -binary_cross_entropy_with_logits(logits, value, reduction="none")


T = TypeVar("T")


class lazy_property(Generic[T]):  # noqa: N801  # the reference API's name
    """A method whose result becomes the attribute of its name when it is first asked for."""

    def __init__(self, wrapped: Callable[[Any], T]) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        vars(instance)[self.__name__] = value
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal of matrices, row by row.

    Raises:
        ValueError: the matrices have no such diagonal.
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = tril_indices(n, n, diag)
    return mat[..., rows, columns]


def _elements_below(size: int, diag: int) -> int:
    """How many elements of a square matrix lie on and below a diagonal."""
    return sum(min(max(row + 1 + diag, 0), size) for row in range(size))


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Lower triangular matrices of the elements on and below a diagonal, row by row.

    Raises:
        ValueError: no matrix has that many.
    """
    length, size = vec.shape[-1], 0
    while (found := _elements_below(size, diag)) < length:
        size += 1
    if found != length:
        raise ValueError(
            f"The size of last dimension is {length} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    mat = vec.new_zeros(vec.shape[:-1] + (size, size))
    rows, columns = tril_indices(size, size, diag)
    mat[..., rows, columns] = vec
    return mat


def _finfo(tensor: Tensor) -> finfo:
    """The limits of the dtype of a tensor; a classic name."""
    return finfo(tensor.dtype)


batch_tril = tril  # a classic name

# Names that libraries import.
_standard_normal = standard_normal
_sum_rightmost = sum_rightmost
