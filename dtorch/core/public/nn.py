"""Functions that `dtorch.nn.functional` offers."""

from dtorch.core.public import offered

_functions = offered("nn")
globals().update(_functions)
__all__ = [*_functions]
