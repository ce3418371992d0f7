"""Weights of convolutions in a memory format."""

from __future__ import annotations

from typing import Any, TypeVar

from dtorch.nn.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from dtorch.nn.module import Module

M = TypeVar("M", bound=Module)


def convert_conv2d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Put the weights of the convolutions of images in a module into a format; returns the module."""
    return _convert(module, (Conv2d, ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Put the weights of the convolutions of volumes in a module into a format; returns the module."""
    return _convert(module, (Conv3d, ConvTranspose3d), memory_format)


def _convert(module: M, kinds: tuple[type[Module], ...], memory_format: Any) -> M:
    for layer in module.modules():
        if isinstance(layer, kinds):
            weight: Any = layer.weight
            weight.data = weight.detach().contiguous(memory_format=memory_format)
    return module
