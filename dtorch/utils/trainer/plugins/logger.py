"""The plugin that prints what monitors have measured."""

from __future__ import annotations

from typing import Any

from dtorch.utils.trainer.plugins.plugin import Plugin


class Logger(Plugin):
    """Prints a line now and then.

    Args:
        fields: what to print: ``"loss"`` for what its monitor suggests, ``"loss.last"`` for one
            number.
        interval: pairs (count, event); each iteration and each epoch if left out.
    """

    def __init__(self, fields: list[str], interval: list[tuple[int, str]] | None = None) -> None:
        super().__init__([(1, "iteration"), (1, "epoch")] if interval is None else interval)
        self.fields = [field.split(".") for field in fields]

    def register(self, trainer: Any) -> None:
        """Get to know the numbers."""
        self.trainer = trainer

    def iteration(self, time: int, *args: Any) -> None:
        """Print the line of an iteration."""
        self._print("log_iter_fields", "", time)

    def epoch(self, time: int) -> None:
        """Print the line of an epoch."""
        self._print("log_epoch_fields", f"epoch {time}: ", time)

    def _print(self, which: str, start: str, time: int) -> None:
        parts = []
        for name, *path in self.fields:
            stat = self.trainer.stats.get(name, {})
            texts = [
                stat.get("log_format", "{}").format(stat[field])
                for field in (path or stat.get(which, []))
                if field in stat
            ]
            if texts:
                parts.append(f"{name}: {' '.join(texts)}")
        print(start + "\t".join(parts))
