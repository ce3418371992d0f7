"""Which launcher has started this process, and as which rank: what environment variables tell.

Every launcher is a row of `LAUNCHERS`; nothing else in this package knows names of such variables.
Where several have left theirs, the innermost counts: ``dtorch-launch`` and ``torchrun`` may have been
started by ``mpirun``, and ``mpirun`` by ``srun``, hardly the other way round.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dtorch.core.errors import ArgumentError
from dtorch.multiprocessing.processes import named, parent_of, start_time

PLAIN, ARGUMENTS, BY_HAND = "none", "arguments", "variables set by hand"
_REAL_STEPS = range(0xFFFF_FFF0)  # greater numbers are the steps of Slurm's own shells


class Told(NamedTuple):
    """A value, and the variable that has it."""

    variable: str
    text: str


Values = dict[str, Told]  # by the fields of `Environment`


def _tasks_of_slurm(values: Values) -> Values:
    """The values of a process that srun has started; none in the shells of sbatch and salloc."""
    step = values.pop("step").text
    if "rank" not in values or not step.isdecimal() or int(step) not in _REAL_STEPS:
        return {}
    if (sizes := values.pop("local_size", None)) is not None and "node_rank" in values:
        sized = re.findall(r"(\d+)(?:\(x(\d+)\))?", sizes.text)  # 2(x3),1: of each machine
        tasks = [size for size, times in sized for _ in range(int(times or 1))]
        machine = _number(values["node_rank"])
        if machine < len(tasks):
            values["local_size"] = Told(sizes.variable, tasks[machine])
    if (hosts := values.get("master_addr")) is not None:
        first = re.match(r"([^\[,]*)(?:\[(\w+)[^\]]*\])?([^\[,]*)", hosts.text)  # n[1-3,7],m2
        values["master_addr"] = Told(hosts.variable, "".join(filter(None, first.groups())))  # type: ignore[union-attr]  # matches all
    return values


@dataclass(frozen=True)
class Launcher:
    """How a launcher tells its processes who they are.

    Attributes:
        name: for people.
        variables: by field of `Environment`, the variables that may tell it, the best first.
        marks: variables that are set as well, if it was this launcher.
        job: variables that together have one value for each job.
        refined: what its values mean, where they are not plain numbers.
    """

    name: str
    variables: Mapping[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()
    job: tuple[str, ...] = ()
    refined: Callable[[Values], Values] = lambda values: values

    def claim(self, environ: Mapping[str, str]) -> Values:
        """What it tells in these variables; nothing if it has not started this process."""
        if not all(environ.get(mark) for mark in self.marks):
            return {}
        values = _read(self.variables, environ)
        return self.refined(values) if {"rank", "world_size"} & values.keys() else {}


_TORCH = {
    "rank": ("RANK",),
    "world_size": ("WORLD_SIZE",),
    "local_rank": ("LOCAL_RANK",),
    "local_size": ("LOCAL_WORLD_SIZE",),
    "node_rank": ("GROUP_RANK",),
    "nodes": ("GROUP_WORLD_SIZE",),
}
_HYDRA = {
    "rank": ("PMI_RANK",),
    "world_size": ("PMI_SIZE",),
    "local_rank": ("MPI_LOCALRANKID",),
    "local_size": ("MPI_LOCALNRANKS",),
}
_HAND = Launcher(BY_HAND, _TORCH)
LAUNCHERS = (
    Launcher(
        "dtorch-launch", _TORCH, ("DTORCH_JOB_ID",), ("DTORCH_JOB_ID", "DTORCH_RESTART_COUNT")
    ),
    Launcher("torchrun", _TORCH, ("TORCHELASTIC_RUN_ID",)),
    _HAND,
    Launcher(
        "Open MPI",
        {
            "rank": ("OMPI_COMM_WORLD_RANK",),
            "world_size": ("OMPI_COMM_WORLD_SIZE",),
            "local_rank": ("OMPI_COMM_WORLD_LOCAL_RANK",),
            "local_size": ("OMPI_COMM_WORLD_LOCAL_SIZE",),
        },
        job=("PMIX_NAMESPACE",),
    ),
    Launcher("Intel MPI", _HYDRA, ("I_MPI_MPIRUN",)),
    Launcher("MPICH", _HYDRA),
    Launcher(
        "Slurm",
        # Those of a step alone: the allocation, which may be larger, has names like them.
        {
            "rank": ("SLURM_PROCID",),
            "world_size": ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS"),
            "local_rank": ("SLURM_LOCALID",),
            "local_size": ("SLURM_STEP_TASKS_PER_NODE",),
            "node_rank": ("SLURM_NODEID",),
            "nodes": ("SLURM_STEP_NUM_NODES",),
            "master_addr": ("SLURM_STEP_NODELIST",),
            "step": ("SLURM_STEP_ID",),
        },
        ("SLURM_STEP_ID",),
        ("SLURM_JOB_ID", "SLURM_STEP_ID"),
        _tasks_of_slurm,
    ),
)
# Of no launcher, but of its user: they go before what it tells.
_MASTER = {"master_addr": ("MASTER_ADDR",), "master_port": ("MASTER_PORT",)}
_RESTARTS = {
    name: (name,)
    for name in ("DTORCH_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
}
_NUMBERS = ("rank", "world_size", "local_rank", "local_size", "node_rank", "nodes")


@dataclass(frozen=True)
class Environment:
    """Who this process is.

    Attributes:
        launcher: name of a row of `LAUNCHERS`; ``none`` for a process alone, ``arguments`` where no
            variable tells the same as the arguments.
        rank, world_size: its number, from 0, and how many processes there are.
        local_rank, local_size: the same on its machine; None if nobody tells.
        node_rank, nodes: of the machine among the machines; None if nobody tells.
        master_addr, master_port: where rank 0 can be met; None if nobody tells.
        job: what only this job's processes have in common; empty if nothing is known.
        sources: by field, the variable that told it, with its value.
    """

    launcher: str
    rank: int
    world_size: int
    local_rank: int | None
    local_size: int | None
    node_rank: int | None
    nodes: int | None
    master_addr: str | None
    master_port: int | None
    job: str
    sources: Mapping[str, Told]

    @property
    def elsewhere(self) -> str:
        """How it is known that some ranks are on other machines; empty if it is not."""
        if self.local_size is not None and self.local_size < self.world_size:
            return (
                f"only {self.local_size} of {self.world_size} are here "
                f"({_named(self.sources, 'local_size', 'world_size')})"
            )
        if self.nodes is not None and self.nodes > 1:
            return f"they are on {self.nodes} ({_named(self.sources, 'nodes')})"
        return ""


def detect(
    environ: Mapping[str, str] | None = None, rank: int | None = None, world_size: int | None = None
) -> Environment:
    """Who this process is, by its variables, and by the arguments that go before them.

    Args:
        environ: the variables. Default: ``os.environ``.
        rank, world_size: known from elsewhere.
    Raises:
        ArgumentError: variables are missing, are no numbers, or contradict each other.
    Example:
        >>> found = detect({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"})
        >>> found.launcher, found.rank, found.world_size
        ('Open MPI', 1, 2)
    """
    environ = os.environ if environ is None else environ
    claims = _claims(environ)
    asked = {"rank": rank, "world_size": world_size}
    given = {field: Told(field, str(n)) for field, n in asked.items() if n is not None}
    if not claims and not given:
        if environ.get("MASTER_PORT"):
            raise ArgumentError(
                f"MASTER_PORT is {environ['MASTER_PORT']!r}, but RANK and WORLD_SIZE are not set; expected "
                "all or none of them: start the script with a launcher, such as dtorch-launch, or pass "
                "rank= and world_size= to init_process_group"
            )
        alone = {"rank": Told("", "0"), "world_size": Told("", "1")}
        return _checked(PLAIN, _read(_TORCH, environ) | alone | _read(_MASTER, environ), "")
    row, first = claims[0] if claims else (_HAND, {})
    who = {field: first[field] for field in asked if field in first} | given
    _expect_both(who, row)
    if not given and row is _HAND:
        _expect_agreement(who, claims[1:])
    agreeing = [claim for claim in claims if _tells(claim[1], who)]
    values = who
    for _, told in agreeing:
        values = told | values
    launcher = agreeing[0][0].name if agreeing else ARGUMENTS
    job = next(filter(None, (_job(row, environ) for row, _ in agreeing)), "")
    return _checked(launcher, values | _read(_MASTER, environ), job)


def is_restarted(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the job has run before, and was started again after a failure."""
    counts = _read(_RESTARTS, os.environ if environ is None else environ)
    return any(count.text != "0" for count in counts.values())


def local_rank() -> int | None:
    """This process's number on its machine, if a variable tells it, whatever others say."""
    tellers = [_read(_TORCH, os.environ), *(told for _, told in _claims(os.environ))]
    told = [values["local_rank"] for values in tellers if "local_rank" in values]
    return _number(told[0]) if told else None


def is_torchelastic_launched() -> bool:
    """Whether `torchrun` or `dtorch-launch` has started this process."""
    return bool(os.environ.get("TORCHELASTIC_RUN_ID"))


def job_id() -> str:
    """What tells the jobs of `dtorch-launch` apart that have the same port; empty without it."""
    return os.environ.get("DTORCH_JOB_ID", "")


def find_process(rank: int) -> str:
    """What can be known of another rank: its pid, and whether it was stopped; empty if nothing."""
    claims = _claims(os.environ)
    row = claims[0][0] if claims else _HAND
    shared = [name for name in (*row.job, "MASTER_ADDR", "MASTER_PORT") if os.environ.get(name)]
    wanted = {f"{name}={os.environ[name]}" for name in shared}
    wanted.add(f"{row.variables['rank'][0]}={rank}")
    if not shared or not os.path.isdir("/proc"):
        return ""
    found = [
        (started, int(pid))
        for pid in os.listdir("/proc")
        if pid.isdecimal() and wanted <= _variables_of(int(pid))
        if (started := start_time(int(pid))) is not None
    ]
    # Its children have its variables too, and are younger.
    return named(min(found)[1]) if found else ""


def _claims(environ: Mapping[str, str]) -> list[tuple[Launcher, Values]]:
    return [(row, values) for row in LAUNCHERS if (values := row.claim(environ))]


def _read(names: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> Values:
    return {
        field: Told(found[0], environ[found[0]])
        for field, alternatives in names.items()
        if (found := [name for name in alternatives if environ.get(name)])
    }


def _expect_both(who: Values, row: Launcher) -> None:
    for field, other in (("rank", "world_size"), ("world_size", "rank")):
        if field not in who:
            raise ArgumentError(
                f"{_named(who, other)}, but {row.variables[field][0]} is not set; expected both or "
                "neither: start the script with a launcher, such as dtorch-launch, or pass "
                f"{field}= to init_process_group"
            )


def _expect_agreement(who: Values, others: list[tuple[Launcher, Values]]) -> None:
    """Variables by hand may be of processes that a launcher's process has started, which are more."""
    for row, told in others:
        if not {"rank", "world_size"} <= told.keys() or _tells(told, who):
            continue
        if _number(who["world_size"]) <= _number(told["world_size"]):
            raise ArgumentError(
                f"{_named(who, 'rank', 'world_size')}, but {row.name} says "
                f"{_named(told, 'rank', 'world_size')}; expected the same: unset RANK and WORLD_SIZE, or "
                "pass rank= and world_size= to init_process_group"
            )


def _tells(told: Values, who: Values) -> bool:
    return all(
        field in told and told[field].text == who[field].text for field in ("rank", "world_size")
    )


def _named(values: Mapping[str, Told], *fields: str) -> str:
    told = [values[field] for field in fields if field in values and values[field].variable]
    return " and ".join(f"{variable} is {text!r}" for variable, text in told)


def _number(told: Told) -> int:
    if not (told.text.isascii() and told.text.isdecimal()):
        raise ArgumentError(f"{told.variable} is {told.text!r}, expected a whole number from 0 on")
    return int(told.text)


def _checked(launcher: str, values: Values, job: str) -> Environment:
    """Raises ArgumentError where values contradict each other."""
    numbers = {field: _number(values[field]) for field in _NUMBERS if field in values}
    rank, world_size = numbers["rank"], numbers["world_size"]
    for part, whole in (("rank", "world_size"), ("local_rank", "local_size"), ("local_rank", "world_size"),
                        ("node_rank", "nodes"), ("node_rank", "world_size")):  # fmt: skip
        if part in numbers and not numbers[part] < numbers.get(whole, numbers[part] + 1):
            raise _contradiction(values, part, whole, f"0 <= {part} < {whole}")
    for part in ("local_size", "nodes"):
        if part in numbers and not 1 <= numbers[part] <= world_size:
            raise _contradiction(values, part, "world_size", f"1 <= {part} <= world_size")
    if numbers.get("nodes") == 1 and numbers.get("local_size", world_size) != world_size:
        raise _contradiction(
            values, "local_size", "nodes", "local_size == world_size on one machine"
        )
    if world_size == 1 or numbers.get("nodes") == 1:
        numbers = {"local_rank": rank, "local_size": world_size} | numbers
    if numbers.get("local_size") == world_size:
        numbers = {"node_rank": 0, "nodes": 1} | numbers
    address, port = _master(values)
    return Environment(
        launcher=launcher,
        rank=rank,
        world_size=world_size,
        local_rank=numbers.get("local_rank"),
        local_size=numbers.get("local_size"),
        node_rank=numbers.get("node_rank"),
        nodes=numbers.get("nodes"),
        master_addr=address,
        master_port=port,
        job=job,
        sources={field: told for field, told in values.items() if told.variable},
    )


def _contradiction(values: Values, part: str, whole: str, expected: str) -> ArgumentError:
    texts = " of ".join(f"{name} {values[name].text}" for name in (part, whole))
    names = _named(values, part, whole)
    alone = "" if values[whole].variable else "; RANK and WORLD_SIZE are not set"
    return ArgumentError(f"{texts} ({names}{alone}); expected {expected}")


def _master(values: Values) -> tuple[str | None, int | None]:
    address, port = values.get("master_addr"), values.get("master_port")
    if address is not None and address.text.count(":") == 1:  # classic: host:port, on most ranks
        host, _, classic = address.text.partition(":")
        return host, _number(port or Told(address.variable, classic))
    return address and address.text, None if port is None else _number(port)


def _job(row: Launcher, environ: Mapping[str, str]) -> str:
    if row.job and all(environ.get(name) for name in row.job):
        return " ".join(environ[name] for name in row.job)
    return "" if row.variables is _TORCH else _starter(row.variables["rank"][0])


def _starter(variable: str) -> str:
    """The process that set the variable: the nearest above this one without it, shells left out."""
    pid = os.getppid()
    while pid > 1 and any(told.startswith(f"{variable}=") for told in _variables_of(pid)):
        pid = parent_of(pid)
    return f"{pid} of {start_time(pid)}"


def _variables_of(pid: int) -> set[str]:
    """What a process was started with, as NAME=value; nothing if it may not be known."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return set(os.fsdecode(file.read()).split("\0"))
    except OSError:  # ended, or of another user
        return set()
