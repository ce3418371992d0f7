"""Losses as modules."""

from __future__ import annotations

import warnings
from typing import Any

from dtorch.core import functions
from dtorch.core.ops.loss import check_reduction, legacy_reduction
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module


class _Loss(Module):
    """A loss and how it is reduced.

    Args:
        size_average, reduce: classic; False for ``reduction="sum"`` and ``"none"``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        if size_average is not None or reduce is not None:
            reduction = legacy_reduction(size_average, reduce, reduction)
            warnings.warn(
                f"size_average and reduce are deprecated; use reduction={reduction!r}",
                UserWarning, stacklevel=3,
            )  # fmt: skip
        check_reduction(type(self).__name__, reduction)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a weight of each class, or of each element."""

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """Squared difference of input and target."""

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.mse_loss(input, target, reduction=self.reduction)


class NLLLoss(_WeightedLoss):
    """Negative log-likelihood of the target classes; input are log-probabilities ``(N, C, *)``.

    Args:
        weight: ``(C,)``; the mean divides by the weights used.
        ignore_index: target that counts nothing.
    """

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class NLLLoss2d(NLLLoss):
    """Classic name of `NLLLoss` for images ``(N, C, H, W)``."""


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of scores ``(N, C, *)`` and target classes, or class probabilities.

    Args:
        weight: ``(C,)``; the mean divides by the weights used.
        ignore_index: target that counts nothing.
        label_smoothing: share of the target given to all classes alike.
    """

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Any:
        return functions.cross_entropy(
            input, target, self._buffers["weight"], ignore_index=self.ignore_index,
            reduction=self.reduction, label_smoothing=self.label_smoothing,
        )  # fmt: skip
