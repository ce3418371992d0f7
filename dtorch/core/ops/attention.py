"""Attention: sums of values, weighted by how well keys fit a query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.generator import draw_seed
from dtorch.core.grad_mode import mode
from dtorch.core.op import structured
from dtorch.core.ops import attention_tiles as tiles
from dtorch.core.ops.attention_tiles import Options
from dtorch.core.ops.composed import recorded_gradients
from dtorch.core.ops.dropout import check_probability
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.reduction import sum
from dtorch.core.ops.repetition import repeat_interleave
from dtorch.core.ops.view import transpose
from dtorch.core.shapes import broadcast_shapes


@structured(tensors=("scores", "bias"), public=False, wide=True)
def masked_softmax(xp: ArrayModule, scores: Array, bias: Array) -> Array:
    """Softmax over the last dim of ``scores + bias``; zeros where all of them are -inf."""
    out = scores + bias if bias is not None else scores.copy()
    if not out.size:
        return out
    top = xp.max(out, axis=-1, keepdims=True)
    if bias is not None:
        top = xp.where(xp.isneginf(top), out.dtype.type(0), top)
    out -= top
    xp.exp(out, out=out)
    total = xp.sum(out, axis=-1, keepdims=True)
    if bias is not None:
        total = xp.where(total == 0, out.dtype.type(1), total)
    out /= total
    return out


@masked_softmax.gradient("scores")
def _(grad, out):
    weighted = grad * out
    return weighted - out * sum(weighted, -1, True)


@masked_softmax.gradient("bias")
def _(grad, out):
    weighted = grad * out
    return weighted - out * sum(weighted, -1, True)


def as_bias(name: str, mask: Any, kind: Any) -> Any:
    """A mask as numbers to add: a bool one is True where attention is allowed.

    Raises:
        ArgumentError: a mask of another dtype.
    """
    array = mask._array
    if array.dtype == np.bool_:
        return wrap(np.where(array, kind.type(0), kind.type(-np.inf)))
    if array.dtype.kind not in "fV":
        raise ArgumentError(f"{name}: attn_mask is {mask.dtype}, expected bool or floating point")
    return mask if array.dtype == kind else mask.to(kind)


def causal_bias(rows: int, columns: int, kind: Any) -> Any:
    """-inf where a query would look at a later key."""
    later = np.arange(columns) > np.arange(rows)[:, None]
    return wrap(np.where(later, kind.type(-np.inf), kind.type(0)))


def plain_attention(query: Any, key: Any, value: Any, mask: Any, options: Options) -> Any:
    """Attention as elementary operations, with all weights in memory; see `tiled_attention`."""
    kind = query._array.dtype
    bias = None if mask is None else as_bias("attention", mask, kind)
    if options.is_causal:
        later = causal_bias(query.shape[-2], key.shape[-2], kind)
        bias = later if bias is None else bias + later
    scores = matmul(query * options.scale, transpose(key, -2, -1))
    weights = masked_softmax(scores, bias)
    if options.dropout_p:
        *lead, rows, keys = weights.shape
        factors = tiles.dropout_factors(tuple(lead), rows, range(keys), options)
        weights = weights * wrap(factors.astype(kind))
    return matmul(weights, value)


def stacked(xp: ArrayModule, query: Any, key: Any, value: Any, mask: Any) -> Any:
    """The arrays with the same dims before the last two, not copied."""
    lead = np.broadcast_shapes(
        query.shape[:-2], key.shape[:-2], value.shape[:-2], () if mask is None else mask.shape[:-2]
    )
    arrays = [xp.broadcast_to(a, (*lead, *a.shape[-2:])) for a in (query, key, value)]
    if mask is not None:
        mask = xp.broadcast_to(mask, (*lead, query.shape[-2], key.shape[-2]))
    return (*arrays, mask)


@structured(
    tensors=("query", "key", "value", "mask"), outputs=("out", "log_sums"), returns=1,
    public=False, wide=True,
)  # fmt: skip
def tiled_attention(
    xp: ArrayModule, query: Array, key: Array, value: Array, mask: Array, options: Options
) -> tuple[Any, Any]:
    """Attention of checked operands; a mask is bool or of their dtype, and has no gradient.

    Reference: Dao et al. 2022, arXiv:2205.14135.
    """
    q, k, v, m = stacked(xp, query, key, value, mask)
    return tiles.forward(xp, q, k, v, m, options)


@tiled_attention.gradient("query", "key", "value")
def _(grad, query, key, value, mask, options, out, log_sums):
    if isinstance(grad, TensorBase):
        return recorded_gradients(
            lambda q, k, v: plain_attention(q, k, v, mask, options),
            (query, key, value),
            (grad,),
        )
    xp = backend.array_module(grad)
    q, k, v, m = stacked(xp, query, key, value, mask)
    return tiles.backward(xp, grad, q, k, v, m, options, out, log_sums)


@tiled_attention.samples
def _(make):
    n, width = make.size(3, 150), make.size(4, 64)
    shape = (2, 2, n, width)
    mask = make.constant(n, n)
    for given, options in (
        (None, Options(0.5, True, 0.0, 0)),
        (None, Options(0.5, False, 0.3, 7)),
        (mask, Options(0.5, False, 0.0, 0)),
        (mask > -0.9, Options(0.5, False, 0.0, 0)),
    ):
        yield (make(*shape), make(*shape), make(*shape), given, options), {}


def attend(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: float
) -> Any:
    """Attention of checked operands, in tiles unless the mask wants a gradient: that is as large
    as all weights."""
    seed = draw_seed() if dropout_p else 0
    options = Options(float(scale), bool(is_causal), float(dropout_p), seed)
    if mask is not None and mask._mode == REQUIRES_GRAD and mode.enabled:
        return plain_attention(query, key, value, mask, options)
    return tiled_attention(query, key, value, mask, options)


@composite(tensors=("query", "key", "value", "attn_mask"), home="nn")
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """``softmax(scale * query @ key.T + mask) @ value`` over the last two dims.

    The weights are formed tile by tile and never kept: memory grows with the length of the
    sequences, not with its square.

    Args:
        query: ``(*, L, E)``; key: ``(*, S, E)``; value: ``(*, S, V)``; dims before broadcast.
        attn_mask: broadcasts to ``(*, L, S)``; bool, True where attention is allowed, or numbers
            that are added. One that requires grad costs the memory of all weights.
        dropout_p: probability of a weight to be dropped; pass 0 in evaluation.
        is_causal: no query looks at a later key; excludes ``attn_mask``.
        scale: default ``1 / sqrt(E)``.
        enable_gqa: several heads of the query (dim -3) share one of key and value.
    Returns: ``(*, L, V)``; zeros for a query to which all keys are masked.

    Raises:
        ShapeError: sizes that do not fit each other.
        DtypeError: query, key and value of several dtypes, or not of a floating-point one.
        ArgumentError: a mask beside ``is_causal`` or of another dtype; ``dropout_p`` outside 0 to 1.

    Example:
        >>> import dtorch
        >>> from dtorch.nn.functional import scaled_dot_product_attention
        >>> q, k, v = dtorch.zeros(1, 2), dtorch.zeros(3, 2), dtorch.tensor([[1.], [2.], [6.]])
        >>> scaled_dot_product_attention(q, k, v)
        tensor([[3.]])

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1; in tiles: Dao et al. 2022,
    arXiv:2205.14135.
    """
    name = "scaled_dot_product_attention"
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if min(len(q), len(k), len(v)) < 2 or q[-1] != k[-1] or k[-2] != v[-2]:
        raise ShapeError(
            f"{name}: query {q}, key {k} and value {v}, expected (*, L, E), (*, S, E), (*, S, V)"
        )
    kind = query._array.dtype
    if kind.kind not in "fV" or not kind == key._array.dtype == value._array.dtype:
        raise DtypeError(
            f"{name}: query is {query.dtype}, key {key.dtype} and value {value.dtype}, expected one "
            "floating-point dtype"
        )
    check_probability(name, dropout_p)
    if enable_gqa:
        key, value = _shared_heads(name, query, key, value)
        k = tuple(key.shape)
    lead = broadcast_shapes(name, q[:-2], k[:-2], tuple(value.shape[:-2]))
    if attn_mask is not None:
        if is_causal:
            raise ArgumentError(f"{name}: is_causal and attn_mask exclude each other")
        if attn_mask._array.dtype != np.bool_:
            attn_mask = as_bias(name, attn_mask, kind)
        broadcast_shapes(name, (*lead, q[-2], k[-2]), tuple(attn_mask.shape))
    factor = 1 / math.sqrt(max(q[-1], 1)) if scale is None else scale
    return attend(query, key, value, attn_mask, dropout_p, is_causal, factor)


def _shared_heads(name: str, query: Any, key: Any, value: Any) -> tuple[Any, Any]:
    heads, shared = query.shape[-3], key.shape[-3]
    if heads % shared or value.shape[-3] != shared:
        raise ShapeError(
            f"{name}: query has {heads} heads, key {shared} and value {value.shape[-3]}; expected "
            "a multiple of equal numbers"
        )
    times = heads // shared
    return repeat_interleave(key, times, -3), repeat_interleave(value, times, -3)


@scaled_dot_product_attention.samples
def _(make):
    yield (make(2, 3, 4), make(2, 5, 4), make(2, 5, 2)), {}
    yield (make(3, 4), make(3, 4), make(3, 4)), {"is_causal": True, "scale": 0.7}
    yield (make(2, 3, 4), make(2, 5, 4), make(2, 5, 2), make(3, 5)), {}
    yield (make(2, 3, 4), make(2, 5, 4), make(2, 5, 2), make(3, 5) > -0.5), {}
    yield (make(1, 4, 3, 2), make(1, 2, 3, 2), make(1, 2, 3, 2)), {"enable_gqa": True}


@scaled_dot_product_attention.expect
def _(query, key, value, attn_mask=None, is_causal=False, scale=None, enable_gqa=False):
    if enable_gqa:
        key, value = np.repeat(key, 2, -3), np.repeat(value, 2, -3)
    scores = np.einsum("...le,...se->...ls", query, key)
    scores = scores * (scale or query.shape[-1] ** -0.5)
    if is_causal:
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        boolean = attn_mask.dtype == bool
        scores = np.where(attn_mask, scores, -np.inf) if boolean else scores + attn_mask
    top = scores.max(-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isfinite(top), top, 0))
    weights = powers / np.maximum(powers.sum(-1, keepdims=True), 1e-300)
    return np.einsum("...ls,...sv->...lv", weights, value)
