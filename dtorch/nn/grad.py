"""Gradients of convolutions by themselves.

``conv2d_input(size, weight, grad)`` is what ``backward`` of ``conv2d(input, weight)`` gives an input
of that size for the gradient ``grad`` of the output, and ``conv2d_weight`` what it gives the weight.
"""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ShapeError
from dtorch.core.ops.convolution import conv_input, conv_weight
from dtorch.core.shapes import per_dim
from dtorch.core.tensor import Tensor

__all__ = [
    "conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input",
    "conv3d_weight",
]  # fmt: skip


def _sizes(name: str, what: str, dims: int, value: Any) -> tuple[int, ...]:
    if value is None:
        raise TypeError(f"{name}: {what} is None, expected {dims + 2} sizes")
    sizes = tuple(value)
    if len(sizes) != dims + 2:
        raise ShapeError(f"{name}: {what} is {sizes}, expected {dims + 2} sizes")
    return sizes


def _geometry(name: str, dims: int, *given: Any) -> tuple[Any, ...]:
    """Stride, padding and dilation for each dim, and the groups."""
    *each, groups = given
    named = zip(("stride", "padding", "dilation"), each, strict=True)
    return *(per_dim(name, what, value, dims) for what, value in named), groups


def _of_input(dims: int, input_size: Any, weight: Any, grad_output: Any, *given: Any) -> Tensor:
    name = f"conv{dims}d_input"
    sizes = _sizes(name, "input_size", dims, input_size)
    found: Tensor = conv_input(grad_output, weight, None, sizes, *_geometry(name, dims, *given))
    return found


def _of_weight(dims: int, input: Any, weight_size: Any, grad_output: Any, *given: Any) -> Tensor:
    name = f"conv{dims}d_weight"
    sizes = _sizes(name, "weight_size", dims, weight_size)
    found: Tensor = conv_weight(grad_output, input, sizes, *_geometry(name, dims, *given))
    return found


def conv1d_input(
    input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Gradient of ``conv1d`` by its input, which has the shape ``input_size``.

    >>> import dtorch
    >>> conv1d_input((1, 1, 3), dtorch.ones(1, 1, 2), dtorch.ones(1, 1, 2))
    tensor([[[1., 2., 1.]]])
    """
    return _of_input(1, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(
    input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Gradient of ``conv1d`` by its weight, which has the shape ``weight_size``."""
    return _of_weight(1, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(
    input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Gradient of ``conv2d`` by its input, which has the shape ``input_size``."""
    return _of_input(2, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(
    input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Gradient of ``conv2d`` by its weight, which has the shape ``weight_size``."""
    return _of_weight(2, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(
    input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Gradient of ``conv3d`` by its input, which has the shape ``input_size``."""
    return _of_input(3, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(
    input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Gradient of ``conv3d`` by its weight, which has the shape ``weight_size``."""
    return _of_weight(3, input, weight_size, grad_output, stride, padding, dilation, groups)
