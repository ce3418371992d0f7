"""Attention: sums of values, weighted by how well keys fit a query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.op import composite, structured
from dtorch.core.ops.dropout import dropout
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.reduction import sum
from dtorch.core.ops.repetition import repeat_interleave
from dtorch.core.ops.view import transpose
from dtorch.core.shapes import broadcast_shapes


@structured(tensors=("scores", "bias"), public=False, wide=True)
def masked_softmax(xp: Any, scores: Any, bias: Any) -> Any:
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


@composite(tensors=("query", "key", "value", "attn_mask"), method=False)
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """``softmax(scale * query @ key.T + mask) @ value`` over the last two dims.

    Args:
        query: ``(*, L, E)``; key: ``(*, S, E)``; value: ``(*, S, V)``.
        attn_mask: broadcasts to ``(*, L, S)``; bool, True where attention is allowed, or numbers
            that are added.
        dropout_p: probability of a weight to be dropped; pass 0 in evaluation.
        is_causal: no query looks at a later key; excludes ``attn_mask``.
        scale: default ``1 / sqrt(E)``.
        enable_gqa: several heads of the query (dim -3) share one of key and value.
    Returns: ``(*, L, V)``; zeros for a query to which all keys are masked.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1.
    """
    name = "scaled_dot_product_attention"
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if min(len(q), len(k), len(v)) < 2 or q[-1] != k[-1] or k[-2] != v[-2]:
        raise ShapeError(
            f"{name}: query {q}, key {k} and value {v}, expected (*, L, E), (*, S, E), (*, S, V)"
        )
    if enable_gqa:
        key, value = _shared_heads(name, query, key, value)
    kind = query._array.dtype
    bias = None
    if is_causal:
        if attn_mask is not None:
            raise ArgumentError(f"{name}: is_causal and attn_mask exclude each other")
        bias = causal_bias(q[-2], k[-2], kind)
    elif attn_mask is not None:
        bias = as_bias(name, attn_mask, kind)
        broadcast_shapes(name, (*q[:-1], k[-2]), tuple(bias.shape))
    factor = 1 / math.sqrt(q[-1]) if scale is None and q[-1] else (scale or 1.0)
    scores = matmul(query * factor, transpose(key, -2, -1))
    weights = masked_softmax(scores, bias)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return matmul(weights, value)


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
