"""What a job runs: the program, the workers, and the environment each worker gets."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")

# What the launcher itself tells every worker; `--env` may not contradict it.
RESERVED_VARIABLES = frozenset(
    {
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "GROUP_RANK",
        "MASTER_ADDR",
        "MASTER_PORT",
        "DTORCH_JOB_ID",
        "DTORCH_RESTART_COUNT",
        "TORCHELASTIC_RESTART_COUNT",
        "TORCHELASTIC_RUN_ID",
        "DTORCH_ERROR_FILE",
        "DTORCH_CONTROL_FD",
    }
)


@dataclass(frozen=True)
class Program:
    """The user's program, and how it is to be started.

    Attributes:
        kind: a Python file, a Python module (``-m``), or any executable (``--no-python``).
        target: path of the file, name of the module, or name of the executable.
        args: what follows it on the command line.
    """

    kind: Literal["script", "module", "executable"]
    target: str
    args: tuple[str, ...] = ()

    def command(self) -> list[str]:
        return [sys.executable, BOOTSTRAP, self.kind, self.target, *self.args]

    def __str__(self) -> str:
        return f"-m {self.target}" if self.kind == "module" else self.target


@dataclass(frozen=True)
class WorkerSpec:
    """One worker as an engine has to start it.

    Attributes:
        rank: number of the worker in the job, from 0.
        command: program and arguments.
        environment: all of it, complete.
        error_file: where the worker records the exception that ended it.
        captured: whether the launcher reads its output (else it goes straight to the launcher's own
            output, and the worker may read the launcher's input).
    """

    rank: int
    command: list[str]
    environment: dict[str, str]
    error_file: Path
    captured: bool


@dataclass(frozen=True)
class Job:
    """A program to be run by several workers on this machine.

    Attributes:
        program: what every worker runs.
        nproc: number of workers.
        master_addr: address at which rank 0 can be met.
        master_port: port at that address; None takes a free one at every start of the workers.
        variables: environment variables set for every worker on top of the launcher's own.
        error_dir: directory of the workers' error files; made when first needed.
        captured: see `WorkerSpec`.
        job_id: random name of the job.
    """

    program: Program
    nproc: int
    error_dir: Path
    captured: bool
    master_addr: str = "127.0.0.1"
    master_port: int | None = None
    variables: dict[str, str] = field(default_factory=dict)
    job_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def workers(self, restart: int) -> list[WorkerSpec]:
        """The workers of the job's start number ``restart``, counted from 0."""
        port = self.master_port or free_port(self.master_addr)
        # Each worker computes with its share of the cores, or all would fight for all of them.
        threads = max(1, usable_cores() // self.nproc)
        inherited = {"OMP_NUM_THREADS": str(threads), **os.environ, **self.variables}
        return [self._worker(rank, restart, port, inherited) for rank in range(self.nproc)]

    def _worker(self, rank: int, restart: int, port: int, inherited: dict[str, str]) -> WorkerSpec:
        error_file = self.error_dir / f"rank{rank}.error.json"
        told = {
            "RANK": rank,
            "WORLD_SIZE": self.nproc,
            "LOCAL_RANK": rank,
            "LOCAL_WORLD_SIZE": self.nproc,
            "GROUP_RANK": 0,
            "MASTER_ADDR": self.master_addr,
            "MASTER_PORT": port,
            "DTORCH_JOB_ID": self.job_id,
            "DTORCH_RESTART_COUNT": restart,
            "TORCHELASTIC_RESTART_COUNT": restart,
            "TORCHELASTIC_RUN_ID": self.job_id,
            "DTORCH_ERROR_FILE": error_file.absolute(),
        }
        environment = {**inherited, **{name: str(value) for name, value in told.items()}}
        return WorkerSpec(rank, self.program.command(), environment, error_file, self.captured)


def hogwild_variables(workers: int) -> dict[str, str]:
    """Environment of a program whose Hogwild trainer is to start so many workers."""
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, usable_cores() // workers)))
    return {"DTORCH_HOGWILD_WORKERS": str(workers), "OMP_NUM_THREADS": threads}


def free_port(address: str) -> int:
    """A TCP port that nothing on this machine listens at.

    Raises:
        OSError: ``address`` is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def usable_cores() -> int:
    """Cores this process may use: its affinity, and no more than its control group's quota."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return max(1, min(len(os.sched_getaffinity(0)), _quota_in_cores()))


CGROUPS = Path("/sys/fs/cgroup")


def oom_kills(mount: Path = CGROUPS) -> int:
    """Processes of this one's control group that the kernel has killed for want of memory."""
    group = _control_group(mount)
    try:
        events = (group / "memory.events").read_text().split() if group is not None else []
    except OSError:
        return 0
    counts = dict(zip(events[::2], events[1::2], strict=False))
    return int(counts.get("oom_kill", 0))


def _control_group(mount: Path) -> Path | None:
    try:
        membership = Path("/proc/self/cgroup").read_text()
    except FileNotFoundError:
        return None
    paths = [line[3:].strip("/\n") for line in membership.splitlines() if line.startswith("0::")]
    return mount / paths[0] if paths else mount


def _quota_in_cores(mount: Path = CGROUPS) -> int:
    unlimited = sys.maxsize
    group = _control_group(mount)
    if group is None:
        return unlimited
    quotas = [unlimited]
    for directory in (group, *group.parents):
        limit = directory / "cpu.max"
        if limit.is_file():
            quota, period = limit.read_text().split()
            if quota != "max":
                quotas.append(-(-int(quota) // int(period)))  # half a core still runs something
        if directory == mount:
            break
    return min(quotas)
