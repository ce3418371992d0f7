"""Modules that train with several processes."""

from dtorch.nn.parallel.distributed import DistributedDataParallel

__all__ = ["DistributedDataParallel"]
