"""One worker while it is watched."""

from __future__ import annotations

import os
import signal
import time

from .activity import Activity
from .engines import Exit, Handle
from .failure import ErrorRecord, Failure, read_record
from .logs import Stream

# What a worker leaves running is asked to stop, and killed after this many seconds.
REST_GRACE = 0.5
# After SIGKILL a process is gone at once, unless the kernel itself is stuck in it.
UNKILLABLE_AFTER = 5.0
# Time for the fault handler to write the stacks of a worker that hangs.
STACKS_TIME = 0.1
# How often a worker whose program has ended is looked at.
LOOK_INTERVAL = 0.1
# When to mention a worker that has ended its program and is busy with something else.
MENTION_AFTER = 10.0


class Worker:
    """The state of one worker, from its start until nothing of it is left.

    Args:
        handle: the started worker.
        streams: its outputs, by ``"stdout"`` and ``"stderr"``.
    """

    def __init__(self, handle: Handle, streams: dict[str, Stream]) -> None:
        self.handle = handle
        self.streams = streams
        self.program_code: int | None = None  # told by the bootstrap when the program has ended
        self.exit: Exit | None = None
        self.failure_time: float | None = None
        self.hung_after: float | None = None
        self.is_gone = False
        self.is_unkillable = False
        self.was_asked_to_stop = False
        self._kill_at: float | None = None
        self._killed_at: float | None = None
        self._exited_at = 0.0
        self._ended_at = 0.0
        self._idle_since = 0.0
        self._looked: Activity | None = None
        self._look_at: float | None = None
        self._mentioned = False
        self._rest_asked = False

    @property
    def rank(self) -> int:
        return self.handle.spec.rank

    @property
    def is_running(self) -> bool:
        return self.exit is None

    @property
    def has_failed(self) -> bool:
        return self.failure_time is not None

    def take_control_message(self) -> bool:
        """Reads what the bootstrap says: ``ended CODE``. False when it will say no more."""
        message = os.read(self.handle.control_fd, 4096)
        for line in message.splitlines():
            word, _, value = line.partition(b" ")
            if word == b"ended" and self.program_code is None:
                self._note_end_of_program(int(value))
        return bool(message)

    def _note_end_of_program(self, code: int) -> None:
        self.program_code = code
        now = time.monotonic()
        self._ended_at = self._idle_since = now
        self._looked = self.handle.activity()
        self._look_at = now + LOOK_INTERVAL
        if code != 0 and not self.was_asked_to_stop:
            record = self.record()
            self.failure_time = record.time if record else time.time()

    def take_exit(self, not_before: float) -> None:
        """Notes the end of the process if it has ended; it cannot have happened ``not_before``."""
        exit = self.handle.poll()
        if exit is None or self.exit is not None:
            return
        self.exit = exit
        self._exited_at = time.monotonic()
        self._look_at = self._kill_at = None
        failed = exit.code != 0 and not self.was_asked_to_stop
        if failed and self.failure_time is None:
            record = self.record()
            self.failure_time = record.time if record else not_before

    def ask_to_stop(self, signum: int, grace: float) -> None:
        """Sends ``signum`` unless the program is ending anyway; what still runs after ``grace``
        seconds is killed."""
        if not self.is_running:
            return
        self.was_asked_to_stop = True
        if self.program_code is None:
            self.handle.signal(signum)
            self.handle.resume()
        self.kill_within(grace)

    def kill_within(self, grace: float) -> None:
        at = time.monotonic() + grace
        self._kill_at = at if self._kill_at is None else min(self._kill_at, at)

    def kill(self) -> None:
        """Ends the process itself for sure; what it started is then dealt with as after any end."""
        self._kill_at = None
        if self._killed_at is None and self.is_running:
            self._killed_at = time.monotonic()
            self.handle.signal(signal.SIGKILL)

    def kill_all(self) -> None:
        """Ends the process and everything it started, without asking."""
        self.kill()
        if not self.is_gone:
            self.handle.kill()

    @property
    def deadline(self) -> float | None:
        """When `act` has something to do next, on the monotonic clock."""
        if self.is_gone:
            return None
        if self.exit is not None:
            return time.monotonic() + 0.01  # its rest ends within milliseconds
        killed = None if self._killed_at is None else self._killed_at + UNKILLABLE_AFTER
        times = [at for at in (self._kill_at, self._look_at, killed) if at is not None]
        return min(times, default=None)

    def act(self, exit_timeout: float) -> str | None:
        """Does what is due; returns what the user should be told, if anything."""
        now = time.monotonic()
        if self.exit is not None:
            self._stop_rest(now)
        elif self._killed_at is not None and now > self._killed_at + UNKILLABLE_AFTER:
            self.is_gone = self.is_unkillable = True
            return (
                f"rank {self.rank} (pid {self.handle.pid}) did not end after SIGKILL: it waits "
                "inside the kernel, probably for a disk or a network file system; left behind"
            )
        elif self._kill_at is not None and now >= self._kill_at:
            self.kill()
        elif self._look_at is not None and now >= self._look_at:
            return self._look(now, exit_timeout)
        return None

    def _stop_rest(self, now: float) -> None:
        if self.is_gone:
            return
        if not self._rest_asked:
            self._rest_asked = True
            self.handle.stop_rest()
        self.is_gone = not self.handle.has_rest()
        if not self.is_gone and now > self._exited_at + REST_GRACE:
            self.handle.kill()
            self.is_gone = True

    def _look(self, now: float, exit_timeout: float) -> str | None:
        """Tells a worker that works on after its program's end from one that hangs."""
        self._look_at = now + LOOK_INTERVAL
        activity = self.handle.activity()
        if activity is not None and self._looked is not None:
            if activity.is_busy_since(self._looked):
                self._idle_since = now
            self._looked = activity
        if self.hung_after is not None:  # its stacks were asked for one look ago
            self.kill()
            self._look_at = None
        elif exit_timeout and now - self._idle_since >= exit_timeout:
            self.hung_after = exit_timeout
            if not self.was_asked_to_stop and self.failure_time is None:
                self.failure_time = time.time()
            self.handle.request_stacks()
            self._look_at = now + STACKS_TIME
        elif now - self._ended_at >= MENTION_AFTER and not self._mentioned:
            self._mentioned = True
            return (
                f"rank {self.rank} (pid {self.handle.pid}): its program ended "
                f"{now - self._ended_at:.0f} s ago, its process has not yet: a thread, a child "
                "process or an exit handler goes on"
            )
        return None

    def record(self) -> ErrorRecord | None:
        return read_record(self.handle.spec.error_file, self.handle.pid)

    def failure(self) -> Failure | None:
        """How this worker failed; None if it did not, or only did as it was told."""
        record = self.record()
        failed_at = record.time if record is not None else self.failure_time
        if self.exit is None or failed_at is None:
            return None
        exit = self.exit
        if self._killed_at is not None and self.program_code is not None:
            exit = Exit(self.program_code)  # the launcher's SIGKILL is not what went wrong
        return Failure(
            rank=self.rank,
            pid=self.handle.pid,
            exit=exit,
            time=failed_at,
            hung_after=self.hung_after,
            record=record,
            stacks=self.handle.stacks(),
        )

    def close(self) -> None:
        record = self.record()
        if record is not None and "stderr" in self.streams:
            self.streams["stderr"].append_to_file(record.text)
        for stream in self.streams.values():
            stream.read_rest()
            stream.close()
        self.handle.close()
