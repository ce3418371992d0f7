"""Products of matrices."""

from dtorch.core.backend import native
from dtorch.core.ops.linalg import affine

affine.gradient_kernel("input", "weight", "bias")(native.affine_gradients)
