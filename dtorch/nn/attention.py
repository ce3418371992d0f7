"""Attention with several heads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np

from dtorch.backends import cuda
from dtorch.core.base import wrap
from dtorch.core.creation import empty
from dtorch.core.errors import ArgumentError, SettingError, ShapeError
from dtorch.core.functions import cat, dropout, linear, matmul
from dtorch.core.ops.attention import attend, causal_bias, masked_softmax
from dtorch.core.parameter import Parameter
from dtorch.core.tensor import Tensor
from dtorch.nn.init import constant_, xavier_normal_, xavier_uniform_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module

__all__ = ["MultiheadAttention"]


class SDPBackend(Enum):
    """Ways to compute attention that PyTorch knows. dtorch has one, which goes through the keys in
    tiles as FLASH_ATTENTION does, on every machine."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[None]:
    """Allow some of the `SDPBackend` until the end of a ``with`` block.

    The flags of `dtorch.backends.cuda` say which; attention is computed in the same way in any case.

    Example:
        >>> import dtorch
        >>> with sdpa_kernel(SDPBackend.MATH):
        ...     dtorch.backends.cuda.flash_sdp_enabled()
        False
    """
    wanted = {backends} if isinstance(backends, SDPBackend) else set(backends)
    unknown = [backend for backend in wanted if not isinstance(backend, SDPBackend)]
    if unknown or not wanted:
        raise AssertionError(
            f"sdpa_kernel: backends is {backends!r}, expected one or more SDPBackend"
        )
    with cuda.sdp_kernel(
        SDPBackend.FLASH_ATTENTION in wanted, SDPBackend.MATH in wanted,
        SDPBackend.EFFICIENT_ATTENTION in wanted, SDPBackend.CUDNN_ATTENTION in wanted,
    ):  # fmt: skip
        yield


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` under the name that printed models show for the output of attention."""


def _additive(name: str, mask: Any, kind: Any) -> Any:
    """A mask as numbers to add: here a bool one is True where attention is forbidden."""
    if mask is None:
        return None
    array = mask.array
    if array.dtype == np.bool_ or array.dtype == np.uint8:
        return wrap(np.where(array != 0, kind.type(-np.inf), kind.type(0)))
    if array.dtype.kind not in "fV":
        raise ArgumentError(f"attention: {name} is {mask.dtype}, expected bool or floating point")
    return mask


def _project(
    query: Any, key: Any, value: Any, weight: Any, bias: Any, separate: Any
) -> tuple[Any, Any, Any]:
    """Query, key and value multiplied by their input weights."""
    width = query.shape[-1]
    if separate is None:
        if key is query and value is query:
            both = linear(query, weight, bias)
            return both[..., :width], both[..., width : 2 * width], both[..., 2 * width :]
        weights = [weight[i * width : (i + 1) * width] for i in range(3)]
    else:
        weights = list(separate)
    width = weights[0].shape[0]
    biases = [None] * 3 if bias is None else [bias[i * width : (i + 1) * width] for i in range(3)]
    q, k, v = (
        linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    return q, k, v


def multi_head_attention_forward(
    query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int, in_proj_weight: Any,
    in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Any, out_proj_bias: Any, training: bool = True, key_padding_mask: Any = None,
    need_weights: bool = True, attn_mask: Any = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None, k_proj_weight: Any = None, v_proj_weight: Any = None,
    static_k: Any = None, static_v: Any = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """What `MultiheadAttention` computes, with all weights as arguments.

    Args:
        query: ``(L, N, E)`` or ``(L, E)``; key, value: ``(S, N, *)`` or ``(S, *)``.
        key_padding_mask: ``(N, S)`` or ``(S,)``; True (or -inf) for keys to leave out.
        attn_mask: ``(L, S)`` or ``(N * num_heads, L, S)``; True where attention is forbidden, or
            numbers that are added.
        need_weights: return the weights too, which then are all in memory at once.
        is_causal: no query looks at a later key; with ``attn_mask`` that mask alone counts.
    Returns: output like ``query``; weights ``(N, L, S)`` (``(N, num_heads, L, S)`` without
        averaging), or None.
    """
    batched = query.ndim == 3
    if not batched:
        same = key is query, value is query
        query = query.unsqueeze(1)
        key = query if same[0] else key.unsqueeze(1)
        value = query if same[1] else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    _check_heads(query, key, value, embed_dim_to_check, num_heads)
    length, n, width = query.shape
    kind = query.array.dtype
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias, separate)
    if bias_k is not None:
        k = cat([k, bias_k.expand(1, n, width)], 0)
        v = cat([v, bias_v.expand(1, n, width)], 0)
    head = width // num_heads
    q, k, v = (_by_head(x, n, num_heads, head) for x in (q, k, v))
    k = k if static_k is None else static_k.reshape((n, num_heads, *static_k.shape[1:]))
    v = v if static_v is None else static_v.reshape((n, num_heads, *static_v.shape[1:]))
    if add_zero_attn:
        nothing = query.new_zeros(n, num_heads, 1, head)
        k, v = cat([k, nothing], 2), cat([v, nothing], 2)
    bias = _bias(attn_mask, key_padding_mask, n, num_heads, length, k.shape[2], kind)
    is_causal = is_causal and attn_mask is None
    scale = 1 / math.sqrt(head)
    shown = None
    if need_weights:
        if is_causal:
            later = causal_bias(length, k.shape[2], kind)
            bias = later if bias is None else bias + later
        weights = masked_softmax(matmul(q * scale, k.transpose(-2, -1)), bias)
        if dropout_p and training:
            weights = dropout(weights, dropout_p)
        mixed = matmul(weights, v)
        shown = weights.mean(1) if average_attn_weights else weights
    else:
        mixed = attend(q, k, v, bias, dropout_p if training else 0.0, is_causal, scale)
    mixed = mixed.permute(2, 0, 1, 3).reshape((length, n, width))
    out = linear(mixed, out_proj_weight, out_proj_bias)
    if not batched:
        out = out.squeeze(1)
        shown = None if shown is None else shown.squeeze(0)
    return out, shown


def _by_head(x: Any, n: int, num_heads: int, head: int) -> Any:
    """``(L, N, heads * head)`` as ``(N, heads, L, head)``."""
    return x.reshape((x.shape[0], n, num_heads, head)).permute(1, 2, 0, 3)


def _check_heads(query: Any, key: Any, value: Any, width: int, num_heads: int) -> None:
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if len(q) != 3 or q[-1] != width:
        raise ShapeError(f"attention: query has shape {q}, expected embed_dim {width} features")
    if len(k) != 3 or k[:2] != v[:2] or k[1] != q[1]:
        raise ShapeError(
            f"attention: query {q}, key {k} and value {v}, expected one batch size, and key and "
            "value of one length"
        )
    if width % num_heads:
        raise ArgumentError(f"attention: embed_dim {width} is no multiple of num_heads {num_heads}")


def _bias(
    attn_mask: Any, padding: Any, n: int, heads: int, length: int, total: int, kind: Any
) -> Any:
    """Both masks as one sum that broadcasts to ``(N, heads, L, S)``, or None."""
    bias = _additive("attn_mask", attn_mask, kind)
    if bias is not None:
        shape = tuple(bias.shape)
        if len(shape) == 3 and shape[0] == n * heads:
            bias = bias.reshape((n, heads, *shape[1:]))
        elif len(shape) != 2:
            raise ShapeError(
                f"attention: attn_mask has shape {shape}, expected ({length}, keys) or "
                f"({n * heads}, {length}, keys)"
            )
        if shape[-2] != length or shape[-1] > total:
            raise ShapeError(
                f"attention: attn_mask has shape {shape}, expected {length} rows and {total} "
                "columns"
            )
        bias = _widened(bias, total)
    pad = _additive("key_padding_mask", padding, kind)
    if pad is not None:
        if pad.ndim != 2 or pad.shape[0] != n or pad.shape[1] > total:
            raise ShapeError(
                f"attention: key_padding_mask has shape {tuple(pad.shape)}, expected ({n}, {total})"
            )
        pad = _widened(pad, total).reshape((n, 1, 1, total))
        bias = pad if bias is None else bias + pad
    return bias


def _widened(bias: Any, total: int) -> Any:
    """Columns for keys that were added to those given."""
    missing = total - bias.shape[-1]
    if not missing:
        return bias
    return cat([bias, bias.new_zeros(*bias.shape[:-1], missing)], -1)


class MultiheadAttention(Module):
    """Attention with several heads: each attends with its own part of projected queries and keys.

    Args:
        embed_dim: features of queries and output; a multiple of ``num_heads``.
        num_heads: number of heads.
        dropout: probability of an attention weight to be dropped in training.
        bias: whether the projections have biases.
        add_bias_kv: add a learned key and value to each sequence.
        add_zero_attn: add a key and value of zeros to each sequence.
        kdim, vdim: features of keys and values. Default: ``embed_dim``.
        batch_first: sequences are ``(N, L, features)`` instead of ``(L, N, features)``.

    Attributes:
        in_proj_weight: ``(3 * embed_dim, embed_dim)``; with other ``kdim`` or ``vdim`` three
            weights instead, ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight``.
        in_proj_bias: ``(3 * embed_dim,)`` or None.
        out_proj: the projection of the output.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.

    Raises:
        ValueError: ``embed_dim`` is no multiple of ``num_heads``, or inputs of other shapes.

    Example:
        >>> import dtorch
        >>> x = dtorch.ones(5, 2, 8)
        >>> out, weights = MultiheadAttention(8, num_heads=2)(x, x, x)
        >>> tuple(out.shape), tuple(weights.shape)
        ((5, 2, 8), (2, 5, 5))
    """

    batch_first = False  # in files of before 1.9

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise SettingError(
                f"MultiheadAttention: embed_dim is {embed_dim}, expected a multiple of num_heads "
                f"{num_heads}"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        made = {"device": device, "dtype": dtype}

        def parameter(*shape: int, wanted: bool = True) -> Parameter | None:
            return Parameter(empty(shape, **made)) if wanted else None

        same = self._qkv_same_embed_dim
        if same:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = parameter(embed_dim, embed_dim)
            self.k_proj_weight = parameter(embed_dim, self.kdim)
            self.v_proj_weight = parameter(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", parameter(3 * embed_dim, wanted=bias))
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, **made)
        self.register_parameter("bias_k", parameter(1, 1, embed_dim, wanted=add_bias_kv))
        self.register_parameter("bias_v", parameter(1, 1, embed_dim, wanted=add_bias_kv))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections anew; biases become zeros."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = self._parameters[name]
            if weight is not None:
                xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            constant_(self.in_proj_bias, 0.0)
            constant_(self.out_proj.bias, 0.0)
        for name in ("bias_k", "bias_v"):
            bias = self._parameters[name]
            if bias is not None:
                xavier_normal_(bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None,
        average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Output and attention weights; arguments as `multi_head_attention_forward`."""
        q: Any = query
        swap = self.batch_first and q.ndim == 3
        if swap:
            same = key is query, value is query
            q = q.transpose(0, 1)
            key = q if same[0] else key.transpose(0, 1)
            value = q if same[1] else value.transpose(0, 1)
        out, weights = multi_head_attention_forward(
            q, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias,
            self.bias_k, self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight,
            self.out_proj.bias, self.training, key_padding_mask, need_weights, attn_mask,
            not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight,
            self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (out.transpose(0, 1) if swap else out), weights
