"""Modules that train with several processes."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dtorch.nn.parallel.distributed import DistributedDataParallel

__all__ = ["DistributedDataParallel"]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: processes and sockets are a third of the time of an import, and
    # most programs use none.
    if name == "DistributedDataParallel":
        return importlib.import_module("dtorch.nn.parallel.distributed").DistributedDataParallel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
