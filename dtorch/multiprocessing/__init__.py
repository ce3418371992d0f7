"""Processes that share tensors: the standard library's multiprocessing, with tensors passed as
handles of shared memory instead of copies.

Everything the standard library's module exports is here, the same objects. Importing this module
registers how tensors travel, for queues, pipes, pools and the arguments of processes.

>>> import dtorch
>>> from dtorch import multiprocessing
>>> tensor = dtorch.zeros(3).share_memory_()
>>> tensor.is_shared()
True
"""

import multiprocessing as _standard
from multiprocessing import *  # noqa: F403 - whatever this version of Python has

from dtorch.multiprocessing import arena, reductions
from dtorch.multiprocessing.queues import watch_queues
from dtorch.multiprocessing.reductions import init_reductions
from dtorch.multiprocessing.sharing import shared_memory
from dtorch.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    spawn,
    start_processes,
)
from dtorch.multiprocessing.strategy import (
    get_all_sharing_strategies,
    get_sharing_strategy,
    set_sharing_strategy,
)

__all__ = [
    *_standard.__all__,
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "arena",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "init_reductions",
    "reductions",
    "set_sharing_strategy",
    "shared_memory",
    "spawn",
    "start_processes",
]

init_reductions()
watch_queues()
