"""Features within boxes, whatever their size, as maps of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtorch.core.creation import arange
from dtorch.core.errors import ShapeError
from dtorch.core.functions import cat, stack
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = ["RoIAlign", "roi_align"]


def roi_align(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Means of what lies in the cells of a grid in each box, interpolated between pixels.

    Args:
        input: ``(N, C, H, W)``.
        boxes: those of each image, ``(K, 4)``; or ``(K, 5)`` with the number of the image first.
        output_size: cells of a box, ``(height, width)`` or one number for both.
        spatial_scale: pixels of ``input`` for each unit of the boxes.
        sampling_ratio: points of a cell in each direction; 0 or less: one for each pixel or less.
        aligned: whether the middle of the first pixel is at a half, as it should, not at 0.

    Returns: ``(K, C, *output_size)``.

    Source: He et al. 2017, arXiv:1703.06870.

    Example:
        >>> import dtorch
        >>> ramp = dtorch.arange(8.0).expand(1, 1, 8, 8)
        >>> box = dtorch.tensor([[0.0, 0.0, 4.0, 4.0]])
        >>> roi_align(ramp, [box], 2, aligned=True)
        tensor([[[[0.5000, 2.5000],
                  [0.5000, 2.5000]]]])
    """
    if input.dim() != 4:
        raise ShapeError(f"roi_align: got input of {tuple(input.shape)}, expected (N, C, H, W)")
    if not isinstance(boxes, Tensor):
        numbered = [
            cat((box.new_full((len(box), 1), number), box), 1) for number, box in enumerate(boxes)
        ]
        boxes = cat(numbered) if numbered else input.new_empty(0, 5)
    if boxes.dim() != 2 or boxes.shape[1] != 5:
        raise ShapeError(
            f"roi_align: got boxes of {tuple(boxes.shape)}, expected (K, 5), the number of the "
            "image first, or (K, 4) for each image"
        )
    size = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
    if not len(boxes):
        return input.new_zeros(0, input.shape[1], *size)
    shift = 0.5 if aligned else 0.0
    pooled = []
    for number, left, top, right, bottom in boxes.detach().array:
        image, sides = input[int(number)], []
        for low, high, cells, pixels in (
            (top, bottom, size[0], image.shape[1]),
            (left, right, size[1], image.shape[2]),
        ):
            begin, end = low * spatial_scale - shift, high * spatial_scale - shift
            length = end - begin if aligned else max(end - begin, 1.0)
            points = sampling_ratio if sampling_ratio > 0 else max(math.ceil(length / cells), 1)
            sides.append(
                _means_of_points(input, float(begin), float(length) / cells, cells, points, pixels)
            )
        rows, columns = sides
        pooled.append(rows @ image @ columns.t())
    return stack(pooled)


def _means_of_points(
    like: Tensor, begin: float, step: float, cells: int, points: int, pixels: int
) -> Tensor:
    """What share each pixel of a row has in each cell, ``(cells, pixels)``.

    Interpolation in both directions is a product: that of the shares of rows and of columns.
    """
    inner = (arange(points, dtype=like.dtype) + 0.5) / points
    at = begin + (arange(cells, dtype=like.dtype).unsqueeze(1) + inner) * step
    outside = (at < -1.0) | (at > pixels)
    distance = at.clamp(0, pixels - 1).unsqueeze(-1) - arange(pixels, dtype=like.dtype)
    share = (1 - distance.abs()).clamp(min=0)
    return share.masked_fill(outside.unsqueeze(-1), 0).mean(1)


class RoIAlign(Module):
    """`roi_align` as a layer: called with features and boxes."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_align(
            input,
            rois,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
