"""Losses of boxes follow their measures; the focal loss is cross-entropy that forgets the easy."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.nn.functional import binary_cross_entropy_with_logits
from dtorch.vision import ops


@pytest.mark.parametrize("kind", ["generalized", "distance", "complete"])
def test_the_loss_of_a_pair_is_what_its_measure_lacks(kind: str, boxes) -> None:
    first, second = boxes(6).requires_grad_(), boxes(6, seed=1)
    loss = getattr(ops, f"{kind}_box_iou_loss")
    measured = getattr(ops, f"{kind}_box_iou")(first, second).diagonal()
    assert dtorch.allclose(loss(first, second), 1 - measured, atol=1e-5)
    assert loss(second, second).max() < 1e-5
    assert loss(first, second, reduction="mean").item() == pytest.approx(
        loss(first, second, reduction="sum").item() / 6
    )
    assert loss(first[:0], second[:0], reduction="mean").item() == 0
    for _ in range(200):
        first.grad = None
        loss(first, second, reduction="sum").backward()
        assert first.grad.isfinite().all()
        with dtorch.no_grad():
            first -= 0.2 * first.grad
    assert ops.box_iou(first, second).diagonal().min() > measured.min()


def test_the_focal_loss_without_focus_is_cross_entropy() -> None:
    scores, targets = dtorch.randn(4, 3), dtorch.rand(4, 3).round()
    plain = binary_cross_entropy_with_logits(scores, targets)
    unfocused = ops.sigmoid_focal_loss(scores, targets, alpha=-1, gamma=0, reduction="mean")
    assert unfocused.item() == pytest.approx(plain.item(), rel=1e-6)
    p = scores.sigmoid()
    expected = -(0.25 * targets * (1 - p) ** 2 * p.log())
    expected -= 0.75 * (1 - targets) * p**2 * (1 - p).log()
    assert dtorch.allclose(ops.sigmoid_focal_loss(scores, targets), expected, atol=1e-6)


def test_what_is_wrong_is_named(boxes) -> None:
    with pytest.raises(ArgumentError, match="'all' is none of"):
        ops.sigmoid_focal_loss(dtorch.ones(1), dtorch.ones(1), reduction="all")
    with pytest.raises(ShapeError, match=r"\(3, 4\) and \(2, 4\)"):
        ops.complete_box_iou_loss(boxes(3), boxes(2))
