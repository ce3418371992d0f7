"""The base of criteria, and those made of others."""

from __future__ import annotations

import copy
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.conversion import Typed
from dtorch.legacy.nn.recording import Recording, Table, mapped, plain, tensors_of

__all__ = ["Criterion", "MultiCriterion", "ParallelCriterion"]


class Criterion(Typed):
    """A number that says how far an input is from a target.

    A criterion defines ``compute(input, target)`` with tensors' operations; its gradient follows.
    Or it defines ``updateOutput`` and ``updateGradInput`` itself.

    Attributes:
        output: the number, a float.
        gradInput: gradient of the input.

    Example:
        >>> import dtorch
        >>> from dtorch.legacy import nn
        >>> criterion = nn.MSECriterion()
        >>> x, y = dtorch.tensor([1.0, 2.0]), dtorch.tensor([0.0, 0.0])
        >>> criterion.forward(x, y), criterion.backward(x, y).tolist()
        (2.5, [1.0, 2.0])
    """

    def __init__(self) -> None:
        super().__init__()
        self.output: float = 0

    def compute(self, input: Table, target: Any) -> Any:
        """The number, as a tensor; what a criterion defines."""
        raise NotImplementedError(
            f"{type(self).__name__}: define compute(input, target), or updateOutput and "
            "updateGradInput"
        )

    def updateOutput(self, input: Table, target: Any) -> float:
        """Compute the number."""
        name, fixed = type(self).__name__, plain(target)
        recorded = Recording(name, lambda given: self.compute(given, fixed), input)
        self._recorded = recorded
        self._seen = input, target, _versions(input, target)
        self.output = recorded.output.item()
        return self.output

    def forward(self, input: Table, target: Any) -> float:
        """Compute the number; see `updateOutput`."""
        return self.updateOutput(input, target)

    def backward(self, input: Table, target: Any) -> Table:
        """Compute the gradient of the input; see `updateGradInput`."""
        return self.updateGradInput(input, target)

    def updateGradInput(self, input: Table, target: Any) -> Table:
        """Compute the gradient of the input."""
        if self._recorded is None or not self._saw(input, target):
            Criterion.updateOutput(self, input, target)
        assert self._recorded is not None
        self.gradInput = self._recorded.input_gradient(1)
        return self.gradInput

    def _saw(self, input: Table, target: Any) -> bool:
        """Whether the number was computed of just these, as they are."""
        before, wanted, versions = self._seen
        return before is input and wanted is target and versions == _versions(input, target)

    def clone(self) -> Any:
        """A copy."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "_seen"}


def _versions(input: Table, target: Any) -> list[int]:
    return [tensor._version for tensor in tensors_of([input, target])]


class _Weighted(Criterion):
    """A weighted sum of criteria."""

    def __init__(self) -> None:
        super().__init__()
        self.criterions: list[Any] = []
        self.weights: list[float] = []

    def add(self, criterion: Criterion, weight: float = 1) -> Any:
        """Add a criterion; returns self."""
        self.criterions.append(criterion)
        self.weights.append(weight)
        return self

    def _parts(self, input: Table, target: Any) -> list[tuple[Any, Any, Any, float]]:
        """Each criterion with its input, target and weight."""
        raise NotImplementedError

    def updateOutput(self, input: Table, target: Any) -> float:
        """Compute the number."""
        parts = self._parts(input, target)
        self.output = float(sum(weight * c.updateOutput(i, t) for c, i, t, weight in parts))
        return self.output

    def _gradients(self, input: Table, target: Any) -> list[Table]:
        """The gradient that each criterion gives, times its weight."""
        return [
            _times(weight, c.updateGradInput(i, t))
            for c, i, t, weight in self._parts(input, target)
        ]


def _times(weight: float, table: Table) -> Table:
    return mapped(lambda tensor: tensor * weight, table)


class MultiCriterion(_Weighted):
    """The weighted sum of criteria of the same input and target."""

    def _parts(self, input: Table, target: Any) -> list[tuple[Any, Any, Any, float]]:
        return [
            (criterion, input, target, weight)
            for criterion, weight in zip(self.criterions, self.weights, strict=True)
        ]

    def updateGradInput(self, input: Table, target: Any) -> Table:
        """Compute the gradient of the input."""
        found = self._gradients(input, target)
        sums = Recording("MultiCriterion", lambda given: [given] * len(found), input)
        self.gradInput = sums.input_gradient(found)
        return self.gradInput


class ParallelCriterion(_Weighted):
    """The weighted sum of criteria, each of a part of a table.

    Args:
        repeatTarget: all have the same target, instead of a part of it.
    """

    def __init__(self, repeatTarget: bool = False) -> None:
        super().__init__()
        self.repeatTarget = repeatTarget

    def _parts(self, input: Table, target: Any) -> list[tuple[Any, Any, Any, float]]:
        count = len(self.criterions)
        targets = [target] * count if self.repeatTarget else target
        if len(input) != count or (not isinstance(targets, Tensor) and len(targets) != count):
            raise ArgumentError(
                f"ParallelCriterion: got {len(input)} inputs and {len(targets)} targets for "
                f"{count} criteria"
            )
        return list(zip(self.criterions, input, targets, self.weights, strict=True))

    def updateGradInput(self, input: Table, target: Any) -> Table:
        """Compute the gradient of each part of the input."""
        self.gradInput = self._gradients(input, target)
        return self.gradInput
