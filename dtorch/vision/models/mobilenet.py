"""MobileNet v2: inverted residuals with depthwise convolutions.

Reference: Sandler et al. 2018, arXiv:1801.04381, table 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU6
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.dropout import Dropout
from dtorch.nn.init import kaiming_normal_, normal_, zeros_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d
from dtorch.vision.models.channels import round_channels
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(mobilenet_v2="mobilenet_v2-b0353104.pth")
MobileNet_V2_Weights = weights_enum("MobileNet_V2_Weights", model_urls["mobilenet_v2"])

# expansion, channels, blocks, stride of the first block
_SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class ConvBNReLU(Sequential):
    """Convolution without bias, batch normalisation, ReLU6."""

    def __init__(
        self, in_planes: int, out_planes: int, kernel_size: int = 3, stride: int = 1,
        groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(
            Conv2d(
                in_planes, out_planes, kernel_size, stride, (kernel_size - 1) // 2, groups=groups,
                bias=False,
            ),
            BatchNorm2d(out_planes),
            ReLU6(inplace=True),
        )  # fmt: skip


class InvertedResidual(Module):
    """1x1 convolution to more channels, depthwise 3x3, 1x1 back; the input added if it fits."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ArgumentError(f"InvertedResidual: stride is {stride}, expected 1 or 2")
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        hidden = inp * expand_ratio
        layers: list[Module] = []
        if expand_ratio != 1:
            layers.append(ConvBNReLU(inp, hidden, kernel_size=1))
        layers += [
            ConvBNReLU(hidden, hidden, stride=stride, groups=hidden),
            Conv2d(hidden, oup, kernel_size=1, bias=False),
            BatchNorm2d(oup),
        ]
        self.conv = Sequential(*layers)

    def forward(self, input: Tensor) -> Any:
        out = self.conv(input)
        return input + out if self.use_res_connect else out


class MobileNetV2(Module):
    """MobileNet v2.

    Args:
        width_mult: factor of all numbers of channels.
        inverted_residual_setting: for each group expansion, channels, blocks, first stride.
        round_nearest: numbers of channels are rounded to a multiple of this.

    Shape: input ``(N, 3, H, W)``, output ``(N, num_classes)``.
    """

    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None, round_nearest: int = 8,
        dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__()
        setting = _SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(group) != 4 for group in setting):
            raise ArgumentError(
                f"MobileNetV2: inverted_residual_setting is {setting}, expected groups of 4 numbers"
            )
        channels = round_channels(32 * width_mult, round_nearest)
        self.last_channel = round_channels(1280 * max(1.0, width_mult), round_nearest)
        layers: list[Module] = [ConvBNReLU(3, channels, stride=2)]
        for expansion, width, blocks, stride in setting:
            out_channels = round_channels(width * width_mult, round_nearest)
            for i in range(blocks):
                step = stride if i == 0 else 1
                layers.append(InvertedResidual(channels, out_channels, step, expansion))
                channels = out_channels
        layers.append(ConvBNReLU(channels, self.last_channel, kernel_size=1))
        self.features = Sequential(*layers)
        self.classifier = Sequential(Dropout(dropout), Linear(self.last_channel, num_classes))
        for module in self.modules():
            if isinstance(module, Conv2d):
                kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, Linear):
                normal_(module.weight, 0, 0.01)
                zeros_(module.bias)

    def forward(self, input: Tensor) -> Any:
        return self.classifier(self.features(input).mean((2, 3)))


def mobilenet_v2(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> MobileNetV2:
    """MobileNet v2; arguments as `dtorch.vision.models.resnet18`."""
    return build("mobilenet_v2", model_urls, MobileNetV2, pretrained, progress, weights, kwargs)
