"""Criteria. Classes count from 0; of ``-1`` and ``1`` targets the sign says which side is meant."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core import functions
from dtorch.core.creation import as_tensor, zeros
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.criterion import Criterion

__all__ = [
    "AbsCriterion", "BCECriterion", "ClassNLLCriterion", "ClassSimplexCriterion",
    "CosineEmbeddingCriterion", "CrossEntropyCriterion", "DistKLDivCriterion",
    "HingeEmbeddingCriterion", "L1Cost", "L1HingeEmbeddingCriterion", "MSECriterion",
    "MarginCriterion", "MarginRankingCriterion", "MultiLabelMarginCriterion",
    "MultiLabelSoftMarginCriterion", "MultiMarginCriterion", "SmoothL1Criterion",
    "SoftMarginCriterion", "SpatialClassNLLCriterion", "WeightedMSECriterion",
]  # fmt: skip


class _Averaged(Criterion):
    """A criterion that is a mean over elements, or their sum without ``sizeAverage``."""

    sizeAverage = True

    def __init__(self, sizeAverage: bool = True) -> None:
        super().__init__()
        self.sizeAverage = sizeAverage

    @property
    def _reduction(self) -> str:
        return "mean" if self.sizeAverage else "sum"

    def _reduced(self, values: Any) -> Any:
        return values.mean() if self.sizeAverage else values.sum()


def _like(input: Tensor, target: Any) -> Any:
    """A target with the sizes and the type of the input, of which it has as many elements."""
    target = as_tensor(target)
    if target.numel() == input.numel():
        target = target.view(input.shape)
    return target.to(input.dtype)


class AbsCriterion(_Averaged):
    """The mean of ``|x - y|``."""

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.l1_loss(input, _like(input, target), reduction=self._reduction)


class MSECriterion(_Averaged):
    """The mean of ``(x - y) ** 2``."""

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.mse_loss(input, _like(input, target), reduction=self._reduction)


class SmoothL1Criterion(_Averaged):
    """The mean of ``(x - y) ** 2 / 2`` where ``|x - y|`` is below 1, else of it less 0.5."""

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.smooth_l1_loss(input, _like(input, target), reduction=self._reduction)


class WeightedMSECriterion(MSECriterion):
    """`MSECriterion` with a target that is first multiplied by ``weight``, of a sample's sizes."""

    def __init__(self, weight: Tensor, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.weight = weight.clone()

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return super().compute(input, _like(input, target) * self.weight)


class BCECriterion(_Averaged):
    """The mean of ``-(y log x + (1 - y) log(1 - x))``, times ``weights`` if given."""

    weights: Tensor | None = None

    def __init__(self, weights: Tensor | None = None, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.weights = weights

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.binary_cross_entropy(
            input, _like(input, target), self.weights, reduction=self._reduction
        )


class DistKLDivCriterion(_Averaged):
    """The mean of ``y * (log y - x)`` where y is above 0; x are logarithms of probabilities."""

    def compute(self, input: Tensor, target: Tensor) -> Any:
        total = functions.kl_div(input, _like(input, target), reduction="sum")
        return total / input.numel() if self.sizeAverage else total


class ClassNLLCriterion(_Averaged):
    """The mean of ``-x[class]``, weighted by class if ``weights`` are given.

    Input ``(classes,)`` or ``(N, classes)``: logarithms of probabilities. Target: classes from 0.
    """

    weights: Tensor | None = None

    def __init__(self, weights: Tensor | None = None, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.weights = weights

    def compute(self, input: Tensor, target: Any) -> Any:
        classes = as_tensor(target).long()
        if input.ndim == 1:
            classes = classes.view(())
        return functions.nll_loss(input, classes, self.weights, reduction=self._reduction)


class SpatialClassNLLCriterion(ClassNLLCriterion):
    """`ClassNLLCriterion` of each pixel: input ``(N, classes, H, W)``, target ``(N, H, W)``."""


class CrossEntropyCriterion(ClassNLLCriterion):
    """`ClassNLLCriterion` of the `LogSoftMax` of the input."""

    def __init__(self, weights: Tensor | None = None) -> None:
        super().__init__(weights)

    def compute(self, input: Tensor, target: Any) -> Any:
        input = input.squeeze()
        classes = as_tensor(target)
        if classes.ndim > 1:
            classes = classes.squeeze()
        return super().compute(functions.log_softmax(input, -1 if input.ndim < 3 else 1), classes)


class MultiMarginCriterion(_Averaged):
    """The mean over samples and classes of ``max(0, margin - x[class] + x[other]) ** p``."""

    weights: Tensor | None = None

    def __init__(
        self, p: int = 1, weights: Tensor | None = None, margin: float = 1,
        sizeAverage: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(sizeAverage)
        if p not in (1, 2):
            raise ArgumentError(f"MultiMarginCriterion: p is {p}, expected 1 or 2")
        self.p = p
        self.weights = weights
        self.margin = margin

    def compute(self, input: Tensor, target: Any) -> Any:
        classes = as_tensor(target).long()
        return functions.multi_margin_loss(
            input, classes.view(()) if input.ndim == 1 else classes, self.p, self.margin,
            self.weights, reduction=self._reduction,
        )  # fmt: skip


class MultiLabelMarginCriterion(_Averaged):
    """`MultiMarginCriterion` of several classes of a sample: target classes, then -1."""

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.multilabel_margin_loss(input, target.long(), reduction=self._reduction)


class MultiLabelSoftMarginCriterion(_Averaged):
    """`BCECriterion` of the `Sigmoid` of the input."""

    weights: Tensor | None = None

    def __init__(self, weights: Tensor | None = None) -> None:
        super().__init__()
        self.weights = weights

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.binary_cross_entropy_with_logits(
            input, _like(input, target), self.weights, reduction=self._reduction
        )


class SoftMarginCriterion(_Averaged):
    """The mean of ``log(1 + exp(-y x))``."""

    def __init__(self) -> None:
        super().__init__()

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return functions.soft_margin_loss(input, _like(input, target), reduction=self._reduction)


class MarginCriterion(_Averaged):
    """The mean of ``max(0, margin - y x)``."""

    def __init__(self, margin: float = 1, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.margin = margin

    def compute(self, input: Tensor, target: Tensor) -> Any:
        return self._reduced((self.margin - input * _like(input, target)).clamp(min=0))


class MarginRankingCriterion(_Averaged):
    """The mean of ``max(0, margin - y (a - b))`` of a table of two tensors."""

    def __init__(self, margin: float = 1, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.margin = margin

    def compute(self, input: Any, target: Any) -> Any:
        a, b = input
        sign = as_tensor(target).to(a.dtype)
        return self._reduced((self.margin - sign * (a - b)).clamp(min=0))


class HingeEmbeddingCriterion(_Averaged):
    """The mean of x where the target is 1, of ``max(0, margin - x)`` where it is -1."""

    def __init__(self, margin: float = 1, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.margin = margin

    def compute(self, input: Tensor, target: Any) -> Any:
        target = as_tensor(target).to(input.dtype)
        sign = _like(input, target) if target.ndim else target.expand(input.shape)
        return functions.hinge_embedding_loss(input, sign, self.margin, reduction=self._reduction)


class L1HingeEmbeddingCriterion(Criterion):
    """`HingeEmbeddingCriterion` of the sum of differences of a table of two tensors."""

    def __init__(self, margin: float = 1) -> None:
        super().__init__()
        self.margin = margin

    def compute(self, input: Any, target: Any) -> Any:
        distance = (input[0] - input[1]).abs().sum()
        return distance if float(target) != -1 else (self.margin - distance).clamp(min=0)


class CosineEmbeddingCriterion(_Averaged):
    """The mean of ``1 - cos`` where the target is 1, of ``max(0, cos - margin)`` where it is -1.

    Input: a table of two vectors, or of two matrices whose rows are compared.
    """

    def __init__(self, margin: float = 0, sizeAverage: bool = True) -> None:
        super().__init__(sizeAverage)
        self.margin = margin

    def compute(self, input: Any, target: Any) -> Any:
        a, b = (part.unsqueeze(0) if part.ndim == 1 else part for part in input)
        return functions.cosine_embedding_loss(
            a, b, as_tensor(target).view(-1), self.margin, reduction=self._reduction
        )


class L1Cost(Criterion):
    """The sum of ``|x|``; there is no target."""

    def compute(self, input: Tensor, target: Any) -> Any:
        return input.abs().sum()

    def updateOutput(self, input: Tensor, target: Any = None) -> float:
        """Compute the sum."""
        return super().updateOutput(input, target)

    def forward(self, input: Tensor, target: Any = None) -> float:
        """Compute the sum; see `updateOutput`."""
        return self.updateOutput(input, target)

    def backward(self, input: Tensor, target: Any = None) -> Any:
        """Compute the gradient of the input; see `updateGradInput`."""
        return self.updateGradInput(input, target)

    def updateGradInput(self, input: Tensor, target: Any = None) -> Any:
        """Compute the gradient of the input."""
        return super().updateGradInput(input, target)


class ClassSimplexCriterion(MSECriterion):
    """`MSECriterion` to the corner of a regular simplex that stands for the class.

    Attributes:
        simplex: ``(nClasses, nClasses)``, the corners, of length 1; the last coordinate is 0.

    Reference: Cogswell et al. 2015, arXiv:1506.08230.
    """

    def __init__(self, nClasses: int) -> None:
        super().__init__()
        if int(nClasses) != nClasses or nClasses < 2:
            raise ArgumentError(
                f"ClassSimplexCriterion: nClasses is {nClasses}, expected a whole number from 2 on"
            )
        self.nClasses = nClasses
        self.simplex = _simplex(nClasses)

    def compute(self, input: Tensor, target: Any) -> Any:
        corners = self.simplex[as_tensor(target).long().view(-1)]
        return super().compute(input, corners)

    def getPredictions(self, input: Any) -> Any:
        """The dot product of each sample with each corner, ``(N, nClasses)``."""
        rows = input.data.view(1, -1) if input.ndim == 1 else input.data
        return rows @ self.simplex.t()

    def getTopPrediction(self, input: Tensor) -> Any:
        """The class of the nearest corner for each sample, ``(N,)``."""
        return self.getPredictions(input).max(1)[1].view(-1)


def _simplex(count: int) -> Any:
    """Unit vectors whose dot products with each other are all ``-1 / (count - 1)``."""
    corners = zeros(count, count)
    left = 1.0  # square of the length that the coordinates from here on have
    for k in range(count - 1):
        corners[k, k] = height = math.sqrt(left)
        below = -height / (count - 1 - k)  # the corners from here on sum to 0
        corners[k + 1 :, k] = below
        left -= below * below
    return corners
