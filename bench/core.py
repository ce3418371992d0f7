"""Time of small and large operations, of the import and of the launcher, beside PyTorch's.

    python bench/core.py                                      dtorch alone
    python bench/core.py --peer ~/torch/bin/python            and PyTorch, in the same run

The two take turns, round by round; figures are medians, and the ratio is dtorch's over PyTorch's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

# name: (set-up, statement, runs for one figure)
CASES = {
    "mul of one element": ("x = T.ones(1)", "x * x", 20_000),
    "mul of one element, recorded": (
        "x, y = T.ones(1), T.ones(1, requires_grad=True)", "x * y", 20_000),
    "chain of ten muls, forward and backward": (
        "y = T.ones(1, requires_grad=True)",
        "z = y*y*y*y*y*y*y*y*y*y*y; z.backward(); y.grad = None", 1_000),
    "index, view, transpose, sum": (
        "x = T.ones(8, 8)", "x[1:5, 2].view(2, 2).t().sum()", 5_000),
    "in-place add of four elements": ("x, y = T.ones(4), T.ones(4)", "x.add_(y)", 20_000),
    "add of 10 M floats": ("x, y = T.rand(10**7), T.rand(10**7)", "x + y", 5),
    "exp of 10 M floats": ("x = T.rand(10**7)", "T.exp(x)", 5),
    "tanh of 10 M floats": ("x = T.rand(10**7)", "T.tanh(x)", 5),
    "sum of 10 M floats": ("x = T.rand(10**7)", "x.sum()", 20),
    "softmax of 4096 x 1024": ("x = T.randn(4096, 1024)", "T.softmax(x, 1)", 5),
    "product of 1024 x 1024": ("x = T.randn(1024, 1024)", "T.mm(x, x)", 5),
}  # fmt: skip
MEASURE = """
import json, resource, sys, time
begin = time.perf_counter()
import {package} as T
found = {{"import": time.perf_counter() - begin,
         "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}}
import timeit
T.set_num_threads({threads})
for name, (setup, statement, runs) in json.loads(sys.stdin.read()).items():
    space = {{"T": T}}
    exec(setup, space)
    timer = timeit.Timer(statement, globals=space)
    timer.timeit(max(1, runs // 10))
    found[name] = min(timer.repeat(5, runs)) / runs
print(json.dumps(found))
"""
BARRIER = """
import {package}.distributed as dist
dist.init_process_group({backend!r})
dist.barrier()
dist.destroy_process_group()
"""
LAUNCHERS = {
    "dtorch": (["-m", "dtorch.launch"], "shm"),
    "torch": (["-m", "torch.distributed.run", "--standalone"], "gloo"),
}


def operations(python: str, package: str, threads: int) -> dict[str, float]:
    """Seconds for each case, and for the import; bytes of memory after it."""
    program = MEASURE.format(package=package, threads=threads)
    done = subprocess.run(
        [python, "-c", program], input=json.dumps(CASES), capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def launch(python: str, package: str) -> float:
    """Seconds from the start of the launcher to the end of a job that passes one barrier."""
    flags, backend = LAUNCHERS[package]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "barrier.py")
        script.write_text(BARRIER.format(package=package, backend=backend))
        begin = time.perf_counter()
        subprocess.run(
            [python, *flags, "--nproc-per-node=2", str(script)], capture_output=True, check=True
        )
        return time.perf_counter() - begin


def installed_size() -> int:
    """Bytes of dtorch's wheel once installed, with what it needs; an editable install has none."""
    total = 0
    for name in ("dtorch", "numpy", "pyzmq", "cloudpickle", "ml_dtypes"):
        files = metadata.files(name) or []
        total += sum(Path(f.locate()).stat().st_size for f in files if Path(f.locate()).exists())
    return total


def text(name: str, value: float) -> str:
    """A figure with its unit."""
    if name == "memory":
        return f"{value / 2**20:.0f} MB"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.2f} {unit}"
    return f"{value * 1e9:.0f} ns"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python that has PyTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    pythons = {"dtorch": sys.executable} | ({"torch": args.peer} if args.peer else {})
    figures: dict[str, dict[str, list[float]]] = {package: {} for package in pythons}
    for _ in range(args.rounds):
        for package, python in pythons.items():
            found = operations(python, package, args.threads)
            found["launch of two workers, one barrier"] = launch(python, package)
            for name, value in found.items():
                figures[package].setdefault(name, []).append(value)
    print(f"{'':42}{'dtorch':>12}" + (f"{'PyTorch':>12}{'ratio':>8}" if args.peer else ""))
    for name, values in figures["dtorch"].items():
        ours = statistics.median(values)
        line = f"{name:42}{text(name, ours):>12}"
        if args.peer:
            theirs = statistics.median(figures["torch"][name])
            line += f"{text(name, theirs):>12}{ours / theirs:8.2f}"
        print(line)
    print(f"{'installed, with what it needs':42}{installed_size() / 2**20:9.0f} MB")


if __name__ == "__main__":
    main()
