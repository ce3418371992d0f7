"""``dtorch-launch``, also as ``python -m dtorch.launch``."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .arguments import parse
from .bootstrap import KEYBOARD_INTERRUPT_CODE
from .engines import ENGINES
from .job import Job, hogwild_variables
from .logs import LogPlan
from .output import Output, standard_outputs, terminal_width
from .supervisor import Console, Policy, supervise


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the launcher.

    Args:
        argv: command line without the program's name; None: the process's own.

    Returns:
        The exit code.
    """
    try:
        return _launch(parse(argv))
    except KeyboardInterrupt:  # before the first worker, or after the last
        return KEYBOARD_INTERRUPT_CODE


def _launch(options: argparse.Namespace) -> int:
    stdout, stderr = standard_outputs()
    console = Console(stdout, stderr)
    with _error_directory(options.log_dir) as error_dir:
        job = _job(options, error_dir, stderr)
        if options.dry_run:
            _print_plan(job)
            return 0
        if options.without_effect:
            console.say(f"without effect on one machine: {', '.join(options.without_effect)}")
        policy = Policy(
            max_restarts=options.max_restarts,
            grace=options.grace,
            exit_timeout=options.exit_timeout,
            monitor_interval=options.monitor_interval,
        )
        plan = LogPlan(
            outputs={"stdout": stdout, "stderr": stderr},
            prefixed=_is_prefixed(options),
            shown_ranks=options.local_ranks_filter,
            directory=options.log_dir,
        )
        if options.log_dir is not None:
            try:
                options.log_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                console.say(f"error: --log-dir {options.log_dir}: {error.strerror}")
                console.drain()
                return 2
        code = supervise(job, ENGINES[options.engine](), policy, plan, console)
        console.drain()
    return code


def _is_prefixed(options: argparse.Namespace) -> bool:
    return options.mode != "hogwild" and options.nproc_per_node > 1 and not options.no_prefix


def _job(options: argparse.Namespace, error_dir: Path, screen: Output) -> Job:
    variables = dict(options.env)
    processes = options.nproc_per_node
    if options.mode == "hogwild":
        # The program's own trainer starts the workers, as they share its model.
        processes = 1
        variables = {**hogwild_variables(options.nproc_per_node), **variables}
    if options.compat:
        from dtorch.compat.importing import python_path  # noqa: PLC0415  # for this flag alone

        path = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH"))
        variables = {**variables, "PYTHONPATH": python_path(path)}
        if options.classic:
            variables = {**variables, "DTORCH_CLASSIC": "1"}
    captured = processes > 1 or options.log_dir is not None
    if captured and screen.is_terminal:
        # Workers see a pipe, and would take any terminal for 80 columns wide.
        prefix = len(f"[rank{processes - 1}] ") if _is_prefixed(options) else 0
        width = max(20, terminal_width(screen.fd) - prefix)
        variables = {"COLUMNS": os.environ.get("COLUMNS", str(width)), **variables}
    return Job(
        program=options.program,
        nproc=processes,
        error_dir=error_dir,
        captured=captured,
        master_addr=options.master_addr,
        master_port=options.master_port,
        variables=variables,
    )


@contextmanager
def _error_directory(log_dir: Path | None) -> Iterator[Path]:
    """Where workers record what ended them: the log directory, or one that is removed again.

    The latter is made by the first worker that fails, so a killed launcher leaves none.
    """
    if log_dir is not None:
        yield log_dir
        return
    directory = Path(os.environ.get("TMPDIR", "/tmp"), f"dtorch-{secrets.token_hex(8)}")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _print_plan(job: Job) -> None:
    """Prints each worker as a shell command with the environment that differs from the present."""
    for spec in job.workers(restart=0):
        changed = {
            name: value
            for name, value in sorted(spec.environment.items())
            if os.environ.get(name) != value
        }
        assignments = [f"{name}={shlex.quote(value)}" for name, value in changed.items()]
        print(f"[rank{spec.rank}]", *assignments, shlex.join(spec.command))


if __name__ == "__main__":
    sys.exit(main())
