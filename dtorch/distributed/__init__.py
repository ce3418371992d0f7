"""Training with several processes: process groups and collectives.

A script that `dtorch-launch` starts begins with ``init_process_group()``; after it each process
has a rank, and the functions here move tensors between the ranks.
"""

from dtorch.distributed.collectives import (
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    all_to_all,
    barrier,
    broadcast,
    broadcast_object_list,
    gather,
    gather_recv,
    gather_send,
    irecv,
    isend,
    recv,
    reduce,
    reduce_scatter,
    scatter,
    scatter_recv,
    scatter_send,
    send,
)
from dtorch.distributed.errors import (
    CollectiveMismatch,
    CollectiveTimeout,
    DistributedError,
    PeerLost,
    RendezvousError,
)
from dtorch.distributed.membership import (
    NotInitializedError,
    destroy_process_group,
    get_backend,
    get_num_processes,
    get_rank,
    get_world_size,
    group,
    init_master_worker,
    init_process_group,
    is_available,
    is_initialized,
    new_group,
)
from dtorch.distributed.process_group import ProcessGroup, Work
from dtorch.distributed.reduce_op import ReduceOp
from dtorch.distributed.store import FileStore, HashStore, PrefixStore, Store, TCPStore

reduce_op = ReduceOp  # classic name

__all__ = [
    "CollectiveMismatch",
    "CollectiveTimeout",
    "DistributedError",
    "FileStore",
    "HashStore",
    "NotInitializedError",
    "PeerLost",
    "PrefixStore",
    "ProcessGroup",
    "ReduceOp",
    "RendezvousError",
    "Store",
    "TCPStore",
    "Work",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_to_all",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "destroy_process_group",
    "gather",
    "gather_recv",
    "gather_send",
    "get_backend",
    "get_num_processes",
    "get_rank",
    "get_world_size",
    "group",
    "init_master_worker",
    "init_process_group",
    "irecv",
    "is_available",
    "is_initialized",
    "isend",
    "new_group",
    "recv",
    "reduce",
    "reduce_op",
    "reduce_scatter",
    "scatter",
    "scatter_recv",
    "scatter_send",
    "send",
]
