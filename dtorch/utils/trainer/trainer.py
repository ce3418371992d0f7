"""The loop, and when it calls its plugins."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

from dtorch.core.errors import ArgumentError

_EVENTS = ("iteration", "epoch", "batch", "update")


class Trainer:
    """Trains a model on a dataset, and has plugins measure, print or change things meanwhile.

    Args:
        model: gives an output for the input of a batch.
        criterion: ``criterion(output, target)`` gives the loss.
        optimizer: its ``step(closure)`` improves the model.
        dataset: an iterable of pairs (input, target) of batches, such as a `DataLoader`.
    Attributes:
        iterations: batches trained on so far.
        stats: what monitors have measured, by name.
    Example:
        >>> import dtorch
        >>> from dtorch import nn, optim
        >>> model = nn.Linear(2, 1)
        >>> batches = [(dtorch.ones(4, 2), dtorch.zeros(4, 1))] * 3
        >>> trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), batches)
        >>> trainer.run(epochs=2)
        >>> trainer.iterations
        6
    """

    def __init__(
        self, model: Any = None, criterion: Callable[[Any, Any], Any] | None = None,
        optimizer: Any = None, dataset: Iterable[tuple[Any, Any]] | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.criterion = criterion
        self.optimizer = optimizer
        self.dataset = dataset
        self.iterations = 0
        self.stats: dict[str, dict[str, Any]] = {}
        # For each event a heap of (when it is due, order of registration, interval, plugin).
        self.plugin_queues: dict[str, list[tuple[int, int, int, Any]]] = {
            event: [] for event in _EVENTS
        }

    def register_plugin(self, plugin: Any) -> None:
        """Have a plugin called from now on, as often as its ``trigger_interval`` says."""
        plugin.register(self)
        for interval, event in plugin.trigger_interval:
            if event not in self.plugin_queues or interval < 1:
                raise ArgumentError(
                    f"Trainer: {type(plugin).__name__} wants to be called every {interval} of "
                    f"{event!r}, expected at least 1 of one of {_EVENTS}"
                )
            queue = self.plugin_queues[event]
            heapq.heappush(queue, (interval, len(queue), interval, plugin))

    def call_plugins(self, queue_name: str, time: int, *args: Any) -> None:
        """Call the method ``queue_name`` of the plugins that are due.

        Args:
            queue_name: "iteration", "epoch", "batch" or "update".
            time: how many of these there were.
            args: for the plugins, after ``time``'s own.
        """
        queue = self.plugin_queues[queue_name]
        while queue and queue[0][0] <= time:
            _, order, interval, plugin = queue[0]
            getattr(plugin, queue_name)(time, *args)
            heapq.heapreplace(queue, (time + interval, order, interval, plugin))

    def run(self, epochs: int = 1) -> None:
        """Train for a number of epochs."""
        for epoch in range(1, epochs + 1):
            self.train()
            self.call_plugins("epoch", epoch)

    def train(self) -> None:
        """Train for one epoch."""
        if self.dataset is None or self.criterion is None:
            raise ArgumentError("Trainer: it has no dataset or no criterion")
        for batch_input, batch_target in self.dataset:
            self.iterations += 1
            self.call_plugins("batch", self.iterations, batch_input, batch_target)
            output, loss = self._step(batch_input, batch_target)
            self.call_plugins("iteration", self.iterations, batch_input, batch_target, output, loss)
            self.call_plugins("update", self.iterations, self.model)

    def _step(self, batch_input: Any, batch_target: Any) -> tuple[Any, Any]:
        """One step of the optimizer; the output and loss it began with."""
        criterion = self.criterion
        first: list[tuple[Any, Any]] = []

        def closure() -> Any:
            self.optimizer.zero_grad()
            output = self.model(batch_input)
            loss = criterion(output, batch_target)  # type: ignore[misc]  # `train` has looked
            loss.backward()
            if not first:
                first.append((output.detach(), loss.detach()))
            return loss

        self.optimizer.step(closure)
        output, loss = first[0]
        return output, loss
