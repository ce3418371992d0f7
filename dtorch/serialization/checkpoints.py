"""Checkpoints of a training run: a folder of them, of which the newest can always be loaded.

A checkpoint is a folder ``step-<number>`` with the files of the ranks that wrote it and a
``manifest.json``, which names each file's size and SHA-256. It is written under another name, and
gets its own by one rename when everything is on the disc.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from dtorch.core.errors import ArgumentError
from dtorch.serialization.atomic import replacing, sync_directory
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.loading import load
from dtorch.serialization.locks import Held, hold
from dtorch.serialization.presence import Members, Presence, remove_stale
from dtorch.serialization.saving import Contents, contents_of, write_zip
from dtorch.serialization.shards import merge, split

_MANIFEST = "manifest.json"
_POLL_S = 0.02
_LOCK_TIMEOUT_S = 2.0  # for a process before that is about to end


class Checkpoint(NamedTuple):
    """A complete checkpoint.

    Attributes:
        step: number of the step it was saved at.
        metric: what it was saved with, or None.
        path: its folder.
    """

    step: int
    metric: float | None
    path: Path


class CheckpointManager:
    """Saves and finds checkpoints in a folder.

    Args:
        directory: the folder; made if it is not there.
        keep_last: how many of the newest stay.
        keep_best: how many of the best by ``metric`` stay besides.
        mode: whether a better metric is a lower one ("min") or a higher one ("max").
        asynchronous: `save` returns as soon as it has a copy of the state, and a thread writes it.
            What goes wrong there is raised by the next `save` or `wait`. Each rank copies its share
            only. The copy takes as long as one pass over memory; pages shared by copy-on-write
            would cost more, because each one the next step touches is a page fault.
        rank, world_size: of the processes that save together: each writes its share of the tensors,
            which have to be equal in all of them. A checkpoint is loaded by any number of processes.
            A run saves into a folder of its own: rank 0 locks it at its first save, and takes the
            shares of ranks that live, or have ended well, beside it.
        timeout: seconds that rank 0 waits for the others' shares; not for those that have died.
    Example:
        >>> import dtorch, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     manager = CheckpointManager(folder, keep_last=2)
        ...     for step in range(4):
        ...         _ = manager.save(step, {"weight": dtorch.full((2,), float(step))})
        ...     [checkpoint.step for checkpoint in manager.checkpoints()], manager.load()
        ([2, 3], {'weight': tensor([3., 3.])})
    """

    def __init__(
        self, directory: str | os.PathLike[str], keep_last: int = 3, keep_best: int = 0,
        mode: str = "min", asynchronous: bool = False, rank: int = 0, world_size: int = 1,
        timeout: float = 600.0,
    ) -> None:  # fmt: skip
        if keep_last < 1 or keep_best < 0:
            raise ArgumentError(
                f"CheckpointManager: keep_last is {keep_last} and keep_best {keep_best}, expected at "
                "least 1 and 0"
            )
        if mode not in ("min", "max"):
            raise ArgumentError(f"CheckpointManager: mode is {mode!r}, expected 'min' or 'max'")
        if not 0 <= rank < world_size:
            raise ArgumentError(f"CheckpointManager: rank is {rank} of {world_size}")
        self.directory = Path(directory)
        self.keep_last, self.keep_best, self.mode = keep_last, keep_best, mode
        self.asynchronous = asynchronous
        self.rank, self.world_size, self.timeout = rank, world_size, timeout
        self._written: threading.Event | None = None  # set when the thread that saves is done
        self._writer_pid = 0
        self._error: BaseException | None = None
        self._lock: Held | None = None  # of rank 0, from its first save on
        self._presence: Presence | None = None  # of one of several ranks
        self._members = Members(self.directory, _attempt())
        self.directory.mkdir(parents=True, exist_ok=True)
        if not rank:
            _remove_leftovers(self.directory)
        if world_size > 1:
            self._token()

    # -- saving ----------------------------------------------------------------------------------

    def save(self, step: int, state: Mapping[str, Any], metric: float | None = None) -> None:
        """Save a checkpoint, then delete those that need not be kept.

        Args:
            step: number of the step; the newest checkpoint is the one with the highest.
            state: what to save, by name. Of anything with a ``state_dict()`` or ``get_state()`` that
                is saved: models, optimizers, schedulers, loaders, random generators.
            metric: for ``keep_best``.
        Raises:
            OSError: it cannot be written; the checkpoints that are there stay.
            CheckpointError: another process saves into the folder, or a rank has died.
        """
        self.wait()
        plain = {name: _state_of(value) for name, value in state.items()}
        share = contents_of(split(plain, self.rank, self.world_size))
        if not self.asynchronous:
            self._write(step, share, metric)
            return
        self._written, self._writer_pid = threading.Event(), os.getpid()
        threading.Thread(
            target=self._write_noting_errors, args=(step, share.copy(), metric, self._written),
            name="checkpoint writer",
        ).start()  # fmt: skip

    def wait(self) -> None:
        """Wait for an asynchronous `save`; raises what went wrong in it."""
        # Not by joining the thread: Python takes one to have ended if Ctrl-C comes meanwhile, and
        # would not wait for it at the end of the program. A forked child has no such thread.
        if self._written is not None and self._writer_pid == os.getpid():
            self._written.wait()
        self._written = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _write_noting_errors(
        self, step: int, share: Contents, metric: float | None, written: threading.Event
    ) -> None:
        try:
            self._write(step, share, metric)
        except Exception as error:  # noqa: BLE001 - raised in the thread that saves next
            self._error = error
        finally:
            written.set()

    def _write(self, step: int, share: Contents, metric: float | None) -> None:
        if self.rank == 0:
            self._lock = _locked(self.directory, self._lock)
        run = f"{_attempt()}.shared" if self.world_size > 1 else secrets.token_hex(8)
        folder = self.directory / f".{_name(step)}.{run}.tmp"
        folder.mkdir(exist_ok=True)
        try:
            self._write_share(folder, share)
            if self.world_size > 1:
                self._members.clear_up_at_exit(self.rank, self._token())
            if self.rank == 0:
                self._complete(folder, step, metric)
        except BaseException:
            if self.world_size == 1:  # a folder of several is in use by the others
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _token(self) -> str:
        """Stands in the names of this rank's shares."""
        if self.world_size == 1:
            return "0"
        if self._presence is None or self._presence.pid != os.getpid():
            self._presence = Presence(self.directory, self.rank, _attempt())
        return self._presence.token

    def _write_share(self, folder: Path, share: Contents) -> None:
        name = f"rank-{self.rank}.{self._token()}"
        entry = _write_file(folder / f"{name}.pt", share, f"rank-{self.rank}")
        with replacing(folder / f"{name}.json") as file:
            file.write(json.dumps(entry).encode())

    def _complete(self, folder: Path, step: int, metric: float | None) -> None:
        files = {}
        began = time.monotonic()
        for rank in range(self.world_size):
            note = self._note_of(folder, rank, step, began)
            files[f"rank-{rank}.pt"] = json.loads(note.read_text())
            os.rename(note.with_suffix(".pt"), folder / f"rank-{rank}.pt")
        for path in folder.iterdir():
            if path.name not in files:  # notes, and shares of other runs
                path.unlink()
        manifest = {"format": 1, "step": step, "metric": metric, "world_size": self.world_size,
                    "files": files}  # fmt: skip
        with replacing(folder / _MANIFEST) as file:
            file.write(json.dumps(manifest, indent=1).encode())
        os.rename(folder, self._free_path(step))
        sync_directory(str(self.directory))
        self._prune()

    def _note_of(self, folder: Path, rank: int, step: int, began: float) -> Path:
        """What a rank has noted about its share, once it is complete."""
        if rank == 0:
            return folder / f"rank-0.{self._token()}.json"
        while True:
            waited = time.monotonic() - began
            note = self._members.find_note(folder, rank, waited)
            if note is not None:
                return note
            if waited > self.timeout:
                raise TimeoutError(
                    f"checkpoint {step}: no share of rank {rank} within {self.timeout} s"
                )
            time.sleep(_POLL_S)

    def _free_path(self, step: int) -> Path:
        path, again = self.directory / _name(step), 0
        while path.exists():  # a run that was resumed comes by this step again
            again += 1
            path = self.directory / f"{_name(step)}-{again}"
        return path

    def _prune(self) -> None:
        found = self.checkpoints()
        keep = {checkpoint.path for checkpoint in found[-self.keep_last :]}
        keep |= {checkpoint.path for checkpoint in self._by_quality(found)[: self.keep_best]}
        for checkpoint in found:
            if checkpoint.path not in keep:
                # Renamed first: a crash must not leave half a checkpoint under a valid name.
                doomed = checkpoint.path.with_name(f".{checkpoint.path.name}.old")
                with contextlib.suppress(FileNotFoundError):  # another manager was faster
                    os.rename(checkpoint.path, doomed)
                    shutil.rmtree(doomed)

    # -- finding and loading ---------------------------------------------------------------------

    def checkpoints(self) -> list[Checkpoint]:
        """The complete checkpoints, oldest first."""
        found = []
        for path in self.directory.glob("step-*"):
            try:
                manifest = json.loads((path / _MANIFEST).read_text())
                found.append(Checkpoint(int(manifest["step"]), manifest["metric"], path))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not a checkpoint, or one that is being deleted by another process
        return sorted(found, key=lambda c: (c.step, _repetition(c.path)))

    def best(self) -> Checkpoint | None:
        """The checkpoint with the best metric."""
        return next(iter(self._by_quality(self.checkpoints())), None)

    def _by_quality(self, checkpoints: list[Checkpoint]) -> list[Checkpoint]:
        rated = [checkpoint for checkpoint in checkpoints if checkpoint.metric is not None]
        sign = 1 if self.mode == "min" else -1
        return sorted(rated, key=lambda c: sign * c.metric)  # type: ignore[operator]  # not None

    def load(
        self, step: int | None = None, map_location: Any = None, weights_only: bool = True
    ) -> dict[str, Any]:
        """The state in a checkpoint.

        Args:
            step: which; the newest that is whole if left out. A damaged one is left out with a
                warning.
        Raises:
            FileNotFoundError: there is none.
            CheckpointError: the one asked for is damaged.
        """
        self.wait()
        found = [c for c in self.checkpoints() if step is None or c.step == step]
        for checkpoint in reversed(found):
            try:
                return _load(checkpoint.path, map_location, weights_only)
            except (CheckpointError, OSError) as error:
                if step is not None:
                    raise
                warnings.warn(f"{error}; taking the one before it", stacklevel=2)
        which = "" if step is None else f" of step {step}"
        raise FileNotFoundError(f"no checkpoint{which} in {self.directory}")

    def restore(self, objects: Mapping[str, Any], step: int | None = None) -> dict[str, Any]:
        """Load a checkpoint into objects that have ``load_state_dict`` or ``set_state``, by name.

        Returns: the whole state, for what is no such object.
        """
        state = self.load(step)
        missing = sorted(set(objects) - set(state))
        if missing:
            raise CheckpointError(f"checkpoint: it has no {missing}, but {sorted(state)}")
        for name, value in objects.items():
            restore = getattr(value, "load_state_dict", None) or value.set_state
            restore(state[name])
        return state


def verify(path: Path) -> None:
    """Compare the files of a checkpoint with its manifest.

    Raises:
        CheckpointError: one is missing or differs.
    """
    for name, entry in _files_of(path).items():
        file = path / name
        if not file.exists():
            raise CheckpointError(f"checkpoint {path}: {name} is missing")
        if file.stat().st_size != entry["nbytes"] or _hash(file) != entry["sha256"]:
            raise CheckpointError(f"checkpoint {path}: {name} differs from its manifest")


def _files_of(path: Path) -> dict[str, Any]:
    """The entries in a manifest, by the names of the ranks' files."""
    try:
        files = json.loads((path / _MANIFEST).read_text())["files"]
        if list(files) == [f"rank-{rank}.pt" for rank in range(len(files))]:
            return {name: dict(entry) for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CheckpointError(f"checkpoint {path}: its manifest is damaged")


def _load(path: Path, map_location: Any, weights_only: bool) -> dict[str, Any]:
    verify(path)
    state: dict[str, Any] = merge(
        [load(path / name, map_location, weights_only=weights_only) for name in _files_of(path)]
    )
    return state


def _name(step: int) -> str:
    return f"step-{step:010d}"


def _repetition(path: Path) -> int:
    return int(path.name[len(_name(0)) + 1 :] or 0)


def _state_of(value: Any) -> Any:
    for name in ("state_dict", "get_state"):  # the second one is that of a random generator
        if hasattr(value, name):
            return getattr(value, name)()
    return value


class _HashingFile:
    """Passes on what is written, and hashes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.nbytes = 0

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.nbytes += len(data)
        return self._file.write(data)


def _write_file(path: Path, contents: Contents, name: str) -> dict[str, Any]:
    with replacing(path) as file:
        hashing = _HashingFile(file)
        write_zip(contents, hashing, name)
    return {"nbytes": hashing.nbytes, "sha256": hashing.hash.hexdigest()}


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# By device and number of the folder: the managers of one process share its lock.
_locks: dict[tuple[int, int], weakref.ref[Held]] = {}


def _try_lock(directory: Path) -> Held | None:
    status = os.stat(directory)
    key = status.st_dev, status.st_ino
    held = None if key not in _locks else _locks[key]()
    if held is None or held.fd < 0:  # closed in a child of the process that had it
        held = hold(os.path.realpath(directory), os.O_RDONLY)
        if held is not None:
            _locks[key] = weakref.ref(held)
    return held


def _locked(directory: Path, held: Held | None) -> Held:
    """The lock of a folder that this process saves into.

    Raises:
        CheckpointError: another process does.
    """
    if held is not None and held.fd >= 0:
        return held
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while (held := _try_lock(directory)) is None:
        if time.monotonic() > deadline:
            raise CheckpointError(
                f"checkpoint: another process saves into {directory}; give each run a folder of its "
                "own, or end the other one"
            )
        time.sleep(_POLL_S)
    return held


def _remove_leftovers(directory: Path) -> None:
    """Remove what processes that were killed have left half written or half deleted."""
    lock = hold(os.path.realpath(directory), os.O_RDONLY)  # apart from that of other managers here
    if lock is None or not lock.is_locked:
        return  # who has it may be writing
    remove_stale(directory, list(directory.glob(".step-*.shared.tmp")), _attempt())
    for path in directory.glob(".step-*"):
        if not path.name.endswith(".shared.tmp"):  # that of another rank may have been made now
            shutil.rmtree(path, ignore_errors=True)
    lock.close()


def _attempt() -> str:
    """A name for this start of the job, the same in all ranks: shares of another do not count."""
    names = ("DTORCH_JOB_ID", "DTORCH_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
    text = "/".join(os.environ.get(name, "") for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
