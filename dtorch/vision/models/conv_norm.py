"""The convolution with batch normalisation that GoogLeNet and Inception are made of."""

from __future__ import annotations

from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.conv import Conv2d
from dtorch.nn.inference import in_order
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d

_RELU = ReLU(inplace=True)  # not a child: the networks have none of that name


class BasicConv2d(Module):
    """Convolution without bias, batch normalisation, ReLU; arguments as `Conv2d`."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = BatchNorm2d(out_channels, eps=0.001)

    def forward(self, input: Tensor) -> Any:
        return in_order((self.conv, self.bn, _RELU), input)


def imagenet_to_symmetric(input: Any) -> Any:
    """From pixels normalised by ImageNet's mean and deviation to pixels in [-1, 1].

    The networks were trained on the latter; the former is what other networks take.
    """
    scale = input.new_tensor([0.229 / 0.5, 0.224 / 0.5, 0.225 / 0.5]).view(3, 1, 1)
    shift = input.new_tensor([(m - 0.5) / 0.5 for m in (0.485, 0.456, 0.406)]).view(3, 1, 1)
    return input * scale + shift
