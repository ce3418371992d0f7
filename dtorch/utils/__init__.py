"""Packages under the names that the reference API has for them.

``dtorch.utils.data`` is `dtorch.data`, the same module.
"""

import sys

from dtorch import data, ffi, pytree as _pytree
from dtorch.utils import backcompat, checkpoint, hooks, serialization, trainer

for _name, _module in {
    "_pytree": _pytree,
    "data": data,
    "data.dataloader": data.dataloader,
    "data.dataset": data.dataset,
    "data.distributed": data.distributed,
    "data.sampler": data.sampler,
    "ffi": ffi,
}.items():
    sys.modules[f"{__name__}.{_name}"] = _module

__all__ = ["backcompat", "checkpoint", "data", "ffi", "hooks", "serialization", "trainer"]
