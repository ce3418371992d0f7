from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtorch.core.creation import arange, from_numpy, full, tensor, zeros
from dtorch.core.dtype import bool_, uint8
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.vision.utils import (
    draw_bounding_boxes,
    draw_segmentation_masks,
    make_grid,
    save_image,
)

EXPECTED = Path(__file__).parents[1] / "data" / "vision" / "transforms.npz"


def test_grids_are_those_of_the_reference() -> None:
    images = arange(5 * 3 * 4 * 6).float().view(5, 3, 4, 6) / 360
    before = images.clone()
    with np.load(EXPECTED) as expected:
        plain = make_grid(images, nrow=2, padding=1, pad_value=0.3)
        assert np.array_equal(plain.numpy(), expected["grid"])
        each = make_grid(images, nrow=2, normalize=True, scale_each=True)
        np.testing.assert_allclose(each.numpy(), expected["grid_each"], atol=1e-6)
        for keyword in ("range", "value_range"):
            bounded = make_grid(images, normalize=True, **{keyword: (0.2, 0.7)})  # type: ignore[arg-type]
            np.testing.assert_allclose(bounded.numpy(), expected["grid_range"], atol=1e-6)
    assert images.tolist() == before.tolist()


def test_gray_images_become_three_channels() -> None:
    assert tuple(make_grid(zeros(4, 5)).shape) == (3, 4, 5)
    assert tuple(make_grid(zeros(1, 4, 5)).shape) == (3, 4, 5)
    assert tuple(make_grid([zeros(1, 4, 5)] * 3).shape) == (3, 8, 23)


def test_one_image_stays_as_it_is() -> None:
    image = arange(60).float().view(3, 4, 5)
    assert make_grid(image).tolist() == image.tolist()
    assert make_grid(image.unsqueeze(0)).tolist() == image.tolist()


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(TypeError, match="got str, expected a tensor or a list of tensors"):
        make_grid("images")
    with pytest.raises(ShapeError, match=r"expected \(N, C, H, W\)"):
        make_grid(zeros(2))
    with pytest.raises(TypeError, match="expected a pair"):
        make_grid(zeros(2, 3, 4, 5), normalize=True, value_range=1)


def test_levels_are_rounded_and_clipped(tmp_path: Path) -> None:
    image = tensor([[-1.0, 0.5, 0.4999 / 255, 0.51 / 255, 2.0]])
    save_image(image, tmp_path / "image.png")
    saved = np.asarray(Image.open(tmp_path / "image.png"))
    assert saved.shape == (1, 5, 3)
    assert saved[0, :, 0].tolist() == [0, 128, 0, 1, 255]
    file = io.BytesIO()
    save_image(zeros(3, 3, 4, 4), fp=file, nrow=3, format="bmp")
    assert Image.open(file).size == (20, 8)
    with pytest.raises(TypeError, match="needs a filename"):
        save_image(image)


def test_boxes_are_drawn() -> None:
    image = zeros(3, 20, 30, dtype=uint8)
    boxes = tensor([[2, 3, 8, 9], [10, 4, 20, 15]])
    found = draw_bounding_boxes(image, boxes, labels=["a", None], colors=["red", (0, 0, 255)])
    assert found[:, 3, 2].tolist() == [255, 0, 0]
    assert found[:, 15, 20].tolist() == [0, 0, 255]
    assert found[:, 10, 15].tolist() == [0, 0, 0]
    assert image.tolist() == zeros(3, 20, 30).tolist()
    filled = draw_bounding_boxes(image, boxes.float(), colors="#00ff00", fill=True, width=2)
    assert filled[:, 10, 15].tolist() == [0, 100, 0]
    gray = draw_bounding_boxes(zeros(1, 20, 30, dtype=uint8), boxes)
    assert tuple(gray.shape) == (3, 20, 30)
    assert draw_bounding_boxes(image, zeros(0, 4)).tolist() == image.tolist()


def test_boxes_that_cannot_be_drawn_are_refused() -> None:
    image = zeros(3, 9, 9, dtype=uint8)
    with pytest.raises(ShapeError, match=r"expected \(N, 4\)"):
        draw_bounding_boxes(image, zeros(2, 5))
    with pytest.raises(ArgumentError, match="left <= right"):
        draw_bounding_boxes(image, tensor([[5, 0, 1, 1]]))
    with pytest.raises(ArgumentError, match="1 labels for 2 boxes"):
        draw_bounding_boxes(image, zeros(2, 4), labels=["a"])
    with pytest.raises(ArgumentError, match="1 colors, expected at least 2"):
        draw_bounding_boxes(image, zeros(2, 4), colors=["red"])
    with pytest.raises(DtypeError, match="expected uint8"):
        draw_bounding_boxes(zeros(3, 9, 9), zeros(1, 4))
    with pytest.raises(ShapeError, match="1 or 3, H, W"):
        draw_bounding_boxes(zeros(2, 9, 9, dtype=uint8), zeros(1, 4))


def test_masks_are_painted() -> None:
    image = full((3, 2, 3), 100, dtype=uint8)
    mask = from_numpy(np.array([[True, False, False], [False, False, True]]))
    found = draw_segmentation_masks(image, mask, alpha=0.5, colors="blue")
    assert found[:, 0, 0].tolist() == [50, 50, 177]
    assert found[:, 0, 1].tolist() == [100, 100, 100]
    with pytest.raises(ShapeError, match=r"expected bool \(N, 2, 3\)"):
        draw_segmentation_masks(image, zeros(2, 2, dtype=bool_))
