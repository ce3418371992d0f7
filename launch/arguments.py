"""The command line of ``dtorch-launch``: torchrun's spellings, and the launcher's own flags."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .engines import ENGINES
from .job import RESERVED_VARIABLES, Program, free_port, usable_cores

MODES = ("ddp", "hogwild")
# Flags of torchrun that choose between ways to do what is done in one way here.
WITHOUT_EFFECT = (
    "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id", "--rdzv-conf", "--local-addr", "--role",
    "--start-method", "--redirects", "--tee", "--event-log-handler", "--logs-specs",
    "--signals-to-handle", "--numa-binding",
)  # fmt: skip
SHORT = {"--redirects": "-r", "--tee": "-t"}
MOST_WORKERS = 4096  # of one machine; beyond it is a slip

DESCRIPTION = """\
Runs PROGRAM in several worker processes on this machine and looks after them: output lines are
prefixed with their rank, signals are passed on, and when a worker fails the others are stopped
and the reason is printed last. Each worker finds RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT in its environment. torchrun's flags may be spelled with dashes or underscores.
"""

EPILOG = """\
examples:
  dtorch-launch --nproc-per-node 2 train.py --lr 0.1
  dtorch-launch --nproc-per-node auto --log-dir logs -m mypackage.train
  dtorch-launch --mode hogwild --nproc-per-node 4 hogwild.py

accepted from command lines of torchrun, without effect on one machine:
  {without_effect}

exit code: 0 if every worker succeeded; else that of the worker that failed first (128 + number
for a signal); 2 for a wrong command line.
"""


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one message."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\nTry '{self.prog} --help'.\n")

    def flag(self, *spellings: str, **settings: Any) -> None:  # Any: argparse's own keywords
        """Adds a flag that is shown with dashes and may be typed with underscores too."""
        action = self.add_argument(*spellings, **settings)
        twins = ["--" + name[2:].replace("-", "_") for name in spellings if "-" in name[2:]]
        if twins:
            hidden = {**settings, "help": argparse.SUPPRESS, "default": argparse.SUPPRESS}
            self.add_argument(*twins, **{**hidden, "dest": action.dest})


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads and checks a command line; leaves the process with a message if it is wrong.

    Returns:
        One attribute for each flag; ``program``, a `Program`, in place of the rest of the line.
    """
    parser = _parser()
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(_unknown_flag(parser, unknown[0]))
    if options.module and options.no_python:
        parser.error("--module and --no-python exclude each other")
    if options.target is None:
        parser.error("no program given: name the Python file to run after the flags")
    options.program = _program(parser, options)
    if options.classic and not options.compat:
        parser.error("--classic goes with --compat")
    if options.compat:
        _check_compat(parser, options.program)
    _check_master(parser, options)
    _check_ranks(parser, options)
    return options


def _parser() -> Parser:
    parser = Parser(
        prog="dtorch-launch",
        usage="%(prog)s [flags] PROGRAM [arguments of the program]",
        description=DESCRIPTION,
        epilog=EPILOG.format(without_effect=" ".join(WITHOUT_EFFECT)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_ShowVersion)
    _add_placement(parser)
    _add_program(parser)
    _add_output(parser)
    _add_failure(parser)
    for name in WITHOUT_EFFECT:
        spellings = [SHORT[name], name] if name in SHORT else [name]
        parser.flag(*spellings, action=_NoteOnly, dest="without_effect", help=argparse.SUPPRESS)
    return parser


def _add_placement(parser: Parser) -> None:
    parser.flag(
        "--nproc-per-node",
        metavar="N",
        type=_nproc,
        default=1,
        help="number of workers; auto or cpu: one for each core this process may use (default: 1)",
    )
    parser.flag(
        "--nnodes",
        metavar="1",
        type=_one_of("number of machines", "1", "1:1"),
        default="1",
        help="number of machines; only 1 is supported yet",
    )
    parser.flag(
        "--node-rank", metavar="0", type=_one_of("rank of the machine", "0"), help="only 0 yet"
    )
    parser.flag("--standalone", action="store_true", help="one machine only: what is done anyway")
    parser.flag(
        "--master-addr",
        metavar="ADDR",
        default="127.0.0.1",
        help="address at which the workers meet (default: 127.0.0.1)",
    )
    parser.flag(
        "--master-port", metavar="PORT", type=_port, help="port there (default: a free one)"
    )
    parser.flag(
        "--engine",
        metavar="NAME",
        type=_one_of("engine", *ENGINES),
        default="local",
        help=f"who starts the workers: {', '.join(ENGINES)} (default: local)",
    )
    parser.flag(
        "--mode",
        metavar="MODE",
        type=_one_of("mode", *MODES),
        default=MODES[0],
        help="how the workers train together; ddp: PROGRAM runs in each of them; hogwild: it runs "
        "once and its dtorch.distributed.hogwild trainer starts them (default: ddp)",
    )


def _add_program(parser: Parser) -> None:
    parser.flag("-m", "--module", action="store_true", help="PROGRAM is a module, as in python -m")
    parser.flag("--no-python", action="store_true", help="PROGRAM is an executable, not Python")
    parser.flag(
        "--compat",
        action="store_true",
        help="PROGRAM was written for PyTorch: import torch gives it dtorch; it is not started if "
        "it names what dtorch does not have (see python -m dtorch.compat --help)",
    )
    parser.flag(
        "--classic",
        action="store_true",
        help="with --compat: allow what PyTorch of 2017 took and today's semantics forbid, such as "
        "loss.data[0]",
    )
    parser.flag(
        "--env",
        metavar="NAME=VALUE",
        type=_variable,
        action="append",
        default=[],
        help="set a variable for every worker; may be repeated. OMP_NUM_THREADS is, unless set, "
        "each worker's share of the cores",
    )
    parser.flag("--dry-run", action="store_true", help="print what would be started, and end")
    parser.add_argument("target", metavar="PROGRAM", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("args", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def _add_output(parser: Parser) -> None:
    parser.flag(
        "--log-dir",
        metavar="DIR",
        type=Path,
        help="also write each worker's output to DIR/rankN.stdout.log and DIR/rankN.stderr.log, "
        "and its uncaught exception to DIR/rankN.error.json; files of an earlier job are replaced",
    )
    parser.flag(
        "--no-prefix",
        action="store_true",
        help="print the workers' lines as they are, without [rankN]; one worker has no prefix",
    )
    parser.flag(
        "--local-ranks-filter",
        metavar="R,R,...",
        type=_ranks,
        help="print only the output of these ranks (log files get all)",
    )


def _add_failure(parser: Parser) -> None:
    parser.flag(
        "--max-restarts",
        metavar="K",
        type=_count,
        default=0,
        help="after a failure start all workers again, at most K times (default: 0)",
    )
    parser.flag(
        "--grace",
        "--shutdown-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=30.0,
        help="time between asking workers to stop (SIGTERM), after a failure or a signal to the "
        "launcher, and killing them (default: 30; a second Ctrl-C kills at once)",
    )
    parser.flag(
        "--exit-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=0.0,
        help="a worker whose program has ended but whose process does nothing (no computing, "
        "reading, writing, network) for this long hangs: it is reported and killed (default: 0, "
        "wait as Python does; once the job has failed, --grace is the limit)",
    )
    parser.flag(
        "--monitor-interval",
        metavar="SECONDS",
        type=_seconds,
        default=0.1,
        help="time between looks at the workers on systems without pidfd; on Linux their end is "
        "noticed at once (default: 0.1)",
    )


class _NoteOnly(argparse.Action):
    """Takes a value and remembers that the flag was there."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        flag: str | None = None,
    ) -> None:
        noted = [*(getattr(namespace, self.dest) or []), flag]
        setattr(namespace, self.dest, noted)


class _ShowVersion(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata  # noqa: PLC0415  # 15 ms that every start would pay

        parser.exit(message=f"dtorch-launch {importlib.metadata.version('dtorch')}\n")


def _unknown_flag(parser: Parser, flag: str) -> str:
    if not flag.startswith("-"):
        return f"unexpected argument {flag!r}"
    name = flag.partition("=")[0]
    known = [
        spelling
        for action in parser._actions
        if action.help is not argparse.SUPPRESS
        for spelling in action.option_strings
    ]
    close = difflib.get_close_matches(name.replace("_", "-"), known, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"unknown flag {name}{hint} (flags of the program go after the program)"


def _program(parser: Parser, options: argparse.Namespace) -> Program:
    target, args = options.target, tuple(options.args)
    if options.module:
        return Program("module", target, args)
    if options.no_python:
        found = shutil.which(target)
        if found is None:
            parser.error(f"program not found: {target} (neither here nor on the PATH)")
        return Program("executable", found, args)
    if not os.path.exists(target):
        parser.error(f"script not found: {target} (looked in {os.getcwd()})")
    if not os.access(target, os.R_OK):
        parser.error(f"script not readable: {target}")
    return Program("script", target, args)


def _check_compat(parser: Parser, program: Program) -> None:
    """Leaves the process with a list if the program names what dtorch does not have."""
    from dtorch.compat.scan import find_program, scan  # noqa: PLC0415  # 0.1 s for this flag alone

    if program.kind == "executable":
        parser.error("--compat and --no-python exclude each other")
    try:
        absences = scan(find_program(program.target, program.kind == "module"))
    except (OSError, ImportError, SyntaxError) as error:
        parser.error(str(error))
    for absence in absences:
        print(absence, file=sys.stderr)
    if absences:
        parser.exit(1, f"{parser.prog}: {program} was not started: dtorch lacks the above\n")


def _check_master(parser: Parser, options: argparse.Namespace) -> None:
    if options.master_port is None:
        try:
            free_port(options.master_addr)
        except OSError as error:
            parser.error(
                f"--master-addr {options.master_addr}: not an address of this machine "
                f"({error.strerror}); workers on one machine meet at 127.0.0.1"
            )


def _check_ranks(parser: Parser, options: argparse.Namespace) -> None:
    missing = [rank for rank in options.local_ranks_filter or () if rank >= options.nproc_per_node]
    if missing:
        parser.error(
            f"--local-ranks-filter: there is no rank {missing[0]}; "
            f"with {options.nproc_per_node} workers ranks go from 0 to {options.nproc_per_node - 1}"
        )


def _nproc(text: str) -> int:
    if text in ("auto", "cpu"):
        return usable_cores()
    if text == "gpu":
        raise argparse.ArgumentTypeError("gpu: GPUs are not counted yet; give their number")
    number = _integer(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 on, auto or cpu")
    if number > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected at most {MOST_WORKERS}")
    return number


def _port(text: str) -> int | None:
    number = _integer(text)
    if number is None or not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a port from 1 to 65535, 0: a free one"
        )
    return number or None


def _count(text: str) -> int:
    number = _integer(text)
    if number is None or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 on")
    return number


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of seconds from 0 on")
    return seconds


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    if name in RESERVED_VARIABLES:
        raise argparse.ArgumentTypeError(f"{name} is set by the launcher")
    return name, value


def _ranks(text: str) -> frozenset[int]:
    numbers = [_integer(part) for part in text.split(",")]
    if any(number is None or number < 0 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: expected ranks with commas between, as 0,2")
    return frozenset(number for number in numbers if number is not None)


def _one_of(what: str, *supported: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in supported:
            raise argparse.ArgumentTypeError(
                f"{what} {text!r} is not supported; supported: {', '.join(supported)}"
            )
        return text

    return check
