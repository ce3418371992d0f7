"""Compiled forms of the commonest methods that are no elementwise operations.

They know plain NumPy arrays and plain arguments; anything else they hand to the Python method, whose
results theirs must equal.
"""

from __future__ import annotations

from dtorch.core import backend
from dtorch.core.op import REGISTRY
from dtorch.core.op_methods import OpMethods
from dtorch.core.ops import indexing, reduction, view


def methods() -> None:
    """Put the compiled methods in the place of the Python ones, where there are any."""
    native = backend.native
    if native is None:
        return
    recorded = {
        "view": view._reshaped,
        "transpose": view.transpose,
        "t": view.transpose,
        "sum": reduction.sum,
    }
    for name, op in recorded.items():
        slow = getattr(OpMethods, name)
        fast = native.FastMethod(name, slow, op)
        fast.__dict__.update(slow.__dict__)
        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            fast.__dict__[attribute] = getattr(slow, attribute)
        setattr(OpMethods, name, fast)
        if name in REGISTRY:
            REGISTRY[name].function = fast
    native.FastMethod("__getitem__", OpMethods.__getitem__, indexing._basic)
    del OpMethods.__getitem__  # TensorBase has the slot itself
