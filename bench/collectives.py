"""Time of collectives between processes of this machine.

    python bench/collectives.py --ranks 2 4

For each size: medians in microseconds, for tensors in private memory, which pass through staging
slots, and for tensors in shared memory, which are combined where they lie.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import dtorch
from dtorch import distributed as dist, multiprocessing

SIZES = (1 << 10, 1 << 20, 25 << 20, 100 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    args = parser.parse_args()
    sizes = SIZES[:2] if args.quick else SIZES
    for ranks in args.ranks:
        answers = multiprocessing.get_context("spawn").SimpleQueue()
        multiprocessing.spawn(measure, (ranks, sizes, answers, time.time_ns()), nprocs=ranks)
        print(json.dumps({"ranks": ranks, **answers.get()}))


def measure(rank: int, ranks: int, sizes: tuple[int, ...], answers, job: int) -> None:
    dist.init_process_group(init_method=f"file:///bench-{job}", rank=rank, world_size=ranks)
    found = {"barrier_us": median_us(dist.barrier, 300)}
    for size in sizes:
        tensor = dtorch.ones(size // 4)
        repeats = 300 if size <= 1 << 20 else 9
        found[f"all_reduce_{size >> 10}KiB_us"] = {
            "private": all_reduce_us(tensor, repeats),
            "shared": all_reduce_us(tensor.share_memory_(), repeats),
        }
    if rank == 0:
        answers.put(found)
    dist.barrier()
    dist.destroy_process_group()


def all_reduce_us(tensor: dtorch.Tensor, repeats: int) -> float:
    def once() -> None:
        dist.all_reduce(tensor, dist.ReduceOp.AVG)

    return median_us(once, repeats, before=dist.barrier)


def median_us(call, repeats: int, before=lambda: None) -> float:
    times = []
    for _ in range(repeats + 3):
        before()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[3:]) * 1e6, 1)


if __name__ == "__main__":
    main()
