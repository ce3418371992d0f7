"""ShuffleNet v2: half of the channels pass each block untouched, then all are shuffled.

Reference: Ma et al. 2018, arXiv:1807.11164, table 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.functions import cat
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d
from dtorch.nn.pooling import MaxPool2d
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(
    shufflenet_v2_x0_5="shufflenetv2_x0.5-f707e7126e.pth",
    shufflenet_v2_x1_0="shufflenetv2_x1-5666bf0f80.pth",
)
ShuffleNet_V2_X0_5_Weights = weights_enum(
    "ShuffleNet_V2_X0_5_Weights", model_urls["shufflenet_v2_x0_5"]
)
ShuffleNet_V2_X1_0_Weights = weights_enum(
    "ShuffleNet_V2_X1_0_Weights", model_urls["shufflenet_v2_x1_0"]
)


def channel_shuffle(input: Any, groups: int) -> Any:
    """Interleave the channels of ``groups`` equal groups of ``(N, C, H, W)``."""
    n, channels, height, width = input.shape
    split = input.reshape(n, groups, channels // groups, height, width)
    return split.transpose(1, 2).reshape(n, channels, height, width)


def _pointwise(inp: int, oup: int) -> list[Module]:
    return [Conv2d(inp, oup, kernel_size=1, bias=False), BatchNorm2d(oup), ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[Module]:
    convolution = Conv2d(
        channels, channels, kernel_size=3, stride=stride, padding=1, groups=channels, bias=False
    )
    return [convolution, BatchNorm2d(channels)]


class InvertedResidual(Module):
    """One branch of convolutions beside the identity, or beside another where stride is 2."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        half = oup // 2
        if stride not in (1, 2) or (stride == 1 and inp != 2 * half):
            raise ArgumentError(
                f"InvertedResidual: {inp} to {oup} channels with stride {stride}; expected stride "
                "2, or stride 1 and an equal even number of channels"
            )
        self.stride = stride
        if stride > 1:
            self.branch1 = Sequential(*_depthwise(inp, stride), *_pointwise(inp, half))
        self.branch2 = Sequential(
            *_pointwise(inp if stride > 1 else half, half),
            *_depthwise(half, stride),
            *_pointwise(half, half),
        )

    def forward(self, input: Any) -> Any:
        if self.stride == 1:
            kept, worked = input.chunk(2, 1)
            sides = [kept, self.branch2(worked)]
        else:
            sides = [self.branch1(input), self.branch2(input)]
        return channel_shuffle(cat(sides, 1), 2)


class ShuffleNetV2(Module):
    """ShuffleNet v2.

    Args:
        stages_repeats: blocks in each of the three stages.
        stages_out_channels: channels of the first convolution, the stages, the last convolution.

    Shape: input ``(N, 3, H, W)``, output ``(N, num_classes)``.
    """

    def __init__(
        self, stages_repeats: Sequence[int], stages_out_channels: Sequence[int],
        num_classes: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(stages_repeats) != 3 or len(stages_out_channels) != 5:
            raise ArgumentError(
                f"ShuffleNetV2: {len(stages_repeats)} stages_repeats and "
                f"{len(stages_out_channels)} stages_out_channels, expected 3 and 5"
            )
        first, *widths, last = stages_out_channels
        self.conv1 = Sequential(
            Conv2d(3, first, kernel_size=3, stride=2, padding=1, bias=False),
            BatchNorm2d(first),
            ReLU(inplace=True),
        )
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = first
        for stage, repeats, width in zip((2, 3, 4), stages_repeats, widths, strict=True):
            blocks = [InvertedResidual(channels, width, 2)]
            blocks += [InvertedResidual(width, width, 1) for _ in range(repeats - 1)]
            self.add_module(f"stage{stage}", Sequential(*blocks))
            channels = width
        self.conv5 = Sequential(*_pointwise(channels, last))
        self.fc = Linear(last, num_classes)

    def forward(self, input: Tensor) -> Any:
        out = self.maxpool(self.conv1(input))
        out = self.conv5(self.stage4(self.stage3(self.stage2(out))))
        return self.fc(out.mean((2, 3)))


def _shufflenet(
    name: str, channels: tuple[int, ...], pretrained: Any, progress: bool, weights: Any,
    options: dict[str, Any],
) -> ShuffleNetV2:  # fmt: skip
    options = {"stages_repeats": (4, 8, 4), "stages_out_channels": channels, **options}
    return build(name, model_urls, ShuffleNetV2, pretrained, progress, weights, options)


def shufflenet_v2_x0_5(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNet v2 of width 0.5; arguments as `dtorch.vision.models.resnet18`."""
    return _shufflenet(
        "shufflenet_v2_x0_5", (24, 48, 96, 192, 1024), pretrained, progress, weights, kwargs
    )


def shufflenet_v2_x1_0(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNet v2 of width 1; arguments as `dtorch.vision.models.resnet18`."""
    return _shufflenet(
        "shufflenet_v2_x1_0", (24, 116, 232, 464, 1024), pretrained, progress, weights, kwargs
    )


def shufflenet_v2_x1_5(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNet v2 of width 1.5; arguments as `dtorch.vision.models.resnet18`."""
    return _shufflenet(
        "shufflenet_v2_x1_5", (24, 176, 352, 704, 1024), pretrained, progress, weights, kwargs
    )


def shufflenet_v2_x2_0(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNet v2 of width 2; arguments as `dtorch.vision.models.resnet18`."""
    return _shufflenet(
        "shufflenet_v2_x2_0", (24, 244, 488, 976, 2048), pretrained, progress, weights, kwargs
    )
