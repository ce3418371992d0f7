"""The function of every operation, filled from the registry.

Packages above import functions from here; the stub beside this file (``make stubs``) tells type
checkers their signatures.
"""

from dtorch.core import backend, ops
from dtorch.core.op import public_ops
from dtorch.core.other_names import FROM_METHODS, changing
from dtorch.core.tensor import Tensor

if backend.has_kernels("cpu"):
    from dtorch.core import kernels  # noqa: F401  # importing them registers them

_ops, _changing = public_ops(), changing()
globals().update({name: op.function for name, op in _ops.items()})
globals().update({name: _ops[own].inplace_function for name, own in _changing.items()})
globals().update({name: getattr(Tensor, name) for name in FROM_METHODS})
__all__ = [*_ops, *_changing, *FROM_METHODS, "broadcast_tensors"]
broadcast_tensors = ops.view.broadcast_tensors
