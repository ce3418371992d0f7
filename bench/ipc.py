"""Time of tensors between processes of this machine.

    python bench/ipc.py

Round trips through two queues in microseconds, and what a process costs that keeps many tensors.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

import dtorch
from dtorch import multiprocessing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    repeats = 50 if parser.parse_args().quick else 500
    context = multiprocessing.get_context("fork")
    print(json.dumps({
        "bytes_1KiB_us": round_trip_us(context, lambda: b"x" * 1024, repeats),
        "tensor_1KiB_us": round_trip_us(context, lambda: dtorch.ones(256), repeats),
        "private_64MiB_us": round_trip_us(context, lambda: dtorch.ones(16 << 20), 10),
        "shared_64MiB_us": round_trip_us(context, lambda: dtorch.ones(16 << 20).share_memory_(), 10),
        "live_tensors": live_tensors(context, 5000),
    }))  # fmt: skip


def round_trip_us(context, make, repeats: int) -> float:
    there, back = context.SimpleQueue(), context.SimpleQueue()
    process = context.Process(target=echo, args=(there, back))
    process.start()
    times = []
    for _ in range(repeats + 3):
        item = make()
        start = time.perf_counter()
        there.put(item)
        back.get()
        times.append(time.perf_counter() - start)
    there.put(None)
    process.join()
    return round(statistics.median(times[3:]) * 1e6, 1)


def echo(there, back) -> None:
    while (item := there.get()) is not None:
        back.put(item)


def live_tensors(context, count: int) -> dict[str, float]:
    """A receiver that keeps ``count`` tensors: its descriptors, and the time for all of them."""
    queue, answers = context.Queue(), context.SimpleQueue()
    process = context.Process(target=keep, args=(queue, answers, count))
    process.start()
    tensors = [dtorch.ones(256) for _ in range(count)]
    start = time.perf_counter()
    for tensor in tensors:
        queue.put(tensor)
    descriptors = answers.get()
    seconds = time.perf_counter() - start
    process.join()
    return {"count": count, "descriptors": descriptors, "seconds": round(seconds, 3)}


def keep(queue, answers, count: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tensors = [queue.get() for _ in range(count)]
    answers.put(len(os.listdir("/proc/self/fd")) - before)
    tensors.clear()


if __name__ == "__main__":
    main()
