"""Layers that multiply by a weight, and those that measure a distance from one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtorch.core import functions
from dtorch.core.creation import arange
from dtorch.core.dtype import int64
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module

__all__ = [
    "Add", "Bilinear", "CMul", "Cosine", "Euclidean", "Linear", "LookupTable", "Mul",
    "PartialLinear", "WeightedEuclidean",
]  # fmt: skip


class Linear(Module):
    """``y = W x + b``, of a vector or of each row of a matrix.

    Attributes:
        weight: ``(outputSize, inputSize)``.
        bias: ``(outputSize,)``, or None.

    Example:
        >>> import dtorch
        >>> layer = Linear(3, 2)
        >>> x = dtorch.ones(1, 3)
        >>> _ = layer.forward(x), layer.backward(x, dtorch.ones(1, 2), scale=0.5)
        >>> layer.gradWeight.tolist(), layer.gradBias.tolist()
        ([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [0.5, 0.5])
    """

    weight: Tensor
    bias: Tensor | None = None

    def __init__(self, inputSize: int, outputSize: int, bias: bool = True) -> None:
        super().__init__()
        self._own(weight=(outputSize, inputSize), bias=(outputSize,) if bias else None)
        self.reset()

    def noBias(self) -> Any:
        """Do without a bias; returns self."""
        self.bias = self.gradBias = None
        return self

    def reset(self, stdv: float | None = None) -> None:
        """Draw weight and bias from a range of ``1 / sqrt(inputSize)``, or by their deviation."""
        self._draw(stdv, 1 / math.sqrt(self.weight.size(1)))

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        return functions.linear(input, weight, bias)

    def __repr__(self) -> str:
        outputs, inputs = self.weight.shape[:2]
        without = " without bias" if self.bias is None else ""
        return f"{super().__repr__()}({inputs} -> {outputs}){without}"


class PartialLinear(Linear):
    """`Linear` of which only some outputs are computed, those of a partition.

    Attributes:
        weight, bias: of all outputs; ``bias`` is ``(1, outputsize)``.
        partition: indices of the outputs that are computed.
    """

    def __init__(self, inputsize: int, outputsize: int, bias: bool = True) -> None:
        super().__init__(inputsize, outputsize, bias=False)
        self.inputsize = inputsize
        self.outputsize = outputsize
        self._own(bias=(1, outputsize) if bias else None)
        self.resetPartition()

    def setPartition(self, indices: Tensor) -> None:
        """Compute the outputs with these indices only."""
        self.partition = indices

    def resetPartition(self) -> None:
        """Compute all outputs."""
        self.partition = arange(self.outputsize, dtype=int64)

    def compute(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        rows = self.partition.long()
        return functions.linear(
            input, weight.index_select(0, rows), None if bias is None else bias[0, rows]
        )


class Bilinear(Module):
    """``y_k = a W_k b + bias_k`` of a table of two tensors.

    Attributes:
        weight: ``(outputSize, inputSize1, inputSize2)``.
        bias: ``(outputSize,)``, or None.
    """

    weight: Tensor

    def __init__(
        self, inputSize1: int, inputSize2: int, outputSize: int, bias: bool = True
    ) -> None:
        super().__init__()
        self._own(weight=(outputSize, inputSize1, inputSize2), bias=(outputSize,) if bias else None)
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw weight and bias from a range of ``1 / sqrt(inputSize1)``."""
        self._draw(stdv, 1 / math.sqrt(self.weight.size(1)))

    def compute(self, input: Any, weight: Tensor, bias: Tensor | None = None) -> Any:
        first, second = input
        return functions.bilinear(first, second, weight, bias)


class Add(Module):
    """A bias for each element of a sample, or one for all if ``scalar``.

    Args:
        inputSize: number of elements of a sample, or its sizes.
    """

    bias: Tensor

    def __init__(self, inputSize: int | Sequence[int], scalar: bool = False) -> None:
        super().__init__()
        self.scalar = scalar
        sizes = (inputSize,) if isinstance(inputSize, int) else tuple(inputSize)
        self._own(bias=(1,) if scalar else sizes)
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw the bias from a range of ``1 / sqrt(inputSize)``."""
        self._draw(stdv, 1 / math.sqrt(self.bias.size(0)))

    def compute(self, input: Tensor, bias: Tensor) -> Any:
        if bias.numel() == 1:
            return input + bias
        return (input.reshape(-1, bias.numel()) + bias.view(-1)).view(input.shape)


class Mul(Module):
    """The input times one number."""

    def __init__(self) -> None:
        super().__init__()
        self._own(weight=(1,))
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw the number between -1 and 1."""
        self._draw(stdv, 1)

    def compute(self, input: Tensor, weight: Tensor) -> Any:
        return input * weight


class CMul(Module):
    """The input times a weight, element by element; the weight is broadcast over a batch.

    Args:
        args: sizes of the weight.
    """

    weight: Tensor

    def __init__(self, *args: Any) -> None:
        super().__init__()
        sizes: Sequence[int] = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
        self._own(weight=tuple(sizes))
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw the weight from a range of 1 over the root of its number of elements."""
        self._draw(stdv, 1 / math.sqrt(self.weight.numel()))

    def compute(self, input: Tensor, weight: Tensor) -> Any:
        if weight.numel() == input.numel():
            return input * weight.view(input.shape)
        if weight.numel() * input.size(0) == input.numel():
            return input * weight.view(1, *input.shape[1:])
        return input * weight


class Cosine(Module):
    """The cosine of the angle between the input and each of ``outputSize`` vectors."""

    weight: Tensor

    def __init__(self, inputSize: int, outputSize: int) -> None:
        super().__init__()
        self._own(weight=(outputSize, inputSize))
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw the vectors from a range of 1 over the root of their number."""
        self._draw(stdv, 1 / math.sqrt(self.weight.size(0)))

    def compute(self, input: Tensor, weight: Tensor) -> Any:
        return functions.linear(
            functions.normalize(input, dim=-1), functions.normalize(weight, dim=1)
        )


class Euclidean(Module):
    """The distance of the input from each of ``outputSize`` points.

    Attributes:
        weight: the points, ``(inputSize, outputSize)``.
    """

    weight: Tensor

    def __init__(self, inputSize: int, outputSize: int) -> None:
        super().__init__()
        self._own(weight=(inputSize, outputSize))
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw the points from a range of ``1 / sqrt(inputSize)``."""
        self._draw(stdv, 1 / math.sqrt(self.weight.size(0)))

    def compute(self, input: Tensor, weight: Tensor) -> Any:
        return (input.unsqueeze(-1) - weight).norm(2, -2)


class WeightedEuclidean(Euclidean):
    """`Euclidean` in units of its own for each coordinate of each point.

    Attributes:
        diagCov: what a difference is multiplied by, ``(inputSize, outputSize)``; ones at first.
    """

    _parameters = ("weight", "diagCov")
    diagCov: Tensor

    def __init__(self, inputSize: int, outputSize: int) -> None:
        super().__init__(inputSize, outputSize)
        self._own(diagCov=(inputSize, outputSize))
        self.diagCov.fill_(1)

    def reset(self, stdv: float | None = None) -> None:
        """Draw the points; all units are 1."""
        super().reset(stdv)
        if "diagCov" in vars(self):
            self.diagCov.fill_(1)

    def compute(self, input: Tensor, weight: Tensor, diagCov: Any = 1) -> Any:
        return ((input.unsqueeze(-1) - weight) * diagCov).norm(2, -2)


class LookupTable(Module):
    """The rows of the weight that are named by the input, indices from 0.

    Args:
        nIndex, nOutput: number of rows and size of each.
        paddingValue: a row that has no gradient; -1: none.
        maxNorm, normType: rows that are looked up are first scaled down to this norm.
    """

    weight: Tensor
    # Which layers of files may lack.
    shouldScaleGradByFreq = False
    paddingValue = -1
    maxNorm: float | None = None
    normType: float | None = None

    def __init__(
        self, nIndex: int, nOutput: int, paddingValue: int = -1, maxNorm: float | None = None,
        normType: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._own(weight=(nIndex, nOutput))
        self.paddingValue = paddingValue
        self.maxNorm = maxNorm
        self.normType = normType
        self.reset()

    def accUpdateOnly(self) -> Any:
        """Do without ``gradWeight``: rows are changed by `accUpdateGradParameters` only."""
        self.gradWeight = None
        return self

    def setPadding(self, paddingValue: int) -> Any:
        """Give this row no gradient; returns self."""
        self.paddingValue = paddingValue
        return self

    def setMaxNorm(self, maxNorm: float | None) -> Any:
        """Scale rows that are looked up down to this norm; returns self."""
        self.maxNorm = maxNorm
        return self

    def setNormType(self, normType: float | None) -> Any:
        """Which norm that is, 2 by default; returns self."""
        self.normType = normType
        return self

    def scaleGradByFreq(self) -> Any:
        """Divide the gradient of a row by how often it was looked up; returns self."""
        self.shouldScaleGradByFreq = True
        return self

    def reset(self, stdv: float | None = None) -> None:
        """Draw the rows from a normal distribution."""
        self.weight.normal_(0, 1 if stdv is None else stdv)

    def renorm(self, input: Tensor) -> None:
        """Scale the rows that the input names down to ``maxNorm``."""
        if self.maxNorm is not None:
            kind = 2 if self.normType is None else self.normType
            functions.embedding(input.long(), self.weight, max_norm=self.maxNorm, norm_type=kind)

    def compute(self, input: Tensor, weight: Tensor) -> Any:
        self.renorm(input)
        row = self.paddingValue
        return functions.embedding(
            input.long(), weight, padding_idx=row if row >= 0 else None,
            scale_grad_by_freq=self.shouldScaleGradByFreq,
        )  # fmt: skip
