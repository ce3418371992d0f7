"""VGG: blocks of 3x3 convolutions.

Reference: Simonyan, Zisserman 2014, arXiv:1409.1556, table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.dropout import Dropout
from dtorch.nn.init import kaiming_normal_, normal_, zeros_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d
from dtorch.nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(
    vgg11="vgg11-bbd30ac9.pth",
    vgg13="vgg13-c768596a.pth",
    vgg16="vgg16-397923af.pth",
    vgg19="vgg19-dcbb9e9d.pth",
    vgg11_bn="vgg11_bn-6002323d.pth",
    vgg13_bn="vgg13_bn-abd245e5.pth",
    vgg16_bn="vgg16_bn-6c64b313.pth",
    vgg19_bn="vgg19_bn-c79401a0.pth",
)
VGG11_Weights = weights_enum("VGG11_Weights", model_urls["vgg11"])
VGG13_Weights = weights_enum("VGG13_Weights", model_urls["vgg13"])
VGG16_Weights = weights_enum("VGG16_Weights", model_urls["vgg16"])
VGG19_Weights = weights_enum("VGG19_Weights", model_urls["vgg19"])
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights", model_urls["vgg11_bn"])
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights", model_urls["vgg13_bn"])
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights", model_urls["vgg16_bn"])
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights", model_urls["vgg19_bn"])

_WIDTHS = (64, 128, 256, 512, 512)
_BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def _layout(depth: int) -> list[int | str]:
    layout: list[int | str] = []
    for width, count in zip(_WIDTHS, _BLOCKS[depth], strict=True):
        layout += [*[width] * count, "M"]
    return layout


def make_layers(cfg: Sequence[int | str], batch_norm: bool = False) -> Sequential:
    """The convolutions of a VGG.

    Args:
        cfg: output channels of each convolution, and "M" where a 2x2 max pooling stands.
        batch_norm: normalise after each convolution.
    """
    layers: list[Module] = []
    channels = 3
    for entry in cfg:
        if entry == "M":
            layers.append(MaxPool2d(kernel_size=2, stride=2))
            continue
        width = int(entry)
        layers.append(Conv2d(channels, width, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(BatchNorm2d(width))
        layers.append(ReLU(inplace=True))
        channels = width
    return Sequential(*layers)


class VGG(Module):
    """Convolutions as `make_layers` gives them, then three linear layers.

    Args:
        features: the convolutions, ending with 512 channels.
        init_weights: False leaves the layers' own initial values.

    Shape: input ``(N, 3, H, W)``, at least 32 pixels a side; output ``(N, num_classes)``.
    """

    def __init__(
        self, features: Module, num_classes: int = 1000, init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.features = features
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(512 * 7 * 7, 4096),
            ReLU(inplace=True),
            Dropout(dropout),
            Linear(4096, 4096),
            ReLU(inplace=True),
            Dropout(dropout),
            Linear(4096, num_classes),
        )
        if init_weights:
            self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, Conv2d):
                kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                zeros_(module.bias)  # type: ignore[arg-type]  # made with bias
            elif isinstance(module, Linear):
                normal_(module.weight, 0, 0.01)
                zeros_(module.bias)  # made with bias

    def forward(self, input: Tensor) -> Any:
        return self.classifier(self.avgpool(self.features(input)).flatten(1))


def _vgg(
    depth: int, batch_norm: bool, pretrained: Any, progress: bool, weights: Any,
    options: dict[str, Any],
) -> VGG:  # fmt: skip
    def make(**kwargs: Any) -> VGG:
        return VGG(make_layers(_layout(depth), batch_norm), **kwargs)

    name = f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"
    return build(name, model_urls, make, pretrained, progress, weights, options)


def vgg11(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 11 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(11, False, pretrained, progress, weights, kwargs)


def vgg11_bn(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 11 layers with batch normalisation; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(11, True, pretrained, progress, weights, kwargs)


def vgg13(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 13 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(13, False, pretrained, progress, weights, kwargs)


def vgg13_bn(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 13 layers with batch normalisation; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(13, True, pretrained, progress, weights, kwargs)


def vgg16(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 16 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(16, False, pretrained, progress, weights, kwargs)


def vgg16_bn(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 16 layers with batch normalisation; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(16, True, pretrained, progress, weights, kwargs)


def vgg19(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 19 layers; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(19, False, pretrained, progress, weights, kwargs)


def vgg19_bn(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> VGG:
    """VGG with 19 layers with batch normalisation; arguments as `dtorch.vision.models.resnet18`."""
    return _vgg(19, True, pretrained, progress, weights, kwargs)
