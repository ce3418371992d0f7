"""Functions that `dtorch.special` offers."""

from dtorch.core.public import offered

_functions = offered("special")
globals().update(_functions)
__all__ = [*_functions]
