"""Which ranks write the checkpoints of a run, agreed by files in the folder of the checkpoints.

Every rank keeps a file there, locked, as long as it lives: ``.rank-<rank>.<job>.<token>.tmp``.
A file that is locked belongs to a rank that is alive, one that is not to a rank that was killed, and
none at all to one that ended well. The token is in the names of the shares that the rank writes, so
that rank 0 takes no share of another run. What rank 0 has not taken when it ends goes with it, and
what others write after that, with them.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import socket
import time
import weakref
from pathlib import Path
from typing import NamedTuple

from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.locks import Held, hold, is_held

_GRACE_S = 2.0  # how long a rank may take to appear where only one that is gone is seen
_BETWEEN_S = 0.2  # how long it may take to make a manager anew
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL


class Presence:
    """This process's file, removed when the object goes or the process ends.

    Attributes:
        token: names this process among all runs.
        pid: the process; a child made by fork needs a presence of its own.
    """

    def __init__(self, directory: Path, rank: int, job: str) -> None:
        self.pid = os.getpid()
        held = None
        while held is None:
            self.token = secrets.token_hex(8)
            path = directory / f".rank-{rank}.{job}.{self.token}.tmp"
            held = hold(path, _NEW)
            if held is None:  # somebody looked whether it is locked in that very moment
                path.unlink(missing_ok=True)
        os.write(held.fd, json.dumps([socket.gethostname(), self.pid]).encode())
        weakref.finalize(self, _leave, held, path, self.pid)


def _leave(held: Held, path: Path, pid: int) -> None:
    if os.getpid() == pid:
        path.unlink(missing_ok=True)
        held.close()


class Seen(NamedTuple):
    """A rank's file as another process sees it.

    Attributes:
        token: of the process.
        is_alive: whether the process is there.
        since: when it began.
        path: the file.
    """

    token: str
    is_alive: bool
    since: float
    path: Path

    def __str__(self) -> str:
        try:
            host, pid = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return "an unknown process"
        return f"process {pid} on {host}"


def seen_in(directory: Path, rank: int | str, job: str) -> list[Seen]:
    """Those that have a file for this rank of this job; "*" stands for all."""
    found = []
    for path in directory.glob(f".rank-{rank}.{job}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # it left meanwhile
            found.append(Seen(path.name.split(".")[3], is_held(path), path.stat().st_mtime, path))
    return found


class Members:
    """The other ranks of a run, as rank 0 knows them.

    Args:
        directory: of the checkpoints.
        job: a name that the ranks of one start of a job have in common.
    """

    def __init__(self, directory: Path, job: str) -> None:
        self._directory = directory
        self._job = job
        self._tokens: dict[int, str] = {}  # agreed at the first save

    def clear_up_at_exit(self, rank: int, token: str) -> None:
        """Shares that this rank leaves and rank 0 cannot take any more are removed at its end."""
        if rank == 0 or any(other.is_alive for other in seen_in(self._directory, 0, self._job)):
            _to_clear.add((os.getpid(), self._directory, self._job, rank, token))

    def find_note(self, folder: Path, rank: int, waited_s: float) -> Path | None:
        """The note about the share that a rank has written, or None while it is not there.

        Args:
            folder: where the shares of this checkpoint are.
            waited_s: since when it is looked for.
        Raises:
            CheckpointError: the rank has died or ended, or there are several.
        """
        seen = seen_in(self._directory, rank, self._job)
        alive = [other for other in seen if other.is_alive]
        token = self._tokens.get(rank)
        if token is not None and (note := _note(folder, rank, token)).exists():
            return note
        if any(other.token == token for other in alive):
            return None
        if len(alive) == 1:
            self._tokens[rank] = alive[0].token
            return self.find_note(folder, rank, waited_s)
        died = [other for other in seen if not other.is_alive and other.since > process_start()]
        grace = _GRACE_S if token is None else _BETWEEN_S
        if waited_s > grace or any(other.token == token for other in died):
            if alive:
                raise CheckpointError(
                    f"checkpoint: two runs save into {self._directory}: rank {rank} is "
                    f"{' and '.join(map(str, alive))}; give each run a folder of its own"
                )
            return self._left_by(folder, rank, seen, died)
        return None

    def _left_by(self, folder: Path, rank: int, seen: list[Seen], died: list[Seen]) -> Path | None:
        """The note of a rank that is gone, but has ended well and did so in this run."""
        known = {other.token for other in seen}
        notes = {note: note.stat().st_mtime for note in folder.glob(f"rank-{rank}.*.json")}
        left = [n for n, since in notes.items()
                if since > process_start() and n.name.split(".")[1] not in known]  # fmt: skip
        if left:
            note = max(left, key=notes.__getitem__)
            self._tokens[rank] = note.name.split(".")[1]
            return note
        if died:
            raise CheckpointError(
                f"checkpoint: rank {rank} ({died[-1]}) has died before it had written its share"
            )
        if rank in self._tokens:
            raise CheckpointError(f"checkpoint: rank {rank} has ended, it writes no share any more")
        return None


def remove_stale(directory: Path, folders: list[Path], job: str) -> None:
    """Remove shares and files of ranks that cannot be of the run that begins here.

    Args:
        folders: with shares.
        job: the one that begins.
    """
    start = process_start()
    alive = set()
    has_begun = False  # another rank of ours, which may be about to write into an empty folder
    for other in seen_in(directory, "*", "*"):
        if other.is_alive:
            alive.add(other.token)
            has_begun |= f".{job}." in other.path.name
        elif f".{job}." not in other.path.name or other.since < start:
            other.path.unlink(missing_ok=True)
    for folder in folders:
        is_ours = f".{job}." in folder.name
        for share in folder.iterdir():
            is_new = is_ours and share.stat().st_mtime > start
            if share.name.split(".")[1] not in alive and not is_new:
                share.unlink()
        if not (is_ours and has_begun):
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


_to_clear: set[tuple[int, Path, str, int, str]] = set()


@atexit.register
def _clear_up() -> None:
    for pid, directory, job, rank, token in _to_clear:
        if pid != os.getpid() or (rank and any(s.is_alive for s in seen_in(directory, 0, job))):
            continue
        for folder in directory.glob(f".step-*.{job}.shared.tmp"):
            with contextlib.suppress(OSError):  # others write into it, or remove it as well
                for share in folder.glob(f"rank-{rank}.{token}.*" if rank else "*"):
                    share.unlink(missing_ok=True)
                folder.rmdir()


def _note(folder: Path, rank: int, token: str) -> Path:
    return folder / f"rank-{rank}.{token}.json"


def process_start() -> float:
    """When this process began, in seconds as files have them; 0 where that cannot be found out."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0.0
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age
