"""Layers that drop a part of their input at random, or punish it, in training."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.recording import Table, mapped

__all__ = ["Dropout", "GradientReversal", "L1Penalty", "SpatialDropout", "VolumetricDropout"]


class Dropout(Module):
    """In training: zeros with probability ``p``, the rest times ``1 / (1 - p)``."""

    v2 = True  # False in old files: elements are scaled in use, instead of in training

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace
        self.setp(p)

    def setp(self, p: float) -> None:
        """Change the probability.

        Raises:
            ValueError: it is not from 0 to below 1.
        """
        if not 0 <= p < 1:
            raise ArgumentError(f"{type(self).__name__}: p is {p}, expected from 0 to below 1")
        self.p = p

    def compute(self, input: Tensor) -> Any:
        dropped = functions.dropout(input, self.p, self.train)
        return dropped if self.v2 else dropped * (1 - self.p)

    def __repr__(self) -> str:
        return f"{super().__repr__()}({self.p:.4f})"


class SpatialDropout(Dropout):
    """In training whole channels become zero with probability ``p``, and the rest stays as it is.

    In use all is multiplied by ``1 - p``. Input ``(C, H, W)`` or ``(N, C, H, W)``.
    """

    _ndim = 4

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def compute(self, input: Tensor) -> Any:
        if input.ndim not in (self._ndim - 1, self._ndim):
            raise ArgumentError(
                f"{type(self).__name__}: input has {input.ndim} dims, expected {self._ndim - 1}, "
                f"or {self._ndim} for a batch"
            )
        kept = functions.dropout(
            input.new_ones((*input.shape[: input.ndim - self._ndim + 2], *[1] * (self._ndim - 2))),
            self.p, self.train,
        )  # fmt: skip
        return input * (kept * (1 - self.p))


class VolumetricDropout(SpatialDropout):
    """`SpatialDropout` of ``(C, T, H, W)`` or ``(N, C, T, H, W)``."""

    _ndim = 5


class GradientReversal(Module):
    """The input; its gradient is multiplied by ``-lambd``.

    Reference: Ganin and Lempitsky 2015, arXiv:1409.7495.
    """

    def __init__(self, lambd: float = 1) -> None:
        super().__init__()
        self.lambd = lambd

    def setLambda(self, lambd: float) -> None:
        """Change the factor."""
        self.lambd = lambd

    def compute(self, input: Table) -> Table:
        return input

    def updateGradInput(self, input: Table, gradOutput: Table) -> Table:
        self.gradInput = mapped(lambda grad: grad.data * -self.lambd, gradOutput)
        return self.gradInput


class L1Penalty(Module):
    """The input; its gradient gets that of ``l1weight`` times the sum of sizes added.

    Args:
        l1weight: weight of the penalty.
        sizeAverage: divide it by the number of elements.
        provideOutput: without, the gradient is that of the penalty alone.
    Attributes:
        loss: the penalty of the last input.
    """

    def __init__(
        self, l1weight: float, sizeAverage: bool = False, provideOutput: bool = True
    ) -> None:
        super().__init__()
        self.l1weight = l1weight
        self.sizeAverage = sizeAverage
        self.provideOutput = provideOutput

    def _weight_for(self, input: Tensor) -> float:
        return self.l1weight / input.numel() if self.sizeAverage else self.l1weight

    def compute(self, input: Tensor) -> Any:
        self.loss = self._weight_for(input) * float(input.detach().abs().sum())
        return input

    def updateGradInput(self, input: Tensor, gradOutput: Any) -> Any:
        self.gradInput = input.data.sign() * self._weight_for(input)
        if self.provideOutput:
            self.gradInput += gradOutput.data
        return self.gradInput
