"""Transforms between images and tensors, and of tensors."""

from __future__ import annotations

from typing import Any

from dtorch.core.dtype import as_dtype
from dtorch.core.errors import ShapeError
from dtorch.core.tensor import Tensor
from dtorch.vision.transforms import functional
from dtorch.vision.transforms.transform import Transform


class ToTensor(Transform):
    """An image of Pillow or an array as tensor; see `functional.to_tensor`."""

    def __call__(self, img: Any) -> Tensor:
        return functional.to_tensor(img)


class PILToTensor(Transform):
    """An image of Pillow as tensor of its own numbers."""

    def __call__(self, img: Any) -> Tensor:
        return functional.pil_to_tensor(img)


class ConvertImageDtype(Transform):
    """A tensor image in another dtype; white stays white."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, img: Tensor) -> Tensor:
        return functional.convert_image_dtype(img, self.dtype)


class ToPILImage(Transform):
    """A tensor or array as image of Pillow; see `functional.to_pil_image`."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, img: Any) -> Any:
        return functional.to_pil_image(img, self.mode)


class Normalize(Transform):
    """``(image - mean) / std`` in each channel of a tensor.

    Args:
        mean, std: one number for each channel.
        inplace: overwrite the tensor.
    """

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def __call__(self, img: Tensor) -> Tensor:
        return functional.normalize(img, self.mean, self.std, self.inplace)


class LinearTransformation(Transform):
    """A flattened tensor minus a mean, times a matrix; for whitening.

    Args:
        transformation_matrix: ``(d, d)`` with d = channels * height * width.
        mean_vector: ``(d,)``. Default: zeros.
    """

    def __init__(self, transformation_matrix: Any, mean_vector: Any = None) -> None:
        matrix = transformation_matrix
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ShapeError(
                f"LinearTransformation: the matrix has shape {tuple(matrix.shape)}, expected a "
                "square"
            )
        if mean_vector is not None and tuple(mean_vector.shape) != (matrix.shape[0],):
            raise ShapeError(
                f"LinearTransformation: mean_vector has shape {tuple(mean_vector.shape)}, expected "
                f"{(matrix.shape[0],)}"
            )
        self.transformation_matrix = matrix
        self.mean_vector = mean_vector

    def __call__(self, img: Any) -> Any:
        size = self.transformation_matrix.shape[0]
        if img.numel() % size:
            raise ShapeError(
                f"LinearTransformation: the tensor has shape {tuple(img.shape)}, expected a "
                f"multiple of {size} elements"
            )
        flat = img.reshape(-1, size)
        if self.mean_vector is not None:
            flat = flat - self.mean_vector
        return flat.mm(self.transformation_matrix).view(img.shape)
