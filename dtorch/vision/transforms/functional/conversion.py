"""From images to tensors and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.dtype import as_dtype, from_numpy_dtype, get_default_dtype
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.tensor import Tensor
from dtorch.vision.optional import is_pil_image, pillow


def _pixels(image: Any) -> np.ndarray:
    """The array ``(height, width, channels)`` of Pillow's image."""
    array = np.asarray(image)
    if image.mode == "1":
        array = array.astype(np.uint8) * 255
    return array if array.ndim == 3 else array[:, :, None]


def _numbers(operation: str, array: np.ndarray) -> np.ndarray:
    """An array of a dtype that tensors have, and of the machine's order of bytes."""
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return array.astype(np.int32)  # there is no tensor of uint16
    array = np.array(array, array.dtype.newbyteorder("="), order="C")
    try:
        from_numpy_dtype(array.dtype)
    except DtypeError:
        raise DtypeError(
            f"{operation}: the array is {array.dtype}, which no tensor can hold; convert it first"
        ) from None
    return array


def _channels_first(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3):
        raise ShapeError(
            f"the array has shape {array.shape}, expected (height, width) or "
            "(height, width, channels)"
        )
    return (array if array.ndim == 3 else array[:, :, None]).transpose(2, 0, 1)


def to_tensor(pic: Any) -> Tensor:
    """An image as a tensor ``(channels, height, width)``.

    Args:
        pic: an image of Pillow, or an array ``(height, width[, channels])``.
    Returns:
        The default dtype and numbers 0 to 1 if the source is uint8 (or black and white); other
        types keep their numbers, 16-bit images as int32.
    Example:
        >>> import numpy as np
        >>> to_tensor(np.full((1, 2), 255, np.uint8))
        tensor([[[1., 1.]]])
    """
    if is_pil_image(pic):
        planes = _channels_first(_pixels(pic))
    elif isinstance(pic, np.ndarray):
        planes = _channels_first(pic)
    else:
        raise TypeError(
            f"to_tensor: got {type(pic).__name__}, expected an image of Pillow or an ndarray"
        )
    if planes.dtype != np.uint8:
        return from_numpy(_numbers("to_tensor", planes))
    dtype = get_default_dtype().numpy
    out = np.empty(planes.shape, dtype)
    np.divide(planes, dtype.type(255), out=out)
    return from_numpy(out)


def pil_to_tensor(pic: Any) -> Tensor:
    """An image of Pillow as a tensor ``(channels, height, width)`` of its own numbers."""
    if not is_pil_image(pic):
        raise TypeError(f"pil_to_tensor: got {type(pic).__name__}, expected an image of Pillow")
    return from_numpy(_numbers("pil_to_tensor", _channels_first(_pixels(pic))))


def convert_image_dtype(image: Tensor, dtype: Any = None) -> Tensor:
    """An image in another dtype, scaled so that white stays white.

    White is 1 in floating point, the largest number in integers.
    """
    target = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    array = image.array
    source = array.dtype
    if source == target:
        return image
    if source.kind == "f":
        if target.kind == "f":
            return from_numpy(array.astype(target))
        largest = int(np.iinfo(target).max)
        # Just below the next number, so that each integer gets an equal share of 0 to 1.
        scaled = array.astype(np.float64) * (largest + 1 - 1e-3)
        return from_numpy(np.clip(scaled, 0, largest).astype(target))
    largest = int(np.iinfo(source).max)
    if target.kind == "f":
        return from_numpy(array.astype(target) / target.type(largest))
    wanted = int(np.iinfo(target).max)
    if wanted <= largest:
        return from_numpy((array // ((largest + 1) // (wanted + 1))).astype(target))
    return from_numpy(array.astype(target) * target.type((wanted + 1) // (largest + 1)))


_MODES_OF_CHANNELS = {
    2: ("LA", "La"),
    3: ("RGB", "YCbCr", "HSV", "LAB"),
    4: ("RGBA", "CMYK", "RGBX", "RGBa"),
}
_MODES_OF_DTYPES = {
    np.dtype(np.bool_): "1",
    np.dtype(np.uint8): "L",
    np.dtype(np.int16): "I;16",
    np.dtype(np.uint16): "I;16",
    np.dtype(np.int32): "I",
    np.dtype(np.float32): "F",
}


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor or array as an image of Pillow.

    Args:
        pic: a tensor ``([channels, ]height, width)`` or an array ``(height, width[, channels])``.
            Floating-point numbers 0 to 1 become 0 to 255, unless ``mode`` is "F".
        mode: Pillow's name of the colours. Default: "L" or another of one channel by the dtype;
            "LA", "RGB", "RGBA" for 2, 3, 4 channels.
    """
    if isinstance(pic, Tensor):
        array = pic.detach().cpu().array
        if array.ndim not in (2, 3):
            raise ShapeError(
                f"to_pil_image: the tensor has shape {array.shape}, expected "
                "([channels, ]height, width)"
            )
        array = array if array.ndim == 2 else array.transpose(1, 2, 0)
        scaled = array.dtype.kind == "f" and mode != "F"
    elif isinstance(pic, np.ndarray):
        array = pic
        if array.ndim not in (2, 3):
            raise ShapeError(
                f"to_pil_image: the array has shape {array.shape}, expected "
                "(height, width[, channels])"
            )
        scaled = array.dtype.kind == "f" and mode != "F" and array.ndim == 3 and array.shape[2] > 1
    else:
        raise TypeError(f"to_pil_image: got {type(pic).__name__}, expected a tensor or an ndarray")
    if scaled:
        array = (array * 255).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _image(np.ascontiguousarray(array), mode)


def _image(array: np.ndarray, mode: str | None) -> Any:
    if array.ndim == 2:
        if array.dtype == np.int16:
            array = array.view(np.uint16)
        if array.dtype not in _MODES_OF_DTYPES:
            raise DtypeError(
                f"to_pil_image: dtype is {array.dtype}, expected one of "
                f"{', '.join(str(dtype) for dtype in _MODES_OF_DTYPES)}"
            )
        natural = _MODES_OF_DTYPES[array.dtype]
        if mode in ("I;16", "I;16L", "I;16B") and natural in ("I", "I;16"):
            return _sixteen_bits(array, mode)
        if mode is not None and mode not in (natural, "1" if natural == "L" else natural, "P"):
            raise ArgumentError(
                f"to_pil_image: mode is {mode!r}, expected {natural!r} for one channel of "
                f"{array.dtype}"
            )
        image = pillow().fromarray(array)
        return image if mode in (None, natural) else image.convert(mode)
    channels = array.shape[2]
    modes = _MODES_OF_CHANNELS.get(channels)
    if modes is None:
        raise ShapeError(f"to_pil_image: {channels} channels, expected 1 to 4")
    if array.dtype != np.uint8:
        raise DtypeError(
            f"to_pil_image: dtype is {array.dtype}, expected uint8 for {channels} channels"
        )
    if mode is not None and mode not in modes:
        raise ArgumentError(
            f"to_pil_image: mode is {mode!r}, expected one of {', '.join(modes)} for {channels} "
            "channels"
        )
    wanted = mode or modes[0]
    height, width = array.shape[:2]
    return pillow().frombytes(wanted, (width, height), array.tobytes())


def _sixteen_bits(array: np.ndarray, mode: str) -> Any:
    if array.size and not 0 <= array.min() <= array.max() < 2**16:
        raise ArgumentError(
            f"to_pil_image: numbers from {array.min()} to {array.max()}, expected 0 to 65535 for "
            f"mode {mode!r}"
        )
    pixels = array.astype(">u2" if mode == "I;16B" else "<u2")
    return pillow().frombytes(mode, array.shape[::-1], pixels.tobytes())


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """``(tensor - mean) / std`` in each channel.

    Args:
        tensor: floating point, ``(..., channels, height, width)``.
        mean, std: one number for each channel, or one for all.
        inplace: overwrite the tensor.
    Raises:
        DtypeError: the tensor is of integers.
        ArgumentError: a deviation is zero.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"normalize: got {type(tensor).__name__}, expected a tensor; use ToTensor before"
        )
    if not tensor.is_floating_point():
        raise DtypeError(
            f"normalize: the tensor is {tensor.dtype}, expected floating point; use ToTensor or "
            "ConvertImageDtype before"
        )
    if tensor.ndim < 3:
        raise ShapeError(
            f"normalize: the tensor has shape {tuple(tensor.shape)}, expected "
            "(..., channels, height, width)"
        )
    dtype = tensor.dtype.numpy
    centre, deviation = (
        np.asarray(value, dtype).reshape(-1, 1, 1) if np.ndim(value) < 3 else np.asarray(value)
        for value in (mean, std)
    )
    if (deviation == 0).any():
        raise ArgumentError(f"normalize: std is {std}, which has a zero to divide by")
    if tensor.requires_grad:
        result: Any = (tensor - from_numpy(centre)) / from_numpy(deviation)
        return result if not inplace else tensor.copy_(result)
    if inplace:
        tensor -= from_numpy(centre)
        tensor /= from_numpy(deviation)
        return tensor
    values = tensor.array - centre
    values /= deviation
    return from_numpy(values)
