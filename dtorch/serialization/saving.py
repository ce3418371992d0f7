"""`save`: an object with its tensors, to a file that the reference implementation can read."""

from __future__ import annotations

import io
import os
import pickle
import sys
from typing import Any, BinaryIO, NamedTuple

from dtorch.serialization.archive import ALIGNMENT, ArchiveWriter, Writable
from dtorch.serialization.atomic import replacing
from dtorch.serialization.errors import NoFileError
from dtorch.serialization.pickler import CheckpointPickler, StoredStorage
from dtorch.serialization.stream_format import write_stream

_VERSION = b"3\n"


def save(
    obj: Any,
    f: str | os.PathLike[str] | BinaryIO,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write ``obj`` to a file; PyTorch reads it with ``torch.load``.

    A storage is written once, and whole: tensors that share one come back sharing it, and a small
    view takes its whole storage along (``clone()`` it where that is too much). Gradients and
    graphs are not written.

    Args:
        obj: anything that can be pickled; best a ``state_dict()`` or a dict of such.
        f: a path or a binary file object. A path stands for the old file until the new one is
            complete.
        pickle_module: a module like `pickle` whose ``_Pickler`` writes what is no tensor.
        pickle_protocol: pickle's protocol, 2 or higher.
        _use_new_zipfile_serialization: False writes the stream of versions before 1.6.
    Raises:
        TypeError: ``f`` is neither a path nor a file to write to.
        OSError: the file cannot be written; the old one is left as it was.
    Example:
        >>> import dtorch, io
        >>> file = io.BytesIO()
        >>> dtorch.save({"weight": dtorch.ones(2)}, file)
        >>> _ = file.seek(0)
        >>> dtorch.load(file)
        {'weight': tensor([1., 1.])}
    """
    pickler = pickler_class(pickle_module)

    def write(file: BinaryIO, name: str) -> None:
        if _use_new_zipfile_serialization:
            write_zip(contents_of(obj, pickler, pickle_protocol), file, name)
        else:
            write_stream(obj, file, pickler, pickle_protocol)

    if isinstance(f, (str, os.PathLike)):
        with replacing(f) as file:
            write(file, _archive_name(f))
    elif hasattr(f, "write"):
        if isinstance(f, io.RawIOBase):
            buffered = io.BufferedWriter(f)
            write(buffered, "archive")
            buffered.detach()
        else:
            write(f, "archive")
    else:
        raise NoFileError(
            f"save: f is {type(f).__name__}, expected a path or a file open for writing"
        )


def pickler_class(pickle_module: Any) -> type[CheckpointPickler]:
    """The pickler for checkpoints that leaves other objects to ``pickle_module``."""
    if pickle_module is None or pickle_module is pickle:
        return CheckpointPickler
    for name in ("_Pickler", "Pickler"):
        base = getattr(pickle_module, name, None)
        if isinstance(base, type) and issubclass(base, pickle._Pickler):
            return type("ModulePickler", (CheckpointPickler, base), {})
    raise TypeError(
        f"save: pickle_module is {pickle_module!r}, expected a module whose Pickler derives from "
        "that of pickle in Python, such as dill"
    )


def _archive_name(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(os.path.basename(os.fspath(path)))[0] or "archive"


class Contents(NamedTuple):
    """What goes into a file: the object without the contents of its storages, and these.

    Attributes:
        record: the pickle.
        storages: in the order of their numbers in the pickle.
    """

    record: bytes
    storages: list[StoredStorage]

    def copy(self) -> Contents:
        """The contents in memory of their own."""
        return Contents(self.record, [s._replace(array=s.array.copy()) for s in self.storages])


def contents_of(
    obj: Any, pickler: type[CheckpointPickler] = CheckpointPickler, protocol: int = 2
) -> Contents:
    """What a file with this object contains; the storages are the object's own memory."""
    stream = io.BytesIO()
    writer = pickler(stream, protocol)
    writer.dump(obj)
    return Contents(stream.getvalue(), writer.table.storages)


def write_zip(contents: Contents, file: Writable, name: str) -> None:
    """Write a file in the format since 1.6."""
    archive = ArchiveWriter(file)
    archive.add(f"{name}/data.pkl", contents.record)
    archive.add(f"{name}/.format_version", b"1")
    archive.add(f"{name}/.storage_alignment", str(ALIGNMENT).encode())
    archive.add(f"{name}/byteorder", sys.byteorder.encode())
    for key, storage in enumerate(contents.storages):
        archive.add(f"{name}/data/{key}", storage.data)
    archive.add(f"{name}/version", _VERSION)
    archive.close()
