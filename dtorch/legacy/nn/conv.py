"""Convolutions: of sequences ``(T, frame)``, images ``(C, H, W)`` and volumes ``(C, T, H, W)``.

Each takes a sample or a batch of them. Widths come before heights, as everywhere in Torch7.
"""

from __future__ import annotations

import math
from typing import Any

from dtorch.core import functions
from dtorch.core.creation import tensor
from dtorch.core.random import randperm
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module

__all__ = [
    "SpatialConvolution", "SpatialConvolutionLocal", "SpatialConvolutionMap",
    "SpatialDilatedConvolution", "SpatialFullConvolution", "SpatialFullConvolutionMap",
    "TemporalConvolution", "VolumetricConvolution", "VolumetricFullConvolution",
]  # fmt: skip


class _Convolution(Module):
    """A weight that is moved over the input, and a bias for each output plane."""

    weight: Tensor
    bias: Tensor | None
    nInputPlane: int
    nOutputPlane: int

    def noBias(self) -> Any:
        """Do without a bias; returns self."""
        self.bias = self.gradBias = None
        return self

    def reset(self, stdv: float | None = None) -> None:
        """Draw weight and bias from a range of 1 over the root of the inputs of an output."""
        self._draw(stdv, 1 / math.sqrt(self._fan_in()))

    def _fan_in(self) -> int:
        return self.weight[0].numel()

    def __repr__(self) -> str:
        window = "x".join(
            str(vars(self)[side]) for side in ("kT", "kW", "kH") if side in vars(self)
        )
        return f"{super().__repr__()}({self.nInputPlane} -> {self.nOutputPlane}, {window})"


class TemporalConvolution(_Convolution):
    """Convolution of ``(T, inputFrameSize)`` or ``(N, T, inputFrameSize)``.

    Attributes:
        weight: ``(outputFrameSize, kW * inputFrameSize)``, the frames of a window one by one.
    """

    def __init__(self, inputFrameSize: int, outputFrameSize: int, kW: int, dW: int = 1) -> None:
        super().__init__()
        self.inputFrameSize = inputFrameSize
        self.outputFrameSize = outputFrameSize
        self.kW, self.dW = kW, dW
        self._own(weight=(outputFrameSize, inputFrameSize * kW), bias=(outputFrameSize,))
        self.reset()

    def compute(self, input: Any, weight: Any, bias: Any) -> Any:
        filters = weight.view(-1, self.kW, self.inputFrameSize).transpose(1, 2)
        return functions.conv1d(input.mT, filters, bias, self.dW).mT.contiguous()

    def __repr__(self) -> str:
        return f"nn.TemporalConvolution({self.inputFrameSize} -> {self.outputFrameSize}, {self.kW})"


class SpatialConvolution(_Convolution):
    """Convolution of images.

    Args:
        nInputPlane, nOutputPlane: channels of input and output.
        kW, kH, dW, dH, padW, padH: size of the window, its step, and zeros around the image.
            ``padH`` is ``padW`` if left out.
    Attributes:
        weight: ``(nOutputPlane, nInputPlane, kH, kW)``.
        bias: ``(nOutputPlane,)``, or None.
    """

    groups = 1  # of cudnn's layers in Torch7's files
    padW = padH = 0  # which old files lack

    def __init__(
        self, nInputPlane: int, nOutputPlane: int, kW: int, kH: int, dW: int = 1, dH: int = 1,
        padW: int = 0, padH: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nInputPlane = nInputPlane
        self.nOutputPlane = nOutputPlane
        self.kW, self.kH, self.dW, self.dH = kW, kH, dW, dH
        self.padW, self.padH = padW, padW if padH is None else padH
        self._own(weight=(nOutputPlane, nInputPlane, kH, kW), bias=(nOutputPlane,))
        self.reset()

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        filters = weight.view(self.nOutputPlane, -1, self.kH, self.kW)  # flat in old files
        return functions.conv2d(
            input, filters, bias, (self.dH, self.dW), (self.padH, self.padW),
            self._dilation(), self.groups,
        )  # fmt: skip

    def _dilation(self) -> tuple[int, int]:
        return 1, 1


class SpatialDilatedConvolution(SpatialConvolution):
    """`SpatialConvolution` with a window whose elements are ``dilationH`` and ``dilationW`` apart.

    ``dilationW`` is ``dilationH`` if left out.
    """

    def __init__(
        self, nInputPlane: int, nOutputPlane: int, kW: int, kH: int, dW: int = 1, dH: int = 1,
        padW: int = 0, padH: int | None = None, dilationH: int = 1, dilationW: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(nInputPlane, nOutputPlane, kW, kH, dW, dH, padW, padH)
        self.dilationH = dilationH
        self.dilationW = dilationH if dilationW is None else dilationW

    def _dilation(self) -> tuple[int, int]:
        return self.dilationH, self.dilationW


class SpatialConvolutionLocal(_Convolution):
    """`SpatialConvolution` of images of ``(iH, iW)`` with a weight for each place of the output.

    Attributes:
        weight: ``(oH, oW, nOutputPlane, nInputPlane, kH, kW)``.
        bias: ``(nOutputPlane, oH, oW)``.
    """

    def __init__(
        self, nInputPlane: int, nOutputPlane: int, iW: int, iH: int, kW: int, kH: int,
        dW: int = 1, dH: int = 1, padW: int = 0, padH: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nInputPlane = nInputPlane
        self.nOutputPlane = nOutputPlane
        self.iW, self.iH, self.kW, self.kH, self.dW, self.dH = iW, iH, kW, kH, dW, dH
        self.padW, self.padH = padW, padW if padH is None else padH
        self.oW = (iW + 2 * self.padW - kW) // dW + 1
        self.oH = (iH + 2 * self.padH - kH) // dH + 1
        self._own(
            weight=(self.oH, self.oW, nOutputPlane, nInputPlane, kH, kW),
            bias=(nOutputPlane, self.oH, self.oW),
        )
        self.reset()

    def _fan_in(self) -> int:
        return self.kW * self.kH * self.nInputPlane

    def compute(self, input: Any, weight: Any, bias: Tensor | None = None) -> Any:
        windows = functions.im2col(
            input, (self.kH, self.kW), 1, (self.padH, self.padW), (self.dH, self.dW)
        )  # (..., window, place)
        filters = weight.view(self.oH * self.oW, self.nOutputPlane, -1)
        found = (filters @ windows.mT.unsqueeze(-1)).squeeze(-1).mT
        found = found.reshape(*found.shape[:-1], self.oH, self.oW)
        return found if bias is None else found + bias


class VolumetricConvolution(_Convolution):
    """Convolution of volumes; ``padW`` is ``padT``, ``padH`` is ``padW`` if left out.

    Attributes:
        weight: ``(nOutputPlane, nInputPlane, kT, kH, kW)``.
    """

    padT = padW = padH = 0  # which old files lack

    def __init__(
        self, nInputPlane: int, nOutputPlane: int, kT: int, kW: int, kH: int,
        dT: int = 1, dW: int = 1, dH: int = 1,
        padT: int = 0, padW: int | None = None, padH: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nInputPlane = nInputPlane
        self.nOutputPlane = nOutputPlane
        self.kT, self.kW, self.kH, self.dT, self.dW, self.dH = kT, kW, kH, dT, dW, dH
        self.padT = padT
        self.padW = padT if padW is None else padW
        self.padH = self.padW if padH is None else padH
        self._own(weight=(nOutputPlane, nInputPlane, kT, kH, kW), bias=(nOutputPlane,))
        self.reset()

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        filters = weight.view(self.nOutputPlane, -1, self.kT, self.kH, self.kW)
        return functions.conv3d(
            input, filters, bias, (self.dT, self.dH, self.dW), (self.padT, self.padH, self.padW)
        )


class _FullConvolution(_Convolution):
    """A convolution that goes the other way; ``adj`` rows or columns are added to its output.

    The input may be a table of a tensor and another one that has the sizes of the output.
    """

    def _sides(self) -> list[tuple[int, int, int, int]]:
        """Size of the window, step, padding and addition of each side."""
        raise NotImplementedError

    def compute(self, input: Any, weight: Tensor, bias: Tensor | None = None) -> Any:
        sides = self._sides()
        like = None
        if isinstance(input, list):
            input, like = input
        sizes, steps, pads, adds = zip(*sides, strict=True)
        if like is not None:
            adds = tuple(
                (wanted + 2 * pad - size) % step
                for wanted, size, step, pad in zip(
                    like.shape[-len(sides) :], sizes, steps, pads, strict=True
                )
            )
        functional: Any = functions.conv_transpose2d
        if len(sides) == 3:
            functional = functions.conv_transpose3d
        filters = weight.view(self.nInputPlane, -1, *sizes)
        return functional(input, filters, bias, steps, pads, adds)

    def _fan_in(self) -> int:
        return self.nInputPlane * math.prod(size for size, *_ in self._sides())


class SpatialFullConvolution(_FullConvolution):
    """The gradient of a `SpatialConvolution` as a layer, also called deconvolution.

    Attributes:
        weight: ``(nInputPlane, nOutputPlane, kH, kW)``.
        bias: ``(nOutputPlane,)``, or None.
    """

    padW = padH = adjW = adjH = 0  # which old files lack

    def __init__(
        self, nInputPlane: int, nOutputPlane: int, kW: int, kH: int, dW: int = 1, dH: int = 1,
        padW: int = 0, padH: int | None = None, adjW: int = 0, adjH: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nInputPlane = nInputPlane
        self.nOutputPlane = nOutputPlane
        self.kW, self.kH, self.dW, self.dH = kW, kH, dW, dH
        self.padW, self.padH = padW, padW if padH is None else padH
        self.adjW, self.adjH = adjW, adjH
        self._own(weight=(nInputPlane, nOutputPlane, kH, kW), bias=(nOutputPlane,))
        self.reset()

    def _sides(self) -> list[tuple[int, int, int, int]]:
        return [
            (self.kH, self.dH, self.padH, self.adjH),
            (self.kW, self.dW, self.padW, self.adjW),
        ]


class VolumetricFullConvolution(_FullConvolution):
    """`SpatialFullConvolution` of volumes.

    Attributes:
        weight: ``(nInputPlane, nOutputPlane, kT, kH, kW)``.
    """

    padT = padW = padH = adjT = adjW = adjH = 0  # which old files lack

    def __init__(
        self, nInputPlane: int, nOutputPlane: int, kT: int, kW: int, kH: int,
        dT: int = 1, dW: int = 1, dH: int = 1, padT: int = 0, padW: int = 0, padH: int = 0,
        adjT: int = 0, adjW: int = 0, adjH: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nInputPlane = nInputPlane
        self.nOutputPlane = nOutputPlane
        self.kT, self.kW, self.kH, self.dT, self.dW, self.dH = kT, kW, kH, dT, dW, dH
        self.padT, self.padW, self.padH = padT, padW, padH
        self.adjT, self.adjW, self.adjH = adjT, adjW, adjH
        self._own(weight=(nInputPlane, nOutputPlane, kT, kH, kW), bias=(nOutputPlane,))
        self.reset()

    def _sides(self) -> list[tuple[int, int, int, int]]:
        return [
            (self.kT, self.dT, self.padT, self.adjT),
            (self.kH, self.dH, self.padH, self.adjH),
            (self.kW, self.dW, self.padW, self.adjW),
        ]


class _Maps:
    """Connection tables: rows of an input plane and the output plane it is connected to."""

    @staticmethod
    def full(nin: int, nout: int) -> Any:
        """Each of ``nin`` planes with each of ``nout``."""
        return tensor([[float(i), float(o)] for o in range(nout) for i in range(nin)])

    @staticmethod
    def oneToOne(nfeat: int) -> Any:
        """Each plane with the one of its number."""
        return tensor([[float(i), float(i)] for i in range(nfeat)])

    @staticmethod
    def random(nin: int, nout: int, nto: int) -> Any:
        """Each of ``nout`` planes with ``nto`` of ``nin``, drawn so that all are used alike."""
        rows: list[list[float]] = []
        deck: list[int] = []
        for o in range(nout):
            if len(deck) < nto:
                deck = randperm(nin).tolist()
            rows += [[float(i), float(o)] for i in deck[:nto]]
            deck = deck[nto:]
        return tensor(rows)


class SpatialConvolutionMap(_Convolution):
    """`SpatialConvolution` in which only some input and output planes are connected.

    Args:
        conMatrix: ``(n, 2)``: planes of input and output that are connected, from 0; see `maps`.
        kW, kH, dW, dH: size of the window and its step.
    Attributes:
        weight: ``(n, kH, kW)``, a window for each connection.
        bias: ``(nOutputPlane,)``.
    """

    maps = _Maps

    def __init__(self, conMatrix: Any, kW: int, kH: int, dW: int = 1, dH: int = 1) -> None:
        super().__init__()
        self.kW, self.kH, self.dW, self.dH = kW, kH, dW, dH
        self.connTable = conMatrix
        self.nInputPlane, self.nOutputPlane = (int(top) + 1 for top in conMatrix.max(0)[0])
        self._own(weight=(conMatrix.size(0), kH, kW), bias=(self.nOutputPlane,))
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw weight and bias, each from a range for the inputs of its output plane."""
        self._draw(stdv, 1)
        if stdv is None:
            to = self.connTable[:, 1].long()
            inputs = to.bincount(minlength=self.nOutputPlane).clamp(min=1) * self.kW * self.kH
            bound = inputs.to(self.weight.dtype).rsqrt()
            self.weight.mul_(bound[to].view(-1, 1, 1))
            if self.bias is not None:
                self.bias.mul_(bound)

    def _filters(self, weight: Tensor) -> Any:
        """The weight with zeros where planes are not connected, ``(out, in, kH, kW)``."""
        start, to = self.connTable.long().unbind(1)
        zeros = weight.new_zeros(self.nOutputPlane * self.nInputPlane, self.kH, self.kW)
        filled = zeros.index_add(0, to * self.nInputPlane + start, weight)
        return filled.view(self.nOutputPlane, self.nInputPlane, self.kH, self.kW)

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        return functions.conv2d(input, self._filters(weight), bias, (self.dH, self.dW))


class SpatialFullConvolutionMap(SpatialConvolutionMap):
    """`SpatialFullConvolution` in which only some input and output planes are connected."""

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        filters = self._filters(weight).transpose(0, 1)
        return functions.conv_transpose2d(input, filters, bias, (self.dH, self.dW))
