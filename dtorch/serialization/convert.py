"""What the command line does: look into files, change their format, check them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.serialization import safetensors
from dtorch.serialization.archive import Archive
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.loading import load
from dtorch.serialization.saving import save
from dtorch.serialization.source import FileSource

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.")


def read(path: str | os.PathLike[str], weights_only: bool = True) -> Any:
    """The content of a file of any format, on the CPU."""
    if os.fspath(path).endswith(".safetensors"):
        return safetensors.load_file(path)
    return load(path, map_location="cpu", weights_only=weights_only)


def tensors_in(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested dicts and lists, with names such as ``model.0.weight``."""
    if isinstance(content, Tensor):
        yield name or "(the object itself)", content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from tensors_in(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, (list, tuple)):
        for index, value in enumerate(content):
            yield from tensors_in(value, f"{name}.{index}" if name else str(index))
    elif hasattr(content, "state_dict"):
        yield from tensors_in(content.state_dict(), name)


def inspect(path: str | os.PathLike[str], weights_only: bool = True) -> list[str]:
    """A table of the tensors in a file, as lines."""
    rows = [
        (name, tensor.dtype.name, str(tuple(tensor.shape)), tensor.nbytes)
        for name, tensor in tensors_in(read(path, weights_only))
    ]
    widths = [max([len(str(row[i])) for row in rows], default=0) for i in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {dtype:<{widths[1]}}  {shape:<{widths[2]}}  {nbytes:>{widths[3]}}"
        for name, dtype, shape, nbytes in rows
    ]
    total = sum(row[3] for row in rows)
    return [*lines, f"{len(rows)} tensors, {total} bytes"]


def convert(source: str, target: str, weights_only: bool = True, old_format: bool = False) -> None:
    """Write the content of one file in the format that the other's name ends with.

    Args:
        target: ``.safetensors`` writes that format, with names joined by dots; anything else a
            checkpoint.
        old_format: write the stream that versions before 1.6 read.
    """
    content = read(source, weights_only)
    if target.endswith(".safetensors"):
        safetensors.save_file(dict(tensors_in(content)), target)
    else:
        save(content, target, _use_new_zipfile_serialization=not old_format)


def verify(path: str | os.PathLike[str], sha256: str | None = None) -> str:
    """Read a whole file, comparing its checksums; returns its SHA-256.

    Args:
        sha256: what the hash has to begin with; if left out and the file's name ends in a dash and
            hexadecimal digits, as those of published weights do, these.
    Raises:
        CheckpointError: the file is damaged, or its hash is another one.
    """
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        if file.read(4) == b"PK\3\4":
            Archive(FileSource(file)).verify()
    in_name = _HASH_IN_NAME.search(Path(path).name)
    wanted = sha256 or (in_name[1] if in_name else "")
    if not found.startswith(wanted.lower()):
        raise CheckpointError(f"{path}: its SHA-256 is {found}, expected {wanted}")
    read(path)
    return found
