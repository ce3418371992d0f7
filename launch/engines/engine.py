"""What every engine offers to the supervisor."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..activity import Activity
from ..job import WorkerSpec


class StartError(Exception):
    """A worker could not be started. Nothing of it is left."""


@dataclass(frozen=True)
class Exit:
    """How a worker's process ended.

    Attributes:
        code: its exit code, or the negative number of the signal that killed it.
    """

    code: int

    @property
    def shell_code(self) -> int:
        """The code that a shell reports: 128 + number for a signal."""
        return 128 - self.code if self.code < 0 else self.code

    @property
    def signal_name(self) -> str | None:
        if self.code >= 0:
            return None
        return signal_name(-self.code)


def signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:  # a real-time signal
        return f"signal {signum}"


class Handle(Protocol):
    """A started worker, as its engine reaches it."""

    @property
    def spec(self) -> WorkerSpec:
        """What was started."""

    @property
    def pid(self) -> int:
        """The worker's process, where it runs."""

    @property
    def exit_fd(self) -> int | None:
        """Becomes readable when the worker has ended; None where the system cannot tell."""

    @property
    def control_fd(self) -> int:
        """The launcher's end of the worker's control channel."""

    @property
    def output_fds(self) -> dict[str, int]:
        """Ends of the worker's output to read, by ``"stdout"`` and ``"stderr"``."""

    def poll(self) -> Exit | None:
        """How the worker ended, or None while it runs. Never waits."""

    def signal(self, signum: int) -> None:
        """Sends a signal to the worker's own process, not to those it started."""

    def kill(self) -> None:
        """Kills the worker with every process it started."""

    def stop_rest(self) -> None:
        """Asks what the worker left running at its end to stop."""

    def has_rest(self) -> bool:
        """Whether something that the worker started still runs after its end."""

    def suspend(self) -> None:
        """Stops the worker and its processes where they are, until `resume`."""

    def resume(self) -> None:
        """Lets a suspended worker go on."""

    def activity(self) -> Activity | None:
        """What the worker and its processes have done so far; None where that is not known."""

    def request_stacks(self) -> None:
        """Asks a worker whose program has ended to write its Python stacks, where it can."""

    def stacks(self) -> str:
        """The stacks that the worker has written, at a crash or on request; may be empty."""

    def close(self) -> None:
        """Gives back what the handle holds here."""


class Engine(Protocol):
    """Starts workers, on the machine that the launcher runs on or on others."""

    def start(self, spec: WorkerSpec) -> Handle:
        """Starts one worker.

        Raises:
            StartError: it cannot be started.
        """


ENGINES: dict[str, type[Engine]] = {}

EngineClass = TypeVar("EngineClass", bound=type[Engine])


def register(name: str) -> Callable[[EngineClass], EngineClass]:
    """Class decorator: makes an engine known under ``name`` to ``--engine``."""

    def add(engine: EngineClass) -> EngineClass:
        ENGINES[name] = engine
        return engine

    return add
