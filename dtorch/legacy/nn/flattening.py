"""Tensors made to lie in one piece of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dtorch.core.creation import empty
from dtorch.core.errors import DtypeError
from dtorch.core.tensor import Tensor


@dataclass
class _Piece:
    """Elements ``start`` to ``stop`` of a storage, and the tensors that lie there."""

    storage: int  # address of its memory
    start: int
    stop: int
    place: int  # of the first of its tensors among all
    tensors: list[Any]


def flatten(tensors: list[Any]) -> Any:
    """One tensor of one dim for the memory of all of these, which become views of it.

    Tensors that overlap still do, so that each element is there once.

    Raises:
        DtypeError: they are of several types.
    """
    tensors = [tensor for tensor in tensors if tensor is not None and tensor.numel()]
    if not tensors:
        return empty(0)
    types = sorted({str(tensor.type()) for tensor in tensors})
    if len(types) > 1:
        raise DtypeError(f"flattenParameters: parameters are of {types}, expected one type for all")
    pieces = _joined([_piece(tensor, place) for place, tensor in enumerate(tensors)])
    flat = tensors[0].new(sum(piece.stop - piece.start for piece in pieces))
    at = 0
    for piece in pieces:
        _move(piece, flat, at)
        at += piece.stop - piece.start
    return flat


def _piece(tensor: Tensor, place: int) -> _Piece:
    start = tensor.storage_offset()
    reach = sum((n - 1) * step for n, step in zip(tensor.size(), tensor.stride(), strict=True))
    return _Piece(tensor.storage().data_ptr(), start, start + reach + 1, place, [tensor])


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Those that overlap made one, in the order in which their first tensors came."""
    found: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: (piece.storage, piece.start)):
        last = found[-1] if found else piece
        if last is not piece and last.storage == piece.storage and piece.start < last.stop:
            last.stop = max(last.stop, piece.stop)
            last.place = min(last.place, piece.place)
            last.tensors += piece.tensors
        else:
            found.append(piece)
    return sorted(found, key=lambda piece: piece.place)


def _move(piece: _Piece, flat: Tensor, at: int) -> None:
    size = piece.stop - piece.start
    old = piece.tensors[0].storage()
    flat[at : at + size].copy_(flat.new().set_(old, piece.start, (size,), (1,)))
    # All offsets first: the same tensor may be there twice.
    offsets = [at + tensor.storage_offset() - piece.start for tensor in piece.tensors]
    for tensor, offset in zip(piece.tensors, offsets, strict=True):
        tensor.set_(flat.storage(), offset, tensor.size(), tensor.stride())
