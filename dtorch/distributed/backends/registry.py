"""Which transport is meant by the name of a backend."""

from __future__ import annotations

from dtorch.core.errors import ArgumentError
from dtorch.distributed.backends.shared_memory.transport import SharedMemoryTransport
from dtorch.distributed.backends.transport import Transport

TRANSPORTS: dict[str, type[Transport]] = {
    transport.name: transport for transport in (SharedMemoryTransport,)
}
DEFAULT = "shm"
# Backends of scripts written for PyTorch: on one machine the default does what they do.
STAND_INS = ("gloo", "mpi", "nccl", "tcp")


def find_transport(caller: str, backend: str | None) -> type[Transport]:
    """What is meant by a name, or by names for types of devices: ``cpu:gloo,cuda:nccl``.

    Raises:
        ArgumentError: there is none of this name.
    """
    names = {}
    for part in (DEFAULT if backend is None else str(backend).lower()).split(","):
        device, _, name = part.strip().rpartition(":")
        names[device] = name
    if not set(names.values()) <= {*TRANSPORTS, *STAND_INS}:
        raise ArgumentError(
            f"{caller}: backend {backend!r} is not available; expected one of "
            f"{sorted(TRANSPORTS)}, or of {list(STAND_INS)}, for which {DEFAULT!r} stands in on "
            "one machine"
        )
    name = names.get("cpu", next(iter(names.values())))
    return TRANSPORTS.get(name, TRANSPORTS[DEFAULT])
