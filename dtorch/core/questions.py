"""Questions about tensors and dtypes that are functions."""

from __future__ import annotations

from typing import Any

from dtorch.core.base import TensorBase
from dtorch.core.dtype import as_dtype, dtype, from_numpy_dtype, result_dtype, scalar_dtype
from dtorch.core.errors import ShapeError
from dtorch.core.op import also_method
from dtorch.core.storage import Storage, storage_of
from dtorch.core.tensor import Tensor
from dtorch.core.typed_storage import TypedStorage

__all__ = [
    "can_cast", "get_device", "is_complex", "is_conj", "is_distributed", "is_floating_point",
    "is_inference", "is_neg", "is_nonzero", "is_same_size", "is_signed", "is_storage", "is_tensor",
    "numel", "resolve_conj", "resolve_neg", "result_type",
]  # fmt: skip


def _assert(condition: Any, message: str) -> None:
    """``assert``, as functions that might be traced spell it.

    Raises:
        AssertionError: the condition is false.
    """
    assert condition, message


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, TensorBase)


def is_storage(obj: Any) -> bool:
    """Whether ``obj`` is a storage, typed or of bytes."""
    return isinstance(obj, (Storage, TypedStorage))


def is_signed(input: Tensor) -> bool:
    """Whether the dtype of the tensor has negative numbers."""
    return input.is_signed()


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same sizes."""
    return input.is_same_size(other)


def get_device(input: Tensor) -> int:
    """Number of the CUDA device of a tensor, -1 on the CPU."""
    return input.get_device()


def is_complex(input: Tensor) -> bool:
    """Whether the tensor is of a complex dtype."""
    return input.is_complex()


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of the tensor is not zero."""
    if input.numel() != 1:
        raise ShapeError(f"is_nonzero: input has shape {tuple(input.shape)}, expected one element")
    return bool(input.item())


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype in which an operation on two tensors or numbers computes."""
    ranks: tuple[list[dtype], list[dtype], list[dtype]] = ([], [], [])
    for value in (tensor1, tensor2):
        if isinstance(value, TensorBase):
            ranks[0 if value._array.ndim else 1].append(from_numpy_dtype(value._array.dtype))
        else:
            ranks[2].append(scalar_dtype(value))
    return result_dtype(*ranks)


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode from tensors that require grad."""
    return input.is_inference()


def is_conj(input: Tensor) -> bool:
    """Whether the conjugate is still to be taken: no, it is taken at once."""
    return False


def is_neg(input: Tensor) -> bool:
    """Whether the sign is still to be changed: no, it is changed at once."""
    return False


def is_distributed(input: Tensor) -> bool:
    """Whether the elements lie in several processes: no."""
    return False


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugates are taken at once."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: signs are changed at once."""
    return input


def as_subclass(input: Tensor, cls: Any) -> Any:
    """The memory of the tensor as a tensor of a subclass; its history is not taken over."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass: cls is {cls!r}, expected a subclass of Tensor")
    made = cls._wrap(input._array)
    storage_of(input).track(made)
    return made


def dim_order(input: Tensor) -> tuple[int, ...]:
    """The dims, those whose neighbours lie farthest apart first."""
    strides = input.stride()
    return tuple(sorted(range(input.ndim), key=lambda dim: -strides[dim]))


for _function in (
    as_subclass, dim_order, is_conj, is_distributed, is_neg, resolve_conj, resolve_neg,
):  # fmt: skip
    also_method(_function.__name__, _function)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether results of one dtype can be written into another: not into a lower category."""
    return as_dtype(from_).category <= as_dtype(to).category


def is_floating_point(input: Tensor) -> bool:
    """Whether the tensor is of a floating-point dtype."""
    return input.is_floating_point()


def numel(input: Tensor) -> int:
    """Number of elements."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"numel: got {type(input).__name__}, expected a tensor")
    return input.numel()
