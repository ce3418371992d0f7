"""Functions that `dtorch.linalg` offers."""

from dtorch.core.public import offered

_functions = offered("linalg")
globals().update(_functions)
__all__ = [*_functions]
