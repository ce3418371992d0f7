"""Data sets in their true file formats, made by formula, so that the examples need no download.

Whoever has the real files names their folder with --data: what is there is not written again.
"""

import gzip
import math
import os
import pickle
import random
import struct
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(tempfile.gettempdir()) / f"dtorch-examples-{os.getuid()}"


def write(path, content):
    """Write a file all at once: another example that is started now finds it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


# ------------------------------------------------------------------ handwritten digits as MNIST has

# The strokes of a digit: corners of lines in a square, y downwards; "o" is an arc, given by centre,
# radii and the angles in degrees where it begins and ends.
STROKES = {
    0: [("o", 0.5, 0.5, 0.28, 0.4, 0, 360)],
    1: [(0.35, 0.25, 0.55, 0.1, 0.55, 0.9)],
    2: [("o", 0.5, 0.32, 0.26, 0.22, -170, 30), (0.72, 0.43, 0.24, 0.9, 0.78, 0.9)],
    3: [("o", 0.47, 0.3, 0.24, 0.2, -150, 90), ("o", 0.47, 0.7, 0.27, 0.2, -90, 150)],
    4: [(0.6, 0.1, 0.22, 0.62, 0.8, 0.62), (0.62, 0.4, 0.62, 0.9)],
    5: [(0.72, 0.1, 0.34, 0.1, 0.3, 0.46), ("o", 0.48, 0.65, 0.26, 0.24, -130, 150)],
    6: [(0.62, 0.1, 0.3, 0.55), ("o", 0.5, 0.67, 0.24, 0.23, 0, 360)],
    7: [(0.22, 0.12, 0.78, 0.12, 0.42, 0.9)],
    8: [("o", 0.5, 0.3, 0.2, 0.19, 0, 360), ("o", 0.5, 0.7, 0.25, 0.21, 0, 360)],
    9: [("o", 0.5, 0.33, 0.23, 0.22, 0, 360), (0.73, 0.36, 0.58, 0.9)],
}


def _segments(digit):
    """The digit's strokes as straight pieces ``(pieces, 2 ends, 2 coordinates)``."""
    pieces = []
    for stroke in STROKES[digit]:
        if stroke[0] == "o":
            _, x, y, rx, ry, first, last = stroke
            angles = np.radians(np.linspace(first, last, 2 + (last - first) // 45))
            points = np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)
        else:
            points = np.reshape(stroke, (-1, 2))
        pieces.append(np.stack([points[:-1], points[1:]], axis=1))
    return np.concatenate(pieces)


def draw_digits(labels, rng, size=28):
    """Digits ``(N, size, size)`` of bytes, each slanted, stretched, moved and pressed differently."""
    images = np.empty((len(labels), size, size), np.uint8)
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    pixels = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(1, -1, 1, 2)
    for digit in range(10):
        where = np.flatnonzero(labels == digit)
        for chosen in np.array_split(where, max(1, len(where) // 64)):
            n = len(chosen)
            angle, slant = rng.normal(0, 0.12, n), rng.normal(0, 0.15, n)
            wide, high = rng.uniform(0.6, 0.85, n), rng.uniform(0.65, 0.85, n)
            cos, sin = np.cos(angle), np.sin(angle)
            matrix = np.array([[cos * wide, (slant - sin) * high], [sin * wide, cos * high]])
            moved = np.einsum("ijn,sej->nsei", matrix, _segments(digit) - 0.5)
            moved += rng.normal(0.5, 0.03, (n, 1, 1, 2)) + rng.normal(0, 0.008, moved.shape)
            begin, end = np.moveaxis(moved.astype(np.float32)[:, None], 3, 0)
            along = end - begin
            share = ((pixels - begin) * along).sum(-1) / (along**2).sum(-1)
            nearest = begin + share.clip(0, 1)[..., None] * along
            distance = np.sqrt(((pixels - nearest) ** 2).sum(-1).min(-1))
            width = rng.uniform(0.03, 0.06, (n, 1))
            ink = (1.5 - (distance - width) * size).clip(0, 1) * rng.uniform(0.8, 1, (n, 1))
            images[chosen] = (255 * ink).reshape(n, size, size)
    return images


def mnist(folder):
    """Put MNIST's four files there: 3,000 digits to train on and 500 to test."""
    for name, count, seed in ("train", 3000, 0), ("t10k", 500, 1):
        images = Path(folder) / f"{name}-images-idx3-ubyte.gz"
        labels = Path(folder) / f"{name}-labels-idx1-ubyte.gz"
        if images.exists() and labels.exists():
            continue
        rng = np.random.default_rng(seed)
        digits = rng.integers(0, 10, count).astype(np.uint8)
        for path, array in (images, draw_digits(digits, rng)), (labels, digits):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            write(path, gzip.compress(head + array.tobytes(), compresslevel=1))


def read_idx(path):
    """The array of bytes in a file of the idx format, which MNIST comes in."""
    with gzip.open(path) as file:
        zero, kind, ndim = struct.unpack(">HBB", file.read(4))
        if zero != 0 or kind != 8:
            raise ValueError(f"{path} is no idx file of bytes")
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


# ------------------------------------------------------------------------- pictures as CIFAR-10 has

SHAPES = {  # where they are, in a square from -1 to 1
    "disc": lambda x, y: np.hypot(x, y) < 0.8,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.7,
    "triangle": lambda x, y: (y < 0.7) & (y > 2 * abs(x) - 0.8),
    "ring": lambda x, y: abs(np.hypot(x, y) - 0.6) < 0.2,
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.2) & within(x, y),
    "bar": lambda x, y: (abs(x) < 0.25) & (abs(y) < 0.9),
    "diamond": lambda x, y: abs(x) + abs(y) < 0.8,
    "checks": lambda x, y: (np.sin(8 * x) * np.sin(8 * y) > 0) & within(x, y),
    "dots": lambda x, y: (np.cos(9 * x) + np.cos(9 * y) > 0.8) & within(x, y),
    "stripes": lambda x, y: (np.sin(11 * y) > 0) & within(x, y),
}


def within(x, y):
    return np.maximum(abs(x), abs(y)) < 0.8


def draw_shapes(labels, rng, size=32):
    """Shapes ``(N, 3, size, size)`` of bytes, turned, light on dark in any colours, under noise."""
    n = len(labels)
    line = np.linspace(-1, 1, size, dtype=np.float32)
    angle = rng.uniform(-0.3, 0.3, (n, 1, 1)).astype(np.float32)
    x = (line - rng.uniform(-0.2, 0.2, (n, 1, 1))) / rng.uniform(0.6, 0.9, (n, 1, 1))
    y = (line[:, None] - rng.uniform(-0.2, 0.2, (n, 1, 1))) / rng.uniform(0.6, 0.9, (n, 1, 1))
    x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    shape = np.zeros((n, 1, size, size), bool)
    for label, inside in enumerate(SHAPES.values()):
        shape[labels == label, 0] = inside(x[labels == label], y[labels == label])
    back, front = rng.uniform(0, 0.4, (2, n, 3, 1, 1))
    front += 0.5
    image = np.where(shape, front, back) + rng.normal(0, 0.05, (n, 3, size, size))
    return (255 * image.clip(0, 1)).astype(np.uint8)


def cifar10(folder):
    """Put the pickled batches of CIFAR-10 there: 5 of 500 pictures to train on and 500 to test."""
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for seed, name in enumerate(names):
        if not (Path(folder) / name).exists():
            rng = np.random.default_rng(seed)
            labels = rng.integers(0, 10, 500)
            data = draw_shapes(labels, rng).reshape(500, -1)
            batch = {b"batch_label": name.encode(), b"labels": labels.tolist(), b"data": data}
            write(Path(folder) / name, pickle.dumps(batch, protocol=2))
    if not (Path(folder) / "batches.meta").exists():
        meta = {b"label_names": [shape.encode() for shape in SHAPES], b"num_vis": 3072}
        write(Path(folder) / "batches.meta", pickle.dumps(meta, protocol=2))


# --------------------------------------------------------------------------- sentences, and hours

NOUNS = ["dog", "cat", "horse", "bird", "sister", "farmer", "painter", "doctor", "sailor", "king"]
ADJECTIVES = ["small", "old", "happy", "quiet", "clever", "tired", "young", "strange"]
OBJECTS = {  # what is done, and to what it is done
    "eat": ["apple", "bread", "soup", "cake"],
    "read": ["book", "letter", "poem", "map"],
    "build": ["house", "boat", "bridge", "wall"],
    "paint": ["river", "moon", "garden", "road"],
    "sing": ["song", "hymn", "ballad"],
    "lift": ["stone", "basket", "lamp", "box"],
}


def sentence(rng):
    """The words of a sentence, and the logarithm of the probability with which it comes.

    A verb agrees with its subject, even beyond a clause that stands between, and an object with its
    verb: what can be known is known by heart after a while, and the rest is dice.
    """
    words, chance = [], 0.0

    def say(*choices):
        nonlocal chance
        word = rng.choice(choices)
        chance += math.log(choices.count(word) / len(choices))
        words.append(word)
        return word

    def predicate(verb):
        say("the")
        say(*OBJECTS[verb.removesuffix(verb_ending)])

    ending, verb_ending = ("s", "") if say("a", "many") == "many" else ("", "s")
    subjects = [noun + ending for noun in NOUNS]
    verbs = [verb + verb_ending for verb in OBJECTS]
    if say(*ADJECTIVES, *subjects) in ADJECTIVES:
        say(*subjects)
    said = say(*verbs, "that", "that")
    if said == "that":
        predicate(say(*verbs))
        said = say(*verbs)
    predicate(said)
    return words, chance


def sentences(folder):
    """Put train.txt, valid.txt and test.txt there, of 6,000, 400 and 400 sentences, one a line."""
    for seed, (name, count) in enumerate({"train": 6000, "valid": 400, "test": 400}.items()):
        path = Path(folder) / f"{name}.txt"
        if not path.exists():
            rng = random.Random(seed)
            lines = [" ".join(sentence(rng)[0]) for _ in range(count)]
            write(path, ("\n".join(lines) + "\n").encode())


def hours(folder):
    """Put input.txt there: 4,000 lines on the hours of a clock, such as "after nine comes ten"."""
    path = Path(folder) / "input.txt"
    if not path.exists():
        rng = random.Random(0)
        names = [
            "twelve",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
        ]
        lines = []
        for _ in range(4000):
            relation, distance = rng.choice([("after", 1), ("before", -1), ("opposite", 6)])
            hour = rng.randrange(12)
            lines.append(f"{relation} {names[hour]} comes {names[(hour + distance) % 12]}\n")
        write(path, "".join(lines).encode())


# ------------------------------------------------------------------- papers that cite each other


def cora(folder, papers=700, topics=7, words=140, links=4):
    """Put cora.content and cora.cites there: papers with their words and topic, and who cites whom.

    Three of four citations are to papers of the same topic, and a word of a topic comes up twice as
    often as others: neither says much, both together tell a paper's topic.
    """
    content, cites = Path(folder) / "cora.content", Path(folder) / "cora.cites"
    if content.exists() and cites.exists():
        return
    rng = np.random.default_rng(0)
    topic = rng.integers(0, topics, papers)
    typical = np.arange(words) % topics == topic[:, None]
    has = rng.random((papers, words)) < np.where(typical, 0.12, 0.06)
    names = rng.permutation(10 * papers)[:papers]
    lines = [
        f"{names[i]}\t" + "\t".join(map(str, has[i] + 0)) + f"\tTopic_{topic[i]}\n"
        for i in range(papers)
    ]
    write(content, "".join(lines).encode())
    lines = []
    for paper in range(papers):
        own, others = np.flatnonzero(topic == topic[paper]), np.flatnonzero(topic != topic[paper])
        cited = {int(rng.choice(own if rng.random() < 0.75 else others)) for _ in range(links)} - {
            paper
        }
        lines += [f"{names[other]}\t{names[paper]}\n" for other in sorted(cited)]
    write(cites, "".join(lines).encode())
