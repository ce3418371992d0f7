"""How much memory may still be taken: of the machine, and of the control groups of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes a number about as large where there is no limit


def check_available(nbytes: int) -> None:
    """Refuse what would make the kernel kill somebody.

    Raises:
        MemoryError: naming what was asked, what is used and left, and whose limit it is.
    """
    for used, limit, whose in _budgets():
        if nbytes > limit - used:
            raise MemoryError(
                f"shared memory: asked for {_mib(nbytes)}, {_mib(max(limit - used, 0))} left of "
                f"the {_mib(limit)} of {whose} ({_mib(used)} used); use smaller batches, fewer "
                "workers or raise the limit"
            )


def oom_kills() -> int:
    """How many processes the kernel has killed in this one's control group for want of memory."""
    for folder in _memory_groups():
        for name in ("memory.events", "memory.oom_control"):  # of version 2 and 1
            try:
                lines = (folder / name).read_text().splitlines()
            except OSError:
                continue
            return int(dict(line.split() for line in lines).get("oom_kill", 0))
    return 0


def _budgets() -> Iterator[tuple[int, int, str]]:
    """(used, limit, whose) of everything that limits this process."""
    machine = _machine()
    if machine is not None:
        yield machine
    for folder in _memory_groups():
        group = _group(folder, "memory.max", "memory.current", "inactive_file")
        group = group or _group(
            folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        )
        if group is not None:
            yield group


def _machine() -> tuple[int, int, str] | None:
    try:
        with open("/proc/meminfo") as file:
            sizes = dict(line.split(":", 1) for line in file)
    except FileNotFoundError:
        return None
    left, total = (int(sizes[key].split()[0]) << 10 for key in ("MemAvailable", "MemTotal"))
    return total - left, total, "the machine"


def _memory_groups() -> Iterator[Path]:
    """The control groups of this process that can limit memory, and those they are in."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = _ROOT / controllers if controllers else _ROOT
        folder = mount / path.strip("/")
        if not folder.is_dir():
            folder = mount  # a container sees its own group as the root
        yield folder
        yield from (parent for parent in folder.parents if mount in (parent, *parent.parents))


def _group(folder: Path, limit: str, used: str, reclaimable: str) -> tuple[int, int, str] | None:
    try:
        most = int((folder / limit).read_text())
        now = int((folder / used).read_text())
        stat = (folder / "memory.stat").read_text()
    except (OSError, ValueError):
        return None  # the other version of control groups, no memory controller, or "max"
    if most >= _UNLIMITED:
        return None
    counts = dict(line.split() for line in stat.splitlines())
    return now - int(counts.get(reclaimable, 0)), most, str(folder / limit)


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MiB"
