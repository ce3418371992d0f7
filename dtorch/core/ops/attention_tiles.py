"""Attention in tiles: what the compiled kernels equal.

Weights are formed for a few keys at a time and never kept, so memory grows with the length of the
sequences and not with its square. The forward pass leaves for each row the logarithm of the sum of
its exponentials, from which the backward pass forms the weights again.

Reference: Dao et al. 2022, arXiv:2205.14135.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtorch.core import backend, meta
from dtorch.core.arrays import Array, ArrayModule

KEYS_AT_ONCE = 128


class Options(NamedTuple):
    """What a call is told besides its arrays."""

    scale: float
    is_causal: bool
    dropout_p: float
    seed: int


# -- dropout ------------------------------------------------------------------------------------


def philox(counter: list[Any], seed: int) -> list[Any]:
    """Four arrays of random 32-bit words (in uint64) from four of counters: Philox4x32-10.

    Reference: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    low, high = seed & 0xFFFFFFFF, seed >> 32
    word = np.uint64(0xFFFFFFFF)
    c = [np.asarray(part, np.uint64) for part in counter]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        shift = np.uint64(32)
        c = [(b >> shift) ^ c[1] ^ np.uint64(low), b & word,
             (a >> shift) ^ c[3] ^ np.uint64(high), a & word]  # fmt: skip
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return c


def dropout_factors(lead: tuple[int, ...], rows: int, keys: range, options: Options) -> Any:
    """Zeros and ``1 / (1 - p)`` for the weights of all rows and of some keys, ``(*lead, rows, keys)``.

    A weight's word depends on its place and the seed alone, so it does not matter who asks when.
    """
    p = options.dropout_p
    batches = np.arange(int(np.prod(lead, dtype=int)), dtype=np.uint64)[:, None, None]
    k = np.arange(keys.start, keys.stop, dtype=np.uint64)
    row = np.arange(rows, dtype=np.uint64)[:, None]
    words = philox(
        [k // 128 * 32 + k % 32, row, batches & np.uint64(0xFFFFFFFF), batches >> np.uint64(32)],
        options.seed,
    )
    chosen = np.choose((k % 128 // 32).astype(np.intp), words)
    below = 2**32 - 1 if p == 1 else int(p * 2.0**32)
    kept = 0.0 if p == 1 else 1 / (1 - p)
    return np.where(chosen < below, 0.0, kept).reshape(*lead, rows, len(keys))


# -- tile by tile -------------------------------------------------------------------------------


def _tiles(keys: int) -> list[range]:
    return [range(k, min(k + KEYS_AT_ONCE, keys)) for k in range(0, keys, KEYS_AT_ONCE)]


def _swapped(array: Array) -> Any:
    return array.swapaxes(-1, -2)


def _scores(
    xp: ArrayModule, query: Any, key: Any, mask: Any, tile: range, options: Options, total: int
) -> Any:
    """Scaled and masked scores of some keys, ``(*, L, keys)``."""
    kind = query.dtype.type
    scores = backend.matmul(query, _swapped(key[..., tile.start : tile.stop, :])) * kind(
        options.scale
    )
    if mask is not None:
        part = mask if mask.shape[-1] != total else mask[..., tile.start : tile.stop]
        if part.dtype == np.bool_:
            scores = xp.where(part, scores, kind(-np.inf))
        else:
            scores += part
    if options.is_causal:
        later = xp.arange(tile.start, tile.stop) > xp.arange(query.shape[-2])[:, None]
        scores[..., later] = -np.inf
    return scores


def _factors(xp: ArrayModule, scores: Any, tile: range, options: Options) -> Any:
    *lead, rows, _ = scores.shape
    factors = dropout_factors(tuple(lead), rows, tile, options)
    return xp.asarray(factors.astype(scores.dtype))


def forward(
    xp: ArrayModule, query: Any, key: Any, value: Any, mask: Any, options: Options
) -> tuple[Any, Any]:
    """Result and logarithms of the sums, of arrays with the same dims before the last two."""
    kind, lead = query.dtype, query.shape[:-1]
    if xp is meta.module:
        return xp.empty((*lead, value.shape[-1]), kind), xp.empty((*lead, 1), kind)
    out = xp.zeros((*lead, value.shape[-1]), kind)
    tops, sums = xp.full((*lead, 1), -np.inf, kind), xp.zeros((*lead, 1), kind)
    for tile in _tiles(key.shape[-2]):
        scores = _scores(xp, query, key, mask, tile, options, key.shape[-2])
        new = xp.maximum(tops, scores.max(-1, keepdims=True))
        shift = xp.where(xp.isneginf(new), kind.type(0), new)
        scores = xp.exp(scores - shift)
        factor = xp.exp(tops - shift)
        sums = sums * factor + scores.sum(-1, keepdims=True)
        tops = new
        if options.dropout_p:
            scores *= _factors(xp, scores, tile, options)
        out *= factor
        out += backend.matmul(scores, value[..., tile.start : tile.stop, :])
    empty = sums == 0
    out /= xp.where(empty, kind.type(1), sums)
    return out, xp.where(empty, kind.type(np.inf), tops + xp.log(xp.where(empty, 1, sums)))


def backward(
    xp: ArrayModule, grad: Any, query: Any, key: Any, value: Any, mask: Any, options: Options, out:
    Any, log_sums: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Gradients of query, key and value, of the sizes of these arrays."""
    d_query = xp.zeros(query.shape, query.dtype)
    d_key, d_value = xp.empty(key.shape, key.dtype), xp.empty(value.shape, value.dtype)
    if xp is meta.module:
        return d_query, d_key, d_value
    products = (grad * out).sum(-1, keepdims=True)
    for tile in _tiles(key.shape[-2]):
        at = (..., slice(tile.start, tile.stop), slice(None))
        weights = _scores(xp, query, key, mask, tile, options, key.shape[-2])
        weights = xp.exp(weights - log_sums)
        slopes = backend.matmul(grad, _swapped(value[at]))
        dropped = weights
        if options.dropout_p:
            factors = _factors(xp, weights, tile, options)
            slopes *= factors
            dropped = weights * factors
        slopes -= products
        slopes *= weights
        slopes *= query.dtype.type(options.scale)
        d_value[at] = backend.matmul(_swapped(dropped), grad)
        d_key[at] = backend.matmul(_swapped(slopes), query)
        d_query += backend.matmul(slopes, key[at])
    return d_query, d_key, d_value
