"""What tests of programs that use dtorch need: comparisons of tensors, and tensors to compute with.

>>> import dtorch
>>> assert_close(dtorch.tensor([1.0, 2.0]), dtorch.tensor([1.0, 2.0 + 1e-7]))
"""

from dtorch.testing.comparison import assert_allclose, assert_close
from dtorch.testing.creation import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
