"""Layers that change the size of images and rearrange channels."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = [
    "ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample",
    "UpsamplingBilinear2d", "UpsamplingNearest2d",
]  # fmt: skip


class Upsample(Module):
    """Resizes signals, images or volumes.

    Args:
        size: sizes of the output; or
        scale_factor: how many times the input's.
        mode, align_corners, recompute_scale_factor: as in `dtorch.nn.functional.interpolate`.

    Shape: ``(N, C, *)`` with 1, 2 or 3 further dims.

    Example:
        >>> import dtorch
        >>> Upsample(scale_factor=2)(dtorch.tensor([[[1.0, 2.0]]])).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """

    align_corners: bool | None = None  # in files of before 0.4
    recompute_scale_factor: bool | None = None  # in files of before 1.11

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: Any = tuple(float(f) for f in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Any:
        return functions.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resizes images by taking the nearest pixel.

    Args:
        size, scale_factor: as in `Upsample`.

    Example:
        >>> import dtorch
        >>> UpsamplingNearest2d(scale_factor=2)(dtorch.tensor([[[[1.0, 2.0]]]])).tolist()
        [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resizes images bilinearly, with the corners aligned.

    Args:
        size, scale_factor: as in `Upsample`.

    Example:
        >>> import dtorch
        >>> UpsamplingBilinear2d(size=(1, 3))(dtorch.tensor([[[[1.0, 2.0]]]])).tolist()
        [[[[1.0, 1.5, 2.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """``(*, C * r * r, H, W)`` rearranged to ``(*, C, H * r, W * r)``.

    Args:
        upscale_factor: r.

    Reference: Shi et al. 2016, arXiv:1609.05158.

    Example:
        >>> import dtorch
        >>> tuple(PixelShuffle(2)(dtorch.ones(1, 8, 3, 3)).shape)
        (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Any:
        return functions.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """``(*, C, H * r, W * r)`` rearranged to ``(*, C * r * r, H, W)``.

    Args:
        downscale_factor: r.

    Example:
        >>> import dtorch
        >>> tuple(PixelUnshuffle(2)(dtorch.ones(1, 2, 6, 6)).shape)
        (1, 8, 3, 3)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Any:
        return functions.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels dealt out: the first of each group, then the second of each, and so on.

    Args:
        groups: a divisor of the channels of ``(N, C, *)``.

    Reference: Zhang et al. 2017, arXiv:1707.01083.

    Example:
        >>> import dtorch
        >>> ChannelShuffle(2)(dtorch.arange(4.0).reshape(1, 4, 1)).flatten().tolist()
        [0.0, 2.0, 1.0, 3.0]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Any:
        return functions.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Unfold(Module):
    """The windows of ``(N, C, H, W)`` as columns ``(N, C * elements of a window, windows)``.

    Args:
        kernel_size, dilation, padding, stride: as in `Conv2d`.

    Example:
        >>> import dtorch
        >>> tuple(Unfold(2)(dtorch.ones(1, 3, 4, 5)).shape)
        (1, 12, 12)
    """

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Any:
        return functions.im2col(
            input, self.kernel_size, self.dilation, self.padding, self.stride
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """The image ``(N, C, *output_size)`` to which columns of windows add up.

    Args:
        output_size: rows and columns of the image.
        kernel_size, dilation, padding, stride: those of the windows, as in `Unfold`.

    Example:
        >>> import dtorch
        >>> Fold((1, 3), (1, 2))(dtorch.ones(1, 2, 2)).tolist()
        [[[[1.0, 2.0, 1.0]]]]
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
        stride: Any = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Any:
        return functions.col2im(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
