"""The groups that this process is in: joining the others of a job, making groups of some, leaving."""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Sequence
from typing import Any, NoReturn

from dtorch.core.errors import ArgumentError
from dtorch.core.interrupts import at_fork
from dtorch.distributed import environment
from dtorch.distributed.backends.registry import DEFAULT, TRANSPORTS, find_transport
from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.errors import DistributedError
from dtorch.distributed.process_group import ProcessGroup
from dtorch.distributed.rendezvous import meeting_name, name_from, name_in
from dtorch.distributed.store import Store, name_by

_log = logging.getLogger("dtorch.distributed")
_told = False  # of a backend that another one stands in for
_FOR_EVER_S = 2_000_000.0  # 23 days, the longest that system calls can wait
DEFAULT_TIMEOUT = datetime.timedelta(minutes=30)


class NotInitializedError(DistributedError, ValueError):
    """A function of this package was called before `init_process_group`."""


class _State:
    """The groups of this process."""

    def __init__(self) -> None:
        self.world: ProcessGroup | None = None
        self.others: list[ProcessGroup] = []
        self.transport = find_transport("", DEFAULT)
        self.meeting = ""
        self.timeout = 0.0
        self.made = 0  # groups made by new_group, by members or not


_state = _State()


def _forget() -> None:
    """A forked child is not a rank."""
    global _state
    _state = _State()


at_fork(after_in_child=_forget)


class _WorldOfGroup(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:  # noqa: N802 - the public name of the reference API
        return _state.world


class group(metaclass=_WorldOfGroup):  # noqa: N801 - the public name of the reference API
    """``group.WORLD`` is the group of all processes, None before `init_process_group`."""


class NonMember:
    """What `new_group` gives to processes outside of the new group."""

    def __repr__(self) -> str:
        return "<not a member of this group>"


NON_MEMBER = NonMember()
Group = ProcessGroup | NonMember | None


def is_available() -> bool:
    """Whether the package can be used: always."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` has been called."""
    return _state.world is not None


def is_backend_available(backend: str) -> bool:
    """Whether `init_process_group` does with this backend what PyTorch does with it, on CPU tensors.

    Args:
        backend: a name, such as ``"gloo"``. Those that move data of graphics cards or between machines
            are not available, though `init_process_group` takes their names.
    """
    return backend.lower() in {*TRANSPORTS, "gloo"}


def is_gloo_available() -> bool:
    """Whether processes can exchange CPU tensors: always, through shared memory."""
    return is_backend_available("gloo")


def is_nccl_available() -> bool:
    """Whether processes can exchange tensors of graphics cards: not yet."""
    return is_backend_available("nccl")


def is_mpi_available() -> bool:
    """Whether MPI moves the data: not yet; ranks that mpirun has started use shared memory."""
    return is_backend_available("mpi")


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: datetime.timedelta | float | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
) -> None:
    """Join the other processes of the job.

    Args:
        backend: what moves the data: ``"shm"`` (shared memory, one machine), the default. The
            names ``"gloo"``, ``"mpi"``, ``"nccl"`` and ``"tcp"``, also as in
            ``"cpu:gloo,cuda:nccl"``, mean the same, which rank 0 says once.
        init_method: ``env://``, the default (see `dtorch.distributed.environment`),
            ``tcp://host:port`` or ``file:///path``: something that only this job's processes have
            in common.
        timeout: seconds, or a timedelta, that a rank waits for the others. Default: 30 min.
        world_size, rank: how many processes there are, and which one this is, from 0. Default:
            what dtorch-launch, torchrun, mpirun or srun told this process; a process that none of
            them has started is alone.
        store: a `Store` that all ranks have, instead of ``init_method``.
        group_name: tells apart groups with the same ``init_method``.
    Raises:
        ArgumentError: an unknown backend, a number that is missing or out of range, variables
            that contradict each other, or ranks on several machines.
        RendezvousError: the processes did not find each other.
        DistributedError: it was called before.
    Example:
        >>> from dtorch import distributed
        >>> distributed.init_process_group(init_method="file:///doc", rank=0, world_size=1)
        >>> distributed.get_rank(), distributed.get_world_size()
        (0, 1)
        >>> distributed.destroy_process_group()
    """
    if _state.world is not None:
        raise DistributedError(
            "init_process_group: called twice; call destroy_process_group() before"
        )
    chosen = find_transport("init_process_group", backend)
    if store is not None and not isinstance(store, Store):
        raise TypeError(
            f"init_process_group: store is {type(store).__name__}, expected a Store, as TCPStore is"
        )
    if store is not None and init_method is not None:
        raise ArgumentError("init_process_group: store and init_method exclude each other")
    found = environment.detect(
        rank=None if rank == -1 else rank, world_size=None if world_size == -1 else world_size
    )
    rank, world_size = found.rank, found.world_size
    by_env = store is None and init_method in (None, "env://")
    if found.launcher == environment.PLAIN and not by_env:
        raise ArgumentError(
            "init_process_group: rank and world_size are not given, and no launcher's variables tell "
            "them; expected both with store or init_method"
        )
    if found.elsewhere:
        raise ArgumentError(
            f"init_process_group: backend {chosen.name!r} joins the processes of one machine, but "
            f"{found.elsewhere}; transports between machines are not there yet"
        )
    seconds = _seconds(timeout)
    if by_env:
        meeting = name_in(found, group_name)
    elif store is None:
        meeting = name_from(str(init_method), group_name)
    else:
        meeting = name_by(store, rank, lambda: meeting_name("store", uuid.uuid4().hex, group_name))
    if rank == 0:
        _tell_of_substitute(backend, chosen)
    transport = chosen(meeting, rank, world_size, seconds)
    _state.transport, _state.meeting, _state.timeout = chosen, meeting, seconds
    _state.world = ProcessGroup(range(world_size), transport, backend)


def init_master_worker(backend: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Classic: tensors of other processes as if they were this one's. It is not there.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(
        "init_master_worker: tensors that lie in other processes are not there; use "
        "init_process_group() and the collectives"
    )


def _tell_of_substitute(backend: str | None, chosen: type[Transport]) -> None:
    global _told
    if (
        backend is None
        or str(backend).lower() == chosen.name
        or _told
        or environment.is_restarted()
    ):
        return
    _told = True
    _log.warning(
        "init_process_group: backend %r becomes %r: processes of one machine exchange CPU tensors "
        "through shared memory", backend, chosen.name,
    )  # fmt: skip


def _seconds(timeout: datetime.timedelta | float | None) -> float:
    if timeout is None:
        timeout = DEFAULT_TIMEOUT
    seconds = timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else timeout
    if not seconds > 0:
        raise ArgumentError(f"timeout is {seconds} s, expected more than 0")
    return min(float(seconds), _FOR_EVER_S)


def destroy_process_group(group: Group = None) -> None:
    """Leave a group, or all of them; ranks that still wait for this one get PeerLost."""
    world = member(group)
    if world is None:
        return
    if world is _state.world:
        for other in _state.others:
            other.close()
        world.close()
        _forget()
    else:
        world.close()
        _state.others.remove(world)


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: datetime.timedelta | float | None = None,
    backend: str | None = None,
) -> ProcessGroup | NonMember:
    """A group of some of the processes. All processes must call it, in the same order.

    Args:
        ranks: global ranks of the members. Default: all.
        timeout, backend: as of `init_process_group`. Default: those of the whole.
    Returns:
        The group; in processes outside of it something that collectives ignore.
    Raises:
        ArgumentError: a rank that does not exist, or one given twice.
    """
    world = _world()
    members = sorted(range(world.size()) if ranks is None else ranks)
    if len(set(members)) != len(members) or not set(members) <= set(range(world.size())):
        raise ArgumentError(
            f"new_group: ranks are {members}, expected different ones of {list(world.ranks)}"
        )
    chosen = find_transport("new_group", backend) if backend else _state.transport
    # One that is gone, or never comes, is noticed by all, members or not.
    world.run(Transport.barrier)
    _state.made += 1
    if world.rank() not in members:
        return NON_MEMBER
    seconds = _state.timeout if timeout is None else _seconds(timeout)
    meeting = f"{_state.meeting}-{_state.made}"
    pids = [world.pid_of(rank) for rank in members]
    transport = chosen(meeting, members.index(world.rank()), len(members), seconds, pids)
    made = ProcessGroup(members, transport, backend or world.asked_backend)
    _state.others.append(made)
    return made


def _world() -> ProcessGroup:
    if _state.world is None:
        raise NotInitializedError(
            "the process group is not initialised; call dtorch.distributed.init_process_group()"
        )
    return _state.world


def member(group: Group) -> ProcessGroup | None:
    """The group meant by an argument; None if this process is not in it.

    Raises:
        NotInitializedError: before `init_process_group`.
    """
    if isinstance(group, NonMember):
        return None
    return _world() if group is None else group


def get_rank(group: Group = None) -> int:
    """This process's number in the group, from 0; -1 outside of it."""
    found = member(group)
    return -1 if found is None else found.rank()


def get_world_size(group: Group = None) -> int:
    """How many processes the group has; -1 outside of it."""
    found = member(group)
    return -1 if found is None else found.size()


get_num_processes = get_world_size  # classic name


def get_backend(group: Group = None) -> str:
    """The name of the backend that was asked for, in small letters; by default ``shm``."""
    found = member(group)
    return "" if found is None else found.asked_backend


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The global rank of each member, by its number in the group."""
    return list((_world() if group is None else group).ranks)


def get_global_rank(group: ProcessGroup | None, group_rank: int) -> int:
    """The number among all processes of the one that has ``group_rank`` in the group.

    Raises:
        ArgumentError: the group has no such number.
    """
    ranks = get_process_group_ranks(group)
    if not 0 <= group_rank < len(ranks):
        raise ArgumentError(
            f"get_global_rank: group_rank is {group_rank}, expected 0 to {len(ranks) - 1}"
        )
    return ranks[group_rank]


def get_group_rank(group: ProcessGroup | None, global_rank: int) -> int:
    """A member's number in the group.

    Raises:
        ArgumentError: it is no member.
    """
    return (_world() if group is None else group).rank_of(
        global_rank, "get_group_rank: global_rank"
    )


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's number among those on its machine, from 0, as its launcher told it.

    Args:
        fallback_rank: the answer where nobody told it.
    Raises:
        RuntimeError: nobody told it, there is no group, and no ``fallback_rank`` is given.
    """
    told = environment.local_rank()
    if told is not None:
        return told
    if fallback_rank is not None:
        return int(fallback_rank)
    if is_initialized():  # all of its processes are on this machine
        return get_rank()
    raise RuntimeError(
        "get_node_local_rank: LOCAL_RANK is not set, and no launcher's variables tell it; start the "
        "script with dtorch-launch, call init_process_group() before, or pass fallback_rank"
    )
