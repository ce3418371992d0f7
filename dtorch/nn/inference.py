"""Layers that follow one another, computed at once where no gradient is recorded.

A convolution, batch normalisation by stored statistics, the sum with another branch and ReLU, or
some of these, take one pass over memory instead of one each. The numbers are those of the layers
called one by one, and so are those they are called for otherwise: in training, with hooks, under
autocast, or in subclasses, which may do anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from dtorch.amp.state import DEVICES, is_autocast_enabled
from dtorch.core.grad_mode import is_grad_enabled
from dtorch.core.ops.fused import fused_conv, fused_norm
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import Hardtanh, ReLU, ReLU6
from dtorch.nn.conv import Conv1d, Conv2d, Conv3d
from dtorch.nn.hooks import on_every_module
from dtorch.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d


class _Chain(NamedTuple):
    """Layers in the order they are applied; those that are missing are None."""

    conv: Any
    norm: Any
    clamp: Any

    def __call__(self, input: Any, added: Any = None) -> Any:
        conv, norm, clamp = self
        statistics: tuple[Any, ...] = (None, None, None, None, 0.0)
        if norm is not None:
            statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps
        bounds = (-math.inf, math.inf) if clamp is None else _bounds(clamp)
        if conv is None:
            return fused_norm(input, *statistics, added, *bounds)
        geometry = conv.stride, conv.padding, conv.dilation, conv.groups
        return fused_conv(input, conv.weight, conv.bias, *geometry, *statistics, added, *bounds)

    def takes(self, input: Any) -> bool:
        """Whether the layers, called one by one, would have nothing to say against this input."""
        if type(input) is not Tensor or not input.dtype.is_floating_point:
            return False
        conv, norm, _ = self
        dims, channels = input.ndim, input.shape[1] if input.ndim > 1 else 0
        tensors = []
        if conv is not None:
            if dims != conv._dims + 2 or channels != conv.in_channels:
                return False
            channels = conv.out_channels
            tensors += [conv.weight, conv.bias]
        if norm is not None:
            if dims not in norm._ndims or channels != norm.num_features:
                return False
            tensors += [norm.running_mean, norm.running_var, norm.weight, norm.bias]
        kind, place = input.dtype, input.device
        return all(t is None or (t.dtype == kind and t.device == place) for t in tensors)


def _bounds(clamp: Any) -> tuple[float, float]:
    if type(clamp) is Hardtanh:
        return clamp.min_val, clamp.max_val
    return 0.0, 6.0 if type(clamp) is ReLU6 else math.inf


def _chain_of(layers: Sequence[Any]) -> _Chain:
    """The layers that ``layers`` begins with, as far as they may be computed at once."""
    found: list[Any] = [None, None, None]
    at = 0
    for place, (kinds, fits) in enumerate(_LINKS):
        if at < len(layers) and type(layers[at]) in kinds and fits(layers[at]):
            if not _is_plain(layers[at]):
                break
            found[place] = layers[at]
            at += 1
    return _Chain(*found)


def _pads_zeros(conv: Any) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _has_statistics(norm: Any) -> bool:
    return not norm.training and norm.running_mean is not None


_LINKS: tuple[tuple[frozenset[type], Callable[[Any], bool]], ...] = (
    (frozenset((Conv1d, Conv2d, Conv3d)), _pads_zeros),
    (frozenset((BatchNorm1d, BatchNorm2d, BatchNorm3d)), _has_statistics),
    (frozenset((ReLU, ReLU6, Hardtanh)), lambda clamp: True),
)


def _is_plain(module: Any) -> bool:
    """Whether nobody watches a layer's input and output, or has replaced what it does."""
    own = module.__dict__
    return not (
        own["_forward_pre_hooks"] or own["_forward_hooks"] or own["_backward_hooks"]
        or own["_backward_pre_hooks"] or "forward" in own
    )  # fmt: skip


def _records_nothing() -> bool:
    """Whether layers are run for their results alone, unwatched, in the dtypes they have."""
    return not (is_grad_enabled() or on_every_module or any(map(is_autocast_enabled, DEVICES)))


def in_order(layers: Iterable[Any], input: Any) -> Any:
    """The output of the last of some layers, each fed with that of the one before."""
    if not _records_nothing():
        for layer in layers:
            input = layer(input)
        return input
    rest = list(layers)
    while rest:
        chain = _chain_of(rest)
        count = 3 - chain.count(None)
        if count > 1 and chain.takes(input):
            input = chain(input)
        else:
            input, count = rest[0](input), 1
        del rest[:count]
    return input


def with_branch(input: Any, conv: Any, norm: Any, activation: Any, branch: Any) -> Any:
    """``activation(norm(conv(input)) + branch)``, the end of a block with a residual connection.

    Args:
        branch: a tensor of the shape of the result.
    """
    if _records_nothing():
        chain = _chain_of((conv, norm, activation))
        if None not in chain and chain.takes(input) and branch.dtype == input.dtype:
            return chain(input, branch)
    out = norm(conv(input))
    out += branch
    return activation(out)
