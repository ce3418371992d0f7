"""Buffer, and what stands for parameters and buffers whose sizes are not known yet."""

from __future__ import annotations

from typing import Any

from dtorch.core.creation import empty
from dtorch.core.parameter import Parameter, over
from dtorch.core.tensor import Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class Buffer(Tensor):
    """A tensor that a module counts among its buffers: state that is not trained.

    Args:
        data: its memory is shared, not copied.
        persistent: whether it is part of the state dict.

    Example:
        >>> import dtorch
        >>> module = dtorch.nn.Module()
        >>> module.mean = Buffer(dtorch.zeros(2))
        >>> list(module.state_dict())
        ['mean']
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        made = over(cls, data)
        made.persistent = persistent  # type: ignore[attr-defined]  # kept in __dict__
        return made  # type: ignore[return-value]  # `over` makes a cls


class UninitializedTensorMixin:
    """What stands for a tensor whose sizes the first input of a lazy module will tell."""

    __slots__ = ()

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an uninitialised tensor of ``shape``; the object stays the same one.

        Raises:
            DtypeError: numbers of ``dtype`` have no gradient, and the tensor requires one.
        """
        self.data = empty(tuple(shape), device=device or self.device, dtype=dtype or self.dtype)
        self.__class__ = self.cls_to_become


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A `Parameter` without sizes.

    Args:
        requires_grad: as in `Parameter`.
        device, dtype: of the tensor it will become.

    Example:
        >>> import dtorch
        >>> made = UninitializedParameter()
        >>> made.materialize((2, 3))
        >>> type(made).__name__, tuple(made.shape)
        ('Parameter', (2, 3))
    """

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return super().__new__(cls, empty(0, device=device, dtype=dtype), requires_grad)

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A `Buffer` without sizes.

    Args:
        requires_grad: whether operations on it are recorded.
        device, dtype: of the tensor it will become.

    Example:
        >>> import dtorch
        >>> made = UninitializedBuffer()
        >>> made.materialize((2,))
        >>> tuple(made.shape)
        (2,)
    """

    __slots__ = ()
    cls_to_become = Buffer

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> Any:
        made = super().__new__(cls, empty(0, device=device, dtype=dtype))
        return made.requires_grad_() if requires_grad else made

    def __repr__(self) -> str:
        return "<UninitializedBuffer>"


def is_lazy(tensor: Any) -> bool:
    """Whether ``tensor`` waits for its sizes."""
    return isinstance(tensor, UninitializedTensorMixin)
