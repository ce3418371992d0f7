"""Normalisation, over a batch, over the elements of a sample, or around each pixel."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core import functions
from dtorch.core.creation import ones, zeros
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module

__all__ = [
    "BatchNormalization", "Normalize", "SpatialBatchNormalization",
    "SpatialContrastiveNormalization", "SpatialCrossMapLRN", "SpatialDivisiveNormalization",
    "SpatialSubtractiveNormalization", "VolumetricBatchNormalization",
]  # fmt: skip


class BatchNormalization(Module):
    """Each feature with a mean of 0 and a variance of 1 over a batch ``(N, nOutput)``.

    Args:
        nOutput: number of features.
        eps: added to the variance.
        momentum: share of a batch in the running statistics, which are taken in use.
        affine: learn a factor and an offset for each feature.
    Attributes:
        weight, bias: those, ``(nOutput,)``, or None.
        running_mean, running_var: the running statistics.

    Reference: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    nDim = 2
    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self, nOutput: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.running_mean = zeros(nOutput)
        self.running_var = ones(nOutput)
        self._own(weight=(nOutput,) if affine else None, bias=(nOutput,) if affine else None)
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Draw the factors from 0 to 1; offsets are 0; forget the statistics."""
        if self.weight is not None:
            self.weight.uniform_(0, 1)
        if self.bias is not None:
            self.bias.zero_()
        self.running_mean.zero_()
        self.running_var.fill_(1)

    def compute(
        self, input: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Any:
        if input.ndim != self.nDim or input.size(1) != self.running_mean.size(0):
            raise ShapeError(
                f"{type(self).__name__}: input has sizes {tuple(input.shape)}, expected a batch of "
                f"{self.nDim} dims with {self.running_mean.size(0)} features"
            )
        return functions.batch_norm(
            input, self.running_mean, self.running_var, weight, bias, self.train, self.momentum,
            self.eps,
        )  # fmt: skip


class SpatialBatchNormalization(BatchNormalization):
    """`BatchNormalization` of images ``(N, nOutput, H, W)``."""

    nDim = 4


class VolumetricBatchNormalization(BatchNormalization):
    """`BatchNormalization` of volumes ``(N, nOutput, T, H, W)``."""

    nDim = 5


class Normalize(Module):
    """A vector, or each row of a matrix, divided by its p-norm.

    Args:
        p: above 0; ``inf`` for the largest element.
        eps: added to the sum under the root.
    """

    def __init__(self, p: float, eps: float = 1e-10) -> None:
        super().__init__()
        if not p > 0:
            raise ArgumentError(f"Normalize: p is {p}, expected above 0")
        self.p = p
        self.eps = eps

    def compute(self, input: Tensor) -> Any:
        if input.ndim not in (1, 2):
            raise ArgumentError(f"Normalize: input has {input.ndim} dims, expected 1 or 2")
        if math.isinf(self.p):
            return input / (input.abs().max(-1, keepdim=True)[0] + self.eps)
        sums = (input.abs() ** self.p).sum(-1, keepdim=True)
        return input / (sums + self.eps) ** (1 / self.p)


class SpatialCrossMapLRN(Module):
    """Each element divided by ``(k + alpha / size * s) ** beta``.

    ``s`` is the sum of squares of the elements at the same place in ``size`` neighbouring planes.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def compute(self, input: Tensor) -> Any:
        if input.ndim == 3:
            return self.compute(input.unsqueeze(0)).squeeze(0)
        return functions.local_response_norm(input, self.size, self.alpha, self.beta, self.k)


class _Neighbourhood(Module):
    """Averages around each pixel, over all planes.

    Args:
        nInputPlane: number of planes.
        kernel: weights of the pixels around, with odd sides; or of one side, for both.
    """

    def __init__(self, nInputPlane: int = 1, kernel: Tensor | None = None) -> None:
        super().__init__()
        self.nInputPlane = nInputPlane
        self.kernel: Any = ones(9, 9) if kernel is None else kernel
        if self.kernel.ndim not in (1, 2):
            raise ArgumentError(
                f"{type(self).__name__}: kernel has {self.kernel.ndim} dims, expected 1 or 2"
            )
        if any(side % 2 == 0 for side in self.kernel.shape):
            raise ArgumentError(
                f"{type(self).__name__}: kernel has sizes {tuple(self.kernel.shape)}, expected odd "
                "ones"
            )

    def _average(self, input: Any) -> Any:
        kernel = self.kernel.to(input.dtype)
        if kernel.ndim == 1:
            kernel = kernel.unsqueeze(1) * kernel
        rows, columns = kernel.shape
        weight = kernel / (kernel.sum() * self.nInputPlane)
        return functions.conv2d(
            input, weight.expand(1, self.nInputPlane, rows, columns).contiguous(),
            padding=(rows // 2, columns // 2),
        )  # fmt: skip

    def _subtracted(self, input: Any) -> Any:
        """Without the mean around each pixel; at edges, that of the pixels there are."""
        return input - self._average(input) / self._average(input.detach().new_ones(input.shape))

    def _divided(self, input: Any, threshold: float, thresval: float) -> Any:
        """Divided by the root of the mean square around each pixel, where above ``threshold``."""
        share = self._average(input.detach().new_ones(input.shape))
        deviation = self._average(input * input).sqrt() / share
        return input / functions.threshold(deviation, threshold, thresval)


class SpatialSubtractiveNormalization(_Neighbourhood):
    """The image minus the weighted mean around each pixel, over all planes."""

    def compute(self, input: Tensor) -> Any:
        return self._subtracted(input)


class SpatialDivisiveNormalization(_Neighbourhood):
    """The image divided by the weighted deviation around each pixel, over all planes.

    Args:
        threshold: deviations below it are taken to be ``thresval``, by default the same.
    """

    def __init__(
        self, nInputPlane: int = 1, kernel: Tensor | None = None, threshold: float = 1e-4,
        thresval: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(nInputPlane, kernel)
        self.threshold = threshold
        self.thresval = threshold if thresval is None else thresval

    def compute(self, input: Tensor) -> Any:
        return self._divided(input, self.threshold, self.thresval)


class SpatialContrastiveNormalization(SpatialDivisiveNormalization):
    """`SpatialSubtractiveNormalization`, then `SpatialDivisiveNormalization`."""

    def __init__(
        self, nInputPlane: int = 1, kernel: Tensor | None = None, threshold: float = 1e-4,
        thresval: float | None = 1e-4,
    ) -> None:  # fmt: skip
        super().__init__(nInputPlane, kernel, threshold, thresval)

    def compute(self, input: Tensor) -> Any:
        return self._divided(self._subtracted(input), self.threshold, self.thresval)
