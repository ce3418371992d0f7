"""Boxes ``(..., 4)``: left, top, right and bottom of each, unless another form is named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.functions import maximum, minimum, stack
from dtorch.core.tensor import Tensor

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image", "complete_box_iou",
    "distance_box_iou", "generalized_box_iou", "masks_to_boxes", "nms", "remove_small_boxes",
]  # fmt: skip


def box_area(boxes: Tensor) -> Tensor:
    """Area of each box.

    Example:
        >>> import dtorch
        >>> box_area(dtorch.tensor([[0.0, 0.0, 2.0, 3.0]]))
        tensor([6.])
    """
    expect_boxes("box_area", boxes)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes in another form.

    Args:
        in_fmt, out_fmt: ``"xyxy"`` (two corners), ``"xywh"`` (a corner and the size) or
            ``"cxcywh"`` (the centre and the size).
    Raises:
        ArgumentError: another form.
    Example:
        >>> import dtorch
        >>> box_convert(dtorch.tensor([[0.0, 0.0, 2.0, 4.0]]), "xyxy", "cxcywh")
        tensor([[1., 2., 2., 4.]])
    """
    expect_boxes("box_convert", boxes)
    for form in (in_fmt, out_fmt):
        if form not in ("xyxy", "xywh", "cxcywh"):
            raise ArgumentError(f"box_convert: {form!r} is none of 'xyxy', 'xywh', 'cxcywh'")
    if in_fmt == out_fmt:
        return boxes.clone()
    x, y, third, fourth = boxes.unbind(-1)
    if in_fmt == "xyxy":
        width, height = third - x, fourth - y
    else:
        width, height = third, fourth
    if in_fmt == "cxcywh":
        x, y = x - 0.5 * width, y - 0.5 * height
    if out_fmt == "xyxy":
        return stack((x, y, x + width, y + height), -1)
    if out_fmt == "cxcywh":
        x, y = x + 0.5 * width, y + 0.5 * height
    return stack((x, y, width, height), -1)


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The parts of the boxes that lie in an image of size ``(height, width)``.

    Example:
        >>> import dtorch
        >>> clip_boxes_to_image(dtorch.tensor([[-1.0, 2.0, 5.0, 9.0]]), (4, 3))
        tensor([[0., 2., 3., 4.]])
    """
    expect_boxes("clip_boxes_to_image", boxes)
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return stack((x, y), -1).flatten(-2)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Places of the boxes ``(N, 4)`` both of whose sides are at least ``min_size``."""
    expect_boxes("remove_small_boxes", boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides >= min_size).all(1).nonzero().flatten()


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The boxes ``(N, 4)`` of the pixels that are set in masks ``(N, height, width)``."""
    if masks.dim() != 3:
        raise ShapeError(f"masks_to_boxes: got {tuple(masks.shape)}, expected (N, height, width)")
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks.array, strict=True):
        y, x = np.nonzero(mask)
        if not len(x):
            raise ArgumentError("masks_to_boxes: a mask has no pixel, and so no box")
        box[:] = x.min(), y.min(), x.max(), y.max()
    return from_numpy(boxes)


# -- how much boxes overlap ---------------------------------------------------------------------


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of each of ``(N, 4)`` with each of ``(M, 4)``: ``(N, M)``.

    Example:
        >>> import dtorch
        >>> two = dtorch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]])
        >>> box_iou(two, two)
        tensor([[1.0000, 0.3333],
                [0.3333, 1.0000]])
    """
    inter, union = overlap(*_each_with_each("box_iou", boxes1, boxes2))
    return inter / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """`box_iou` less the share of the box around both that neither covers (arXiv:1902.09630)."""
    first, second = _each_with_each("generalized_box_iou", boxes1, boxes2)
    inter, union = overlap(first, second)
    around = box_area(box_around(first, second))
    return inter / union - (around - union) / around


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`box_iou` less the distance of the centres, in diagonals, squared (arXiv:1911.08287)."""
    first, second = _each_with_each("distance_box_iou", boxes1, boxes2)
    inter, union = overlap(first, second)
    return inter / union - distance(first, second, eps)


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`distance_box_iou` less how much the proportions differ (arXiv:1911.08287)."""
    first, second = _each_with_each("complete_box_iou", boxes1, boxes2)
    inter, union = overlap(first, second)
    iou = inter / union
    shapes = difference_of_proportions(first, second)
    weight = (shapes / (1 - iou + shapes + eps)).detach()
    return iou - distance(first, second, eps) - weight * shapes


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Places of the boxes that overlap with no better one that stays, the best first.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        iou_threshold: the `box_iou` above which the worse of two boxes goes.
    Example:
        >>> import dtorch
        >>> boxes = dtorch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
        >>> nms(boxes, dtorch.tensor([0.5, 0.9, 0.1]), 0.5)
        tensor([1, 2])
    """
    expect_boxes("nms", boxes)
    if boxes.dim() != 2 or scores.shape != boxes.shape[:1]:
        shapes = f"{tuple(boxes.shape)} and {tuple(scores.shape)}"
        raise ShapeError(f"nms: got boxes and scores of sizes {shapes}, expected (N, 4) and (N,)")
    corners = boxes.detach().array
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    waiting = np.argsort(-scores.detach().array, kind="stable")
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        low = np.maximum(corners[best, :2], corners[waiting, :2])
        high = np.minimum(corners[best, 2:], corners[waiting, 2:])
        inter = (high - low).clip(min=0).prod(1)
        waiting = waiting[inter <= iou_threshold * (areas[best] + areas[waiting] - inter)]
    return from_numpy(np.array(kept, np.int64))


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` among the boxes of each class; ``idxs`` ``(N,)`` are the classes."""
    if not len(boxes):
        return nms(boxes, scores, iou_threshold)
    # Classes far from each other do not overlap.
    apart = idxs.to(boxes.dtype) * (boxes.max() - boxes.min() + 1)
    return nms(boxes + apart.unsqueeze(1), scores, iou_threshold)


# -- what is the same for each pair, in tables and in losses ------------------------------------


def expect_boxes(name: str, boxes: Any) -> None:
    """Raise if the last dim has not four numbers."""
    if not isinstance(boxes, Tensor):
        raise TypeError(f"{name}: boxes are {type(boxes).__name__}, expected a tensor")
    if boxes.dim() < 1 or boxes.shape[-1] != 4:
        raise ShapeError(f"{name}: got boxes of size {tuple(boxes.shape)}, expected (..., 4)")


def _each_with_each(name: str, boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    expect_boxes(name, boxes1)
    expect_boxes(name, boxes2)
    return boxes1.unsqueeze(-2), boxes2.unsqueeze(-3)


def overlap(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of intersection and union of the boxes of each pair."""
    low = maximum(boxes1[..., :2], boxes2[..., :2])
    high = minimum(boxes1[..., 2:], boxes2[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    return inter, box_area(boxes1) + box_area(boxes2) - inter


def box_around(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The least box around both of each pair."""
    low = minimum(boxes1[..., :2], boxes2[..., :2])
    high = maximum(boxes1[..., 2:], boxes2[..., 2:])
    return stack((low, high), -2).flatten(-2)


def distance(boxes1: Tensor, boxes2: Tensor, eps: float) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the box around both."""
    around = box_around(boxes1, boxes2)
    diagonal = (around[..., 2:] - around[..., :2]).square().sum(-1) + eps
    centres = boxes1[..., :2] + boxes1[..., 2:] - boxes2[..., :2] - boxes2[..., 2:]
    return (0.5 * centres).square().sum(-1) / diagonal


def difference_of_proportions(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """From 0 to 1, by the angles of the diagonals."""
    (w1, h1), (w2, h2) = (
        (boxes[..., 2:] - boxes[..., :2]).unbind(-1) for boxes in (boxes1, boxes2)
    )
    return (4 / math.pi**2) * ((w1 / h1).atan() - (w2 / h2).atan()).square()
