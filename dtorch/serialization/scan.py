"""A look over a pickle before it is executed.

The compiled unpickler trusts the numbers in its input: one flipped bit in the index of a memo
entry makes it allocate gigabytes. Here only the codes that checkpoints need pass, with indices and
lengths that fit the size of the pickle.
"""

from __future__ import annotations

import functools
import re

from dtorch.serialization.errors import CheckpointError

# Codes without an argument: stop aside, all that build numbers, texts, containers and calls.
_PLAIN = rb"[()\]}02aebstuldNQR\x81\x85-\x89\x8f\x90\x91\x93\x94]"
# code -> bytes of the length that stands after it
_COUNTED = {
    ord("X"): 4, ord("\x8c"): 1, ord("U"): 1, ord("T"): 4, ord("B"): 4, ord("C"): 1,
    ord("\x8a"): 1, ord("\x8d"): 8, ord("\x8e"): 8,
}  # fmt: skip
_SHORT = 32  # texts below this length are passed over by the pattern, which is quick
_STOP, _GLOBAL, _FRAME = ord("."), ord("c"), ord("\x95")


def pickle_end(data: bytes | memoryview, whole: bool = True) -> int | None:
    """Where the pickle at the start of ``data`` ends.

    Args:
        whole: there is nothing after ``data``; else a pickle that goes on beyond it gives None.

    Raises:
        CheckpointError: a code that no checkpoint needs, or a number beyond the pickle's size.
    """
    data = bytes(data)
    skip, size, at = _skip(len(data)), len(data), 0
    while at < size:
        at = skip.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if at == size:
            break
        code = data[at]
        if code == _STOP:
            return at + 1
        if code in _COUNTED:
            start = at + 1 + _COUNTED[code]
            at = start + int.from_bytes(data[at + 1 : start], "little")
        elif code == _GLOBAL:
            newline = data.find(b"\n", data.find(b"\n", at) + 1)
            at = newline + 1 if newline > 0 else size
        elif code == _FRAME:
            at += 9
        elif whole or at + 16 < size:
            raise CheckpointError(
                f"pickle: code {bytes((code,))!r} at byte {at} of {size} is not one that a "
                "checkpoint needs, or its number is out of range; the file is damaged or hostile"
            )
        else:
            break
    if whole:
        raise CheckpointError(f"pickle: it has no end within its {size} bytes; the file is cut off")
    return None


def _skip(size: int) -> re.Pattern[bytes]:
    """Matches a run of codes whose length is fixed, and of short texts."""
    # A memo index has four bytes, lowest first; it counts values, so it is below the size.
    return _pattern(size >> 24, (size >> 16) & 0xFF if size < 1 << 24 else 0xFF)


@functools.lru_cache(maxsize=64)
def _pattern(top: int, middle: int) -> re.Pattern[bytes]:
    """With these as the largest values of the two high bytes of a memo index."""
    index = rb"[rj][\s\S]{2}" + _up_to(middle) + _up_to(top)
    texts = b"|".join(re.escape(b"%c\0\0\0" % n) + rb"[\s\S]{%d}" % n for n in range(_SHORT))
    fixed = (
        rb"(?:"
        + _PLAIN
        + rb"++|[Kqh\x80\x82][\s\S]|X(?:"
        + texts
        + rb")|M[\s\S]{2}|J[\s\S]{4}|G[\s\S]{8}|"
        + index
        + rb")*+"
    )
    return re.compile(fixed)


def _up_to(value: int) -> bytes:
    return b"[\\x00-\\x%02x]" % value
