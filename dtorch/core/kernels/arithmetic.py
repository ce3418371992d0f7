"""Gradients of arithmetic."""

from dtorch.core.backend import native
from dtorch.core.ops.arithmetic import mul

_times = native.find_loop("mul")
mul.gradient_kernel("input")(_times)
mul.gradient_kernel("other")(_times)
