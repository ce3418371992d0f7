"""Gradients of arithmetic."""

from dtorch.core.backend import native
from dtorch.core.ops.activation import relu
from dtorch.core.ops.arithmetic import mul

mul.gradient_kernel("input")(native.formula_mul)
mul.gradient_kernel("other")(native.formula_mul)
relu.gradient_kernel("input")(native.formula_relu)
