"""What every plugin is."""

from __future__ import annotations

from typing import Any


class Plugin:
    """Something that a trainer calls now and then.

    For each event it wants to hear of it has a method of that name: ``batch(time, input,
    target)``, ``iteration(time, input, target, output, loss)``, ``update(time, model)``,
    ``epoch(time)``.

    Args:
        interval: pairs (count, event): call it at every ``count``-th event.
    """

    def __init__(self, interval: list[tuple[int, str]] | None = None) -> None:
        self.trigger_interval = [] if interval is None else interval

    def register(self, trainer: Any) -> None:
        """Get to know the trainer."""
        raise NotImplementedError(f"{type(self).__name__} does not define register")
