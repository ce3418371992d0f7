"""Losses of detectors: of boxes that should be others, and of scores with few positives."""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.tensor import Tensor
from dtorch.nn.functional import binary_cross_entropy_with_logits
from dtorch.vision.ops.boxes import (
    box_area,
    box_around,
    difference_of_proportions,
    distance,
    expect_boxes,
    overlap,
)

__all__ = [
    "complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss",
    "sigmoid_focal_loss",
]  # fmt: skip


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """Cross-entropy that counts what is hard to tell, and not the many easy negatives.

    Args:
        inputs: scores, any shape.
        targets: 0 or 1 for each score.
        alpha: weight of positives; that of negatives is ``1 - alpha``. Negative: no weights.
        gamma: how little what is told well counts; 0 is ordinary cross-entropy.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Source: Lin et al. 2017, arXiv:1708.02002.

    Example:
        >>> import dtorch
        >>> sigmoid_focal_loss(dtorch.tensor([0.0, 5.0]), dtorch.tensor([1.0, 1.0]), alpha=-1)
        tensor([1.7329e-01, 3.0081e-07])
    """
    p = inputs.sigmoid()
    loss = binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    wrong = p * (1 - targets) + (1 - p) * targets
    loss = loss * wrong**gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return _reduced("sigmoid_focal_loss", loss, reduction)


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 less `generalized_box_iou` of the boxes of each pair.

    Example:
        >>> import dtorch
        >>> box = dtorch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> generalized_box_iou_loss(box, box + 1)
        tensor([1.5000])
    """
    _expect_pairs("generalized_box_iou_loss", boxes1, boxes2)
    inter, union = overlap(boxes1, boxes2)
    around = box_area(box_around(boxes1, boxes2))
    loss = 1 - inter / (union + eps) + (around - union) / (around + eps)
    return _reduced("generalized_box_iou_loss", loss, reduction)


def distance_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 less `distance_box_iou` of the boxes of each pair."""
    _expect_pairs("distance_box_iou_loss", boxes1, boxes2)
    inter, union = overlap(boxes1, boxes2)
    loss = 1 - inter / (union + eps) + distance(boxes1, boxes2, eps)
    return _reduced("distance_box_iou_loss", loss, reduction)


def complete_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 less `complete_box_iou` of the boxes of each pair."""
    _expect_pairs("complete_box_iou_loss", boxes1, boxes2)
    inter, union = overlap(boxes1, boxes2)
    iou = inter / (union + eps)
    shapes = difference_of_proportions(boxes1, boxes2)
    weight = (shapes / (1 - iou + shapes + eps)).detach()
    loss = 1 - iou + distance(boxes1, boxes2, eps) + weight * shapes
    return _reduced("complete_box_iou_loss", loss, reduction)


def _expect_pairs(name: str, boxes1: Any, boxes2: Any) -> None:
    expect_boxes(name, boxes1)
    expect_boxes(name, boxes2)
    if boxes1.shape != boxes2.shape:
        shapes = f"{tuple(boxes1.shape)} and {tuple(boxes2.shape)}"
        raise ShapeError(f"{name}: got boxes of sizes {shapes}, expected the same number of both")


def _reduced(name: str, loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum" or (reduction == "mean" and not loss.numel()):
        return loss.sum()  # no box at all is no loss, rather than nan
    if reduction == "mean":
        return loss.mean()
    raise ArgumentError(f"{name}: reduction {reduction!r} is none of 'none', 'mean', 'sum'")
