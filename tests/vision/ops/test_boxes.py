"""Boxes overlap, change their form, and give way to better ones."""

from __future__ import annotations

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.vision import ops


def test_overlap_is_that_of_counted_cells(boxes) -> None:
    first, second = boxes(4).round(), boxes(5, seed=1).round()
    y, x = np.mgrid[:20, :20] + 0.5

    def cells(box: dtorch.Tensor) -> np.ndarray:
        left, top, right, bottom = box.tolist()
        return (x > left) & (x < right) & (y > top) & (y < bottom)

    for row, one in zip(ops.box_iou(first, second), first, strict=True):
        for iou, other in zip(row, second, strict=True):
            both, either = cells(one) & cells(other), cells(one) | cells(other)
            assert iou.item() == pytest.approx(both.sum() / either.sum())


def test_measures_of_far_boxes_say_how_far() -> None:
    box, beside = dtorch.tensor([[0.0, 0.0, 2.0, 2.0]]), dtorch.tensor([[4.0, 0.0, 6.0, 2.0]])
    assert ops.box_iou(box, beside).item() == 0
    assert ops.generalized_box_iou(box, beside).item() == pytest.approx(-4 / 12)
    assert ops.distance_box_iou(box, beside).item() == pytest.approx(-16 / 40)
    assert ops.complete_box_iou(box, beside).item() == pytest.approx(-16 / 40)
    narrow = dtorch.tensor([[4.0, 0.0, 4.5, 2.0]])
    assert ops.complete_box_iou(box, narrow) < ops.distance_box_iou(box, narrow)


@pytest.mark.parametrize("form", ["xyxy", "xywh", "cxcywh"])
def test_forms_of_boxes_lead_back(form: str, boxes) -> None:
    given = boxes(6)
    for middle in ("xyxy", "xywh", "cxcywh"):
        there = ops.box_convert(ops.box_convert(given, "xyxy", middle), middle, form)
        assert dtorch.allclose(ops.box_convert(there, form, "xyxy"), given, atol=1e-5)
    with pytest.raises(ArgumentError, match="'xyz' is none of"):
        ops.box_convert(given, "xyz", "xyxy")


def test_nms_keeps_the_best_of_those_that_overlap(boxes) -> None:
    given, scores = boxes(40), dtorch.rand(40)
    kept = ops.nms(given, scores, 0.3).tolist()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    iou = ops.box_iou(given, given)
    for number in range(40):
        better = [k for k in kept if k != number and scores[k] > scores[number]]
        assert (number in kept) == all(iou[k, number] <= 0.3 for k in better)
    assert ops.nms(given[:0], scores[:0], 0.3).dtype is dtorch.int64


def test_classes_do_not_suppress_each_other() -> None:
    same = dtorch.tensor([[1.0, 1.0, 2.0, 2.0]]).expand(3, 4)
    scores, classes = dtorch.tensor([0.1, 0.9, 0.5]), dtorch.tensor([0, 1, 0])
    assert ops.nms(same, scores, 0.5).tolist() == [1]
    assert ops.batched_nms(same, scores, classes, 0.5).tolist() == [1, 2]


def test_boxes_of_masks_and_of_images() -> None:
    mask = dtorch.zeros(1, 5, 6)
    mask[0, 1:3, 2:5] = 1
    assert ops.masks_to_boxes(mask).tolist() == [[2, 1, 4, 2]]
    assert ops.remove_small_boxes(dtorch.tensor([[0.0, 0, 1, 9], [0, 0, 3, 3]]), 2).tolist() == [1]
    with pytest.raises(ArgumentError, match="no pixel"):
        ops.masks_to_boxes(dtorch.zeros(1, 2, 2))


def test_what_is_no_box_is_named(boxes) -> None:
    with pytest.raises(ShapeError, match=r"box_iou: got boxes of size \(3, 5\)"):
        ops.box_iou(dtorch.ones(3, 5), dtorch.ones(2, 4))
    with pytest.raises(ShapeError, match="nms"):
        ops.nms(boxes(3), dtorch.ones(2), 0.5)
    with pytest.raises(TypeError, match="box_area: boxes are list"):
        ops.box_area([[0, 0, 1, 1]])
