"""What images are: Pillow's, or tensors ``(..., channels, height, width)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.tensor import Tensor
from dtorch.vision.optional import is_pil_image


def refuse(operation: str, image: Any) -> NoReturn:
    """Raise the error for what is no image."""
    raise TypeError(
        f"{operation}: got {type(image).__name__}, expected an image of Pillow or a tensor "
        "(..., channels, height, width)"
    )


def check_tensor(operation: str, image: Any) -> Tensor:
    """The tensor, having seen that it is an image."""
    if not isinstance(image, Tensor):
        refuse(operation, image)
    if image.ndim < 2:
        raise ShapeError(
            f"{operation}: the tensor has shape {tuple(image.shape)}, expected "
            "(..., channels, height, width)"
        )
    return image


def get_image_size(img: Any) -> list[int]:
    """Width and height, in pixels."""
    if is_pil_image(img):
        return list(img.size)
    shape = check_tensor("get_image_size", img).shape
    return [shape[-1], shape[-2]]


def get_image_num_channels(img: Any) -> int:
    """Number of channels; 1 for a tensor ``(height, width)``."""
    if is_pil_image(img):
        return len(img.getbands())
    tensor = check_tensor("get_image_num_channels", img)
    return 1 if tensor.ndim == 2 else int(tensor.shape[-3])


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width."""
    width, height = get_image_size(img)
    return [get_image_num_channels(img), height, width]


def largest_value(array: np.ndarray) -> int:
    """White: 1 for floating-point images, the largest number of an integer dtype."""
    return 1 if array.dtype.kind == "f" else int(np.iinfo(array.dtype).max)


def rounded_to(values: np.ndarray, like: np.ndarray) -> Tensor:
    """A tensor of these values in the dtype of ``like``; integers are rounded and clipped."""
    if like.dtype.kind == "f":
        return from_numpy(values.astype(like.dtype, copy=False))
    if like.dtype.kind == "b":
        return from_numpy(values >= 0.5)
    limits = np.iinfo(like.dtype)
    return from_numpy(np.clip(np.rint(values), limits.min, limits.max).astype(like.dtype))


def height_and_width(operation: str, size: Any) -> tuple[int, int]:
    """A size given as one number, a list of one, or a pair ``(height, width)``."""
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    if len(sizes) == 1:
        sizes = (sizes[0], sizes[0])
    if len(sizes) != 2 or not all(isinstance(side, int | np.integer) for side in sizes):
        raise ArgumentError(
            f"{operation}: size is {size!r}, expected an int or a pair (height, width)"
        )
    return int(sizes[0]), int(sizes[1])


def fill_values(fill: Any, channels: int) -> np.ndarray:
    """A fill colour as array that broadcasts over ``(channels, height, width)``."""
    given = 0 if fill is None else fill
    values = [given] if isinstance(given, int | float) else list(given)
    if len(values) not in (1, channels):
        raise ArgumentError(f"fill is {fill!r}, expected a number or one for each of {channels}")
    return np.array(values, np.float64).reshape(-1, 1, 1)


def pillow_fill(fill: Any, image: Any) -> Any:
    """A fill colour as Pillow takes it for this image."""
    if fill is None:
        return None
    bands = len(image.getbands())
    if isinstance(fill, Sequence):
        values = tuple(fill) * (bands if len(fill) == 1 else 1)
        if len(values) != bands:
            raise ArgumentError(f"fill is {fill!r}, expected a number or one for each of {bands}")
    else:
        values = (fill,) * bands
    if image.mode != "F":
        values = tuple(map(int, values))
    return values[0] if bands == 1 else values
