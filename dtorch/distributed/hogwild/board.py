"""What all processes of a Hogwild run see at once: whether to stop, and how far each worker is."""

from __future__ import annotations

from dtorch.core.creation import zeros
from dtorch.core.dtype import int64
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing.atomics import atomic_load, atomic_store, futex_wait, futex_wake

_LINE = 8  # words; each worker counts on a cache line of its own
_GATE, _STOP = 0, 1
_LOOK_EVERY_S = 0.1


class Board:
    """Words in shared memory, each with one writer.

    Args:
        words: shared int64 tensor of ``Board.size(workers)`` zeros.
    """

    def __init__(self, words: Tensor) -> None:
        self.words = words
        self._at = words.data_ptr()

    @classmethod
    def create(cls, workers: int) -> Board:
        """A board in new shared memory."""
        return cls(zeros(_LINE * (workers + 1), dtype=int64).share_memory_())

    def reset(self) -> None:
        """As it was when it was new; while there are no workers."""
        self.words.zero_()

    def open_gate(self) -> None:
        """Let the workers begin."""
        atomic_store(self._at + 8 * _GATE, 1)
        futex_wake(self._at + 8 * _GATE)

    def wait_at_gate(self) -> None:
        """Until it is opened, or everything is to stop."""
        while not (atomic_load(self._at + 8 * _GATE) or self.is_stopping()):
            futex_wait(self._at + 8 * _GATE, 0, _LOOK_EVERY_S)

    def stop(self) -> None:
        """Ask all workers to finish the step they are in."""
        atomic_store(self._at + 8 * _STOP, 1)

    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return atomic_load(self._at + 8 * _STOP) != 0

    def steps(self, rank: int) -> int:
        """Steps that a worker has done."""
        return atomic_load(self._line(rank))

    def set_steps(self, rank: int, steps: int) -> None:
        """Called by that worker alone."""
        atomic_store(self._line(rank), steps)

    def _line(self, rank: int) -> int:
        return self._at + 8 * _LINE * (rank + 1)
