"""What loading a file may take: memory for what is made of it, time for hashing its keys."""

from __future__ import annotations

import reprlib
from typing import Any

from dtorch.serialization.errors import CheckpointError

_TIMES, _AT_LEAST = 64, 4 << 20
_DEEPEST = 100  # tuples within a key
_ALIKE = 64  # keys of one container with one hash
_DISTINCT = 1 << 61  # ints below have hashes of their own


class Room:
    """How many bytes more the objects in a file may take, beyond what they take in the file.

    Args:
        nbytes: size of the file.
    """

    def __init__(self, nbytes: float) -> None:
        self._left = nbytes * _TIMES + _AT_LEAST
        self._nbytes = nbytes

    def charge(self, nbytes: int) -> None:
        """Something is made that takes this much.

        Raises:
            CheckpointError: there is no room for it.
        """
        self._left -= nbytes
        if self._left < 0:
            raise CheckpointError(
                f"load: the file asks for far more than its {self._nbytes} bytes can hold; it is "
                "damaged or hostile"
            )


class Keys:
    """Looks at what is to be hashed.

    Tuples that have each other twice again and again take exponential time to hash, deep ones
    overrun the stack, and keys that all have one hash take quadratic time to compare.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        # By container, which is kept: another one must not get its id.
        self._hashes: dict[int, tuple[Any, dict[int, int]]] = {}

    def check(self, container: Any, keys: Any) -> None:
        """Refuse keys that a container must not get.

        Args:
            container: where they go; None for one that gets no others.
        Raises:
            CheckpointError: they would take too long.
            TypeError: one has no hash.
        """
        counts: dict[int, int] | None = None
        for key in keys:
            kind = type(key)
            if kind is str or (kind is int and -_DISTINCT < key < _DISTINCT) or key is None:
                continue
            self._check_size(key)
            if counts is None:
                counts = {} if container is None else self._counts(container)
            value = hash(key)
            counts[value] = counts.get(value, 0) + 1
            if counts[value] > _ALIKE:
                raise CheckpointError("pickle: many keys have one hash; the file is hostile")

    def _counts(self, container: Any) -> dict[int, int]:
        return self._hashes.setdefault(id(container), (container, {}))[1]

    def _check_size(self, key: Any) -> None:
        level = [key]
        for _ in range(_DEEPEST):
            inner: list[Any] = []
            for item in level:
                if isinstance(item, (tuple, frozenset)):
                    self._room.charge(8 * len(item) + 8)
                    inner.extend(item)
                    if isinstance(item, frozenset) and any(map(_has_items, item)):
                        raise CheckpointError("pickle: a key is a set of sets or tuples")
            if not inner:
                return
            level = inner
        raise CheckpointError(f"pickle: a key has tuples within tuples, more than {_DEEPEST} deep")


def _has_items(item: Any) -> bool:
    return isinstance(item, (tuple, frozenset))


def shown(value: Any) -> str:
    """A value from a file, for a message: whatever it is, in few characters and little time."""
    if isinstance(value, (str, bytes)):
        return reprlib.repr(value)
    if value is None or isinstance(value, (bool, float)):
        return repr(value)
    if type(value) is int and value.bit_length() < 100:
        return repr(value)
    return f"an object of type {type(value).__name__}"
