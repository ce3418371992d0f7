"""``python -m dtorch.multiprocessing status``: the arenas of shared memory that are alive."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from dtorch.multiprocessing import status


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m dtorch.multiprocessing", description="Looks at dtorch's shared memory."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser(
        "status", help="list the arenas that are alive, their owners, bytes and blocks"
    )
    shown.add_argument("--json", action="store_true", help="as JSON, for programs")
    options = parser.parse_args(argv)
    print(json.dumps(status.report()) if options.json else status.table())


if __name__ == "__main__":
    main()
