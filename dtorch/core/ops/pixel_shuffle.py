"""Channels rearranged to pixels, and among themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.view import permute
from dtorch.core.tensor import Tensor


def _factor(name: str, what: str, value: Any) -> int:
    if value < 1:
        raise ArgumentError(f"{name}: {what} is {value}, expected at least 1")
    return int(value)


def _image(name: str, input: Any) -> tuple[Any, ...]:
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ShapeError(f"{name}: input has shape {shape}, expected (*, channels, height, width)")
    return shape


@composite(tensors=("input",), home="nn")
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """``(*, C * r * r, H, W)`` rearranged to ``(*, C, H * r, W * r)``.

    Reference: Shi et al. 2016, arXiv:1609.05158.
    """
    r = _factor("pixel_shuffle", "upscale_factor", upscale_factor)
    *lead, c, h, w = _image("pixel_shuffle", input)
    if c % (r * r):
        raise ShapeError(
            f"pixel_shuffle: input of shape {tuple(input.shape)} has {c} channels, expected a "
            f"multiple of {r * r}"
        )
    n = len(lead)
    out = input.reshape((*lead, c // (r * r), r, r, h, w))
    out = permute(out, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return out.reshape((*lead, c // (r * r), h * r, w * r))


@composite(tensors=("input",), home="nn")
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """``(*, C, H * r, W * r)`` rearranged to ``(*, C * r * r, H, W)``."""
    r = _factor("pixel_unshuffle", "downscale_factor", downscale_factor)
    *lead, c, h, w = _image("pixel_unshuffle", input)
    if h % r or w % r:
        raise ShapeError(
            f"pixel_unshuffle: input of shape {tuple(input.shape)}, expected height and width that "
            f"are multiples of {r}"
        )
    n = len(lead)
    out = input.reshape((*lead, c, h // r, r, w // r, r))
    out = permute(out, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return out.reshape((*lead, c * r * r, h // r, w // r))


@composite(tensors=("input",), home="nn")
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels of ``(N, C, *)`` dealt out: the first of each group, then the second of each...

    Reference: Zhang et al. 2017, arXiv:1707.01083.
    """
    g = _factor("channel_shuffle", "groups", groups)
    n, c, *sides = _image("channel_shuffle", input)
    if c % g:
        raise ShapeError(
            f"channel_shuffle: input of shape {tuple(input.shape)} has {c} channels, expected a "
            f"multiple of {g}"
        )
    out = input.reshape((n, g, c // g, *sides))
    out = permute(out, (0, 2, 1, *range(3, 3 + len(sides))))
    return out.reshape((n, c, *sides))


@pixel_shuffle.samples
def _(make):
    yield (make(2, 8, 2, 3), 2), {}
    yield (make(4, 1, 2), 2), {}


@pixel_shuffle.expect
def _(input, upscale_factor):
    r = upscale_factor
    *lead, c, h, w = input.shape
    out = np.zeros((*lead, c // r**2, h * r, w * r))
    for i in range(r):
        for j in range(r):
            out[..., i::r, j::r] = input[..., i * r + j :: r**2, :, :]
    return out


@pixel_unshuffle.samples
def _(make):
    yield (make(2, 2, 4, 6), 2), {}


@pixel_unshuffle.expect
def _(input, downscale_factor):
    r = downscale_factor
    *lead, c, h, w = input.shape
    out = np.zeros((*lead, c * r**2, h // r, w // r))
    for i in range(r):
        for j in range(r):
            out[..., i * r + j :: r**2, :, :] = input[..., i::r, j::r]
    return out


@channel_shuffle.samples
def _(make):
    yield (make(2, 6, 3), 2), {}
    yield (make(1, 4, 2, 2), 2), {}


@channel_shuffle.expect
def _(input, groups):
    order = np.arange(input.shape[1]).reshape(groups, input.shape[1] // groups).T.ravel()
    return input[:, order]
