"""Functions that `dtorch` offers."""

from dtorch.core.public import offered

_functions = offered("general")
globals().update(_functions)
__all__ = [*_functions]
