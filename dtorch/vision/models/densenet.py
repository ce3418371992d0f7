"""DenseNet: each layer sees the outputs of all layers before it in its block.

Reference: Huang et al. 2016, arXiv:1608.06993.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from dtorch.core.functions import cat, dropout
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.inference import in_order
from dtorch.nn.init import kaiming_normal_, zeros_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d
from dtorch.nn.pooling import AvgPool2d, MaxPool2d
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(
    densenet121="densenet121-a639ec97.pth",
    densenet169="densenet169-b2777c0a.pth",
    densenet201="densenet201-c1103571.pth",
    densenet161="densenet161-8d451a50.pth",
)
DenseNet121_Weights = weights_enum("DenseNet121_Weights", model_urls["densenet121"])
DenseNet161_Weights = weights_enum("DenseNet161_Weights", model_urls["densenet161"])
DenseNet169_Weights = weights_enum("DenseNet169_Weights", model_urls["densenet169"])
DenseNet201_Weights = weights_enum("DenseNet201_Weights", model_urls["densenet201"])

# Files of 2017 call the layers norm.1, conv.1 and so on, which names may no longer contain.
_OLD_KEY = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\..+)")


class _DenseLayer(Module):
    def __init__(self, channels: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(channels)
        self.relu1 = ReLU(inplace=True)
        self.conv1 = Conv2d(channels, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = BatchNorm2d(bn_size * growth_rate)
        self.relu2 = ReLU(inplace=True)
        self.conv2 = Conv2d(
            bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False
        )
        self.drop_rate = drop_rate

    def forward(self, earlier: list[Tensor]) -> Any:
        joined = earlier[0] if len(earlier) == 1 else cat(earlier, 1)
        layers = (self.norm1, self.relu1, self.conv1, self.norm2, self.relu2, self.conv2)
        out = in_order(layers, joined)
        return dropout(out, self.drop_rate, self.training) if self.drop_rate > 0 else out


class _DenseBlock(Module):
    def __init__(
        self, layers: int, channels: int, growth_rate: int, bn_size: int, drop_rate: float
    ) -> None:
        super().__init__()
        for i in range(layers):
            layer = _DenseLayer(channels + i * growth_rate, growth_rate, bn_size, drop_rate)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, input: Tensor) -> Any:
        outputs = [input]
        for layer in self.children():
            outputs.append(layer(outputs))
        return cat(outputs, 1)


class _Transition(Sequential):
    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.add_module("norm", BatchNorm2d(channels))
        self.add_module("relu", ReLU(inplace=True))
        self.add_module("conv", Conv2d(channels, out_channels, kernel_size=1, bias=False))
        self.add_module("pool", AvgPool2d(kernel_size=2, stride=2))


class DenseNet(Module):
    """Blocks of densely connected layers with transitions between them.

    Args:
        growth_rate: channels that each layer adds.
        block_config: layers in each block.
        num_init_features: channels of the first convolution.
        bn_size: the 1x1 convolutions give ``bn_size * growth_rate`` channels.
        drop_rate: probability of dropout after each layer.

    Shape: input ``(N, 3, H, W)``, at least 29 pixels a side; output ``(N, num_classes)``.
    """

    def __init__(
        self, growth_rate: int = 32, block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64, bn_size: int = 4, drop_rate: float = 0,
        num_classes: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__()
        first: list[tuple[str, Module]] = [
            ("conv0", Conv2d(3, num_init_features, 7, stride=2, padding=3, bias=False)),
            ("norm0", BatchNorm2d(num_init_features)),
            ("relu0", ReLU(inplace=True)),
            ("pool0", MaxPool2d(kernel_size=3, stride=2, padding=1)),
        ]
        self.features = Sequential(OrderedDict(first))
        channels = num_init_features
        for i, layers in enumerate(block_config, 1):
            block = _DenseBlock(layers, channels, growth_rate, bn_size, drop_rate)
            self.features.add_module(f"denseblock{i}", block)
            channels += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", _Transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", BatchNorm2d(channels))
        self.classifier = Linear(channels, num_classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, Conv2d):
                kaiming_normal_(module.weight)
        zeros_(self.classifier.bias)

    def forward(self, input: Tensor) -> Any:
        features = self.features(input).relu_()
        return self.classifier(features.mean((2, 3)))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for key in list(state_dict):
            old = _OLD_KEY.fullmatch(key) if key.startswith(prefix) else None
            if old:
                state_dict[old[1] + old[2]] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _densenet(
    name: str, growth_rate: int, block_config: tuple[int, ...], num_init_features: int,
    pretrained: Any, progress: bool, weights: Any, options: dict[str, Any],
) -> DenseNet:  # fmt: skip
    options = {
        "growth_rate": growth_rate, "block_config": block_config,
        "num_init_features": num_init_features, **options,
    }  # fmt: skip
    return build(name, model_urls, DenseNet, pretrained, progress, weights, options)


def densenet121(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> DenseNet:
    """DenseNet with 121 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _densenet("densenet121", 32, (6, 12, 24, 16), 64, pretrained, progress, weights, kwargs)


def densenet161(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> DenseNet:
    """DenseNet with 161 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _densenet("densenet161", 48, (6, 12, 36, 24), 96, pretrained, progress, weights, kwargs)


def densenet169(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> DenseNet:
    """DenseNet with 169 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _densenet("densenet169", 32, (6, 12, 32, 32), 64, pretrained, progress, weights, kwargs)


def densenet201(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> DenseNet:
    """DenseNet with 201 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _densenet("densenet201", 32, (6, 12, 48, 32), 64, pretrained, progress, weights, kwargs)
