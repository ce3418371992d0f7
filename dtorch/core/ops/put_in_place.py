"""A tensor in the place of a part of another one; the results are new tensors."""

from __future__ import annotations

from typing import Any

from dtorch.core.composites import composite
from dtorch.core.errors import ShapeError


def _placed(name: str, input: Any, src: Any, part_of: Any) -> Any:
    out = input.clone()
    part = part_of(out)
    if part.shape != src.shape:
        raise ShapeError(
            f"{name}: src has shape {tuple(src.shape)}, expected {tuple(part.shape)}, that of the "
            "part it is put in place of"
        )
    part.copy_(src)
    return out


@composite(tensors=("input", "src"), has_out=False)
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """``input`` with ``src`` in place of ``input.select(dim, index)``."""
    return _placed("select_scatter", input, src, lambda out: out.select(dim, index))


@composite(tensors=("input", "src"), has_out=False)
def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Any:  # fmt: skip
    """``input`` with ``src`` in place of its elements from ``start`` to ``end`` along ``dim``."""
    place = (slice(None),) * (dim % input.ndim)
    return _placed("slice_scatter", input, src, lambda out: out[(*place, slice(start, end, step))])


@composite(tensors=("input", "src"), has_out=False)
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """``input`` with ``src`` in place of ``input.diagonal(offset, dim1, dim2)``."""
    return _placed(
        "diagonal_scatter", input, src, lambda out: out.diagonal(offset, dim1, dim2)
    )  # fmt: skip


@select_scatter.samples
def _(make):
    yield (make(3, 4), make(3), 1, 2), {}
    yield (make(3, 4), make(4), 0, -1), {}


@select_scatter.expect
def _(input, src, dim, index):
    out = input.copy()
    out[(slice(None),) * dim + (index,)] = src
    return out


@slice_scatter.samples
def _(make):
    yield (make(5, 4), make(2, 4), 0, 1, 3), {}
    yield (make(5, 4), make(5, 2), 1, None, None, 2), {}


@slice_scatter.expect
def _(input, src, dim=0, start=None, end=None, step=1):
    out = input.copy()
    out[(slice(None),) * dim + (slice(start, end, step),)] = src
    return out


@diagonal_scatter.samples
def _(make):
    yield (make(3, 4), make(3)), {}
    yield (make(3, 4), make(2), -1), {}


@diagonal_scatter.expect
def _(input, src, offset=0):
    out = input.copy()
    for i, value in enumerate(src):
        out[i - min(offset, 0), i + max(offset, 0)] = value
    return out
