"""Processes that share tensors: the standard library's multiprocessing, with tensors passed as
handles of shared memory instead of copies.

Everything the standard library's module exports is here. Processes, queues, pipes, pools and
contexts are classes of this package, which also take functions that have no name; the rest is the
same objects. Tensors may go through the standard library's own queues and pipes as well, for which
this module registers how they travel; that takes longer, and memory sent through there to somebody
who never receives it comes back when its sender ends.

>>> import dtorch
>>> from dtorch import multiprocessing
>>> tensor = dtorch.zeros(3).share_memory_()
>>> tensor.is_shared()
True
"""

import multiprocessing as _standard
from multiprocessing import *  # noqa: F403 - whatever this version of Python has

from dtorch.multiprocessing import arena, reductions

# In place of the standard library's, and so named in its list.
from dtorch.multiprocessing.connections import Pipe  # type: ignore[assignment]  # noqa: F401
from dtorch.multiprocessing.contexts import (  # type: ignore[assignment]  # noqa: F401
    JoinableQueue,
    Pool,
    Process,
    Queue,
    SimpleQueue,
    get_context,
)
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
