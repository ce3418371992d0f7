"""What the command line does: look into files, change their format, check them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.serialization import safetensors
from dtorch.serialization.archive import Archive
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.loading import load
from dtorch.serialization.saving import save
from dtorch.serialization.source import FileSource

_MOST_VALUES, _LONGEST_NAME = 1_000_000, 4096
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.")


def read(path: str | os.PathLike[str], weights_only: bool = True) -> Any:
    """The content of a file of any format, on the CPU."""
    if os.fspath(path).endswith(".safetensors"):
        return safetensors.load_file(path)
    return load(path, map_location="cpu", weights_only=weights_only)


def tensors_in(content: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested dicts and lists, with names such as ``model.0.weight``.

    Raises:
        CheckpointError: containers lie in each other without an end, or twice and twice again.
    """
    todo: list[tuple[str, Any]] = [("", content)]
    for _ in range(_MOST_VALUES):
        if not todo:
            return
        name, value = todo.pop()
        if len(name) > _LONGEST_NAME:
            break
        if isinstance(value, Tensor):
            yield name or "(the object itself)", value
            continue
        if hasattr(value, "state_dict"):
            value = value.state_dict()
        pairs: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, dict):
            pairs = value.items()
        elif isinstance(value, (list, tuple)):
            pairs = enumerate(value)
        inner = [(f"{name}.{key}" if name else str(key), item) for key, item in pairs]
        todo.extend(reversed(inner))
    raise CheckpointError("checkpoint: its containers lie within each other without an end")


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
        tensors = dict(tensors_in(content))
        for name, tensor in tensors.items():
            if tensor.nbytes > tensor.untyped_storage().size():
                raise CheckpointError(
                    f"{source}: {name} of shape {tuple(tensor.shape)} is larger than its memory, and "
                    "safetensors would hold all of it"
                )
        safetensors.save_file(tensors, target)
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
