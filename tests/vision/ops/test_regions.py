"""Features of a region are means of interpolated points."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.core.errors import ShapeError
from dtorch.nn.functional import avg_pool2d, grid_sample
from dtorch.vision import ops


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_region_is_pooled_from_points_that_are_sampled_in_it(aligned: bool, scale: float) -> None:
    features = dtorch.randn(2, 3, 12, 14)
    boxes = dtorch.tensor([[1, 2.0, 3.0, 11.0, 9.5], [0, 3.5, 2.0, 13.0, 11.0]])
    pooled = ops.roi_align(features, boxes, (3, 4), scale, sampling_ratio=2, aligned=aligned)
    assert pooled.shape == (2, 3, 3, 4)
    for row, box in zip(pooled, boxes, strict=True):
        left, top, right, bottom = (box[1:] * scale - 0.5 * aligned).tolist()
        y = top + (bottom - top) * (dtorch.arange(6) + 0.5) / 6
        x = left + (right - left) * (dtorch.arange(8) + 0.5) / 8
        grid = dtorch.stack(dtorch.meshgrid(2 * x / 13 - 1, 2 * y / 11 - 1, indexing="xy"), -1)
        image = features[int(box[0])].unsqueeze(0)
        points = grid_sample(image, grid.unsqueeze(0), padding_mode="border", align_corners=True)
        assert dtorch.allclose(row, avg_pool2d(points, 2)[0], atol=1e-5)


def test_boxes_may_come_by_image_and_features_have_gradients() -> None:
    features = dtorch.randn(2, 1, 6, 6, dtype=dtorch.float64, requires_grad=True)
    by_image = [dtorch.tensor([[0.0, 0.0, 4.0, 4.0]]).double()] * 2
    layer = ops.RoIAlign(2, spatial_scale=1.0, sampling_ratio=-1, aligned=True)
    assert "sampling_ratio=-1" in repr(layer)
    assert dtorch.autograd.gradcheck(lambda x: layer(x, by_image), (features,))
    assert ops.roi_align(features, [by_image[0][:0]], 2).shape == (0, 1, 2, 2)


def test_points_beyond_the_image_count_for_nothing() -> None:
    features = dtorch.ones(1, 1, 4, 4)
    outside = dtorch.tensor([[0.0, 20.0, 20.0, 24.0, 24.0]])
    assert ops.roi_align(features, outside, 2).sum() == 0


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ShapeError, match=r"expected \(N, C, H, W\)"):
        ops.roi_align(dtorch.ones(1, 4, 4), dtorch.ones(1, 5), 2)
    with pytest.raises(ShapeError, match=r"boxes of \(1, 4\)"):
        ops.roi_align(dtorch.ones(1, 1, 4, 4), dtorch.ones(1, 4), 2)
