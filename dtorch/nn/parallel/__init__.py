"""Modules that train on several devices, or with several processes."""

from typing import TYPE_CHECKING, Any

from dtorch.nn.parallel.data_parallel import (
    DataParallel,
    data_parallel,
    gather,
    parallel_apply,
    replicate,
    scatter,
)

if TYPE_CHECKING:
    from dtorch.nn.parallel.distributed import DistributedDataParallel

__all__ = [
    "DataParallel", "DistributedDataParallel", "data_parallel", "gather", "parallel_apply",
    "replicate", "scatter",
]  # fmt: skip


if not TYPE_CHECKING:  # checkers know the names above, and that there are no others

    def __getattr__(name: str) -> Any:
        # Loaded when first asked for: processes and sockets are a third of the time of an import, and
        # most programs use none.
        if name == "DistributedDataParallel":
            from dtorch.nn.parallel import distributed  # noqa: PLC0415

            return distributed.DistributedDataParallel
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
