"""What can go wrong between processes.

::

    DtorchError, RuntimeError
    +-- DistributedError
        +-- RendezvousError      the processes did not find each other
        +-- CollectiveMismatch   ranks called different things, or with different shapes
        +-- PeerLost             a rank died or gave up; has .rank
        +-- CollectiveTimeout    (TimeoutError) a rank did not come; has .ranks
"""

from __future__ import annotations

from dtorch.core.errors import DtorchError


class DistributedError(DtorchError, RuntimeError):
    """Base of the errors between processes."""


class RendezvousError(DistributedError):
    """The processes of a job did not find each other."""


class CollectiveMismatch(DistributedError):
    """Ranks called different collectives, or passed different shapes or dtypes."""


class PeerLost(DistributedError):
    """Another rank died, or left the group in the middle.

    Attributes:
        rank: the lost one.
        pid: its process.
        collective: what this rank was doing.
    """

    def __init__(self, rank: int, pid: int, collective: str, reason: str) -> None:
        super().__init__(f"{collective}: lost rank {rank} (pid {pid}): {reason}")
        self.rank = rank
        self.pid = pid
        self.collective = collective
        self.reason = reason

    def __reduce__(self) -> tuple[type[PeerLost], tuple[int, int, str, str]]:
        return PeerLost, (self.rank, self.pid, self.collective, self.reason)


class CollectiveTimeout(DistributedError, TimeoutError):
    """A rank did not join a collective in time.

    Attributes:
        ranks: those that are missing.
    """

    def __init__(self, message: str, ranks: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.ranks = ranks
