from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from dtorch.core.creation import from_numpy, ones, tensor, zeros
from dtorch.core.dtype import float32, float64, int16, int32, set_default_dtype, uint8
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.vision import transforms
from dtorch.vision.transforms import functional


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "YCbCr", "RGBA", "CMYK"])
def test_eight_bits_become_numbers_0_to_1(mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 4), np.uint8)
    bands = len(Image.new(mode, (1, 1)).getbands())
    source = pixels[..., :bands] if bands > 1 else pixels[..., 0]
    picture = Image.frombytes(mode, (5, 4), source.tobytes())
    found = transforms.ToTensor()(picture)
    assert found.dtype is float32
    expected = source.reshape(4, 5, bands).transpose(2, 0, 1) / np.float32(255)
    assert np.array_equal(found.numpy(), expected)
    assert transforms.PILToTensor()(picture).dtype is uint8


def test_other_modes_keep_their_numbers() -> None:
    assert functional.to_tensor(Image.new("1", (2, 1), 1)).tolist() == [[[1.0, 1.0]]]
    deep = functional.to_tensor(Image.new("I;16", (1, 1), 65535))
    assert (deep.dtype, deep.item()) == (int32, 65535)
    assert functional.to_tensor(Image.new("I", (1, 1), -70000)).item() == -70000
    assert functional.to_tensor(Image.new("F", (1, 1), 2.5)).item() == 2.5


def test_arrays_become_tensors() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert functional.to_tensor(array)[1, 0, 1].item() == pytest.approx(4 / 255)
    assert tuple(functional.to_tensor(array[..., 0]).shape) == (1, 2, 4)
    assert functional.to_tensor(array.astype(np.float64)).dtype is float64
    with pytest.raises(ShapeError, match=r"shape \(2,\)"):
        functional.to_tensor(np.zeros(2))
    with pytest.raises(TypeError, match="got list"):
        functional.to_tensor([1])


def test_the_default_dtype_is_respected() -> None:
    set_default_dtype(float64)
    try:
        assert functional.to_tensor(np.zeros((1, 1), np.uint8)).dtype is float64
    finally:
        set_default_dtype(float32)


@pytest.mark.parametrize(
    ("shape", "mode"), [((1, 2, 3), "L"), ((2, 3), "L"), ((2, 2, 3), "LA"), ((3, 2, 3), "RGB"),
                        ((4, 2, 3), "RGBA")],
)  # fmt: skip
def test_tensors_become_pictures_and_tensors_again(shape: tuple[int, ...], mode: str) -> None:
    pixels = from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    picture = transforms.ToPILImage()(pixels)
    assert (picture.mode, picture.size) == (mode, (3, 2))
    assert functional.pil_to_tensor(picture).flatten().tolist() == pixels.flatten().tolist()
    # Numbers 0 to 1 are cut off to levels, so half a level is added.
    scaled = (pixels.float() + 0.5) / 255.5
    assert np.array_equal(np.asarray(functional.to_pil_image(scaled)), np.asarray(picture))


def test_arrays_become_pictures() -> None:
    array = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    assert np.array_equal(np.asarray(functional.to_pil_image(array)), array)
    assert functional.to_pil_image(array, "HSV").mode == "HSV"
    for dtype, mode in (
        (np.uint16, "I;16"),
        (np.int16, "I;16"),
        (np.int32, "I"),
        (np.float32, "F"),
    ):
        picture = functional.to_pil_image(array[..., 0].astype(dtype))
        assert (picture.mode, picture.getpixel((1, 0))) == (mode, array[0, 1, 0])
    assert functional.to_pil_image(np.full((1, 1, 3), 0.5)).getpixel((0, 0)) == (127, 127, 127)


def test_pictures_that_cannot_be_are_refused() -> None:
    with pytest.raises(ShapeError, match="5 channels, expected 1 to 4"):
        functional.to_pil_image(zeros(5, 2, 2))
    with pytest.raises(ArgumentError, match="expected one of RGB, YCbCr, HSV"):
        functional.to_pil_image(zeros(3, 2, 2), "L")
    with pytest.raises(ArgumentError, match="expected 'L' for one channel"):
        functional.to_pil_image(zeros(1, 2, 2), "RGB")
    with pytest.raises(DtypeError, match="expected uint8 for 3 channels"):
        functional.to_pil_image(zeros(3, 2, 2, dtype=int32))
    with pytest.raises(ShapeError, match="the tensor has shape"):
        functional.to_pil_image(zeros(2))
    with pytest.raises(TypeError, match="got str"):
        functional.to_pil_image("picture")


def test_normalisation_is_of_each_channel() -> None:
    source = tensor([[[1.0]], [[2.0]]])
    transform = transforms.Normalize((1.0, 1.0), (0.5, 0.25))
    assert transform(source).flatten().tolist() == [0.0, 4.0]
    assert source.flatten().tolist() == [1.0, 2.0]  # the classic one overwrote it
    batch = source.unsqueeze(0)
    assert functional.normalize(batch, [1.0], [0.5]).flatten().tolist() == [0.0, 2.0]
    found = functional.normalize(source, (1.0, 1.0), (0.5, 0.25), inplace=True)
    assert found is source
    assert source.flatten().tolist() == [0.0, 4.0]


def test_gradients_pass_through_normalisation() -> None:
    leaf = ones(3, 2, 2, requires_grad=True)
    functional.normalize(leaf, (0.0,) * 3, (0.5,) * 3).sum().backward()
    assert leaf.grad.unique().tolist() == [2.0]


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(DtypeError, match="use ToTensor"):
        functional.normalize(zeros(3, 2, 2, dtype=uint8), 0.5, 0.5)
    with pytest.raises(ArgumentError, match="a zero to divide by"):
        functional.normalize(zeros(3, 2, 2), (0.5,) * 3, (1.0, 0.0, 1.0))
    with pytest.raises(ShapeError, match="channels, height, width"):
        functional.normalize(zeros(2, 2), 0.5, 0.5)
    with pytest.raises(TypeError, match="got Image"):
        functional.normalize(Image.new("L", (1, 1)), 0.5, 0.5)


@pytest.mark.parametrize(
    ("source", "dtype", "result"),
    [
        (tensor([0, 255], dtype=uint8), float32, [0.0, 1.0]),
        (tensor([0.0, 0.5, 1.0]), uint8, [0, 127, 255]),
        (tensor([0, 255], dtype=uint8), int16, [0, 255 * 128]),
        (tensor([0, 32767], dtype=int16), uint8, [0, 255]),
        (tensor([0.25]), float64, [0.25]),
        (tensor([7], dtype=uint8), uint8, [7]),
    ],
)
def test_white_stays_white(source: Any, dtype: Any, result: list[float]) -> None:
    found = transforms.ConvertImageDtype(dtype)(source)
    assert found.dtype is dtype
    assert found.tolist() == result


def test_linear_transformation() -> None:
    matrix = tensor([[0.0, 1.0], [2.0, 0.0]])
    transform = transforms.LinearTransformation(matrix, tensor([1.0, 0.0]))
    assert transform(tensor([[[3.0, 5.0]]])).tolist() == [[[10.0, 2.0]]]
    with pytest.raises(ShapeError, match="expected a square"):
        transforms.LinearTransformation(zeros(2, 3))
    with pytest.raises(ShapeError, match="multiple of 2 elements"):
        transform(zeros(1, 1, 3))
