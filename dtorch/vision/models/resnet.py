"""Residual networks: ResNet, ResNeXt and Wide ResNet.

References: He et al. 2015, arXiv:1512.03385; Xie et al. 2016, arXiv:1611.05431; Zagoruyko,
Komodakis 2016, arXiv:1605.07146. The stride stands in the 3x3 convolution of a bottleneck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.nn.activation import ReLU
from dtorch.nn.container import Sequential
from dtorch.nn.conv import Conv2d
from dtorch.nn.inference import in_order, with_branch
from dtorch.nn.init import kaiming_normal_, zeros_
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm2d
from dtorch.nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from dtorch.vision.models.presets import weights_enum
from dtorch.vision.models.weights import build, published

model_urls = published(
    resnet18="resnet18-5c106cde.pth",
    resnet34="resnet34-333f7ec4.pth",
    resnet50="resnet50-19c8e357.pth",
    resnet101="resnet101-5d3b4d8f.pth",
    resnet152="resnet152-b121ed2d.pth",
    resnext50_32x4d="resnext50_32x4d-7cdf4587.pth",
    resnext101_32x8d="resnext101_32x8d-8ba56ff5.pth",
    wide_resnet50_2="wide_resnet50_2-95faca4d.pth",
    wide_resnet101_2="wide_resnet101_2-32ee1156.pth",
)
ResNet18_Weights = weights_enum("ResNet18_Weights", model_urls["resnet18"])
ResNet34_Weights = weights_enum("ResNet34_Weights", model_urls["resnet34"])
ResNet50_Weights = weights_enum("ResNet50_Weights", model_urls["resnet50"])
ResNet101_Weights = weights_enum("ResNet101_Weights", model_urls["resnet101"])
ResNet152_Weights = weights_enum("ResNet152_Weights", model_urls["resnet152"])
ResNeXt50_32X4D_Weights = weights_enum("ResNeXt50_32X4D_Weights", model_urls["resnext50_32x4d"])
ResNeXt101_32X8D_Weights = weights_enum("ResNeXt101_32X8D_Weights", model_urls["resnext101_32x8d"])
Wide_ResNet50_2_Weights = weights_enum("Wide_ResNet50_2_Weights", model_urls["wide_resnet50_2"])
Wide_ResNet101_2_Weights = weights_enum("Wide_ResNet101_2_Weights", model_urls["wide_resnet101_2"])


def _conv3x3(
    in_channels: int, out_channels: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> Conv2d:
    return Conv2d(
        in_channels, out_channels, kernel_size=3, stride=stride, padding=dilation, groups=groups,
        bias=False, dilation=dilation,
    )  # fmt: skip


def _conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> Conv2d:
    return Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)


class BasicBlock(Module):
    """Two 3x3 convolutions around which the input is added.

    Args:
        inplanes: channels of the input.
        planes: channels of the output.
        stride: of the first convolution.
        downsample: brings the input to the shape of the output, where that differs.
        groups, base_width, dilation: this block has 1, 64 and 1 only.
        norm_layer: makes the normalisation of a number of channels.
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None,
        groups: int = 1, base_width: int = 64, dilation: int = 1,
        norm_layer: Callable[[int], Module] = BatchNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups != 1 or base_width != 64 or dilation != 1:
            raise ArgumentError(
                f"BasicBlock: groups {groups}, base_width {base_width}, dilation {dilation}; "
                "expected 1, 64 and 1, use Bottleneck for others"
            )
        self.conv1 = _conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = ReLU(inplace=True)
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, input: Tensor) -> Any:
        out = in_order((self.conv1, self.bn1, self.relu), input)
        branch = input if self.downsample is None else self.downsample(input)
        return with_branch(out, self.conv2, self.bn2, self.relu, branch)


class Bottleneck(Module):
    """A 1x1, a 3x3 and a 1x1 convolution around which the input is added.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        stride: of the 3x3 convolution.
        downsample: brings the input to the shape of the output, where that differs.
        groups, dilation: of the 3x3 convolution.
        base_width: its channels in each group, where planes are 64.
        norm_layer: makes the normalisation of a number of channels.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None,
        groups: int = 1, base_width: int = 64, dilation: int = 1,
        norm_layer: Callable[[int], Module] = BatchNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        width = planes * base_width // 64 * groups
        self.conv1 = _conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = _conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = _conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, input: Tensor) -> Any:
        out = in_order((self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu), input)
        branch = input if self.downsample is None else self.downsample(input)
        return with_branch(out, self.conv3, self.bn3, self.relu, branch)


Block = type[BasicBlock] | type[Bottleneck]


class ResNet(Module):
    """Four groups of residual blocks.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: blocks in each of the four groups.
        zero_init_residual: each block starts as the identity.
        groups, width_per_group: of the 3x3 convolutions of bottlenecks.
        replace_stride_with_dilation: for each of the last three groups, whether it keeps the
            resolution and dilates instead.
        norm_layer: makes the normalisation of a number of channels.

    Shape: input ``(N, 3, H, W)``, output ``(N, num_classes)``.
    """

    def __init__(
        self, block: Block, layers: Sequence[int], num_classes: int = 1000,
        zero_init_residual: bool = False, groups: int = 1, width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Callable[[int], Module] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        dilate = tuple(replace_stride_with_dilation or (False, False, False))
        if len(dilate) != 3:
            raise ArgumentError(
                f"ResNet: replace_stride_with_dilation is {replace_stride_with_dilation}, expected "
                "None or three bools"
            )
        self._norm_layer = norm_layer or BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = ReLU(inplace=True)
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        self._initialize(zero_init_residual)

    def _make_layer(
        self, block: Block, planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> Sequential:
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        width = planes * block.expansion
        if stride != 1 or self.inplanes != width:
            downsample = Sequential(_conv1x1(self.inplanes, width, stride), self._norm_layer(width))
        shared = {
            "groups": self.groups, "base_width": self.base_width, "norm_layer": self._norm_layer,
        }  # fmt: skip
        made: list[Module] = [
            block(self.inplanes, planes, stride, downsample, dilation=first_dilation, **shared)  # type: ignore[arg-type]
        ]
        self.inplanes = width
        made += [
            block(width, planes, dilation=self.dilation, **shared)  # type: ignore[arg-type]
            for _ in range(1, blocks)
        ]
        return Sequential(*made)

    def _initialize(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, Conv2d):
                kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
                last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                zeros_(last.weight)

    def forward(self, input: Tensor) -> Any:
        out = in_order((self.conv1, self.bn1, self.relu, self.maxpool), input)
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        return self.fc(self.avgpool(out).flatten(1))


def _resnet(
    name: str, block: Block, layers: tuple[int, ...], pretrained: Any, progress: bool, weights: Any,
    options: dict[str, Any],
) -> ResNet:  # fmt: skip
    options = {"block": block, "layers": layers, **options}
    return build(name, model_urls, ResNet, pretrained, progress, weights, options)


def resnet18(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 18 layers.

    Args:
        pretrained: load the published weights, through `dtorch.model_zoo.load_url`.
        progress: show the progress of a download.
        weights: the same in today's spelling: "DEFAULT" or "IMAGENET1K_V1", a member of
            ``ResNet18_Weights``, the address or the path of a file, or a state dict.
        kwargs: arguments of the class, such as ``num_classes``.
    Raises:
        DownloadError: the weights cannot be had; tells where to put the file.
    Example:
        >>> from dtorch.vision.models import resnet18
        >>> tuple(resnet18(num_classes=10).fc.weight.shape)
        (10, 512)
    """
    return _resnet("resnet18", BasicBlock, (2, 2, 2, 2), pretrained, progress, weights, kwargs)


def resnet34(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 34 layers; arguments as `resnet18`."""
    return _resnet("resnet34", BasicBlock, (3, 4, 6, 3), pretrained, progress, weights, kwargs)


def resnet50(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 50 layers; arguments as `resnet18`."""
    return _resnet("resnet50", Bottleneck, (3, 4, 6, 3), pretrained, progress, weights, kwargs)


def resnet101(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 101 layers; arguments as `resnet18`."""
    return _resnet("resnet101", Bottleneck, (3, 4, 23, 3), pretrained, progress, weights, kwargs)


def resnet152(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 152 layers; arguments as `resnet18`."""
    return _resnet("resnet152", Bottleneck, (3, 8, 36, 3), pretrained, progress, weights, kwargs)


def resnext50_32x4d(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNeXt with 50 layers, 32 groups of 4 channels; arguments as `resnet18`."""
    kwargs = {"groups": 32, "width_per_group": 4, **kwargs}
    return _resnet(
        "resnext50_32x4d", Bottleneck, (3, 4, 6, 3), pretrained, progress, weights, kwargs
    )


def resnext101_32x8d(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNeXt with 101 layers, 32 groups of 8 channels; arguments as `resnet18`."""
    kwargs = {"groups": 32, "width_per_group": 8, **kwargs}
    return _resnet(
        "resnext101_32x8d", Bottleneck, (3, 4, 23, 3), pretrained, progress, weights, kwargs
    )


def wide_resnet50_2(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 50 layers, bottlenecks twice as wide; arguments as `resnet18`."""
    kwargs = {"width_per_group": 128, **kwargs}
    return _resnet(
        "wide_resnet50_2", Bottleneck, (3, 4, 6, 3), pretrained, progress, weights, kwargs
    )


def wide_resnet101_2(
    pretrained: Any = False, progress: bool = True, *, weights: Any = None, **kwargs: Any
) -> ResNet:
    """ResNet with 101 layers, bottlenecks twice as wide; arguments as `resnet18`."""
    kwargs = {"width_per_group": 128, **kwargs}
    return _resnet(
        "wide_resnet101_2", Bottleneck, (3, 4, 23, 3), pretrained, progress, weights, kwargs
    )
