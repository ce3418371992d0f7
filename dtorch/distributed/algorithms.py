"""Joining processes whose inputs are of different number, which dtorch does not do: its names.

>>> from dtorch.distributed.algorithms import Join
>>> Join([]).joinables
[]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a process does once it has no more inputs."""

    def main_hook(self) -> None:
        """Called for each step of the others."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called when all are done."""


class Joinable:
    """Something that can be joined."""


class Join:
    """Lets processes end that have fewer inputs, which dtorch does not do.

    Raises:
        NotImplementedError: in a ``with`` block.
    """

    def __init__(
        self, joinables: Sequence[Any], enable: bool = True, throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        self.joinables = list(joinables)

    def __enter__(self) -> NoReturn:
        raise NotImplementedError(
            "distributed.Join: dtorch's processes take the same number of steps; let the sampler drop or "
            "repeat samples (DistributedSampler(drop_last=...))"
        )

    def __exit__(self, *_: object) -> None:
        return None
