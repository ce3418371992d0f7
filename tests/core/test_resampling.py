"""Images between their pixels: resized, and sampled at places."""

from __future__ import annotations

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ShapeError
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so

IMAGE = (dtorch.arange(20.0, dtype=dtorch.float64).reshape(1, 1, 4, 5)) ** 1.5


@pytest.mark.parametrize(("mode", "expected"), [
    ("bilinear", [8.4795197386, 13.2818326733, 36.1606608192, 44.4198395541, 64.154815314,
                  74.2695499645]),
    ("bicubic", [6.6424419104, 12.4593135425, 36.1348055665, 46.7396197774, 68.2067820353,
                 81.413980883]),
])  # fmt: skip
def test_smoothed_images_may_have_their_corners_aligned(mode: str, expected: list[float]) -> None:
    found = F.interpolate(IMAGE, (3, 2), mode=mode, align_corners=True, antialias=True)
    np.testing.assert_allclose(found.flatten().tolist(), expected, rtol=1e-9)


@pytest.mark.parametrize(("padding", "align", "expected"), [
    ("zeros", True, [8.37669466, 30.66365507, -79.38320341, 38.07480512, 76.48154, 0.0,
                     10.48631546, 35.29091393]),
    ("border", True, [0, 30.66365507, 0, 38.07480512, 0, 39.70796039, 10.48631546, 35.29091393]),
    ("border", False, [0, 40.88487343, 0, 50.76640683, 0, 52.94394718, 13.50031538, 58.01894204]),
    ("reflection", True, [0, 30.66365507, 0, 38.07480512, -10.67591785, 41.27569096, 10.48631546,
                          35.29091393]),
])  # fmt: skip
def test_places_on_the_edge_do_not_move_their_value(
    padding: str, align: bool, expected: list[float]
) -> None:
    places = [[[[-1.0, 0.0], [1.0, 0.0], [-1.5, 0.5], [0.2, 0.3]]]]
    grid = dtorch.tensor(places, dtype=dtorch.float64, requires_grad=True)
    F.grid_sample(IMAGE, grid, "bilinear", padding, align).sum().backward()
    np.testing.assert_allclose(grid.grad.flatten().tolist(), expected, rtol=1e-7, atol=1e-12)


# What PyTorch computed: bytes after each of the two dims, of weights in steps of 16-bit numbers.
BYTES = {
    ("bilinear", False): [[250, 127, 23, 100, 99, 77], [125, 128, 119, 75, 102, 139],
                          [0, 128, 214, 50, 105, 200]],
    ("bicubic", False): [[255, 113, 0, 109, 111, 61], [128, 134, 120, 68, 95, 145],
                         [0, 154, 255, 26, 79, 229]],
    ("bicubic", True): [[255, 127, 0, 111, 105, 65], [128, 131, 121, 69, 100, 144],
                        [0, 134, 253, 26, 95, 222]],
}  # fmt: skip


@pytest.mark.parametrize(("mode", "antialias"), BYTES)
def test_bytes_between_bytes_are_the_nearest_after_each_dim(mode: str, antialias: bool) -> None:
    x = dtorch.tensor([[[[250, 3, 120, 77], [0, 255, 9, 200]]]], dtype=dtorch.uint8)
    found = F.interpolate(x, (3, 6), mode=mode, antialias=antialias)
    assert found.tolist() == [[BYTES[mode, antialias]]]
    row = dtorch.tensor([[[[7, 5, 4, 3]]]], dtype=dtorch.uint8)
    assert F.interpolate(row, (1, 8), mode="bilinear").tolist() == [[[[7, 7, 6, 5, 4, 4, 3, 3]]]]


def test_no_means_are_an_area_of_size_0() -> None:
    x = dtorch.ones(1, 2, 1, 5, requires_grad=True)
    out = F.interpolate(x, scale_factor=0.5, mode="area")
    assert out.shape == (1, 2, 0, 2)
    out.sum().backward()
    assert not x.grad.any()
    with pytest.raises(ShapeError, match="at least 1"):
        F.interpolate(x, scale_factor=0.5)
