"""MNASNet: a mobile network found by search (B1 of the paper).

Reference: Tan et al. 2018, arXiv:1807.11626, figure 7.
"""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.dropout import Dropout
from dtorch.nn.init import kaiming_normal_, kaiming_uniform_, zeros_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d
from dtorch.vision.models.channels import round_channels
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(
    mnasnet0_5="mnasnet0.5_top1_67.823-3ffadce67e.pth",
    mnasnet1_0="mnasnet1.0_top1_73.512-f206786ef8.pth",
)
MNASNet0_5_Weights = weights_enum("MNASNet0_5_Weights", model_urls["mnasnet0_5"])
MNASNet1_0_Weights = weights_enum("MNASNet1_0_Weights", model_urls["mnasnet1_0"])

_BN_MOMENTUM = 1 - 0.9997
_STEM = (32, 16)  # channels before the stacks, at every width
# channels, kernel size, stride, expansion, blocks of each stack
_STACKS = (
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)
_LAST = 1280


def _conv(inp: int, oup: int, kernel: int, stride: int = 1, groups: int = 1) -> list[Module]:
    convolution = Conv2d(
        inp, oup, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [convolution, BatchNorm2d(oup, momentum=_BN_MOMENTUM)]


class _InvertedResidual(Module):
    def __init__(self, inp: int, oup: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inp * expansion
        self.apply_residual = inp == oup and stride == 1
        self.layers = Sequential(
            *_conv(inp, hidden, 1),
            ReLU(inplace=True),
            *_conv(hidden, hidden, kernel, stride, groups=hidden),
            ReLU(inplace=True),
            *_conv(hidden, oup, 1),
        )

    def forward(self, input: Tensor) -> Any:
        out = self.layers(input)
        return input + out if self.apply_residual else out


def _stack(inp: int, oup: int, kernel: int, stride: int, expansion: int, blocks: int) -> Sequential:
    first = _InvertedResidual(inp, oup, kernel, stride, expansion)
    others = [_InvertedResidual(oup, oup, kernel, 1, expansion) for _ in range(1, blocks)]
    return Sequential(first, *others)


class MNASNet(Module):
    """MNASNet B1.

    Args:
        alpha: factor of the numbers of channels of the stacks.

    Shape: input ``(N, 3, H, W)``, output ``(N, num_classes)``.

    Files in which the channels before the first stack are scaled too load as well: those layers
    are made anew with the file's widths.
    """

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if not alpha > 0:
            raise ArgumentError(f"MNASNet: alpha is {alpha}, expected a positive number")
        self.alpha = alpha
        self.num_classes = num_classes
        widths = [round_channels(channels * alpha) for channels, *_ in _STACKS]
        stacks = []
        channels = widths[0]
        for width, (_, kernel, stride, expansion, blocks) in zip(
            widths[1:], _STACKS[1:], strict=True
        ):
            stacks.append(_stack(channels, width, kernel, stride, expansion, blocks))
            channels = width
        self.layers = Sequential(
            *self._stem(*_STEM), *stacks, *_conv(channels, _LAST, 1), ReLU(inplace=True)
        )
        self.classifier = Sequential(Dropout(dropout), Linear(_LAST, num_classes))
        for module in self.modules():
            if isinstance(module, Conv2d):
                kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Linear):
                kaiming_uniform_(module.weight, mode="fan_out", nonlinearity="sigmoid")
                zeros_(module.bias)

    def _stem(self, first: int, second: int) -> list[Module]:
        width, kernel, stride, expansion, blocks = _STACKS[0]
        return [
            *_conv(3, first, 3, stride=2),
            ReLU(inplace=True),
            *_conv(first, first, 3, groups=first),
            ReLU(inplace=True),
            *_conv(first, second, 1),
            _stack(second, round_channels(width * self.alpha), kernel, stride, expansion, blocks),
        ]

    def forward(self, input: Tensor) -> Any:
        return self.classifier(self.layers(input).mean((2, 3)))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        first = state_dict.get(f"{prefix}layers.0.weight")
        second = state_dict.get(f"{prefix}layers.6.weight")
        if first is not None and second is not None:
            found = (first.shape[0], second.shape[0])
            scaled = tuple(round_channels(channels * self.alpha) for channels in _STEM)
            own: Any = self.layers[6]
            if found != (own.in_channels, own.out_channels) and found in (scaled, _STEM):
                stem = self._stem(*found)
                for i, layer in enumerate(stem):
                    self.layers[i] = layer
        super()._load_from_state_dict(state_dict, prefix, *args)


def _mnasnet(
    name: str, alpha: float, pretrained: Any, progress: bool, weights: Any, options: dict[str, Any]
) -> MNASNet:
    options = {"alpha": alpha, **options}
    return build(name, model_urls, MNASNet, pretrained, progress, weights, options)


def mnasnet0_5(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> MNASNet:
    """MNASNet with ``alpha`` 0.5; arguments as `dtorch.vision.models.resnet18`."""
    return _mnasnet("mnasnet0_5", 0.5, pretrained, progress, weights, kwargs)


def mnasnet0_75(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> MNASNet:
    """MNASNet with ``alpha`` 0.75; arguments as `dtorch.vision.models.resnet18`."""
    return _mnasnet("mnasnet0_75", 0.75, pretrained, progress, weights, kwargs)


def mnasnet1_0(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> MNASNet:
    """MNASNet with ``alpha`` 1.0; arguments as `dtorch.vision.models.resnet18`."""
    return _mnasnet("mnasnet1_0", 1.0, pretrained, progress, weights, kwargs)


def mnasnet1_3(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> MNASNet:
    """MNASNet with ``alpha`` 1.3; arguments as `dtorch.vision.models.resnet18`."""
    return _mnasnet("mnasnet1_3", 1.3, pretrained, progress, weights, kwargs)
