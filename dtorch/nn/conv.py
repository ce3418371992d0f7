"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from dtorch.core import functions
from dtorch.core.creation import empty
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.parameter import Parameter
from dtorch.core.shapes import expect_ints, per_dim
from dtorch.core.tensor import Tensor
from dtorch.nn.init import uniform_
from dtorch.nn.module import Module

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions and transposed convolutions of 1 to 3 dimensions share.

    Attributes:
        weight: uniform in ±1/sqrt(channels in each group * kernel elements).
        bias: ``(out_channels,)`` from the same range, or None.
    """

    padding_mode = "zeros"  # in files of before 1.1

    _dims: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]
    bias: Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any,
        dilation: Any, transposed: bool, output_padding: Any, groups: int, bias: bool,
        padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        name, n = type(self).__name__, self._dims
        expect_ints(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: groups is {groups}, expected a divisor of in_channels {in_channels} and "
                f"out_channels {out_channels}"
            )
        if padding_mode not in _PADDING_MODES:
            raise ArgumentError(
                f"{name}: padding_mode is {padding_mode!r}, expected one of "
                f"{', '.join(_PADDING_MODES)}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_dim(name, "kernel_size", kernel_size, n)
        self.stride = per_dim(name, "stride", stride, n)
        self.dilation = per_dim(name, "dilation", dilation, n)
        self.padding = padding if isinstance(padding, str) else per_dim(name, "padding", padding, n)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ArgumentError(
                    f"{name}: padding is {padding!r}, expected 'same', 'valid' or ints"
                )
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ArgumentError(
                    f"{name}: padding='same' needs a stride of 1, got {self.stride}"
                )
        self.transposed = transposed
        self.output_padding = per_dim(name, "output_padding", output_padding, n)
        self.groups = groups
        self.padding_mode = padding_mode
        self._set_weight(bias, device, dtype)

    def _set_weight(self, bias: bool, device: Any, dtype: Any) -> None:
        made = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty(self._weight_shape(), **made))
        self.register_parameter(
            "bias", Parameter(empty(self.out_channels, **made)) if bias else None
        )
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        if self.transposed:
            return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        fan_in = math.prod(self.weight.shape[1:])
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        for parameter in self.parameters(recurse=False):
            uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0,) * self._dims:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self._dims:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self._dims:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups,
            bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Any:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = functions.pad(input, self._sides(), self.padding_mode)
            padding = 0
        return type(self)._function(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _sides(self) -> list[int]:
        """Elements before and after each dim, the last dim first, as `pad` takes them."""
        sides = []
        for dim in reversed(range(self._dims)):
            if self.padding == "same":
                total = self.dilation[dim] * (self.kernel_size[dim] - 1)
                sides += [total // 2, total - total // 2]
            else:
                p = 0 if self.padding == "valid" else int(self.padding[dim])
                sides += [p, p]
        return sides


class Conv1d(_Conv):
    """Cross-correlation of signals ``(N, C, L)`` with learned kernels.

    Args:
        in_channels, out_channels: C of input and output.
        kernel_size, stride, padding, dilation, groups: as in `dtorch.nn.functional.conv1d`.
        padding_mode: what is padded: ``"zeros"``, ``"reflect"``, ``"replicate"``, ``"circular"``.

    Attributes:
        weight: ``(out_channels, in_channels / groups, kernel_size)``.
        bias: ``(out_channels,)`` or None.

    Raises:
        ValueError: ``groups`` does not divide both channels, an unknown ``padding_mode`` or word for
            ``padding``, or ``"same"`` with a stride.
        RuntimeError: the input has other channels or dims, or is smaller than the kernel.

    Example:
        >>> import dtorch
        >>> tuple(Conv1d(4, 8, 3, stride=2)(dtorch.ones(2, 4, 9)).shape)
        (2, 8, 4)
    """

    _dims = 1
    _function = staticmethod(functions.conv1d)


class Conv2d(_Conv):
    """Cross-correlation of images ``(N, C, H, W)`` with learned kernels.

    Args:
        in_channels, out_channels: C of input and output.
        kernel_size, stride, padding, dilation, groups: as in `dtorch.nn.functional.conv2d`.
        padding_mode: what is padded: ``"zeros"``, ``"reflect"``, ``"replicate"``, ``"circular"``.

    Attributes:
        weight: ``(out_channels, in_channels / groups, rows, columns)``.
        bias: ``(out_channels,)`` or None.

    Example:
        >>> import dtorch
        >>> tuple(Conv2d(3, 8, 3, padding=1)(dtorch.ones(2, 3, 6, 6)).shape)
        (2, 8, 6, 6)
    """

    _dims = 2
    _function = staticmethod(functions.conv2d)


class Conv3d(_Conv):
    """Cross-correlation of volumes ``(N, C, D, H, W)`` with learned kernels; see `Conv2d`.

    Example:
        >>> import dtorch
        >>> tuple(Conv3d(1, 2, 3, padding="same")(dtorch.ones(1, 1, 4, 5, 6)).shape)
        (1, 2, 4, 5, 6)
    """

    _dims = 3
    _function = staticmethod(functions.conv3d)


class _ConvTranspose(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, output_padding: Any = 0, groups: int = 1, bias: bool = True,
        dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ArgumentError(
                f"{type(self).__name__}: padding_mode is {padding_mode!r}, a transposed "
                "convolution knows 'zeros' only"
            )
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True,
            output_padding, groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Any:
        """The output.

        Args:
            output_size: its sides, where the stride leaves a choice. Default: the least ones.
        """
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return type(self)._function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that gives ``output_size``."""
        n = self._dims
        wanted = tuple(int(size) for size in output_size)
        if len(wanted) not in (n, input.ndim):
            raise ShapeError(
                f"{type(self).__name__}: output_size is {wanted}, expected {n} or {input.ndim} sizes"
            )
        wanted = wanted[-n:]
        padding: Any = self.padding  # never a word here
        least = tuple(
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(
                input.shape[-n:],
                self.stride,
                padding,
                self.dilation,
                self.kernel_size,
                strict=True,
            )
        )
        most = tuple(size + s - 1 for size, s in zip(least, self.stride, strict=True))
        if any(not a <= w <= b for w, a, b in zip(wanted, least, most, strict=True)):
            raise ArgumentError(
                f"{type(self).__name__}: output_size is {wanted}, expected sizes from {least} to "
                f"{most} for an input of shape {tuple(input.shape)}"
            )
        return tuple(w - a for w, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of signals ``(N, C, L)``; see `ConvTranspose2d`.

    Example:
        >>> import dtorch
        >>> tuple(ConvTranspose1d(4, 2, 3, stride=2)(dtorch.ones(1, 4, 5)).shape)
        (1, 2, 11)
    """

    _dims = 1
    _function = staticmethod(functions.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images ``(N, C, H, W)``: the map of gradients of a convolution.

    Args:
        kernel_size, stride, padding, dilation, groups: those of the convolution it transposes.
        output_padding: rows and columns added at the end of the output.

    Attributes:
        weight: ``(in_channels, out_channels / groups, rows, columns)``.
        bias: ``(out_channels,)`` or None.

    Raises:
        ValueError: as `Conv1d`; or a ``padding_mode`` other than ``"zeros"``.

    Example:
        >>> import dtorch
        >>> layer = ConvTranspose2d(4, 2, 3, stride=2, padding=1)
        >>> tuple(layer(dtorch.ones(1, 4, 5, 5)).shape)
        (1, 2, 9, 9)
        >>> tuple(layer(dtorch.ones(1, 4, 5, 5), output_size=(10, 10)).shape)
        (1, 2, 10, 10)
    """

    _dims = 2
    _function = staticmethod(functions.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes ``(N, C, D, H, W)``; see `ConvTranspose2d`.

    Example:
        >>> import dtorch
        >>> tuple(ConvTranspose3d(1, 2, 2, stride=2)(dtorch.ones(1, 1, 3, 3, 3)).shape)
        (1, 2, 6, 6, 6)
    """

    _dims = 3
    _function = staticmethod(functions.conv_transpose3d)
