"""The methods that operations give to tensors."""


class OpMethods:
    """Base class of Tensor; `dtorch.core.op` adds a method for each operation defined."""

    __slots__ = ()
