"""Messages from one rank to another, through a box in shared memory that each sender has."""

from __future__ import annotations

import operator
import struct
import threading
import time
from functools import partial

import numpy as np

from dtorch.distributed.backends.header import HEADER_NBYTES
from dtorch.distributed.backends.shared_memory import futex
from dtorch.distributed.backends.shared_memory.peers import Peers
from dtorch.distributed.backends.shared_memory.region import BOX_NBYTES, Region
from dtorch.distributed.errors import CollectiveMismatch, PeerLost

_ADDRESS = struct.Struct("<iqH")  # receiver, tag, length of the description that follows
_WORD = 0xFFFFFFFF
_NAP_S = 0.0002


class Mailbox:
    """This rank's sending and receiving.

    A sender puts a piece into its box, counts `Region.POSTED` up and waits until the receiver has
    counted `Region.TAKEN` up to it. So a message is out of the sender's hands when it returns.
    """

    def __init__(self, region: Region, peers: Peers, rank: int, world_size: int) -> None:
        self._region = region
        self._peers = peers
        self._rank = rank
        self._world_size = world_size
        self._sending = threading.Lock()

    def send(self, raw: np.ndarray, description: str, dst: int, tag: int) -> None:
        """Give bytes to rank ``dst``.

        Raises:
            CollectiveMismatch: the receiver expects something else.
            PeerLost: it is gone.
        """

        def what() -> str:
            return f"send to rank {dst} (tag {tag})"

        words, box = self._region.words, self._region.boxes[self._rank]
        line = self._rank * Region.WORD
        with self._sending:
            self._peers.check(what)
            for start in range(0, max(raw.size, 1), BOX_NBYTES):
                piece = raw[start : start + BOX_NBYTES]
                box[HEADER_NBYTES : HEADER_NBYTES + piece.size] = piece
                _write_address(box, dst, tag, description)
                posted = (words[line + Region.POSTED] + 1) & _WORD
                words[line + Region.POSTED] = posted
                futex.wake(self._region.words_address + 4 * (line + Region.POSTED))
                taken = partial(operator.eq, posted)
                self._peers.wait_until(dst, line + Region.TAKEN, taken, what)
                if words[line + Region.REFUSED]:
                    words[line + Region.REFUSED] = 0
                    raise CollectiveMismatch(
                        f"{what()}: rank {dst} expects another shape or dtype than {description}"
                    )

    def receive(self, raw: np.ndarray, description: str, src: int | None, tag: int) -> int:
        """Fill bytes with a message from rank ``src``, or from whoever sends first for None.

        Raises:
            CollectiveMismatch: the message has another shape or dtype.
            PeerLost: the sender is gone.
        """

        def what() -> str:
            return f"recv from {'any rank' if src is None else f'rank {src}'} (tag {tag})"

        self._peers.check(what)
        sender = self._first_sender(tag) if src is None else src
        words, box = self._region.words, self._region.boxes[sender]
        line = sender * Region.WORD
        for start in range(0, max(raw.size, 1), BOX_NBYTES):
            self._peers.wait_until(
                sender, line + Region.POSTED, lambda _: self._is_for_us(sender, tag), what
            )  # fmt: skip
            sent = _read_description(box)
            if sent == description:
                piece = raw[start : start + BOX_NBYTES]
                piece[:] = box[HEADER_NBYTES : HEADER_NBYTES + piece.size]
            else:
                words[line + Region.REFUSED] = 1
            words[line + Region.TAKEN] = words[line + Region.POSTED]
            futex.wake(self._region.words_address + 4 * (line + Region.TAKEN))
            if sent != description:
                raise CollectiveMismatch(
                    f"{what()}: rank {sender} sent {sent}, expected {description}"
                )
        return sender

    def _is_for_us(self, sender: int, tag: int) -> bool:
        line, words = sender * Region.WORD, self._region.words
        if words[line + Region.POSTED] == words[line + Region.TAKEN]:
            return False
        dst, its_tag, _ = _ADDRESS.unpack_from(self._region.boxes[sender].data)
        return bool(dst == self._rank and its_tag == tag)

    def _first_sender(self, tag: int) -> int:
        others = [rank for rank in range(self._world_size) if rank != self._rank]
        end = time.monotonic() + self._peers.timeout
        while True:
            for rank in others:
                if self._is_for_us(rank, tag):
                    return rank
            reasons = [self._peers.gone(rank) for rank in others]
            if all(reasons):
                last = others[-1] if others else self._rank
                raise PeerLost(
                    last, self._peers.pids[last], f"recv from any rank (tag {tag})",
                    "no rank is left that could send",
                )  # fmt: skip
            if time.monotonic() > end:
                self._peers.give_up(f"recv from any rank (tag {tag})", tuple(others))
            time.sleep(_NAP_S)


def _write_address(box: np.ndarray, dst: int, tag: int, description: str) -> None:
    text = description.encode()[: HEADER_NBYTES - _ADDRESS.size]
    memory = box.data
    memory[_ADDRESS.size : _ADDRESS.size + len(text)] = text
    _ADDRESS.pack_into(memory, 0, dst, tag, len(text))


def _read_description(box: np.ndarray) -> str:
    memory = box.data
    length = _ADDRESS.unpack_from(memory)[2]
    return bytes(memory[_ADDRESS.size : _ADDRESS.size + length]).decode()
