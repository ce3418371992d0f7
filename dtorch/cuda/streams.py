"""Queues of work on a card, and marks in them: CuPy's, by the names of the reference API."""

from __future__ import annotations

from typing import Any

from dtorch.core import backend
from dtorch.core.device import device as core_device
from dtorch.cuda.device import current_device, init


def _cuda() -> Any:
    init()
    return backend.xp_for(core_device("cuda")).cuda


class Stream:
    """A queue of work on a card.

    Raises:
        NoDeviceError: there is no card.
    """

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self._stream = _cuda().Stream(non_blocking=True, priority=priority)
        self.priority = priority
        self.device = core_device("cuda", current_device())

    @classmethod
    def _over(cls, stream: Any) -> Stream:
        """One over a stream of CuPy's."""
        made = cls()
        made._stream = stream
        return made

    def wait_event(self, event: Event) -> None:
        """Let work queued from here on wait for the mark."""
        self._stream.wait_event(event._event)

    def wait_stream(self, stream: Stream) -> None:
        """Let work queued from here on wait for what is queued in another stream."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        """Put a mark behind what is queued."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def query(self) -> bool:
        """Whether all work is done."""
        return bool(self._stream.done)

    def synchronize(self) -> None:
        """Wait until all work is done."""
        self._stream.synchronize()

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """The least and the greatest priority."""
        least, greatest = _cuda().runtime.deviceGetStreamPriorityRange()
        return int(least), int(greatest)


class Event:
    """A mark in a stream.

    Args:
        enable_timing: marks tell the time.

    Raises:
        NoDeviceError: there is no card.
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self._event = _cuda().Event(
            block=blocking, disable_timing=not enable_timing, interprocess=interprocess
        )

    def record(self, stream: Stream | None = None) -> None:
        """Put the mark behind what is queued in a stream, the current one by default."""
        self._event.record((current_stream() if stream is None else stream)._stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Let work queued in a stream from here on wait for the mark."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether all work before the mark is done."""
        return bool(self._event.done)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to another."""
        return float(_cuda().get_elapsed_time(self._event, end_event._event))

    def synchronize(self) -> None:
        """Wait until all work before the mark is done."""
        self._event.synchronize()


def current_stream(device: Any = None) -> Stream:
    """The stream that work is queued in.

    Raises:
        NoDeviceError: there is no card.
    """
    return Stream._over(_cuda().get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """The stream that work is queued in where no other was chosen.

    Raises:
        NoDeviceError: there is no card.
    """
    return Stream._over(_cuda().Stream.null)


def set_stream(stream: Stream | None) -> None:
    """Queue work in a stream from here on; None changes nothing."""
    if stream is not None:
        stream._stream.use()


class StreamContext:
    """Queues work in a stream in a ``with`` block; None changes nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self.before: Stream | None = None

    def __enter__(self) -> None:
        if self.stream is not None:
            self.before = current_stream()
            set_stream(self.stream)

    def __exit__(self, *_: object) -> None:
        set_stream(self.before)


def stream(stream: Stream | None) -> StreamContext:
    """Queue work in a stream in a ``with`` block; None changes nothing."""
    return StreamContext(stream)


def is_current_stream_capturing() -> bool:
    """Whether work is recorded to be repeated: no."""
    return False
