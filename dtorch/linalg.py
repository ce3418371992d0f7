"""Linear algebra by its modern names: factorizations, solutions, norms; all with gradients.

>>> import dtorch
>>> float(dtorch.linalg.det(2 * dtorch.eye(3)))
8.0
"""

from dtorch.core.errors import LinAlgError
from dtorch.core.functions import matmul, matrix_exp
from dtorch.core.public import linalg as _operations
from dtorch.core.public.linalg import *

__all__ = ["LinAlgError", "matmul", "matrix_exp"]
__all__ += _operations.__all__
