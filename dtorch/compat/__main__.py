"""``python -m dtorch.compat``: run a program written for PyTorch on dtorch."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from dtorch.compat.importing import REPORT_VARIABLE, python_path
from dtorch.compat.scan import find_program, scan
from dtorch.core import classic

_EPILOG = """\
Nothing of the program is changed: it gets the command line, the path and the exit code that
"python script.py" would have given, but that "import torch" is dtorch. First its source, and that
of the packages it imports, is looked through; where they use something that dtorch does not have,
the program is not started, and the places are listed. With --anyway it is: branches that are never
taken may use what they like.

exit code: the program's; 1 if it was not started for lack of something.
"""


def main() -> NoReturn:
    parser = argparse.ArgumentParser(
        prog="python -m dtorch.compat",
        usage="%(prog)s [--classic] [--scan | --anyway] (script.py | -m module) "
        "[arguments of the program]",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--classic",
        action="store_true",
        help="allow what PyTorch of 2017 took and today's semantics forbid, such as loss.data[0]; "
        "what is made use of is said once",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--scan", action="store_true", help="list what is not there, run nothing")
    how.add_argument("--anyway", action="store_true", help="run it, whatever is not there")
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module")
    parser.add_argument("program", help="the Python file, or with -m the module")
    parser.add_argument("args", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        file = find_program(options.program, options.module)
        absent = [] if options.anyway else scan(file)
    except (OSError, ImportError, SyntaxError) as error:
        parser.error(str(error))
    for absence in absent:
        print(absence, file=sys.stdout if options.scan else sys.stderr)
    if options.scan:
        if not absent:
            print(f"{options.program}: nothing that it names is missing")
        sys.exit(bool(absent))
    if absent:
        parser.exit(
            1,
            f"{parser.prog}: {options.program} was not started: it uses what dtorch does not have "
            "(above); with --anyway it is, and fails where it gets there\n",
        )
    os.environ["PYTHONPATH"] = python_path(os.environ.get("PYTHONPATH"))
    if options.classic:
        os.environ[classic.VARIABLE] = "1"
    if options.anyway:
        os.environ[REPORT_VARIABLE] = "1"
    target = ["-m", options.program] if options.module else [options.program]
    # Another start of the interpreter costs 10 ms, and the program's is then an ordinary one.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *_flags(), *target, *options.args])


def _flags() -> list[str]:
    """The interpreter's own flags, such as ``-u`` and ``-W``, for the program's start."""
    given = sys.orig_argv[1:]
    return given[: given.index("-m")]


if __name__ == "__main__":
    main()
