"""GoogLeNet, with batch normalisation.

Reference: Szegedy et al. 2014, arXiv:1409.4842, table 1. As in the published weights the third
branch of a block has a 3x3 convolution where the paper has 5x5.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from dtorch.core.functions import adaptive_avg_pool2d, cat, dropout
from dtorch.core.tensor import Tensor
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.dropout import Dropout
from dtorch.nn.init import trunc_normal_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from dtorch.vision.models.conv_norm import BasicConv2d, imagenet_to_symmetric
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published, wants_weights

model_urls = published(googlenet="googlenet-1378be20.pth")
GoogLeNet_Weights = weights_enum("GoogLeNet_Weights", model_urls["googlenet"])


class GoogLeNetOutputs(NamedTuple):
    """What the network gives in training."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class Inception(Module):
    """Four branches side by side: 1x1; 1x1 then 3x3, twice; pooling then 1x1."""

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int,
        pool_proj: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1),
            BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = Sequential(
            MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, input: Tensor) -> Any:
        return cat([branch(input) for branch in self.children()], 1)


class InceptionAux(Module):
    """A classifier half-way, for training."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = Linear(2048, 1024)
        self.fc2 = Linear(1024, num_classes)

    def forward(self, input: Tensor) -> Any:
        out = self.conv(adaptive_avg_pool2d(input, (4, 4)))
        out = self.fc1(out.flatten(1)).relu_()
        return self.fc2(dropout(out, 0.7, self.training))


class GoogLeNet(Module):
    """Nine `Inception` blocks.

    Args:
        aux_logits: with the two classifiers half-way; the output in training then is
            `GoogLeNetOutputs`.
        transform_input: the input is normalised as for other networks, not to [-1, 1].
        init_weights: False leaves the layers' own initial values.

    Shape: input ``(N, 3, H, W)``, output ``(N, num_classes)``.
    """

    def __init__(
        self, num_classes: int = 1000, aux_logits: bool = True, transform_input: bool = False,
        init_weights: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1: InceptionAux | None = InceptionAux(512, num_classes) if aux_logits else None
        self.aux2: InceptionAux | None = InceptionAux(528, num_classes) if aux_logits else None
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.dropout = Dropout(0.2)
        self.fc = Linear(1024, num_classes)
        if init_weights:
            for module in self.modules():
                if isinstance(module, (Conv2d, Linear)):
                    trunc_normal_(module.weight, std=0.01)

    def forward(self, input: Tensor) -> Any:
        out: Any = imagenet_to_symmetric(input) if self.transform_input else input
        out = self.conv3(self.conv2(self.maxpool1(self.conv1(out))))
        out = self.inception3b(self.inception3a(self.maxpool2(out)))
        out = quarter = self.inception4a(self.maxpool3(out))
        out = half = self.inception4d(self.inception4c(self.inception4b(out)))
        out = self.inception5a(self.maxpool4(self.inception4e(out)))
        out = self.avgpool(self.inception5b(out)).flatten(1)
        out = self.fc(self.dropout(out))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(out, self.aux2(half), self.aux1(quarter))
        return out


def googlenet(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> GoogLeNet:
    """GoogLeNet; arguments as `dtorch.vision.models.resnet18`.

    With weights ``transform_input`` is True and ``aux_logits`` False unless given: the published
    classifiers half-way were never trained.
    """
    if not wants_weights(pretrained, weights):
        return GoogLeNet(**kwargs)
    keep_aux = kwargs.pop("aux_logits", False)
    if keep_aux:
        warnings.warn(
            "googlenet: the auxiliary classifiers of the published weights were not trained",
            stacklevel=2,
        )
    options = {"transform_input": True, **kwargs, "aux_logits": True}
    model = build("googlenet", model_urls, GoogLeNet, pretrained, progress, weights, options)
    if not keep_aux:
        model.aux_logits = False
        model.aux1 = model.aux2 = None
    return model
