"""What operations compute with, as annotations call it."""

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

# A NumPy array to type checkers; at run time a CuPy array just as well.
Array: TypeAlias = np.ndarray[Any, Any]
# The module with the functions for it: ``numpy`` or ``cupy``.
ArrayModule: TypeAlias = ModuleType
