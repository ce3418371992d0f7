"""Pooling and its inverses, of sequences, images and volumes; samples or batches of them."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError
from dtorch.core.random import rand
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module

__all__ = [
    "SpatialAdaptiveMaxPooling", "SpatialAveragePooling", "SpatialFractionalMaxPooling",
    "SpatialLPPooling", "SpatialMaxPooling", "SpatialMaxUnpooling", "SpatialSubSampling",
    "SpatialUpSamplingNearest", "TemporalMaxPooling", "TemporalSubSampling",
    "VolumetricAveragePooling", "VolumetricMaxPooling", "VolumetricMaxUnpooling",
]  # fmt: skip


class _Pooling(Module):
    """Windows of a size, a step and zeros around the input."""

    ceil_mode = False
    padT = padW = padH = 0  # which old files lack

    def ceil(self) -> Any:
        """Let windows begin in the input and end outside; returns self."""
        self.ceil_mode = True
        return self

    def floor(self) -> Any:
        """Let windows end in the input; returns self."""
        self.ceil_mode = False
        return self


class SpatialMaxPooling(_Pooling):
    """The largest element of each window of ``(kH, kW)``; steps are its size if left out.

    Attributes:
        indices: where they were, in each plane.
        input_size: of the planes.
    """

    indices: Any

    def __init__(
        self, kW: int, kH: int, dW: int | None = None, dH: int | None = None, padW: int = 0,
        padH: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kW, self.kH = kW, kH
        self.dW, self.dH = dW or kW, dH or kH
        self.padW, self.padH = padW, padH

    def compute(self, input: Tensor) -> Any:
        self.input_size = tuple(input.shape[-2:])
        output, self.indices = functions.max_pool2d(
            input, (self.kH, self.kW), (self.dH, self.dW), (self.padH, self.padW),
            ceil_mode=self.ceil_mode, return_indices=True,
        )  # fmt: skip
        return output


class VolumetricMaxPooling(_Pooling):
    """The largest element of each window of ``(kT, kH, kW)``; steps are its size if left out.

    Attributes:
        indices: where they were, in each plane.
        input_size: of the planes.
    """

    indices: Any

    def __init__(
        self, kT: int, kW: int, kH: int, dT: int | None = None, dW: int | None = None,
        dH: int | None = None, padT: int = 0, padW: int = 0, padH: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kT, self.kW, self.kH = kT, kW, kH
        self.dT, self.dW, self.dH = dT or kT, dW or kW, dH or kH
        self.padT, self.padW, self.padH = padT, padW, padH

    def compute(self, input: Tensor) -> Any:
        self.input_size = tuple(input.shape[-3:])
        output, self.indices = functions.max_pool3d(
            input, (self.kT, self.kH, self.kW), (self.dT, self.dH, self.dW),
            (self.padT, self.padH, self.padW), ceil_mode=self.ceil_mode, return_indices=True,
        )  # fmt: skip
        return output


class TemporalMaxPooling(Module):
    """The largest element of each window of ``kW`` frames, of each feature of them."""

    def __init__(self, kW: int, dW: int | None = None) -> None:
        super().__init__()
        self.kW = kW
        self.dW = dW or kW

    def compute(self, input: Any) -> Any:
        return functions.max_pool1d(input.mT, self.kW, self.dW).mT.contiguous()


class SpatialAdaptiveMaxPooling(Module):
    """The largest element of each of ``(h, w)`` parts of an image."""

    indices: Any

    def __init__(self, w: int, h: int) -> None:
        super().__init__()
        self.w, self.h = w, h

    def compute(self, input: Tensor) -> Any:
        output, self.indices = functions.adaptive_max_pool2d(
            input, (self.h, self.w), return_indices=True
        )
        return output


class SpatialFractionalMaxPooling(Module):
    """The largest element of windows of ``(poolSizeH, poolSizeW)`` that are placed at random.

    Args:
        arg1, arg2: columns and rows of the output, or what they are of the input's, below 1.

    Reference: Graham 2014, arXiv:1412.6071.
    """

    indices: Any
    randomSamples: Any = None

    def __init__(self, poolSizeW: int, poolSizeH: int, arg1: float, arg2: float) -> None:
        super().__init__()
        if not (poolSizeW >= 2 and poolSizeH >= 2):
            raise ArgumentError(
                f"SpatialFractionalMaxPooling: the window is {poolSizeW} by {poolSizeH}, expected "
                "at least 2 by 2"
            )
        if not (arg1 >= 1 and arg2 >= 1) and not (0 < arg1 < 1 and 0 < arg2 < 1):
            raise ArgumentError(
                f"SpatialFractionalMaxPooling: got {arg1} and {arg2}, expected two sizes from 1 on "
                "or two ratios between 0 and 1"
            )
        self.poolSizeW, self.poolSizeH = poolSizeW, poolSizeH
        if arg1 >= 1:
            self.outW, self.outH = int(arg1), int(arg2)
        else:
            self.ratioW, self.ratioH = arg1, arg2
        self.newRandomPool = False

    def fixPoolingRegions(self, val: bool = True) -> Any:
        """Keep the places of the windows, or draw new ones again; returns self."""
        self.newRandomPool = val
        return self

    def compute(self, input: Any) -> Any:
        sizes = (*([1] * (4 - input.ndim)), *input.shape[:-2], 2)
        samples = self.randomSamples
        if samples is None or not self.newRandomPool or tuple(samples.shape) != sizes:
            self.randomSamples = rand(*sizes, dtype=input.dtype)
        output, self.indices = functions.fractional_max_pool2d(
            input, (self.poolSizeH, self.poolSizeW), self._output_size(input),
            return_indices=True, _random_samples=self.randomSamples,
        )  # fmt: skip
        return output

    def _output_size(self, input: Tensor) -> tuple[int, int]:
        if "outW" in vars(self):
            return self.outH, self.outW
        return int(input.size(-2) * self.ratioH), int(input.size(-1) * self.ratioW)


class SpatialMaxUnpooling(Module):
    """Each element where a pooling layer took it from, with zeros around.

    Args:
        poolingModule: a `SpatialMaxPooling`; the sizes are those of its last input.
    """

    _kind: type[Module] = SpatialMaxPooling
    _sides: tuple[str, ...] = ("H", "W")

    def __init__(self, poolingModule: Any) -> None:
        super().__init__()
        if not isinstance(poolingModule, self._kind):
            raise TypeError(
                f"{type(self).__name__}: got {type(poolingModule).__name__}, expected the "
                f"{self._kind.__name__} whose places to use"
            )
        self.pooling = poolingModule

    def compute(self, input: Any) -> Any:
        pool: Any = self.pooling
        if "indices" not in vars(pool):
            raise ArgumentError(
                f"{type(self).__name__}: the pooling layer has pooled nothing yet; its forward "
                "comes first"
            )
        unpool: Any = functions.max_unpool2d if len(self._sides) == 2 else functions.max_unpool3d
        size, step, pad = (
            tuple(vars(pool)[f"{letter}{side}"] if letter != "pad" else getattr(pool, f"pad{side}")
                  for side in self._sides)
            for letter in ("k", "d", "pad")
        )  # fmt: skip
        return unpool(input, pool.indices, size, step, pad, pool.input_size)


class VolumetricMaxUnpooling(SpatialMaxUnpooling):
    """`SpatialMaxUnpooling` of volumes, with the places of a `VolumetricMaxPooling`."""

    _kind = VolumetricMaxPooling
    _sides = ("T", "H", "W")


class SpatialAveragePooling(_Pooling):
    """The mean of each window of ``(kH, kW)``."""

    count_include_pad = True
    divide = True  # False: the sum

    def __init__(
        self, kW: int, kH: int, dW: int = 1, dH: int = 1, padW: int = 0, padH: int = 0
    ) -> None:
        super().__init__()
        self.kW, self.kH, self.dW, self.dH = kW, kH, dW, dH
        self.padW, self.padH = padW, padH

    def setCountIncludePad(self) -> Any:
        """Count zeros around the input among the elements of a window; returns self."""
        self.count_include_pad = True
        return self

    def setCountExcludePad(self) -> Any:
        """Do not count zeros around the input; returns self."""
        self.count_include_pad = False
        return self

    def compute(self, input: Tensor) -> Any:
        mean = functions.avg_pool2d(
            input, (self.kH, self.kW), (self.dH, self.dW), (self.padH, self.padW),
            self.ceil_mode, self.count_include_pad,
        )  # fmt: skip
        return mean if self.divide else mean * (self.kH * self.kW)


class VolumetricAveragePooling(_Pooling):
    """The mean of each window of ``(kT, kH, kW)``; steps are its size if left out."""

    def __init__(
        self, kT: int, kW: int, kH: int, dT: int | None = None, dW: int | None = None,
        dH: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kT, self.kW, self.kH = kT, kW, kH
        self.dT, self.dW, self.dH = dT or kT, dW or kW, dH or kH

    def compute(self, input: Tensor) -> Any:
        return functions.avg_pool3d(
            input, (self.kT, self.kH, self.kW), (self.dT, self.dH, self.dW),
            (self.padT, self.padH, self.padW), self.ceil_mode,
        )  # fmt: skip


class SpatialLPPooling(Module):
    """The ``pnorm``-norm of each window of ``(kH, kW)``; steps are its size if left out."""

    def __init__(
        self, nInputPlane: int, pnorm: float, kW: int, kH: int, dW: int | None = None,
        dH: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nInputPlane = nInputPlane
        self.pnorm = pnorm
        self.kW, self.kH = kW, kH
        self.dW, self.dH = dW or kW, dH or kH

    def compute(self, input: Tensor) -> Any:
        return functions.lp_pool2d(input, self.pnorm, (self.kH, self.kW), (self.dH, self.dW))


class _SubSampling(Module):
    """The sum of each window times a weight, plus a bias, of each plane."""

    weight: Any
    bias: Any

    def reset(self, stdv: float | None = None) -> None:
        """Draw weight and bias from a range of 1 over the root of the elements of a window."""
        self._draw(stdv, self._window() ** -0.5)

    def _window(self) -> int:
        raise NotImplementedError


class SpatialSubSampling(_SubSampling):
    """The sum of each window of ``(kH, kW)`` times ``weight``, plus ``bias``, of each plane."""

    def __init__(self, nInputPlane: int, kW: int, kH: int, dW: int = 1, dH: int = 1) -> None:
        super().__init__()
        self.nInputPlane = nInputPlane
        self.kW, self.kH, self.dW, self.dH = kW, kH, dW, dH
        self._own(weight=(nInputPlane,), bias=(nInputPlane,))
        self.reset()

    def _window(self) -> int:
        return self.kW * self.kH

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor) -> Any:
        mean = functions.avg_pool2d(input, (self.kH, self.kW), (self.dH, self.dW))
        return mean * (weight * self._window()).view(-1, 1, 1) + bias.view(-1, 1, 1)


class TemporalSubSampling(_SubSampling):
    """The sum of each window of ``kW`` frames times ``weight``, plus ``bias``, of each feature."""

    def __init__(self, inputFrameSize: int, kW: int, dW: int = 1) -> None:
        super().__init__()
        self.inputFrameSize = inputFrameSize
        self.kW, self.dW = kW, dW
        self._own(weight=(inputFrameSize,), bias=(inputFrameSize,))
        self.reset()

    def _window(self) -> int:
        return self.kW

    def compute(self, input: Any, weight: Tensor, bias: Tensor) -> Any:
        mean = functions.avg_pool1d(input.mT, self.kW, self.dW).mT
        return mean * (weight * self.kW) + bias


class SpatialUpSamplingNearest(Module):
    """Each pixel ``scale`` times in each direction."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        if int(scale) != scale or scale < 1:
            raise ArgumentError(
                f"SpatialUpSamplingNearest: scale is {scale}, expected a whole number from 1 on"
            )
        self.scale_factor = scale

    def compute(self, input: Tensor) -> Any:
        scale = int(self.scale_factor)
        return input.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
