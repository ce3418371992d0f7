"""``python -m dtorch.utils.bottleneck script.py``: where a program spends its time.

It runs the program twice, once under Python's profiler and once under dtorch's, and prints both.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from pathlib import Path
from typing import Any

from dtorch.__config__ import show
from dtorch.autograd.profiler import profile

_LINES = 15


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dtorch.utils.bottleneck", description=__doc__)
    parser.add_argument("script", help="the program")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")
    options = parser.parse_args()
    path = Path(options.script)
    if not path.is_file():
        parser.error(f"{path}: there is no such file")
    sys.argv = [str(path), *options.args]
    sys.path.insert(0, str(path.parent))
    code = compile(path.read_bytes(), str(path), "exec")
    print(show())
    python = cProfile.Profile()
    python.runcall(_run, code, path)
    print("-- Python's functions, by the time in them " + "-" * 40)
    pstats.Stats(python).sort_stats("tottime").print_stats(_LINES)
    with profile() as operations:
        _run(code, path)
    print("-- operations and their gradients, by the time in them " + "-" * 28)
    print(operations.table(sort_by="self_cpu_time_total", row_limit=_LINES))


def _run(code: Any, path: Path) -> None:
    names = {"__name__": "__main__", "__file__": str(path), "__builtins__": __builtins__}
    try:
        exec(code, names)
    except SystemExit as end:
        if end.code:
            raise


if __name__ == "__main__":
    main()
