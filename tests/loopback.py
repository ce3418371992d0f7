"""A transport over pairs of sockets: what it takes to add one, and every default of the protocol at work."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.errors import CollectiveMismatch, CollectiveTimeout, PeerLost

PIECE_NBYTES = 64 << 10
HEADER = struct.Struct("<qqI")  # kind, tag or rank, length of the description before the data
MESSAGE, HELLO, FAREWELL, ABORT = range(4)
ENDED = "its process has ended"
Mesh = dict[tuple[int, int], socket.socket]


class Piece(NamedTuple):
    src: int
    tag: int
    description: str
    data: bytes


class LoopbackTransport(Transport):
    """Ranks that were forked while `mesh` held their sockets."""

    name = "loopback"
    meshes: ClassVar[dict[str, Mesh]] = {}

    def __init__(
        self, meeting: str, rank: int, world_size: int, timeout: float, pids: Sequence[int] = ()
    ) -> None:
        super().__init__(meeting, rank, world_size, timeout, pids)
        self.pids = [os.getpid()] * world_size  # until they say hello
        self.timeout = timeout
        self.ends = {b: end for (a, b), end in self.meshes[meeting].items() if a == rank}
        for (a, _), end in self.meshes[meeting].items():
            if a != rank:
                end.close()
        self.lock = threading.Lock()
        self.inbox: list[Piece] = []
        self.gone: dict[int, str] = {}
        self.broken: tuple[int, str] | None = None
        self.tell(HELLO, os.getpid())
        self.barrier()

    def _send(self, raw: np.ndarray, description: str, dst: int, tag: int) -> None:
        text = description.encode()
        for start in range(0, max(raw.size, 1), PIECE_NBYTES):
            piece = raw[start : start + PIECE_NBYTES].tobytes()
            packet = HEADER.pack(MESSAGE, tag, len(text)) + text + piece

            def push(packet: bytes = packet) -> int | None:
                with contextlib.suppress(BlockingIOError, ConnectionError):  # later, or never
                    return self.ends[dst].send(packet)
                return None

            self.until(push, (dst,), f"send to rank {dst}", tag, self.ends[dst])

    def _receive(self, raw: np.ndarray, description: str, src: int | None, tag: int) -> int:
        what = f"recv from {'any rank' if src is None else f'rank {src}'}"

        def take() -> Piece | None:
            for place, piece in enumerate(self.inbox):
                if piece.tag == tag and src in (None, piece.src):
                    return self.inbox.pop(place)
            return None

        for start in range(0, max(raw.size, 1), PIECE_NBYTES):
            src, _, sent, data = self.until(take, self.ends if src is None else (src,), what, tag)
            if sent != description:
                raise CollectiveMismatch(f"{what}: rank {src} sent {sent}, expected {description}")
            raw[start : start + PIECE_NBYTES] = np.frombuffer(data, np.uint8)
        assert src is not None
        return src

    def abort(self, rank: int, reason: str) -> None:
        if self.broken is None:
            self.broken = rank, reason
            self.tell(ABORT, rank, reason)

    def close(self) -> None:
        self.tell(FAREWELL, 0, "it has destroyed its process group")
        for end in self.ends.values():
            end.close()

    def tell(self, kind: int, number: int, text: str = "") -> None:
        for end in self.ends.values():
            try:
                end.send(HEADER.pack(kind, number, len(text.encode())) + text.encode())
            except BlockingIOError:
                end.shutdown(socket.SHUT_WR)  # it reads too slowly to be told why
            except ConnectionError:
                pass

    def until(
        self, done: Callable[[], Any], ranks: Sequence[int] | dict[int, Any], what: str, tag: int,
        writing: socket.socket | None = None,
    ) -> Any:  # fmt: skip
        """What ``done`` gives once that is something; meanwhile whatever comes is taken in."""
        what = self._what() if tag < 0 else f"{what} (tag {tag})"
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            with self.lock:
                if self.broken:
                    raise PeerLost(self.broken[0], self.pids[self.broken[0]], what, self.broken[1])
                if (found := done()) is not None:
                    return found
                if all(rank in self.gone for rank in ranks):
                    lost = max(ranks)
                    raise PeerLost(lost, self.pids[lost], what, self.gone[lost])
                self.take_in(writing)
        raise CollectiveTimeout(f"{what}: {[*ranks]} did not join", tuple(ranks))

    def take_in(self, writing: socket.socket | None) -> None:
        poll = select.poll()
        watched = {end.fileno(): rank for rank, end in self.ends.items() if rank not in self.gone}
        for fd in watched:
            poll.register(fd, select.POLLIN)
        if writing is not None and writing.fileno() in watched:
            poll.modify(writing, select.POLLIN | select.POLLOUT)
        for fd, event in poll.poll(10):
            if event & ~select.POLLOUT:
                self.read(watched[fd])

    def read(self, rank: int) -> None:
        try:
            packet = self.ends[rank].recv(2 * PIECE_NBYTES)
        except ConnectionError:
            packet = b""
        kind, number, length = HEADER.unpack_from(packet) if packet else (FAREWELL, 0, 0)
        text, data = packet[HEADER.size :][:length].decode(), packet[HEADER.size + length :]
        if kind == MESSAGE:
            self.inbox.append(Piece(rank, number, text, data))
        elif kind == HELLO:
            self.pids[rank] = number
        elif kind == FAREWELL:
            self.gone[rank] = text or ENDED
        else:
            self.broken = self.broken or (number, text)


@contextlib.contextmanager
def mesh(meeting: str, world_size: int) -> Iterator[None]:
    """Sockets for the ranks that are forked meanwhile."""
    made: Mesh = {}
    for a, b in combinations(range(world_size), 2):
        made[a, b], made[b, a] = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in made.values():
        end.setblocking(False)
    LoopbackTransport.meshes[meeting] = made
    try:
        yield
    finally:
        for end in LoopbackTransport.meshes.pop(meeting).values():
            end.close()
