"""SqueezeNet: few parameters through 1x1 convolutions.

Reference: Iandola et al. 2016, arXiv:1602.07360.
"""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.functions import cat
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.dropout import Dropout
from dtorch.nn.inference import in_order
from dtorch.nn.init import kaiming_uniform_, normal_, zeros_
from dtorch.nn.module import Module
from dtorch.nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(
    squeezenet1_0="squeezenet1_0-a815701f.pth", squeezenet1_1="squeezenet1_1-f364aa15.pth"
)
SqueezeNet1_0_Weights = weights_enum("SqueezeNet1_0_Weights", model_urls["squeezenet1_0"])
SqueezeNet1_1_Weights = weights_enum("SqueezeNet1_1_Weights", model_urls["squeezenet1_1"])


class Fire(Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = ReLU(inplace=True)
        self.expand1x1 = Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = ReLU(inplace=True)
        self.expand3x3 = Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = ReLU(inplace=True)

    def forward(self, input: Tensor) -> Any:
        squeezed = in_order((self.squeeze, self.squeeze_activation), input)
        sides = [
            in_order((self.expand1x1, self.expand1x1_activation), squeezed),
            in_order((self.expand3x3, self.expand3x3_activation), squeezed),
        ]
        return cat(sides, 1)


def _pool() -> MaxPool2d:
    return MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


def _features(version: str) -> Sequential:
    if version == "1_0":
        return Sequential(
            Conv2d(3, 96, kernel_size=7, stride=2), ReLU(inplace=True), _pool(),
            Fire(96, 16, 64, 64), Fire(128, 16, 64, 64), Fire(128, 32, 128, 128), _pool(),
            Fire(256, 32, 128, 128), Fire(256, 48, 192, 192), Fire(384, 48, 192, 192),
            Fire(384, 64, 256, 256), _pool(), Fire(512, 64, 256, 256),
        )  # fmt: skip
    return Sequential(
        Conv2d(3, 64, kernel_size=3, stride=2), ReLU(inplace=True), _pool(),
        Fire(64, 16, 64, 64), Fire(128, 16, 64, 64), _pool(), Fire(128, 32, 128, 128),
        Fire(256, 32, 128, 128), _pool(), Fire(256, 48, 192, 192), Fire(384, 48, 192, 192),
        Fire(384, 64, 256, 256), Fire(512, 64, 256, 256),
    )  # fmt: skip


class SqueezeNet(Module):
    """Eight `Fire` modules.

    Args:
        version: "1_0" (also 1.0), or "1_1" (also 1.1), which pools earlier and costs less.

    Shape: input ``(N, 3, H, W)``, output ``(N, num_classes)``.
    """

    def __init__(
        self, version: str | float = "1_0", num_classes: int = 1000, dropout: float = 0.5
    ) -> None:
        super().__init__()
        name = str(version).replace(".", "_")
        if name not in ("1_0", "1_1"):
            raise ArgumentError(f"SqueezeNet: version is {version!r}, expected '1_0' or '1_1'")
        self.num_classes = num_classes
        self.features = _features(name)
        final_conv = Conv2d(512, num_classes, kernel_size=1)
        self.classifier = Sequential(
            Dropout(dropout), final_conv, ReLU(inplace=True), AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, Conv2d):
                if module is final_conv:
                    normal_(module.weight, 0.0, 0.01)
                else:
                    kaiming_uniform_(module.weight)
                zeros_(module.bias)  # type: ignore[arg-type]  # made with bias

    def forward(self, input: Tensor) -> Any:
        return self.classifier(self.features(input)).flatten(1)


def _squeezenet(
    version: str, pretrained: Any, progress: bool, weights: Any, options: dict[str, Any]
) -> SqueezeNet:
    options = {"version": version, **options}
    name = f"squeezenet{version}"
    return build(name, model_urls, SqueezeNet, pretrained, progress, weights, options)


def squeezenet1_0(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet 1.0; arguments as `dtorch.vision.models.resnet18`."""
    return _squeezenet("1_0", pretrained, progress, weights, kwargs)


def squeezenet1_1(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet 1.1; arguments as `dtorch.vision.models.resnet18`."""
    return _squeezenet("1_1", pretrained, progress, weights, kwargs)
