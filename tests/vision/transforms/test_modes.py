"""Every transform on every mode of Pillow: the right picture, or an error that names both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ArgumentError
from dtorch.vision import transforms
from dtorch.vision.datasets import ImageFolder
from dtorch.vision.transforms import functional as F  # noqa: N812 - its usual name

Image = pytest.importorskip("PIL.Image")

SIXTEEN = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2"}
OF_BYTES = ("L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
MODES = ("1", "P", "P transparent", "PA", *OF_BYTES, "I", "F", *SIXTEEN)
NAMES = ("1", "P", "P transparent", "PA")  # between two of their numbers there is nothing
NO_WHITE = ("I", "F", *SIXTEEN)


def image(mode: str, width: int = 9, height: int = 7) -> Any:
    rng = np.random.default_rng(0)
    shape = (height, width)
    if mode in SIXTEEN:
        numbers = rng.integers(0, 2**16, shape).astype(SIXTEEN[mode])
        return Image.frombytes(mode, (width, height), numbers.tobytes())
    if mode == "I":
        return Image.fromarray(rng.integers(-(2**20), 2**20, shape).astype(np.int32))
    if mode == "F":
        return Image.fromarray(rng.normal(size=shape).astype(np.float32))
    if mode == "1":
        return Image.fromarray(rng.random(shape) < 0.5)
    if mode.startswith("P"):
        bands = "PA" if mode == "PA" else "P"
        numbers = rng.integers(0, 32, (*shape, len(bands)), np.uint8)
        found = Image.frombytes(bands, (width, height), numbers.tobytes())
        found.putpalette(rng.integers(0, 256, 96, np.uint8).tobytes())
        if mode == "P transparent":
            found.info["transparency"] = bytes(range(0, 256, 8))
        return found
    bands = len(Image.new(mode, (1, 1)).getbands())
    numbers = rng.integers(0, 256, (*shape, bands), np.uint8)
    return Image.frombytes(mode, (width, height), numbers.tobytes())


def colours(img: Any) -> np.ndarray:
    """The RGB colours of an image, without its opacity."""
    if img.mode == "P" and "transparency" in img.info:
        img = img.convert("RGBA")
    if img.mode in ("La", "RGBa"):
        img = img.convert(img.mode.upper())
    return np.asarray(img.convert("RGB")).astype(int)


COLOURS: dict[str, Callable[[Any], Any]] = {
    "adjust_brightness": lambda i: F.adjust_brightness(i, 1.3),
    "adjust_contrast": lambda i: F.adjust_contrast(i, 0.6),
    "adjust_saturation": lambda i: F.adjust_saturation(i, 0.3),
    "adjust_hue": lambda i: F.adjust_hue(i, 0.2),
    "adjust_gamma": lambda i: F.adjust_gamma(i, 0.7),
    "adjust_sharpness": lambda i: F.adjust_sharpness(i, 2.0),
    "invert": F.invert,
    "posterize": lambda i: F.posterize(i, 3),
    "solarize": lambda i: F.solarize(i, 100),
    "autocontrast": F.autocontrast,
    "equalize": F.equalize,
    "to_grayscale": lambda i: F.to_grayscale(i, 3),
}
KEEP_GRAY = ("adjust_saturation", "adjust_hue")  # which change nothing where there is no colour


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", COLOURS)
def test_colours_change_as_those_of_rgb_and_opacity_stays(name: str, mode: str) -> None:
    given = image(mode)
    if mode in NO_WHITE and name in KEEP_GRAY:
        assert COLOURS[name](given) is given
        return
    if mode in NO_WHITE:
        with pytest.raises(ArgumentError, match=f"{name}: .*mode '{mode}'"):
            COLOURS[name](given)
        return
    found = COLOURS[name](given)
    plain = Image.fromarray(colours(given).astype(np.uint8))
    if mode in ("1", "L", "LA", "La") and name != "to_grayscale":
        plain = plain.convert("L")
    expected = COLOURS[name](plain)
    if name != "to_grayscale":
        kept = {"1": "L", "P": "RGB", "P transparent": "RGBA", "PA": "RGBA"}.get(mode, mode)
        assert found.mode == ("1" if mode == "1" and name in KEEP_GRAY else kept)
        expected = expected.convert(found.mode if found.mode in OF_BYTES[6:] else expected.mode)
    if mode not in ("La", "RGBa", "LAB"):  # what is multiplied by opacity, or out of gamut, is lost
        assert np.abs(colours(found) - colours(expected)).max() <= 1
    if "A" in given.getbands() and mode != "LAB" and name != "to_grayscale":
        assert np.array_equal(found.getchannel("A"), given.getchannel("A"))


GEOMETRY: dict[str, Callable[[Any], Any]] = {
    "resize": lambda i: F.resize(i, (5, 4)),
    "resize larger": lambda i: F.resize(i, (16, 20), 3),
    "resize nearest": lambda i: F.resize(i, (5, 4), 0),
    "pad": lambda i: F.pad(i, (1, 2)),
    "pad edge": lambda i: F.pad(i, 2, padding_mode="edge"),
    "pad reflect": lambda i: F.pad(i, 2, padding_mode="reflect"),
    "pad symmetric": lambda i: F.pad(i, 2, padding_mode="symmetric"),
    "crop": lambda i: F.crop(i, -1, 2, 5, 20),
    "center_crop": lambda i: F.center_crop(i, 4),
    "resized_crop": lambda i: F.resized_crop(i, 1, 1, 4, 5, (6, 6)),
    "hflip": F.hflip,
    "vflip": F.vflip,
    "ten_crop": lambda i: F.ten_crop(i, 3)[7],
    "rotate": lambda i: F.rotate(i, 30),
    "rotate bilinear": lambda i: F.rotate(i, 30, interpolation=2),
    "rotate all": lambda i: F.rotate(i, 90, expand=True),
    "affine": lambda i: F.affine(i, 10, (1, 1), 1.1, 5, interpolation=3),
    "perspective": lambda i: F.perspective(
        i, [(0, 0), (8, 0), (8, 6), (0, 6)], [(1, 1), (7, 0), (8, 6), (0, 5)]
    ),
    "elastic": lambda i: F.elastic_transform(i, dtorch.full((1, 7, 9, 2), 0.1)),
}
NEAREST = {
    "resize": lambda i: F.resize(i, (5, 4), 0),
    "resize larger": lambda i: F.resize(i, (16, 20), 0),
    "resized_crop": lambda i: F.resized_crop(i, 1, 1, 4, 5, (6, 6), 0),
    "rotate bilinear": lambda i: F.rotate(i, 30),
    "affine": lambda i: F.affine(i, 10, (1, 1), 1.1, 5),
    "perspective": lambda i: F.perspective(
        i, [(0, 0), (8, 0), (8, 6), (0, 6)], [(1, 1), (7, 0), (8, 6), (0, 5)], 0
    ),
    "elastic": lambda i: F.elastic_transform(i, dtorch.full((1, 7, 9, 2), 0.1), 0),
}


def bands_of(img: Any) -> list[Any]:
    """Each band as an image of its own numbers."""
    if img.mode in (*NO_WHITE, "1"):
        return [Image.fromarray(np.asarray(img).astype(np.float32))]
    if img.mode == "P":
        return [Image.fromarray(np.asarray(img))]
    return list(img.split())


def planes_of(img: Any) -> list[np.ndarray]:
    return [np.asarray(band).astype(float) for band in bands_of(img)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GEOMETRY)
def test_pixels_move_as_each_band_does_by_itself(name: str, mode: str) -> None:
    given = image(mode)
    found = GEOMETRY[name](given)
    assert found.mode == given.mode
    if given.mode.startswith("P"):
        assert found.getpalette("RGBA") == given.getpalette("RGBA")
        assert found.info.get("transparency") == given.info.get("transparency")
    change = NEAREST.get(name, GEOMETRY[name]) if mode in NAMES else GEOMETRY[name]
    expected = [np.asarray(change(band)).astype(float) for band in bands_of(given)]
    for plane, wanted in zip(planes_of(found), expected, strict=True):
        assert plane.shape == wanted.shape
        if mode in SIXTEEN:
            wanted = wanted.clip(0, 2**16 - 1)
        if mode not in ("LA", "RGBA") or name not in NEAREST:  # Pillow weighs by opacity
            np.testing.assert_allclose(plane, wanted, atol=1, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_blur_is_of_amounts_and_not_of_names_of_colours(mode: str) -> None:
    given = image(mode)
    found = F.gaussian_blur(given, 3, 1.0)
    if mode in NAMES:
        expected = F.gaussian_blur(Image.fromarray(colours(given).astype(np.uint8)), 3, 1.0)
        np.testing.assert_allclose(colours(found), colours(expected), atol=1)
    elif mode != "HSV":
        assert found.mode == given.mode
        for plane, band in zip(planes_of(found), bands_of(given), strict=True):
            blurred = np.asarray(F.gaussian_blur(band, 3, 1.0))
            np.testing.assert_allclose(plane, blurred, atol=0.5, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_images_become_tensors_and_come_back(mode: str) -> None:
    given = image(mode)
    tensor = F.pil_to_tensor(given)
    array = np.atleast_3d(np.asarray(given)).astype(np.float64)
    scale = 255 if mode == "1" else 1
    assert np.array_equal(tensor.numpy(), array.transpose(2, 0, 1) * scale)
    numbers = F.to_tensor(given).numpy()
    np.testing.assert_allclose(numbers, tensor.numpy() / (1 if mode in NO_WHITE else 255), 1e-6)
    if mode == "PA":
        with pytest.raises(ArgumentError, match="to_pil_image: mode is 'PA'"):
            F.to_pil_image(tensor, given.mode)
        return
    back = F.to_pil_image(tensor, given.mode)
    assert back.mode == given.mode
    assert np.array_equal(np.asarray(back), np.asarray(given))


RANDOM = {
    "ColorJitter": transforms.ColorJitter(0.3, 0.3, 0.3, 0.2),
    "RandAugment": transforms.RandAugment(),
    "AutoAugment": transforms.AutoAugment(),
    "TrivialAugmentWide": transforms.TrivialAugmentWide(),
    "AugMix": transforms.AugMix(),
    "RandomAffine": transforms.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 10),
    "RandomPerspective": transforms.RandomPerspective(p=1),
    "RandomRotation": transforms.RandomRotation(30),
    "RandomResizedCrop": transforms.RandomResizedCrop(5),
    "ElasticTransform": transforms.ElasticTransform(),
    "RandomGrayscale": transforms.RandomGrayscale(1.0),
    "GaussianBlur": transforms.GaussianBlur(3),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("size", [(9, 7), (1, 7), (9, 1), (1, 1)])
def test_random_transforms_take_a_mode_or_name_it(
    name: str, mode: str, size: tuple[int, int]
) -> None:
    complaints = set()
    for seed in range(3):
        dtorch.manual_seed(seed)
        try:
            found = RANDOM[name](image(mode, *size))
        except ArgumentError as error:
            complaints.add(str(error).partition("not defined for images of ")[2].partition(",")[0])
        else:
            assert isinstance(found, Image.Image)
    assert complaints <= ({f"mode '{mode}'"} if mode in NO_WHITE else set())


@pytest.mark.parametrize("size", [(1, 7), (9, 1), (1, 1)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_one_pixel_is_an_image(mode: str, size: tuple[int, int]) -> None:
    given = image(mode, *size)
    for name, change in {**COLOURS, **GEOMETRY}.items():
        if name in ("elastic", "ten_crop", "resized_crop") or (mode == "I;16" and name in COLOURS):
            continue
        assert change(given).size[0] > 0
    tensor = F.pil_to_tensor(given)
    assert F.resize(tensor, (3, 3)).shape == (len(given.getbands()), 3, 3)
    assert F.gaussian_blur(tensor, 3).shape == tensor.shape


def test_arrays_of_sixteen_bits_are_images() -> None:
    array = np.array([[0, 300], [65535, 7]], np.uint16)
    for order in ("<u2", ">u2"):
        assert F.to_tensor(array.astype(order)).tolist() == [array.tolist()]
    assert np.array_equal(np.asarray(F.to_pil_image(array)), array)
    tensor = dtorch.from_numpy(array.astype(np.int32))
    for mode in SIXTEEN:
        assert np.array_equal(np.asarray(F.to_pil_image(tensor, mode)), array)
        with pytest.raises(ArgumentError, match="expected 0 to 65535"):
            F.to_pil_image(tensor - 1, mode)


def test_masks_of_bools_are_resized_turned_and_padded() -> None:
    mask = dtorch.zeros(1, 8, 8, dtype=dtorch.bool)
    mask[:, 2:6, 2:6] = True
    for mode in (0, 2, 3):
        small = F.resize(mask, (4, 4), mode)
        assert small.dtype is dtorch.bool
        assert small[0].long().tolist() == [[0] * 4, [0, 1, 1, 0], [0, 1, 1, 0], [0] * 4]
    assert F.rotate(mask, 90, interpolation=2).tolist() == mask.tolist()
    assert F.pad(mask, 1).sum() == 16
    assert F.crop(mask, 0, 0, 4, 4).sum() == 4
    assert F.to_pil_image(mask).mode == "1"
    for name in ("adjust_brightness", "adjust_gamma", "invert", "autocontrast"):
        with pytest.raises(TypeError, match=f"{name}: not defined for dtorch.bool"):
            COLOURS[name](mask)


def test_what_takes_tensors_alone_says_so() -> None:
    for name, call in (
        ("erase", lambda i: F.erase(i, 0, 0, 1, 1, 0)),
        ("normalize", lambda i: F.normalize(i, [0.5], [0.5])),
        ("RandomErasing", transforms.RandomErasing(1)),
    ):
        with pytest.raises(TypeError, match=f"{name}: got .*expected a tensor; use ToTensor"):
            call(image("RGB"))


@pytest.mark.parametrize("mode", [m for m in MODES if m not in ("La", "RGBa", "HSV", "LAB", "PA")])
def test_folders_of_images_give_rgb_or_name_file_and_mode(mode: str, tmp_path: Any) -> None:
    (tmp_path / "cat").mkdir()
    given = image(mode)
    path = tmp_path / "cat" / "a.tiff"
    if mode == "P transparent":
        path = path.with_suffix(".png")
    if mode == "I;16L":
        pytest.skip("no format keeps it")
    given.save(path)
    dataset = ImageFolder(str(tmp_path))
    if mode in ("I", "F"):
        with pytest.raises(ArgumentError, match=rf"a\.tiff: .*mode '{mode}'.*expected 0 to 255"):
            dataset[0]
        return
    found, label = dataset[0]
    assert (found.mode, label) == ("RGB", 0)
    expected = colours(given) if mode not in SIXTEEN else np.asarray(given)[:, :, None] >> 8
    assert (np.asarray(found) == expected).all()


def test_a_photo_is_given_as_it_is_stored(tmp_path: Any) -> None:
    (tmp_path / "cat").mkdir()
    given = image("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright
    given.save(tmp_path / "cat" / "a.png", exif=exif)
    assert ImageFolder(str(tmp_path))[0][0].size == given.size


def test_parameters_are_drawn_by_static_methods() -> None:
    dtorch.manual_seed(0)
    order, *factors = transforms.ColorJitter.get_params((0.5, 1.5), None, (1.0, 1.0), (-0.1, 0.1))
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    assert 0.5 <= factors[0] <= 1.5
    assert factors[1:3] == [None, 1.0]
    assert 0.1 <= transforms.GaussianBlur.get_params(0.1, 2.0) <= 2
    img = dtorch.zeros(3, 20, 30)
    i, j, h, w, value = transforms.RandomErasing.get_params(img, (0.1, 0.2), (0.5, 2.0), [7.0])
    assert 0 <= i <= i + h <= 20
    assert 0 <= j <= j + w <= 30
    assert value.tolist() == [[[7.0]]]
    noise = transforms.RandomErasing.get_params(img, (0.1, 0.2), (0.5, 2.0))
    assert noise[4].shape == (3, *noise[2:4])
    assert transforms.RandomErasing.get_params(img, (1.0, 1.0), (1.0, 1.0), [0])[:4] == (
        0,
        0,
        20,
        30,
    )
    which, chances, signs = transforms.AutoAugment.get_params(25)
    assert 0 <= which < 25
    assert chances.shape == signs.shape == (2,)
