"""``python -m dtorch.serialization inspect|convert|verify``."""

from __future__ import annotations

import argparse
import sys

from dtorch.serialization.convert import convert, inspect, verify
from dtorch.serialization.errors import CheckpointError


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dtorch.serialization", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    look = commands.add_parser("inspect", help="list tensors: name, dtype, shape, bytes")
    look.add_argument("file")
    change = commands.add_parser("convert", help="write in another format")
    change.add_argument("source")
    change.add_argument("target", help="a name ending in .safetensors, or anything else")
    change.add_argument("--old-format", action="store_true", help="for versions before 1.6")
    check = commands.add_parser("verify", help="read everything, compare checksums and hash")
    check.add_argument("file")
    check.add_argument("--sha256", help="what the hash has to begin with")
    for command in (look, change):
        command.add_argument("--trust", action="store_true",
                             help="read with weights_only=False: runs code that the file contains")  # fmt: skip
    options = parser.parse_args(argv)
    try:
        if options.command == "inspect":
            print("\n".join(inspect(options.file, not options.trust)))
        elif options.command == "convert":
            convert(options.source, options.target, not options.trust, options.old_format)
        else:
            print(f"{verify(options.file, options.sha256)}  {options.file}: whole")
    except (CheckpointError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
