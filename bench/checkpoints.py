"""Time of checkpoints and of images.

    python bench/checkpoints.py

Saving and loading 100 MiB beside writing and reading bytes, 2,000 small tensors, the pause of an
asynchronous save beside a copy in memory, a pretrained network in a fresh process, and preparing
JPEG images beside Pillow alone. Least of several times, in milliseconds.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

import dtorch
from dtorch.serialization import CheckpointManager

NETWORK = """
import dtorch
from dtorch.vision import models
model = models.resnet18(weights=__import__("sys").argv[1]).eval()
with dtorch.no_grad():
    model(dtorch.zeros(1, 3, 224, 224))
"""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    repeats = 5 if parser.parse_args().quick else 15
    with tempfile.TemporaryDirectory() as folder:
        results = {**files(folder, repeats), **pauses(folder, repeats)}
        results["resnet18_fresh_process_ms"] = fresh_network(folder, repeats // 3)
    results["images_per_second_over_pillow"] = images(repeats)
    print(json.dumps(results))


def least(function: Callable[[], object], repeats: int, clock=time.perf_counter) -> float:
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return round(min(times) * 1e3, 2)


def files(folder: str, repeats: int) -> dict[str, float]:
    big = {f"layer{i}.weight": dtorch.ones(1024, 2560) * i for i in range(10)}
    small = {f"block{i}.bias": dtorch.ones(256) * i for i in range(2000)}
    raw, content = os.path.join(folder, "raw"), bytearray(100 << 20)
    large, little = os.path.join(folder, "large.pt"), os.path.join(folder, "little.pt")

    def write() -> None:
        with open(raw, "wb", buffering=0) as file:
            file.write(content)

    def read() -> None:
        with open(raw, "rb", buffering=0) as file:
            file.readinto(content)

    return {
        "write_100MiB_ms": least(write, repeats),
        "save_100MiB_ms": least(lambda: dtorch.save(big, large), repeats),
        "read_100MiB_ms": least(read, repeats),
        "load_100MiB_ms": least(lambda: dtorch.load(large), repeats),
        "map_100MiB_ms": least(lambda: dtorch.load(large, mmap=True), repeats),
        "save_2000_tensors_ms": least(lambda: dtorch.save(small, little), repeats),
        "load_2000_tensors_ms": least(lambda: dtorch.load(little), repeats),
    }


def pauses(folder: str, repeats: int) -> dict[str, float]:
    state = {f"layer{i}.weight": dtorch.ones(1024, 2560) * i for i in range(10)}
    manager = CheckpointManager(os.path.join(folder, "run"), keep_last=1, asynchronous=True)
    times = []
    for step in range(repeats):
        start = time.perf_counter()
        manager.save(step, state)
        times.append(time.perf_counter() - start)
        manager.wait()
    source, target = (np.ones(100 << 18, np.float32) for _ in range(2))
    return {
        "copy_100MiB_ms": least(lambda: np.copyto(target, source), repeats),
        "pause_of_asynchronous_save_ms": round(min(times) * 1e3, 2),
    }


def fresh_network(folder: str, repeats: int) -> float:
    path = os.path.join(folder, "resnet18.pth")
    dtorch.save(dtorch.vision.models.resnet18().state_dict(), path)
    command = [sys.executable, "-c", NETWORK, path]
    return least(lambda: subprocess.run(command, check=True), repeats)


def images(repeats: int) -> float:
    """Random crops of a JPEG file that are prepared in a second of a core's time, over Pillow's."""
    from PIL import Image  # noqa: PLC0415 - all else goes without

    transforms = dtorch.vision.transforms
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC).save(jpeg, "JPEG")
    mean, std = (np.array(values, np.float32) * 255 for values in (MEAN, STD))
    prepare = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )

    def ours() -> None:
        for _ in range(20):
            prepare(Image.open(jpeg).convert("RGB"))

    def pillow() -> None:
        for _ in range(20):
            image = Image.open(jpeg).convert("RGB")
            ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            area = image.width * image.height * random.uniform(0.08, 0.8)
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            left = random.randint(0, max(image.width - width, 0))
            top = random.randint(0, max(image.height - height, 0))
            image = image.crop((left, top, left + width, top + height))
            image = image.resize((224, 224), Image.Resampling.BILINEAR)
            if random.random() < 0.5:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            np.ascontiguousarray(((np.asarray(image) - mean) / std).transpose(2, 0, 1))

    ratios = [
        least(pillow, 1, time.thread_time) / least(ours, 1, time.thread_time)
        for _ in range(repeats)
    ]
    return round(sorted(ratios)[len(ratios) // 2], 2)


if __name__ == "__main__":
    main()
