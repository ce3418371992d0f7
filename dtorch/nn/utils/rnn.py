"""Sequences of different lengths, padded to a rectangle or packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.base import TensorBase, wrap
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.functions import cat, index_select
from dtorch.core.tensor import Tensor


class _PackedFields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_PackedFields):
    """Sequences without padding: all first elements, then all second ones, and so on.

    Attributes:
        data: ``(sum of lengths, *)``.
        batch_sizes: how many sequences reach each step; int64.
        sorted_indices: which sequence stands at each place of the batch; None if none moved.
        unsorted_indices: at which place each sequence stands.

    Example:
        >>> import dtorch
        >>> packed = pack_sequence([dtorch.tensor([1, 2, 3]), dtorch.tensor([4])])
        >>> packed.data.tolist(), packed.batch_sizes.tolist()
        ([1, 4, 2, 3], [2, 1, 1])
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None and isinstance(data, (tuple, list)):
            data, batch_sizes = data  # as pickles of before 1.1 have it
        if batch_sizes is None:
            raise ArgumentError("PackedSequence: batch_sizes are missing")
        if not isinstance(batch_sizes, TensorBase):
            batch_sizes = wrap(np.asarray(batch_sizes, np.int64))
        if sorted_indices is not None and unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _map(self, change: Any) -> PackedSequence:
        data = change(self.data)
        return self if data is self.data else type(self)(data, *self[1:])

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Convert the data as ``Tensor.to``."""
        return self._map(lambda data: data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """Move the data to the CPU."""
        return self._map(lambda data: data.cpu())

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Move the data to a CUDA device."""
        return self._map(lambda data: data.cuda(*args, **kwargs))

    def double(self) -> PackedSequence:
        """Convert the data to float64."""
        return self._map(Tensor.double)

    def float(self) -> PackedSequence:
        """Convert the data to float32."""
        return self._map(Tensor.float)

    def half(self) -> PackedSequence:
        """Convert the data to float16."""
        return self._map(Tensor.half)

    def long(self) -> PackedSequence:
        """Convert the data to int64."""
        return self._map(Tensor.long)

    def int(self) -> PackedSequence:
        """Convert the data to int32."""
        return self._map(Tensor.int)

    def short(self) -> PackedSequence:
        """Convert the data to int16."""
        return self._map(Tensor.short)

    def char(self) -> PackedSequence:
        """Convert the data to int8."""
        return self._map(Tensor.char)

    def byte(self) -> PackedSequence:
        """Convert the data to uint8."""
        return self._map(Tensor.byte)

    def pin_memory(self) -> PackedSequence:
        """Pin the memory of the data; nothing where there is no card."""
        return self._map(lambda data: data.pin_memory())

    def is_pinned(self) -> bool:
        """Whether the memory of the data is pinned."""
        return self.data.is_pinned()

    @property
    def is_cuda(self) -> bool:
        """Whether the data lie on a CUDA device."""
        return self.data.is_cuda


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes one; None for None.

    Example:
        >>> import dtorch
        >>> invert_permutation(dtorch.tensor([2, 0, 1])).tolist()
        [1, 2, 0]
    """
    if permutation is None:
        return None
    order = permutation.array
    inverse = np.empty_like(order)
    inverse[order] = np.arange(order.size)
    return wrap(inverse)


def _lengths_of(lengths: Any, batch: int) -> np.ndarray:
    array = lengths.array if isinstance(lengths, TensorBase) else np.asarray(lengths)
    array = np.atleast_1d(array).astype(np.int64)
    if not batch:
        raise ArgumentError("pack_padded_sequence: the batch is empty, expected sequences")
    if array.shape != (batch,):
        raise ShapeError(
            f"pack_padded_sequence: {array.size} lengths for a batch of {batch} sequences"
        )
    if array.size and int(array.min()) < 1:
        raise ArgumentError(
            f"pack_padded_sequence: a length is {int(array.min())}, expected at least 1"
        )
    return array


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leave the padding out.

    Args:
        input: ``(T, N, *)``, or with ``batch_first`` ``(N, T, *)``.
        lengths: of the N sequences, each at least 1.
        enforce_sorted: complain unless the longest come first; False sorts them.

    Example:
        >>> import dtorch
        >>> padded = dtorch.tensor([[1, 2, 3], [4, 0, 0]])
        >>> pack_padded_sequence(padded, [3, 1], batch_first=True).data.tolist()
        [1, 4, 2, 3]
    """
    lengths_given = lengths
    batch = input.shape[0 if batch_first else 1]
    array = _lengths_of(lengths_given, batch)
    order = None
    if enforce_sorted:
        if (np.diff(array) > 0).any():
            raise LengthOrderError(
                f"pack_padded_sequence: lengths {array.tolist()} are not in descending order; sort "
                "the sequences, or pass enforce_sorted=False"
            )
    else:
        order = wrap(np.argsort(-array, kind="stable"))
        array = array[order.array]
        input = index_select(input, 0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    steps = input.shape[0]
    longest = int(array[0]) if array.size else 0
    if longest > steps:
        raise ArgumentError(
            f"pack_padded_sequence: the longest sequence has {longest} elements, the input {steps}"
        )
    sizes = (array > np.arange(longest)[:, None]).sum(1)
    flat = input.reshape((-1, *input.shape[2:]))
    rows = np.concatenate([np.arange(n) + t * batch for t, n in enumerate(sizes)])
    data = index_select(flat, 0, wrap(rows))
    return PackedSequence(data, wrap(sizes.astype(np.int64)), order)


class LengthOrderError(ArgumentError, RuntimeError):
    """Lengths are not in descending order."""


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Put the padding in again.

    Args:
        total_length: pad to this length. Default: the longest sequence.
    Returns: ``(T, N, *)`` (with ``batch_first`` ``(N, T, *)``), and the lengths.

    Example:
        >>> import dtorch
        >>> packed = pack_sequence([dtorch.tensor([1, 2, 3]), dtorch.tensor([4])])
        >>> padded, lengths = pad_packed_sequence(packed, batch_first=True)
        >>> padded.tolist(), lengths.tolist()
        ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    sizes = sequence.batch_sizes.array
    steps, batch = sizes.size, int(sizes[0])
    if total_length is not None:
        if total_length < steps:
            raise ArgumentError(
                f"pad_packed_sequence: total_length is {total_length}, the longest sequence has "
                f"{steps} elements"
            )
        steps = total_length
    starts = np.concatenate(([0], np.cumsum(sizes)))
    # Padding is one more row, to which all places without an element point.
    place = np.full((steps, batch), int(starts[-1]), np.int64)
    for t, n in enumerate(sizes):
        place[t, :n] = starts[t] + np.arange(n)
    data = sequence.data
    filler = wrap(np.full((1, *data.shape[1:]), padding_value, data.array.dtype))
    lengths = (place < starts[-1]).sum(0)
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices.array
        place, lengths = place[:, back], lengths[back]
    if batch_first:
        place = place.T
    out = index_select(cat([data, filler], 0), 0, wrap(place.reshape(-1)))
    return out.reshape((*place.shape, *data.shape[1:])), wrap(lengths.astype(np.int64))


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Any:  # fmt: skip
    """Sequences ``(L, *)`` of different lengths as one tensor.

    Args:
        padding_side: ``"right"`` or ``"left"``.
    Returns: ``(T, N, *)``, or with ``batch_first`` ``(N, T, *)``.

    Example:
        >>> import dtorch
        >>> pad_sequence([dtorch.tensor([1, 2, 3]), dtorch.tensor([4])], batch_first=True).tolist()
        [[1, 2, 3], [4, 0, 0]]
    """
    if padding_side not in ("left", "right"):
        raise ArgumentError(
            f"pad_sequence: padding_side is {padding_side!r}, expected 'left' or 'right'"
        )
    parts = list(sequences)
    if not parts:
        raise ArgumentError("pad_sequence: got no sequences")
    longest = max(p.shape[0] for p in parts)
    padded = []
    for p in parts:
        missing = longest - p.shape[0]
        if missing:
            filler = wrap(np.full((missing, *p.shape[1:]), padding_value, p.array.dtype))
            p = cat([p, filler] if padding_side == "right" else [filler, p], 0)
        padded.append(p.unsqueeze(0 if batch_first else 1))
    return cat(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of which `pad_sequence` made a tensor.

    Example:
        >>> import dtorch
        >>> padded = dtorch.tensor([[1, 2], [4, 0]])
        >>> unpad_sequence(padded, dtorch.tensor([2, 1]), batch_first=True)
        [tensor([1, 2]), tensor([4])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences ``(L, *)`` packed, the longest first (``enforce_sorted=False`` sorts them).

    Raises:
        ValueError: lengths that do not descend, with ``enforce_sorted``.

    Example:
        >>> import dtorch
        >>> pack_sequence([dtorch.tensor([1, 2, 3]), dtorch.tensor([4])]).data.tolist()
        [1, 4, 2, 3]
    """
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences of which `pack_sequence` made one.

    Example:
        >>> import dtorch
        >>> unpack_sequence(pack_sequence([dtorch.tensor([1, 2, 3]), dtorch.tensor([4])]))
        [tensor([1, 2, 3]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
