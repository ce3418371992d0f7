"""What each kernel reaches of the machine's arithmetic and of its memory.

    python bench/kernels.py [--threads 2] [--only conv]

The machine's figures come from the same run: the fastest product of square matrices, by dtorch or
NumPy, and a copy of 256 MiB by as many threads. Operations are counted as the definition has them,
bytes as arrays read and written once. So Winograd's convolutions, which multiply less often, may
pass 100 %, and so may what stays in the caches. With one thread time is the processor's, which
other programs disturb less.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

import dtorch
from dtorch import nn
from dtorch.nn import functional

SECONDS = 0.5  # for each case


@dataclass
class Case:
    name: str
    run: Callable[[], object]
    operations: float  # additions and multiplications
    nbytes: float


def best_time(run: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    run()
    clock = time.thread_time if dtorch.get_num_threads() == 1 else time.perf_counter
    best, end = math.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begin = clock()
        run()
        best = min(best, clock() - begin)
    return best


def fastest_product() -> float:
    """Operations a second."""
    best = 0.0
    for n in (512, 1024, 2048):
        x, array = dtorch.randn(n, n), np.ones((n, n), np.float32)
        for run in (lambda x=x: dtorch.mm(x, x), lambda array=array: array @ array):
            best = max(best, 2 * n**3 / best_time(run))
    return best


def copy_speed(threads: int) -> float:
    """Bytes read and written a second."""
    source = np.ones((threads, 2**26 // threads), np.float32)
    target = np.empty_like(source)
    if threads == 1:
        return 2 * source.nbytes / best_time(lambda: np.copyto(target, source))
    with ThreadPoolExecutor(threads) as pool:
        seconds = best_time(lambda: list(pool.map(np.copyto, target, source)))
    return 2 * source.nbytes / seconds


def convolutions() -> Iterator[Case]:
    for channels, filters, side, kernel, stride, groups in (
        (64, 64, 56, 3, 1, 1), (128, 128, 28, 3, 1, 1), (256, 256, 14, 3, 1, 1),
        (512, 512, 7, 3, 1, 1), (64, 256, 56, 1, 1, 1), (256, 64, 56, 1, 1, 1),
        (3, 64, 224, 7, 2, 1), (128, 128, 56, 3, 2, 1), (256, 512, 14, 3, 2, 1),
        (64, 64, 56, 3, 1, 64),
    ):  # fmt: skip
        x = dtorch.randn(16, channels, side, side)
        weight = dtorch.randn(filters, channels // groups, kernel, kernel)

        def forward(x=x, weight=weight, geometry=(stride, kernel // 2, 1, groups)):
            return functional.conv2d(x, weight, None, *geometry)

        def gradient(input, delta, forward=forward, **given):
            return dtorch.autograd.grad(forward(**given), input, delta)

        out = forward()
        delta = dtorch.randn(*out.shape)
        count = 2.0 * out.numel() * channels // groups * kernel**2
        nbytes = 4.0 * (x.numel() + out.numel() + weight.numel())
        name = f"conv {kernel}x{kernel} s{stride} g{groups} {channels}->{filters}@{side}"
        yield Case(name, forward, count, nbytes)
        for argument, value in (("x", x), ("weight", weight)):
            leaf = value.clone().requires_grad_()
            yield Case(
                f"{name}, and by {argument}",
                lambda g=gradient, a=argument, v=leaf, d=delta: g(v, d, **{a: v}),
                2 * count,
                2 * nbytes,
            )


def products() -> Iterator[Case]:
    for shape in ((1024, 1024, 1024), (64, 784, 256), (700, 128, 512)):
        a, b = dtorch.randn(*shape[:2]), dtorch.randn(*shape[1:])
        nbytes = 4.0 * (a.numel() + b.numel() + shape[0] * shape[2])
        name = f"mm {shape[0]}x{shape[1]}x{shape[2]}"
        yield Case(name, lambda a=a, b=b: dtorch.mm(a, b), 2.0 * math.prod(shape), nbytes)
    a = dtorch.randn(64, 128, 128)
    yield Case(
        "bmm 64x128x128x128", lambda: dtorch.bmm(a, a), 2.0 * 64 * 128**3, 12.0 * a.numel()
    )  # fmt: skip


def through_memory() -> Iterator[Case]:
    """Kernels that do little with each element; operations are not counted."""
    x, y = dtorch.rand(10**7), dtorch.rand(10**7)
    size = 4.0 * 10**7
    yield Case("add 10 M", lambda: x + y, 0, 3 * size)
    yield Case("relu 10 M", lambda: functional.relu(x), 0, 2 * size)
    yield Case("exp 10 M", lambda: dtorch.exp(x), 0, 2 * size)
    yield Case("tanh 10 M", lambda: dtorch.tanh(x), 0, 2 * size)
    yield Case("sum 10 M", lambda: x.sum(), 0, size)
    rows = dtorch.randn(4096, 1024)
    for name, function in (
        ("softmax", lambda r=rows: functional.softmax(r, 1)),
        ("log_softmax", lambda r=rows: functional.log_softmax(r, 1)),
        ("gelu", lambda r=rows: functional.gelu(r)),
        ("layer_norm", lambda r=rows: functional.layer_norm(r, (1024,))),
    ):
        yield Case(f"{name} 4096x1024", function, 0, 8.0 * rows.numel())
    images = dtorch.randn(16, 64, 112, 112)
    for kernel in (3, 2):
        for places in (False, True):  # of twice the size of values
            yield Case(
                f"max_pool2d {kernel}x{kernel} s2 64@112" + ", with places" * places,
                lambda k=kernel, p=places: functional.max_pool2d(
                    images, k, 2, k - 2, return_indices=p
                ),
                0,
                4.0 * images.numel() * (1 + 1 / 4 + places / 2),
            )
    norm = nn.BatchNorm2d(64)
    with dtorch.no_grad():
        yield Case("batch_norm 64@112, training", lambda: norm(images), 0, 16.0 * images.numel())
        norm.eval()
        yield Case("batch_norm 64@112, evaluation", lambda: norm(images), 0, 8.0 * images.numel())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    dtorch.set_num_threads(args.threads)
    dtorch.manual_seed(0)
    peak, copy = fastest_product(), copy_speed(args.threads)
    print(f"fastest product {peak / 1e9:.0f} GFLOP/s, copy {copy / 1e9:.1f} GB/s")
    print(f"{'':48}{'ms':>9}{'GFLOP/s':>9}{'of peak':>9}{'GB/s':>7}{'of copy':>9}")
    for cases in (convolutions, products, through_memory):
        for case in cases():
            if args.only not in case.name:
                continue
            seconds = best_time(case.run)
            speed, flow = case.operations / seconds, case.nbytes / seconds
            work = f"{speed / 1e9:9.0f}{speed / peak:9.0%}" if speed else " " * 18
            print(f"{case.name:48}{seconds * 1e3:9.3f}{work}{flow / 1e9:7.1f}{flow / copy:9.0%}")


if __name__ == "__main__":
    main()
