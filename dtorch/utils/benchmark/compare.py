"""Measurements beside each other."""

from __future__ import annotations

from collections.abc import Iterable

from dtorch.utils.benchmark.timer import Measurement, readable


class Compare:
    """A table of measurements for each label: a row for each sub-label and number of threads, a column
    for each description."""

    def __init__(self, results: Iterable[Measurement]) -> None:
        self.results = list(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements."""
        self.results += results

    def trim_significant_figures(self) -> None:
        """Show no more digits than the measurements have: three are shown in any case."""

    def colorize(self, rowwise: bool = False) -> None:
        """Colours: there are none."""

    def __str__(self) -> str:
        tables: dict[str, list[Measurement]] = {}
        for result in self.results:
            tables.setdefault(result.task_spec.title, []).append(result)
        return "\n".join(_table(title, rows) for title, rows in tables.items())

    def print(self) -> None:
        """Print the tables."""
        print(self)


def _table(title: str, results: list[Measurement]) -> str:
    columns = list(dict.fromkeys(r.task_spec.description or r.task_spec.env or "" for r in results))
    found: dict[tuple[str, int], dict[str, Measurement]] = {}
    for result in results:
        spec = result.task_spec
        row = found.setdefault((spec.sub_label or spec.stmt, spec.num_threads), {})
        row[spec.description or spec.env or ""] = result
    lines = [[title, "threads", *columns]]
    lines += [
        [name, str(threads), *(readable(row[c].median) if c in row else "" for c in columns)]
        for (name, threads), row in found.items()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [" | ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])
