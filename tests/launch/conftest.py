"""Jobs run by the real launcher; after each test nothing of them may be left."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

MARKER = "DTORCH_TEST_JOB"
# How long a test waits for something that should happen at once, on a machine that is busy.
PATIENCE = 120.0


@dataclass
class Result:
    code: int
    stdout: str
    stderr: str


@dataclass
class Launcher:
    """Runs ``dtorch-launch`` and knows every process that descends from it by a variable."""

    directory: Path
    marker: str = field(default_factory=lambda: secrets.token_hex(8))
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def script(self, source: str, name: str = "job.py") -> str:
        path = self.directory / name
        path.write_text(textwrap.dedent(source))
        return str(path)

    def start(
        self, *args: str, entry: tuple[str, ...] = ("-m", "dtorch.launch"), **settings: Any
    ) -> subprocess.Popen[bytes]:
        environment = {**os.environ, MARKER: self.marker, "TMPDIR": str(self.directory)}
        process = subprocess.Popen(
            [sys.executable, *entry, *args],
            **{
                "cwd": self.directory,
                "env": environment,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **settings,
            },
        )
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> Result:
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return Result(process.returncode, (stdout or b"").decode(), stderr.decode())

    def run(self, *args: str, **settings: Any) -> Result:
        return self.finish(self.start(*args, **settings))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "this did not come about in time"
            time.sleep(0.01)

    def wait_for_files(self, *names: str) -> None:
        self.wait_until(lambda: all((self.directory / name).exists() for name in names))

    def processes(self) -> list[int]:
        """Every living process that inherited this launcher's marker."""
        needle = f"{MARKER}={self.marker}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    # The environment of a zombie is empty.
                    if needle in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    left = launcher.processes()
    for process in launcher.started:
        process.kill()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in launcher.started:
        process.communicate()
    assert left == [], "processes of the job outlived the launcher"
    assert list(tmp_path.glob("dtorch-*")) == [], "the directory of error files was left"
