"""Pictures written as PNG files, with nothing but Python."""

import struct
import zlib
from pathlib import Path

import numpy as np


def save_picture(path, images, columns=8):
    """Write images ``(N, 1 or 3, height, width)`` of values from 0 to 1, side by side in a grid."""
    images = np.asarray(images, dtype=np.float32)
    n, channels, height, width = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = np.zeros((rows * columns, channels, height, width), np.float32)
    grid[:n] = images.clip(0, 1)
    grid = grid.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    pixels = (
        (255 * grid).round().astype(np.uint8).reshape(rows * height, columns * width * channels)
    )
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)  # 0: the line is not filtered

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    kind = {1: 0, 3: 2}[channels]  # grey, or red-green-blue
    head = struct.pack(">IIBBBBB", columns * width, rows * height, 8, kind, 0, 0, 0)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
