"""Parameter: a tensor that modules and optimizers know as one to be trained."""

from __future__ import annotations

import numpy as np

from dtorch.core.base import PLAIN, REQUIRES_GRAD, fill
from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.core.storage import storage_of
from dtorch.core.tensor import Tensor


def over(cls: type[Tensor], data: Tensor | None) -> Tensor:
    """A ``cls`` over the memory of ``data``."""
    if data is None:
        return cls._wrap(np.empty(0, np.float32))
    if not isinstance(data, Tensor):
        raise TypeError(f"{cls.__name__}: data is {type(data).__name__}, expected a tensor")
    made: Tensor = object.__new__(cls)
    fill(made, data._array)
    storage_of(data).track(made)
    return made


class Parameter(Tensor):
    """A tensor that a module counts among its parameters; by default it requires grad.

    Args:
        data: its memory is shared, not copied.
        requires_grad: whether operations on it are recorded.
    Raises:
        DtypeError: ``requires_grad`` for a dtype without gradients.
    Example:
        >>> import dtorch
        >>> Parameter(dtorch.zeros(2))
        Parameter containing:
        tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        made = over(cls, data)
        if requires_grad and made._array.dtype.kind not in "fcV":
            raise DtypeError(
                f"{cls.__name__}: data is {made.dtype}, which has no gradient; pass "
                "requires_grad=False"
            )
        made._mode = REQUIRES_GRAD if requires_grad else PLAIN
        return made  # type: ignore[return-value]  # `over` makes a cls

    @property
    def volatile(self) -> bool:
        """Always False: a parameter is never volatile."""
        return False

    @volatile.setter
    def volatile(self, value: bool) -> None:
        if value:
            raise ArgumentError("volatile: a Parameter is never volatile; set requires_grad=False")

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
