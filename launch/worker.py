"""One worker while it is watched."""

from __future__ import annotations

import os
import signal
import time

from .activity import Idleness
from .engines import Exit, Handle
from .failure import ErrorRecord, Failure, read_record
from .logs import Stream

# After SIGKILL a process is gone at once, unless the kernel itself is stuck in it.
UNKILLABLE_AFTER = 5.0
# Time for the fault handler to write the stacks of a worker that hangs.
STACKS_TIME = 0.1
# How often to look whether a process is idle, where its idleness has a limit.
SHORTEST_LOOK, LONGEST_LOOK = 0.1, 1.0
# How often to look for processes that an ended worker left running: soon, then less often.
FIRST_REST_LOOK, LAST_REST_LOOK = 0.01, 0.5
# Seconds for which these may be idle, unless an option says how long a worker itself may be.
REST_TIMEOUT = 30.0
# When to mention what goes on after a program's end.
MENTION_AFTER = 10.0


class Worker:
    """The state of one worker, from its start until nothing of it is left.

    After a program's end Python waits for its threads, exit handlers and `multiprocessing`
    children, and so does this, without a limit unless an option sets one, or the worker was asked
    to stop, or the job has failed. Other processes that a worker leaves running may go on while
    they work. What is limited is always idleness: work at a program's end is not interrupted.

    Args:
        handle: the started worker.
        streams: its outputs, by ``"stdout"`` and ``"stderr"``.
        exit_timeout: seconds for which the process may be idle after its program's end; 0: for ever.
        grace: seconds between asking to stop and killing; after the program's end, of idleness.
    """

    def __init__(
        self, handle: Handle, streams: dict[str, Stream], exit_timeout: float, grace: float
    ) -> None:
        self.handle = handle
        self.streams = streams
        self.program_code: int | None = None  # told by the bootstrap when the program has ended
        self.exit: Exit | None = None
        self.failure_time: float | None = None
        self.hung_after: float | None = None
        self.is_gone = False
        self.is_unkillable = False
        self.is_to_end = False  # it was asked to, or something has failed
        self.was_asked_to_stop = False
        self._exit_timeout = exit_timeout
        self._grace = grace
        self._idleness = Idleness(handle.activity)
        self._kill_at: float | None = None
        self._killed_at: float | None = None
        self._ended_at = 0.0  # the program, then the process
        self._look_at: float | None = None
        self._mention_at: float | None = None
        self._rest_look = FIRST_REST_LOOK

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
        """Reads what the bootstrap says: ``ended CODE TIME``. False when it will say no more."""
        message = os.read(self.handle.control_fd, 4096)
        for line in message.splitlines():
            if self.program_code is None and (ending := _ending(line)) is not None:
                self._note_end_of_program(*ending)
        return bool(message)

    def _note_end_of_program(self, code: int, at: float) -> None:
        self.program_code = code
        self._ended_at = time.monotonic()
        self._mention_at = self._ended_at + MENTION_AFTER
        self._kill_at = None  # from here on only idleness is limited
        self._limit_idleness()
        if code != 0 and not self.was_asked_to_stop:
            record = self.record()
            self.failure_time = record.time if record else at

    def _limit_idleness(self) -> None:
        if self._idle_limit is not None and self._look_at is None:
            self._idleness.begin()
            self._look_at = time.monotonic() + self._look_interval(self._idle_limit)

    @property
    def _idle_limit(self) -> float | None:
        """Seconds for which the process may do nothing after its program's end."""
        limits = [self._exit_timeout] if self._exit_timeout else []
        return min([*limits, self._grace] if self.is_to_end else limits, default=None)

    def _look_interval(self, limit: float) -> float:
        return min(max(limit / 10, SHORTEST_LOOK), LONGEST_LOOK)

    def take_exit(self, not_before: float) -> None:
        """Notes the end of the process if it has ended; it cannot have happened ``not_before``."""
        exit = self.handle.poll()
        if exit is None or self.exit is not None:
            return
        self.exit = exit
        self._ended_at = self._look_at = time.monotonic()
        self._mention_at = self._ended_at + MENTION_AFTER
        self._kill_at = None
        self._idleness.begin()
        failed = exit.code != 0 and not self.was_asked_to_stop
        if failed and self.failure_time is None:
            record = self.record()
            self.failure_time = record.time if record else not_before

    def ask_to_stop(self, signum: int) -> None:
        """Sends ``signum``, unless the program has ended, and has everything end."""
        if self.is_running:
            self.was_asked_to_stop = True
            if self.program_code is None:
                self.handle.signal(signum)
                self.handle.resume()
        self.have_end()

    def have_end(self) -> None:
        """From here on the program has its grace to end, and what is idle after it too."""
        if self.is_to_end or self.is_gone:
            return
        self.is_to_end = True
        if self.exit is not None:
            self._look_at = time.monotonic()
        elif self.program_code is not None:
            self._limit_idleness()
        else:
            self._kill_at = time.monotonic() + self._grace

    def kill(self) -> None:
        """Ends the process itself for sure; what it started is then dealt with as after any end."""
        self._kill_at = None
        if self._killed_at is None and self.is_running:
            self._killed_at = time.monotonic()
            self.handle.signal(signal.SIGKILL)

    def kill_all(self) -> None:
        """Ends the process and everything it started, without asking."""
        self.kill()
        self._grace = 0.0
        self.have_end()
        if not self.is_gone:
            self.handle.kill()

    @property
    def deadline(self) -> float | None:
        """When `act` has something to do next, on the monotonic clock."""
        if self.is_gone:
            return None
        killed = None if self._killed_at is None else self._killed_at + UNKILLABLE_AFTER
        times = (self._kill_at, self._look_at, self._mention_at, killed)
        return min((at for at in times if at is not None), default=None)

    def act(self) -> str | None:
        """Does what is due; returns what the user should be told, if anything."""
        now = time.monotonic()
        if self.is_gone:
            return None
        if self.exit is not None:
            if self._look_at is not None and now >= self._look_at:
                self._look_at_rest(now)
        elif self._killed_at is not None and now > self._killed_at + UNKILLABLE_AFTER:
            self.is_gone = self.is_unkillable = True
            return (
                f"rank {self.rank} (pid {self.handle.pid}) did not end after SIGKILL: it waits "
                "inside the kernel, probably for a disk or a network file system; left behind"
            )
        elif self._kill_at is not None and now >= self._kill_at:
            self.kill()
        elif self._look_at is not None and now >= self._look_at:
            self._look(now)
        if self._mention_at is not None and now >= self._mention_at and not self.is_gone:
            self._mention_at = None
            return self._mention(now)
        return None

    def _look(self, now: float) -> None:
        """Tells a worker that works on after its program's end from one that hangs."""
        limit = self._idle_limit
        if self.hung_after is not None or limit is None:  # stacks were asked for one look ago
            self._look_at = None
            self.kill()
        elif self._idleness.seconds() < limit:
            self._look_at = now + self._look_interval(limit)
        else:
            self.hung_after = limit
            if not self.was_asked_to_stop and self.failure_time is None:
                self.failure_time = time.time()
            self.handle.request_stacks()
            self._look_at = now + STACKS_TIME

    def _look_at_rest(self, now: float) -> None:
        """Waits for what an ended worker left running, or has it end."""
        self._look_at = now + self._rest_look
        self._rest_look = min(2 * self._rest_look, LAST_REST_LOOK)
        if not self.handle.has_rest():
            self.is_gone = True
        elif self._kill_at is None:
            limit = self._exit_timeout or REST_TIMEOUT
            failed = self.exit is not None and self.exit.code != 0
            if self.is_to_end or failed or self._idleness.seconds() >= limit:
                self.handle.stop_rest()
                self._kill_at = now + self._grace
                self._look_at, self._rest_look = now + FIRST_REST_LOOK, FIRST_REST_LOOK
        elif now >= self._kill_at:
            self.handle.kill()
            self.is_gone = True

    def _mention(self, now: float) -> str:
        seconds = f"{now - self._ended_at:.0f} s ago"
        if self.exit is None:
            return (
                f"rank {self.rank} (pid {self.handle.pid}): its program ended {seconds}, its "
                "process has not yet: a thread, a child process or an exit handler goes on"
            )
        return (
            f"rank {self.rank} (pid {self.handle.pid}) ended {seconds}, a process that it started "
            "has not yet"
        )

    def record(self) -> ErrorRecord | None:
        return read_record(self.handle.spec.error_file, self.handle.pid)

    def failure(self, memory_kills: int) -> Failure | None:
        """How this worker failed; None if it did not, or only did as it was told."""
        record = self.record()
        failed_at = record.time if record is not None else self.failure_time
        if self.exit is None or failed_at is None:
            return None
        exit = self.exit
        # The launcher's own signals, to a worker that was failing already, are not what went wrong.
        if self._killed_at is not None and self.program_code is not None:
            exit = Exit(self.program_code)
        elif self.was_asked_to_stop and record is not None:
            exit = Exit(record.code)
        return Failure(
            rank=self.rank,
            pid=self.handle.pid,
            exit=exit,
            time=failed_at,
            hung_after=self.hung_after,
            record=record,
            stacks=self.handle.stacks(),
            memory_kills=memory_kills,
        )

    def close(self) -> None:
        record = self.record()
        if record is not None and "stderr" in self.streams:
            self.streams["stderr"].append_to_file(record.text)
        for stream in self.streams.values():
            stream.read_rest()
            stream.close()
        self.handle.close()


def _ending(line: bytes) -> tuple[int, float] | None:
    """Code and time of a program's end; None for what the program itself may have written."""
    try:
        word, code, at = line.split()
        return (int(code), float(at)) if word == b"ended" else None
    except ValueError:
        return None
