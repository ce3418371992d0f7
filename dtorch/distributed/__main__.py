"""``python -m dtorch.distributed info``: which rank this process would be, and what says so."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from dtorch.core.errors import ArgumentError
from dtorch.distributed.backends.registry import DEFAULT
from dtorch.distributed.environment import Environment, detect


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dtorch.distributed", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("info", help="print the launcher, the ranks, the sizes and the master")
    parser.parse_args()
    try:
        found = detect()
    except ArgumentError as error:
        sys.exit(f"python -m dtorch.distributed: {error}")
    for line in _lines(found):
        print(line)


def _lines(found: Environment) -> Iterator[str]:
    unknown = "not told"
    yield _line("launcher", found.launcher)
    for field in ("rank", "world_size", "local_rank", "local_size", "node_rank", "nodes"):
        value = getattr(found, field)
        yield _line(field, unknown if value is None else value, *found.sources.get(field, ()))
    where = found.sources
    yield _line("master_addr", found.master_addr or unknown, *where.get("master_addr", ()))
    yield _line("master_port", found.master_port or unknown, *where.get("master_port", ()))
    nowhere = f"none: {found.elsewhere}; transports between machines are not there yet"
    yield _line("transport", nowhere if found.elsewhere else DEFAULT)


def _line(name: str, value: object, variable: str = "", text: str = "") -> str:
    source = f"{variable}={text}" if variable else ""
    return f"{name:<12} {value!s:<12} {source}".rstrip()


if __name__ == "__main__":
    main()
