"""Data for the programs beside this file, made by formula, in the file formats of the real ones."""

import atexit
import math
import os
import random
import shutil
import struct
import tempfile

import numpy as np

# The segments of a digit on a display: top, upper left and right, middle, lower left and right, bottom.
SEGMENTS = ["1110111", "0010010", "1011101", "1011011", "0111010",
            "1101011", "1101111", "1010010", "1111111", "1111011"]  # fmt: skip
BARS = [
    (0, 0, 0, 1),
    (0, 0, 1, 0),
    (0, 1, 1, 0),
    (1, 0, 0, 1),
    (1, 0, 1, 0),
    (1, 1, 1, 0),
    (2, 0, 0, 1),
]


def folder(given):
    """The folder that was asked for, or a new one that the end of the program removes."""
    if given:
        return given
    path, owner = tempfile.mkdtemp(), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(path, ignore_errors=True))
    return path


def digits(count, seed, size=28):
    """Pictures of digits ``(count, size, size)``, bytes, each moved and pressed differently; labels."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, 10, count)
    images = np.zeros((count, size, size), np.float32)
    length, width = size * 9 // 28, max(1, size // 14)
    for image, label in zip(images, labels):
        y, x = (
            (size - 2 * length) // 2 + rng.randint(-2, 1),
            (size - length) // 2 + rng.randint(-3, 3),
        )
        for (row, column, down, right), drawn in zip(BARS, SEGMENTS[label]):
            if drawn == "1":
                top, left = y + row * length, x + column * length
                image[top : top + width + down * length, left : left + width + right * length] = 1
        image *= rng.uniform(0.7, 1)
    images += rng.uniform(0, 0.1, images.shape)
    return (255 * images.clip(0, 1)).astype(np.uint8), labels.astype(np.uint8)


def mnist(root, train, test):
    """Write MNIST's four files, unless they are there."""
    raw = os.path.join(root, "raw")
    if os.path.exists(os.path.join(raw, "t10k-labels-idx1-ubyte")):
        return root
    os.makedirs(raw, exist_ok=True)
    for name, count, seed in ("train", train, 0), ("t10k", test, 1):
        images, labels = digits(count, seed)
        for array, kind in (images, "images-idx3"), (labels, "labels-idx1"):
            with open(os.path.join(raw, "%s-%s-ubyte" % (name, kind)), "wb") as file:
                file.write(struct.pack(">HBB%dI" % array.ndim, 0, 8, array.ndim, *array.shape))
                file.write(array.tobytes())
    return root


def pictures(root, count, size):
    """Write ``count`` PNG pictures of waves in colours, in a folder for each of two classes."""
    from PIL import Image

    rng = np.random.RandomState(0)
    y, x = np.mgrid[:size, :size] / float(size)
    for number in range(count):
        kind = "waves" if number % 2 else "rings"
        phase, pitch = rng.uniform(0, 6.3, (2, 3, 1, 1)) * [[[[1]]], [[[0.7]]]] + [[[[0]]], [[[6]]]]
        place = np.hypot(x - 0.5, y - 0.5) if kind == "rings" else rng.uniform(-1, 1) * x + y
        wave = 127 + 120 * np.sin(pitch * 3 * place + phase)
        os.makedirs(os.path.join(root, kind), exist_ok=True)
        picture = Image.fromarray(wave.transpose(1, 2, 0).astype(np.uint8))
        picture.save(os.path.join(root, kind, "%03d.png" % number))
    return root


def text(root, lines):
    """Write train.txt, valid.txt and test.txt: sentences whose verb agrees with the subject."""
    os.makedirs(root, exist_ok=True)
    for seed, (name, part) in enumerate([("train", 1.0), ("valid", 0.15), ("test", 0.15)]):
        draw = random.Random(seed)
        with open(os.path.join(root, name + ".txt"), "w") as file:
            for _ in range(int(lines * part)):
                noun = draw.choice(["dog", "cat", "bird", "king", "poet"])
                verb, thing = draw.choice([("eat", "bread"), ("read", "books"), ("sing", "songs")])
                plural = draw.random() < 0.5
                words = ["many", noun + "s", verb] if plural else ["the", noun, verb + "s"]
                file.write(" ".join(words + [draw.choice(["old", "new"]), thing]) + "\n")
    return root


def sines(count, length):
    """``(count, length)`` values of sine waves that begin at different places."""
    starts = np.random.RandomState(2).randint(-80, 80, (count, 1))
    return np.sin((np.arange(length) + starts) / 20.0).astype("float64")


class CartPole(object):
    """A pole on a cart that is pushed to the left (0) or right (1), until it falls or leaves.

    Reference: Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve
    difficult learning control problems", in the form that is often used: 0.02 seconds a step.
    """

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def reset(self):
        self.state = self.random.uniform(-0.05, 0.05, 4)
        self.steps = 0
        return self.state.copy()

    def step(self, action):
        _, speed, angle, turning = self.state
        force = 10.0 if action == 1 else -10.0
        cos, sin = math.cos(angle), math.sin(angle)
        push = (force + 0.05 * turning**2 * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        drive = push - 0.05 * turn * cos / 1.1
        self.state = self.state + 0.02 * np.array([speed, drive, turning, turn])
        self.steps += 1
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095
        return self.state.copy(), 1.0, bool(fallen or self.steps >= 200), {}
