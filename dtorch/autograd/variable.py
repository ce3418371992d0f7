"""Variable: the classic name of a tensor with a history."""

from __future__ import annotations

from typing import Any

from dtorch.autograd.function import Function
from dtorch.core import classic
from dtorch.core.base import REQUIRES_GRAD, TensorBase
from dtorch.core.classic import Classic
from dtorch.core.creation import empty
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor


class _VariableType(type):
    """Makes every tensor an instance of Variable, and Variable's result a tensor."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TensorBase)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, TensorBase)

    def __eq__(cls, other: object) -> bool:
        # In ``type(h) == Variable`` Python asks this class first: it derives from that of Tensor.
        return other is cls or (other is Tensor and classic.allows(Classic.TYPE))

    def __hash__(cls) -> int:
        return hash(Tensor)

    def __getattr__(cls, name: str) -> Any:
        return getattr(Tensor, name)

    def __call__(
        cls,
        data: Any = None,
        requires_grad: bool = False,
        volatile: bool = False,
        creator: Any = None,
    ) -> Tensor:
        """A fresh leaf over the memory of ``data``, an empty one without.

        Args:
            requires_grad: record operations on it.
            volatile: record nothing that it has part in; excludes ``requires_grad``.
            creator: node that produced the data, as `Tensor.creator` gives it; then it is no leaf.
        """
        if data is None:
            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable: data is {type(data).__name__}, expected a tensor")
        if requires_grad and volatile:
            raise ArgumentError("Variable: requires_grad and volatile exclude each other")
        leaf = data.data
        if creator is not None:
            leaf._grad_fn = creator._call_node if isinstance(creator, Function) else creator
            leaf._mode = REQUIRES_GRAD
            return leaf
        if requires_grad:
            leaf.requires_grad_()
        leaf.volatile = volatile
        return leaf


class Variable(metaclass=_VariableType):
    """The classic constructor: ``Variable(tensor)`` is a leaf that shares the tensor's memory.

    Today's tensors record by themselves; every one of them is an instance of Variable.

    >>> import dtorch
    >>> x = Variable(dtorch.ones(2), requires_grad=True)
    >>> isinstance(x, Variable), isinstance(dtorch.ones(1), Variable)
    (True, True)
    """
