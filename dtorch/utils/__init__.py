"""Packages under the names that the reference API has for them.

``dtorch.utils.data`` is `dtorch.data`, the same module.
"""

import sys
from typing import TYPE_CHECKING

from dtorch import data, ffi, pytree as _pytree
from dtorch.on_demand import on_demand
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

if not TYPE_CHECKING:
    _LATE = ("benchmark", "bottleneck", "collect_env", "dlpack", "model_zoo", "tensorboard")
    __getattr__ = on_demand(__name__, {name: name for name in _LATE})

__all__ = ["backcompat", "checkpoint", "data", "ffi", "hooks", "serialization", "trainer"]
