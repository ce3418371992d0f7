"""The function of every operation, filled from the registry.

Packages above import functions from here; the stub beside this file (``make stubs``) tells type
checkers their signatures.
"""

from dtorch.core import backend, ops
from dtorch.core.op import REGISTRY

if backend.has_kernels("cpu"):
    from dtorch.core import kernels  # noqa: F401  # importing them registers them

globals().update({name: op.function for name, op in REGISTRY.items()})
__all__ = [*REGISTRY, "broadcast_tensors"]
broadcast_tensors = ops.view.broadcast_tensors
