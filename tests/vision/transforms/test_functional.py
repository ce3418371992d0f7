"""Every function on tensors, against the reference, and on Pillow's images, against tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dtorch.core.creation import tensor, zeros
from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.vision.transforms import functional
from dtorch.vision.transforms.functional import InterpolationMode as Mode

CORNERS = [[0, 0], [21, 0], [21, 15], [0, 15]]
MOVED = [[2.3, 1.2], [19.8, 2.4], [20.7, 13.1], [1.4, 14.2]]

# name: function, levels by which tensors may differ from the reference, Pillow's from tensors
CASES: dict[str, tuple[Callable[[Any], Any], int, int | None]] = {
    "resize": (lambda img: functional.resize(img, (9, 13)), 1, 1),
    "resize_plain": (lambda img: functional.resize(img, (9, 13), antialias=False), 1, None),
    "resize_up": (lambda img: functional.resize(img, [31, 40]), 1, 1),
    "resize_cubic": (lambda img: functional.resize(img, (9, 13), Mode.BICUBIC), 1, 1),
    "resize_cubic_plain": (lambda img: functional.resize(img, (9, 13), 3, None, False), 1, None),
    "resize_nearest": (lambda img: functional.resize(img, (9, 13), 0), 0, None),
    "resize_nearest_exact": (lambda img: functional.resize(img, (9, 13), "nearest-exact"), 0, 0),
    "resize_side": (lambda img: functional.resize(img, 10), 1, 1),
    "rotate": (lambda img: functional.rotate(img, 30), 0, 0),
    "rotate_expand": (lambda img: functional.rotate(img, 30, expand=True), 0, 0),
    "rotate_quarter": (lambda img: functional.rotate(img, 90, expand=True), 0, 0),
    "affine": (lambda img: functional.affine(img, 20, (3, 4), 1.2, (10, 5)), 0, 0),
    "perspective": (lambda img: functional.perspective(img, CORNERS, MOVED, "nearest"), 0, 0),
    "brightness": (lambda img: functional.adjust_brightness(img, 1.3), 0, 1),
    "contrast": (lambda img: functional.adjust_contrast(img, 0.6), 0, 1),
    "saturation": (lambda img: functional.adjust_saturation(img, 1.7), 0, 2),
    "hue": (lambda img: functional.adjust_hue(img, 0.2), 0, 12),
    "gamma": (lambda img: functional.adjust_gamma(img, 1.7, 0.9), 0, 1),
    "sharpness": (lambda img: functional.adjust_sharpness(img, 1.8), 0, 2),
    "gray": (functional.to_grayscale, 0, 1),
    "invert": (functional.invert, 0, 0),
    "autocontrast": (functional.autocontrast, 0, 1),
    "equalize": (functional.equalize, 0, 0),
    "posterize": (lambda img: functional.posterize(img, 3), 0, 0),
    "solarize": (lambda img: functional.solarize(img, 100), 0, 0),
    "blur": (lambda img: functional.gaussian_blur(img, (5, 3), (1.1, 0.7)), 0, 0),
    "pad_reflect": (lambda img: functional.pad(img, (1, 2, 3, 4), 0, "reflect"), 0, 0),
    "pad": (lambda img: functional.pad(img, (1, 2, 3, 4), fill=7), 0, 0),
    "center": (lambda img: functional.center_crop(img, (9, 11)), 0, 0),
    "center_larger": (lambda img: functional.center_crop(img, (21, 27)), 0, 0),
}


def levels_apart(first: np.ndarray, second: np.ndarray) -> int:
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second.astype(int)).max())


@pytest.mark.parametrize("name", CASES)
def test_tensors_give_what_the_reference_gives(
    name: str, image: Any, expected: dict[str, np.ndarray]
) -> None:
    function, allowed, _ = CASES[name]
    assert levels_apart(function(image).numpy(), expected[name]) <= allowed


@pytest.mark.parametrize("name", CASES)
def test_images_of_pillow_give_what_tensors_give(name: str, image: Any, picture: Any) -> None:
    function, _, allowed = CASES[name]
    found = functional.pil_to_tensor(function(picture)).numpy()
    if allowed is not None:  # else Pillow does something else under this name
        assert levels_apart(found, function(image).numpy()) <= allowed


OF_LEVELS = ("equalize", "posterize", "pad", "solarize")  # take uint8, or arguments in levels


@pytest.mark.parametrize("name", [name for name in CASES if name not in OF_LEVELS])
def test_floating_point_gives_the_same_to_rounding(name: str, image: Any) -> None:
    function = CASES[name][0]
    exact = np.clip(function(image.double() / 255).numpy() * 255, 0, 255)
    assert exact.shape == tuple(function(image).shape)
    # Where floors add up, as in gray values of gray values, two levels.
    assert np.abs(exact - function(image).numpy()).max() <= 2.01


@pytest.mark.parametrize("mode", ["bilinear", 2])
def test_smooth_warps_of_both_kinds_agree(mode: Any, image: Any, picture: Any) -> None:
    for function in (
        lambda img: functional.rotate(img, 25, interpolation=mode, fill=(5, 6, 7)),
        lambda img: functional.affine(img, -10, (1, 2), 0.8, 7, interpolation=mode, fill=9),
        lambda img: functional.perspective(img, CORNERS, MOVED, mode),
    ):
        found = functional.pil_to_tensor(function(picture)).numpy()
        assert levels_apart(found, function(image).numpy()) <= 1


def test_batches_are_transformed_image_by_image(image: Any) -> None:
    batch = tensor([image.tolist(), functional.hflip(image).tolist()]).to(image.dtype)
    for function, _, _ in CASES.values():
        assert function(batch)[1].tolist() == function(batch[1]).tolist()


def test_crops_and_mirrors(image: Any, picture: Any) -> None:
    array = image.numpy()
    for img in (image, picture):

        def pixels(result: Any) -> np.ndarray:
            found = result if hasattr(result, "numpy") else functional.pil_to_tensor(result)
            return found.numpy()  # type: ignore[no-any-return]

        assert np.array_equal(pixels(functional.hflip(img)), array[:, :, ::-1])
        assert np.array_equal(pixels(functional.vflip(img)), array[:, ::-1])
        assert np.array_equal(pixels(functional.crop(img, 2, 3, 4, 5)), array[:, 2:6, 3:8])
        outside = pixels(functional.crop(img, -1, 20, 4, 5))
        assert np.array_equal(outside[:, 1:, :2], array[:, :3, 20:])
        assert outside[:, 0].max() == outside[:, :, 2:].max() == 0
        five = [pixels(part) for part in functional.five_crop(img, (4, 5))]
        assert np.array_equal(five[3], array[:, -4:, -5:])
        assert np.array_equal(five[4], array[:, 6:10, 8:13])
        ten = functional.ten_crop(img, 4, vertical_flip=True)
        assert np.array_equal(pixels(ten[5]), array[:, ::-1][:, :4, :4])
        resized = pixels(functional.resized_crop(img, 2, 3, 8, 10, (4, 5)))
        assert levels_apart(resized, pixels(functional.resize(image[:, 2:10, 3:13], (4, 5)))) <= 1
        assert np.array_equal(pixels(functional.pad(img, (-2, 1))), np.pad(
            array[:, :, 2:-2], [(0, 0), (1, 1), (0, 0)]
        ))  # fmt: skip


def test_five_crops_must_fit(image: Any) -> None:
    with pytest.raises(ArgumentError, match=r"size \(17, 5\) is larger than the image \(16, 22\)"):
        functional.five_crop(image, (17, 5))


def test_gradients_pass_through_crops_and_mirrors() -> None:
    leaf = zeros(1, 4, 4, requires_grad=True)
    functional.hflip(functional.crop(leaf, 1, 1, 2, 2)).sum().backward()
    assert leaf.grad.sum().item() == 4


def test_palettes_survive_a_border() -> None:
    from PIL import Image  # noqa: PLC0415

    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    padded = functional.pad(picture, 1)
    assert padded.mode == "P"
    assert padded.convert("RGB").getpixel((1, 1)) == (10, 20, 30)


@pytest.mark.parametrize(
    ("size", "result"), [(8, (8, 11)), ([8], (8, 11)), ((5, 6), (5, 6)), (16, (16, 22))]
)
def test_sizes(size: Any, result: tuple[int, int], image: Any, picture: Any) -> None:
    assert tuple(functional.resize(image, size).shape[1:]) == result
    assert functional.resize(picture, size).size == result[::-1]
    assert functional.scale(picture, size).size == result[::-1]


def test_the_longer_side_can_be_limited(picture: Any) -> None:
    assert functional.resize(picture, 12, max_size=13).size == (13, 9)
    with pytest.raises(ArgumentError, match="expected more than size 12"):
        functional.resize(picture, 12, max_size=12)
    with pytest.raises(ArgumentError, match="needs one number as size"):
        functional.resize(picture, (12, 13), max_size=20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda img: functional.resize(img, 0), "at least 1 pixel"),
        (lambda img: functional.resize(img, 5, "lanczos"), "nearest, bilinear or bicubic"),
        (lambda img: functional.resize(img, 5, 9), "interpolation is 9"),
        (lambda img: functional.crop(functional.pad(img, (1, 2, 3)), 0, 0, 1, 1), "a pair"),
        (lambda img: functional.pad(img, 1, 0, "wrap"), "expected one of constant"),
        (lambda img: functional.pad(img, 1, (1, 2)), "one for each of 3"),
        (lambda img: functional.center_crop(img, (1, 2, 3)), "an int or a pair"),
        (lambda img: functional.rotate(img, 5, interpolation="bicubic"), "nearest or bilinear"),
        (lambda img: functional.affine(img, 0, (0, 0), 0, 0), "scale is 0"),
        (lambda img: functional.affine(img, 0, (0,), 1, 0), "expected a pair"),
        (lambda img: functional.affine(img, 0, (0, 0), 1, (1, 2, 3)), "a number or a pair"),
        (lambda img: functional.perspective(img, CORNERS[:3], MOVED[:3]), "3 points, expected 4"),
        (lambda img: functional.perspective(img, CORNERS, [[0, 0]] * 4), "lie on a line"),
        (lambda img: functional.adjust_brightness(img, -1), "expected at least 0"),
        (lambda img: functional.adjust_hue(img, 0.6), "expected -0.5 to 0.5"),
        (lambda img: functional.gaussian_blur(img, 4), "odd positive"),
        (lambda img: functional.gaussian_blur(img, 3, 0.0), "expected positive"),
        (lambda img: functional.to_grayscale(img, 2), "expected 1 or 3"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[Any], Any], message: str, image: Any) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(image)


def test_what_is_no_image_is_refused() -> None:
    for function, _, _ in CASES.values():
        with pytest.raises(TypeError, match="expected an image of Pillow or a tensor"):
            function([1, 2])
    with pytest.raises(DtypeError, match="expected uint8"):
        functional.equalize(zeros(3, 4, 4))


def test_elastic_moves_take_pixels_from_where_they_say(image: Any, picture: Any) -> None:
    displacement = zeros(1, 16, 22, 2)
    displacement[..., 0] = 2 * 3 / 22  # three pixels to the right
    for img in (image, picture):
        found = functional.elastic_transform(img, displacement, "nearest")
        array = found if hasattr(found, "numpy") else functional.pil_to_tensor(found)
        assert np.array_equal(array.numpy()[:, :, :-3], image.numpy()[:, :, 3:])
        assert array.numpy()[:, :, -3:].max() == 0
    with pytest.raises(ArgumentError, match=r"expected \(1, 16, 22, 2\)"):
        functional.elastic_transform(image, zeros(1, 2, 2, 2))


def test_erased_rectangles(image: Any) -> None:
    before = image.clone()
    erased = functional.erase(image, 1, 2, 3, 4, 9)
    assert erased[:, 1:4, 2:6].unique().tolist() == [9]
    assert image.tolist() == before.tolist()
    functional.erase(image, 1, 2, 3, 4, 9, inplace=True)
    assert image.tolist() == erased.tolist()
