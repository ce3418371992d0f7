"""Functions that `dtorch.fft` offers."""

from dtorch.core.public import offered

_functions = offered("fft")
globals().update(_functions)
__all__ = [*_functions]
