"""Modules that train on several devices, or with several processes."""

from typing import TYPE_CHECKING

from dtorch.nn.parallel.data_parallel import (
    DataParallel,
    data_parallel,
    gather,
    parallel_apply,
    replicate,
    scatter,
)
from dtorch.on_demand import on_demand

if TYPE_CHECKING:
    from dtorch.nn.parallel.distributed import DistributedDataParallel

__all__ = [
    "DataParallel", "DistributedDataParallel", "data_parallel", "gather", "parallel_apply",
    "replicate", "scatter",
]  # fmt: skip


if not TYPE_CHECKING:
    # Processes and sockets are a third of the time of an import, and most programs use none.
    __getattr__ = on_demand(__name__, {"DistributedDataParallel": "distributed"})
