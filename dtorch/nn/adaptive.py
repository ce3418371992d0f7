"""Softmax over many classes, rare ones in clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.functions import cat, gather, index_select, log_softmax
from dtorch.core.tensor import Tensor
from dtorch.nn.container import ModuleList, Sequential
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class ASMoutput(NamedTuple):
    """Log-probability of each target, and the loss: their negative mean."""

    output: Any
    loss: Any


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of many classes, the rare ones behind one score for their cluster.

    Args:
        in_features: features of the input.
        n_classes: number of classes, sorted by descending frequency.
        cutoffs: where the clusters of rarer classes begin.
        div_value: each cluster has so many times fewer features than the one before.
        head_bias: whether the scores of frequent classes and clusters have a bias.

    Reference: Grave et al. 2016, arXiv:1609.04309.

    Raises:
        ValueError: ``cutoffs`` that do not increase from 1 to ``n_classes - 1``.
        IndexError: a target that is no class.

    Example:
        >>> import dtorch
        >>> layer = AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[5, 10])
        >>> output, loss = layer(dtorch.ones(3, 8), dtorch.tensor([0, 7, 19]))
        >>> tuple(output.shape)
        (3,)
        >>> tuple(layer.log_prob(dtorch.ones(3, 8)).shape)
        (3, 20)
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        borders = [int(c) for c in cutoffs]
        if (
            not borders
            or borders != sorted(set(borders))
            or borders[0] <= 0
            or borders[-1] > n_classes - 1
        ):
            raise ArgumentError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs are {list(cutoffs)}, expected increasing "
                f"numbers from 1 to {n_classes - 1}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*borders, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = borders[0]
        self.n_clusters = len(borders)
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, hidden, bias=False, **made),
                    Linear(hidden, size, bias=False, **made),
                )
            )

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Any, target_: Any) -> ASMoutput:
        """Log-probabilities of the targets and the loss.

        Args:
            input_: ``(N, in_features)`` or ``(in_features,)``.
            target_: classes ``(N,)`` or ``()``.
        """
        batched = target_.ndim == 1
        input, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.reshape(1))
        if input.ndim != 2 or input.shape[0] != target.shape[0]:
            raise ShapeError(
                f"AdaptiveLogSoftmaxWithLoss: input of shape {tuple(input_.shape)} and target of "
                f"shape {tuple(target_.shape)}, expected (N, {self.in_features}) and (N,)"
            )
        numbers = target.array
        if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) < self.n_classes:
            raise DimensionError(
                f"AdaptiveLogSoftmaxWithLoss: targets from {int(numbers.min())} to "
                f"{int(numbers.max())}, expected 0 to {self.n_classes - 1}"
            )
        head = log_softmax(self.head(input), 1)
        column = np.where(numbers < self.shortlist_size, numbers, 0)
        parts, places = [], []
        rows = np.flatnonzero(numbers < self.shortlist_size)
        if rows.size or not numbers.size:
            parts.append(self._picked(head, rows, column[rows]))
            places.append(rows)
        for i in range(self.n_clusters):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            rows = np.flatnonzero((numbers >= low) & (numbers < high))
            if not rows.size:
                continue
            inside = log_softmax(self.tail[i](index_select(input, 0, wrap(rows))), 1)
            cluster = np.full(rows.size, self.shortlist_size + i)
            every = np.arange(rows.size)
            parts.append(
                self._picked(inside, every, numbers[rows] - low) + self._picked(head, rows, cluster)
            )
            places.append(rows)
        order = np.argsort(np.concatenate(places))
        output = index_select(cat(parts, 0), 0, wrap(order))
        loss = -output.mean()
        return ASMoutput(output if batched else output.squeeze(0), loss)

    @staticmethod
    def _picked(scores: Tensor, rows: Any, columns: Any) -> Any:
        chosen = index_select(scores, 0, wrap(rows))
        return gather(chosen, 1, wrap(columns.astype(np.int64)[:, None])).squeeze(1)

    def log_prob(self, input: Any) -> Any:
        """Log-probabilities ``(N, n_classes)``."""
        head = log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            cluster = self.shortlist_size + i
            parts.append(log_softmax(tail(input), 1) + head[:, cluster : cluster + 1])
        return cat(parts, 1)

    def predict(self, input: Any) -> Any:
        """The most probable class of each row."""
        return self.log_prob(input).argmax(1)
