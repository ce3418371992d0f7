"""Kernels of the CPU: compiled equals of operations and gradient formulas, one file a family.

Imported only where there is a native module. Importing this package registers them all; each
returns None for arrays and arguments that are not for it, and the definition runs instead.
"""

from dtorch.core.kernels import arithmetic, linalg

__all__ = ["arithmetic", "linalg"]
