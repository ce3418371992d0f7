"""What each rank calls, and where: a few bytes by which ranks that disagree find out."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Sequence
from contextvars import ContextVar

HEADER_NBYTES = 1024
_LENGTHS = struct.Struct("<HH")  # of description and call site
_TEXT_AT = _LENGTHS.size
_LONGEST_TEXT = (HEADER_NBYTES - _TEXT_AT) // 2
_INTERNAL = ("dtorch.", "contextlib")
# Where the collective was asked for that runs in this thread, if another thread asked.
asked_at: ContextVar[str] = ContextVar("asked_at", default="")


def write_header(header: memoryview, description: str) -> None:
    """Write what this rank calls, and where it does."""
    text = description.encode()[:_LONGEST_TEXT]
    site = (asked_at.get() or call_site()).encode(errors="replace")[:_LONGEST_TEXT]
    _LENGTHS.pack_into(header, 0, len(text), len(site))
    end = _TEXT_AT + len(text)
    header[_TEXT_AT:end] = text
    header[end : end + len(site)] = site


def find_disagreement(headers: Sequence[memoryview]) -> str:
    """Who called something else than rank 0; empty if nobody did."""
    first = _description_of(headers[0])
    for rank, header in enumerate(headers):
        if _description_of(header) != first:
            return f"rank {rank} called {_read(header)}, rank 0 called {_read(headers[0])}"
    return ""


def _description_of(header: memoryview) -> memoryview:
    return header[_TEXT_AT : _TEXT_AT + _LENGTHS.unpack_from(header)[0]]


def _read(header: memoryview) -> str:
    description, site = _LENGTHS.unpack_from(header)
    end = _TEXT_AT + description
    text = bytes(header[_TEXT_AT : end + site]).decode(errors="replace")
    return f"{text[:description]} at {text[description:]}"


def call_site() -> str:
    """File and line outside of dtorch that asked for the collective."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_INTERNAL):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
