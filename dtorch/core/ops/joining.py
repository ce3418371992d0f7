"""Tensors put together to larger ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.dtype import from_numpy_dtype, result_dtype
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.op import composite, structured
from dtorch.core.ops.view import narrow, unsqueeze
from dtorch.core.shapes import normalize_dim


@structured(tensors=("tensors",), method=False, aliases={"inputs": "tensors", "dimension": "dim"})
def cat(xp: Any, tensors: Any, dim: int = 0) -> Any:
    """Tensors one after the other along ``dim``; other sizes must agree.

    Dtypes are promoted; empty 1-D tensors are skipped, as they always were.

    Raises:
        ArgumentError: no tensors.
        ShapeError: sizes differ in another dimension.
    """
    if not tensors:
        raise ArgumentError("cat: got no tensors, expected at least one")
    kept = [t for t in tensors if t.shape != (0,)] or list(tensors)
    dim = normalize_dim("cat", dim, kept[0].ndim)
    first = kept[0].shape
    for position, t in enumerate(kept):
        if (
            t.ndim != len(first)
            or t.shape[:dim] + t.shape[dim + 1 :] != first[:dim] + first[dim + 1 :]
        ):
            raise ShapeError(
                f"cat: tensor {position} has shape {t.shape}, expected {first} but for dim {dim}"
            )
    if not first:
        raise ShapeError("cat: 0-dim tensors cannot be concatenated; use stack")
    dtypes = {t.dtype for t in tensors}
    if len(dtypes) > 1:
        target = result_dtype([from_numpy_dtype(d) for d in dtypes], [], []).numpy
        kept = [t.astype(target, copy=False) for t in kept]
    return xp.concatenate(kept, dim)


@cat.gradient("tensors")
def _(grad, tensors_shape, dim):
    parts, start = [], 0
    for shape in tensors_shape:
        if shape == (0,) and grad.ndim != 1:
            parts.append(None)
            continue
        size = shape[dim]
        parts.append(narrow(grad, dim, start, size))
        start += size
    return parts


@cat.samples
def _(make):
    yield ([make(2, 3), make(1, 3)],), {}
    yield ([make(2, 3), make(2, 1)], -1), {}
    yield ([make(0), make(2, 3)], 1), {}


@cat.expect
def _(tensors, dim=0):
    return np.concatenate([t for t in tensors if t.shape != (0,)], axis=dim)


@composite(tensors=("tensors",), method=False, aliases={"sequence": "tensors"})
def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors of one shape side by side along a new dim."""
    if not tensors:
        raise ArgumentError("stack: got no tensors, expected at least one")
    first = tuple(tensors[0].shape)
    for position, t in enumerate(tensors):
        if tuple(t.shape) != first:
            raise ShapeError(
                f"stack: tensor {position} has shape {tuple(t.shape)}, expected {first}"
            )
    place = normalize_dim("stack", dim, len(first) + 1)
    return cat([unsqueeze(t, place) for t in tensors], place)


@stack.samples
def _(make):
    yield ([make(2, 3), make(2, 3)],), {}
    yield ([make(2, 3), make(2, 3)], -1), {}
    yield ([make(), make()],), {}


@stack.expect
def _(tensors, dim=0):
    return np.stack(tensors, dim)
