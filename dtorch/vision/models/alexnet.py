"""AlexNet.

Reference: Krizhevsky 2014, arXiv:1404.5997 (the variant without two columns).
"""

from __future__ import annotations

from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.dropout import Dropout
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(alexnet="alexnet-owt-4df8aa71.pth")
AlexNet_Weights = weights_enum("AlexNet_Weights", model_urls["alexnet"])


class AlexNet(Module):
    """Five convolutions and three linear layers.

    Shape: input ``(N, 3, H, W)``, at least 63 pixels a side; output ``(N, num_classes)``.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            ReLU(inplace=True),
            MaxPool2d(kernel_size=3, stride=2),
            Conv2d(64, 192, kernel_size=5, padding=2),
            ReLU(inplace=True),
            MaxPool2d(kernel_size=3, stride=2),
            Conv2d(192, 384, kernel_size=3, padding=1),
            ReLU(inplace=True),
            Conv2d(384, 256, kernel_size=3, padding=1),
            ReLU(inplace=True),
            Conv2d(256, 256, kernel_size=3, padding=1),
            ReLU(inplace=True),
            MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(dropout),
            Linear(256 * 6 * 6, 4096),
            ReLU(inplace=True),
            Dropout(dropout),
            Linear(4096, 4096),
            ReLU(inplace=True),
            Linear(4096, num_classes),
        )

    def forward(self, input: Tensor) -> Any:
        return self.classifier(self.avgpool(self.features(input)).flatten(1))


def alexnet(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> AlexNet:
    """AlexNet; arguments as `dtorch.vision.models.resnet18`."""
    return build("alexnet", model_urls, AlexNet, pretrained, progress, weights, kwargs)
