"""Waiting for the other ranks of a group, and noticing when one will never come."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from dtorch.distributed.backends.shared_memory import futex
from dtorch.distributed.backends.shared_memory.region import Region
from dtorch.distributed.errors import CollectiveTimeout, PeerLost
from dtorch.multiprocessing.processes import named

_log = logging.getLogger("dtorch.distributed")
_WORD = 0xFFFFFFFF
_HALF = 0x80000000
# A rank that is already on its way arrives within microseconds; waking a sleeping core takes 50 to 80.
_SPINS = 2000
_LOOK_EVERY_S = 0.03
_WARN_AFTER_S = 60.0


class Peers:
    """The ranks' sequence words: each rank counts its own up, and waits for the others'.

    Attributes:
        sequence: this rank's count of exchanges.
        pids: the process of each rank.
        timeout: seconds to wait for one.
    """

    def __init__(self, region: Region, rank: int, pids: list[int], timeout: float) -> None:
        self._region = region
        self._words = region.words
        self._rank = rank
        self.pids = pids
        self.timeout = timeout
        self._others = [(other, other * Region.WORD) for other in range(len(pids)) if other != rank]
        self._mine = rank * Region.WORD
        # With more ranks than cores a spinning rank keeps the awaited one from running.
        self._spins = _SPINS if len(pids) <= len(os.sched_getaffinity(0)) else 0
        self._main_thread = threading.main_thread().ident
        self._pidfds: dict[int, int] = {}  # descriptor -> rank
        self._poll = select.poll()
        self._dead: set[int] = set()
        self.sequence = 0
        for other, _ in self._others:
            self._watch(other)

    def _watch(self, rank: int) -> None:
        try:
            pidfd = os.pidfd_open(self.pids[rank])
        except ProcessLookupError:
            self._dead.add(rank)
            return
        self._pidfds[pidfd] = rank
        self._poll.register(pidfd, select.POLLIN)

    def arrive(self) -> int:
        """Everybody may see what this rank has written; returns the new count."""
        self.sequence = target = (self.sequence + 1) & _WORD
        self._words[self._mine] = target
        futex.wake(self._region.words_address + 4 * self._mine)
        return target

    def wait_for_all(self, target: int, what: Callable[[], str]) -> None:
        """Until every rank has counted to ``target``.

        Args:
            target: as `arrive` returned.
            what: names the collective, for an error.

        Raises:
            PeerLost: one cannot come any more.
            CollectiveTimeout: one did not come in time.
        """
        words = self._words
        # Elsewhere than in the main thread, which goes on meanwhile, it would take the interpreter.
        spins = self._spins if threading.get_ident() == self._main_thread else 0
        for other, at in self._others:
            if (words[at] - target) & _WORD >= _HALF:
                for _ in range(spins):
                    if (words[at] - target) & _WORD < _HALF:
                        break
                else:
                    self.wait_until(
                        other, at, lambda word: (word - target) & _WORD < _HALF, what
                    )  # fmt: skip

    def wait_until(
        self, rank: int, at: int, done: Callable[[int], bool], what: Callable[[], str]
    ) -> None:
        """Sleep until the word ``at``, which ``rank`` writes, satisfies ``done``."""
        words, address = self._words, self._region.words_address + 4 * at
        start = time.monotonic()
        warn_at = start + _WARN_AFTER_S
        while True:
            value = words[at]
            if done(value):
                return
            futex.sleep_while(address, value, _LOOK_EVERY_S)
            if words[at] != value:
                continue
            self._check_alive(rank, at, done, what)
            now = time.monotonic()
            if now - start > self.timeout:
                behind = tuple(
                    other
                    for other, word in self._others
                    if (words[word] - self.sequence) & _WORD >= _HALF
                )
                self.give_up(what(), behind if rank in behind else (rank,))
            if now > warn_at:
                _log.warning("%s: waiting for rank %d (%s) for %.0f s", what(), rank,
                             named(self.pids[rank]), now - start)  # fmt: skip
                warn_at = now + _WARN_AFTER_S

    def _check_alive(
        self, rank: int, at: int, done: Callable[[int], bool], what: Callable[[], str]
    ) -> None:
        if aborted := self._region.aborted():
            lost, reason = aborted
            raise PeerLost(lost, self.pids[lost], what(), reason)
        reason = self.gone(rank)
        # The last thing it did may have been what we wait for.
        if reason and not done(self._words[at]):
            self.abort(rank, reason)
            raise PeerLost(rank, self.pids[rank], what(), reason)

    def gone(self, rank: int) -> str:
        """Why nothing will come from ``rank`` any more; empty if something may."""
        self._dead |= {self._pidfds[fd] for fd, _ in self._poll.poll(0)}
        if self._words[rank * Region.WORD + Region.LEFT]:
            return "it has destroyed its process group"
        return "its process has ended" if rank in self._dead else ""

    def leave(self) -> None:
        """This rank takes part no more."""
        self._words[self._mine + Region.LEFT] = 1
        self._wake_all()
        for pidfd in self._pidfds:
            with contextlib.suppress(OSError):
                os.close(pidfd)
        self._pidfds.clear()

    def give_up(self, what: str, ranks: tuple[int, ...]) -> NoReturn:
        """Break the group because these ranks did not come in time."""
        who = ", ".join(f"{rank} ({named(self.pids[rank])})" for rank in ranks)
        message = f"{what}: rank {who} did not join within {self.timeout:g} s"
        self.abort(self._rank, f"gave up: {message}")
        raise CollectiveTimeout(message, ranks)

    def check(self, what: Callable[[], str]) -> None:
        """Refuse to begin anything in a broken group."""
        if aborted := self._region.aborted():
            lost, reason = aborted
            raise PeerLost(lost, self.pids[lost], what(), reason)

    def abort(self, rank: int, reason: str) -> None:
        """Break the group for everybody because of ``rank``."""
        self._region.abort(rank, reason)
        self._wake_all()

    def _wake_all(self) -> None:
        for rank in range(len(self.pids)):
            for word in (0, Region.POSTED, Region.TAKEN):
                futex.wake(self._region.words_address + 4 * (rank * Region.WORD + word))
