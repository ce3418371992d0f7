"""Inception v3.

Reference: Szegedy et al. 2015, arXiv:1512.00567.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dtorch.core.functions import adaptive_avg_pool2d, avg_pool2d, cat, dropout, max_pool2d
from dtorch.core.tensor import Tensor
from dtorch.nn.conv import Conv2d
from dtorch.nn.init import trunc_normal_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.vision.models.conv_norm import BasicConv2d, imagenet_to_symmetric
from dtorch.vision.models.presets import Preset, weights_enum
from dtorch.vision.models.weights import build, published, wants_weights

model_urls = published(inception_v3_google="inception_v3_google-1a9a5a14.pth")
Inception_V3_Weights = weights_enum(
    "Inception_V3_Weights",
    model_urls["inception_v3_google"],
    Preset(crop_size=299, resize_size=342),
)


class InceptionOutputs(NamedTuple):
    """What the network gives in training."""

    logits: Tensor
    aux_logits: Tensor


def _pool(input: Tensor) -> Any:
    return avg_pool2d(input, kernel_size=3, stride=1, padding=1)


class InceptionA(Module):
    """Branches 1x1, 5x5, double 3x3 and pooling; 35x35 positions."""

    def __init__(self, in_channels: int, pool_features: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = BasicConv2d(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = BasicConv2d(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, kernel_size=3, padding=1)
        self.branch_pool = BasicConv2d(in_channels, pool_features, kernel_size=1)

    def forward(self, input: Tensor) -> Any:
        branches = [
            self.branch1x1(input),
            self.branch5x5_2(self.branch5x5_1(input)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(input))),
            self.branch_pool(_pool(input)),
        ]
        return cat(branches, 1)


class InceptionB(Module):
    """Halves the positions, 35x35 to 17x17."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, kernel_size=3, stride=2)

    def forward(self, input: Tensor) -> Any:
        branches = [
            self.branch3x3(input),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(input))),
            max_pool2d(input, kernel_size=3, stride=2),
        ]
        return cat(branches, 1)


class InceptionC(Module):
    """7x7 convolutions split into rows and columns; 17x17 positions."""

    def __init__(self, in_channels: int, channels_7x7: int) -> None:
        super().__init__()
        width, row, column = channels_7x7, _row(7), _column(7)
        self.branch1x1 = BasicConv2d(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = BasicConv2d(in_channels, width, kernel_size=1)
        self.branch7x7_2 = BasicConv2d(width, width, **row)
        self.branch7x7_3 = BasicConv2d(width, 192, **column)
        self.branch7x7dbl_1 = BasicConv2d(in_channels, width, kernel_size=1)
        self.branch7x7dbl_2 = BasicConv2d(width, width, **column)
        self.branch7x7dbl_3 = BasicConv2d(width, width, **row)
        self.branch7x7dbl_4 = BasicConv2d(width, width, **column)
        self.branch7x7dbl_5 = BasicConv2d(width, 192, **row)
        self.branch_pool = BasicConv2d(in_channels, 192, kernel_size=1)

    def forward(self, input: Tensor) -> Any:
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(input)))
        branches = [
            self.branch1x1(input),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(input))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(_pool(input)),
        ]
        return cat(branches, 1)


class InceptionD(Module):
    """Halves the positions, 17x17 to 8x8."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = BasicConv2d(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = BasicConv2d(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = BasicConv2d(192, 192, **_row(7))
        self.branch7x7x3_3 = BasicConv2d(192, 192, **_column(7))
        self.branch7x7x3_4 = BasicConv2d(192, 192, kernel_size=3, stride=2)

    def forward(self, input: Tensor) -> Any:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(input)))
        branches = [
            self.branch3x3_2(self.branch3x3_1(input)),
            self.branch7x7x3_4(seven),
            max_pool2d(input, kernel_size=3, stride=2),
        ]
        return cat(branches, 1)


class InceptionE(Module):
    """3x3 convolutions that end in a row and a column side by side; 8x8 positions."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = BasicConv2d(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = BasicConv2d(384, 384, **_row(3))
        self.branch3x3_2b = BasicConv2d(384, 384, **_column(3))
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(384, 384, **_row(3))
        self.branch3x3dbl_3b = BasicConv2d(384, 384, **_column(3))
        self.branch_pool = BasicConv2d(in_channels, 192, kernel_size=1)

    def forward(self, input: Tensor) -> Any:
        single = self.branch3x3_1(input)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(input))
        branches = [
            self.branch1x1(input),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(_pool(input)),
        ]
        return cat(branches, 1)


def _row(size: int) -> dict[str, Any]:
    return {"kernel_size": (1, size), "padding": (0, size // 2)}


def _column(size: int) -> dict[str, Any]:
    return {"kernel_size": (size, 1), "padding": (size // 2, 0)}


class InceptionAux(Module):
    """A classifier half-way, for training."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv0 = BasicConv2d(in_channels, 128, kernel_size=1)
        self.conv1 = BasicConv2d(128, 768, kernel_size=5)
        self.fc = Linear(768, num_classes)

    def forward(self, input: Tensor) -> Any:
        out = self.conv1(self.conv0(avg_pool2d(input, kernel_size=5, stride=3)))
        return self.fc(adaptive_avg_pool2d(out, (1, 1)).flatten(1))


class Inception3(Module):
    """Inception v3.

    Args:
        aux_logits: with the classifier half-way; the output in training then is
            `InceptionOutputs`.
        transform_input: the input is normalised as for other networks, not to [-1, 1].
        init_weights: False leaves the layers' own initial values.

    Shape: input ``(N, 3, H, W)``, 299 pixels a side (at least 75 in evaluation); output ``(N, num_classes)``.
    """

    def __init__(
        self, num_classes: int = 1000, aux_logits: bool = True, transform_input: bool = False,
        init_weights: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3)
        self.Mixed_5b = InceptionA(192, pool_features=32)
        self.Mixed_5c = InceptionA(256, pool_features=64)
        self.Mixed_5d = InceptionA(288, pool_features=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, channels_7x7=128)
        self.Mixed_6c = InceptionC(768, channels_7x7=160)
        self.Mixed_6d = InceptionC(768, channels_7x7=160)
        self.Mixed_6e = InceptionC(768, channels_7x7=192)
        self.AuxLogits: InceptionAux | None = InceptionAux(768, num_classes) if aux_logits else None
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.fc = Linear(2048, num_classes)
        if init_weights:
            self._initialize()

    def _initialize(self) -> None:
        deviations: dict[Module, float] = {}
        if self.AuxLogits is not None:
            deviations = {self.AuxLogits.conv1.conv: 0.01, self.AuxLogits.fc: 0.001}
        for module in self.modules():
            if isinstance(module, (Conv2d, Linear)):
                trunc_normal_(module.weight, std=deviations.get(module, 0.1))

    def forward(self, input: Tensor) -> Any:
        out: Any = imagenet_to_symmetric(input) if self.transform_input else input
        out = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(out)))
        out = max_pool2d(out, kernel_size=3, stride=2)
        out = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(out))
        out = max_pool2d(out, kernel_size=3, stride=2)
        out = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(out)))
        out = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(out)))
        out = self.Mixed_6e(self.Mixed_6d(out))
        aux = None
        if self.training and self.AuxLogits is not None:
            aux = self.AuxLogits(out)
        out = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(out)))
        out = adaptive_avg_pool2d(out, (1, 1)).flatten(1)
        out = self.fc(dropout(out, 0.5, self.training))
        return out if aux is None else InceptionOutputs(out, aux)


def inception_v3(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> Inception3:
    """Inception v3; arguments as `dtorch.vision.models.resnet18`.

    With weights ``transform_input`` is True unless given.
    """
    if not wants_weights(pretrained, weights):
        return Inception3(**kwargs)
    keep_aux = kwargs.pop("aux_logits", True)
    options = {"transform_input": True, **kwargs, "aux_logits": True}
    name = "inception_v3_google"
    model = build(name, model_urls, Inception3, pretrained, progress, weights, options)
    if not keep_aux:
        model.aux_logits = False
        model.AuxLogits = None
    return model
