"""Batch norm folded into the convolution or linear layer before it."""

from __future__ import annotations

import copy
from typing import Any

from dtorch.core.creation import ones_like, zeros_like
from dtorch.core.errors import ArgumentError
from dtorch.core.parameter import Parameter
from dtorch.nn.module import Module


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the convolution that does what convolution and batch norm do.

    Args:
        conv_w, conv_b: of the convolution; the bias may be None.
        bn_rm, bn_rv, bn_eps, bn_w, bn_b: mean, variance, eps, weight and bias of the batch norm; the
            last two may be None.
        transpose: the convolution is a transposed one.

    Example:
        >>> import dtorch
        >>> one = dtorch.ones(1)
        >>> kernel, statistics = one.reshape(1, 1, 1), (one, one * 4)
        >>> weight, bias = fuse_conv_bn_weights(kernel, None, *statistics, 0, one * 6, None)
        >>> weight.item(), bias.item()
        (3.0, -3.0)
    """
    conv_b = zeros_like(bn_rm) if conv_b is None else conv_b
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = zeros_like(bn_rm) if bn_b is None else bn_b
    scale = bn_w * (bn_rv + bn_eps) ** -0.5
    shape = (1, -1) if transpose else (-1, 1)
    weight = conv_w * scale.reshape((*shape, *(1,) * (conv_w.ndim - 2)))
    bias = (conv_b - bn_rm) * scale + bn_b
    return (
        Parameter(weight.detach(), conv_w.requires_grad),
        Parameter(bias.detach(), conv_b.requires_grad),
    )


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Module:
    """A copy of ``conv`` that also does what ``bn`` does after it.

    Raises:
        ArgumentError: one of them is in training mode.

    Example:
        >>> import dtorch
        >>> from dtorch import nn
        >>> layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
        >>> x = dtorch.ones(1, 3, 5, 5)
        >>> dtorch.allclose(fuse_conv_bn_eval(*layers)(x), layers(x), atol=1e-5)
        True
    """
    if conv.training or bn.training:
        raise ArgumentError("fuse_conv_bn_eval: both must be in evaluation mode; call eval()")
    fused: Any = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        transpose,
    )  # fmt: skip
    return fused  # type: ignore[no-any-return]


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Module:
    """A copy of ``linear`` that also does what ``bn`` does after it.

    Raises:
        ValueError: one of them is in training mode.

    Example:
        >>> import dtorch
        >>> from dtorch import nn
        >>> layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
        >>> x = dtorch.ones(2, 3)
        >>> dtorch.allclose(fuse_linear_bn_eval(*layers)(x), layers(x), atol=1e-5)
        True
    """
    return fuse_conv_bn_eval(linear, bn)
