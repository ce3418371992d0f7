"""``torch._utils``, as far as programs import it: gradients of many tensors sent as one.

>>> import dtorch
>>> tensors = [dtorch.ones(2), dtorch.zeros(1, 2)]
>>> flat = _flatten_dense_tensors(tensors)
>>> flat.tolist()
[1.0, 1.0, 0.0, 0.0]
>>> [tuple(t.shape) for t in _unflatten_dense_tensors(flat, tensors)]
[(2,), (1, 2)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate as _accumulate

from dtorch.core.functions import cat
from dtorch.core.tensor import Tensor

__all__ = [
    "_accumulate", "_flatten_dense_tensors", "_take_tensors", "_unflatten_dense_tensors",
]  # fmt: skip


def _flatten_dense_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """The elements of all tensors in one vector."""
    return cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Views of a vector, in the shapes of ``tensors``."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))


def _take_tensors(tensors: Iterable[Tensor], size_limit: int) -> Iterator[list[Tensor]]:
    """Groups of tensors of one dtype, each of at most ``size_limit`` bytes, or of one tensor."""
    groups: dict[str, list[Tensor]] = {}
    sizes: dict[str, int] = {}
    for tensor in tensors:
        kind = tensor.type()
        if sizes.get(kind, 0) + tensor.nbytes > size_limit and groups.get(kind):
            yield groups.pop(kind)
            sizes[kind] = 0
        groups.setdefault(kind, []).append(tensor)
        sizes[kind] = sizes.get(kind, 0) + tensor.nbytes
    yield from groups.values()
