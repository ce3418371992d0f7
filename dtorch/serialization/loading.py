"""`load`: what a checkpoint contains, whichever version wrote it."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from typing import Any, BinaryIO

from dtorch.core import classic
from dtorch.core.classic import Classic
from dtorch.core.errors import ArgumentError
from dtorch.serialization.errors import (
    CheckpointError,
    EmptyFileError,
    NoFileError,
    RefusedError,
)
from dtorch.serialization.location import CallerError, Restore, restore_by
from dtorch.serialization.source import FileSource, MappedSource, Source
from dtorch.serialization.stream_format import is_stream, read_stream
from dtorch.serialization.tar_format import is_tar, read_tar
from dtorch.serialization.zip_format import read_zip

_ZIP_MAGIC = b"PK\3\4"


def load(
    f: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save`, or a version of PyTorch, wrote.

    Of an archive of TorchScript the tensors are read, as a state dict; its program is not run.
    Quantised tensors come as the float32 numbers that they stand for.

    Args:
        f: a path, or a binary file object. Of one that cannot seek, such as a pipe, all is read.
        map_location: where storages go. None: the place they had; a device or its name; a dict
            from recorded to wanted names; a function ``(storage, tag)`` that gives a storage, or
            None to leave it to the tag.
        pickle_module: a module like `pickle` that unpickles instead; needs ``weights_only=False``.
        weights_only: make only tensors, plain containers, layers and optimizers of dtorch's own
            classes, and what `add_safe_globals` allows. False runs whatever code the file contains:
            only for files from those you trust. Default: True, unless the environment variable
            ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` is 1; ``TORCH_FORCE_WEIGHTS_ONLY_LOAD`` overrides
            False.
        mmap: map the file instead of reading it (paths only). Tensors are read when first used;
            changes stay in this process. The file must not be changed meanwhile.
        pickle_load_args: ``encoding`` and ``errors`` for texts that Python 2 wrote.
    Raises:
        CheckpointError: the file is damaged, no checkpoint, or names what is not allowed; also an
            `pickle.UnpicklingError`.
        DeviceError: a tensor was stored on a device that is not here.
    Example:
        >>> import dtorch, io
        >>> file = io.BytesIO()
        >>> dtorch.save([dtorch.zeros(1), "text"], file)
        >>> dtorch.load(io.BytesIO(file.getvalue()))
        [tensor([0.]), 'text']
    """
    safe = _is_safe(weights_only)
    try:
        return _load(f, map_location, pickle_module, safe, mmap, pickle_load_args)
    except RefusedError as error:
        if weights_only is not None or _is_set("TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
            raise
        if not classic.allows(Classic.FILE):
            raise classic.hinted(error) from None
    return _load(f, map_location, pickle_module, False, mmap, pickle_load_args)


def _load(
    f: Any, map_location: Any, pickle_module: Any, safe: bool, mmap: bool | None,
    pickle_load_args: dict[str, Any],
) -> Any:  # fmt: skip
    if pickle_module is not None and pickle_module is not pickle and safe:
        raise ArgumentError(
            "load: pickle_module needs weights_only=False, it unpickles as it likes"
        )
    options = {"pickle_module": pickle_module, **pickle_load_args}
    restore = restore_by(map_location)
    if isinstance(f, (str, os.PathLike)):
        if mmap:
            return _load_from(MappedSource(f), restore, safe, options)[0]
        with open(f, "rb", buffering=0) as file:
            return _load_from(FileSource(file), restore, safe, options)[0]
    if mmap:
        raise ArgumentError("load: mmap=True needs a path, got a file object")
    f = _seekable(f)
    start = f.tell()
    end = 0
    try:
        obj, end = _load_from(FileSource(f, start), restore, safe, options)
    finally:
        f.seek(start + end)  # another object may follow
    return obj


def _seekable(f: Any) -> BinaryIO:
    """The file, or what is left of it, in memory."""
    missing = [name for name in ("read", "seek", "tell") if not hasattr(f, name)]
    if missing:
        raise NoFileError(
            f"load: f is {type(f).__name__} without {' and '.join(missing)}, expected a path or a "
            "binary file. You can only torch.load from a file that is seekable. Please pre-load the "
            "data into a buffer like io.BytesIO and try to load from it instead"
        )
    try:
        f.seek(f.tell())
    except OSError:
        return io.BytesIO(f.read())
    return f  # type: ignore[no-any-return]


def _is_safe(weights_only: bool | None) -> bool:
    """Whether no code of the file may run, by the caller and the environment."""
    trusting = _is_set("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    careful = _is_set("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    if trusting and careful:
        raise ArgumentError(
            "load: TORCH_FORCE_WEIGHTS_ONLY_LOAD and TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD are both set; "
            "unset one of them"
        )
    if careful:
        return True
    if weights_only is None and trusting:
        warnings.warn(
            "load: TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, so the file may run whatever code it "
            "contains",
            UserWarning,
            stacklevel=3,
        )
        return False
    return weights_only is None or bool(weights_only)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "0").lower() in ("1", "y", "yes", "true")


def _load_from(
    source: Source, restore: Restore, safe: bool, options: dict[str, Any]
) -> tuple[Any, int]:
    """The object in a file, and where in it the object ends."""
    try:
        return _read(source, restore, safe, options)
    except CallerError as carrier:
        raise carrier.error from carrier.error.__cause__


def _read(source: Source, restore: Restore, safe: bool, options: dict[str, Any]) -> tuple[Any, int]:
    start = bytes(source.read(0, 512))
    if start.startswith(_ZIP_MAGIC):
        return read_zip(source, restore, safe, options), source.nbytes
    if is_stream(start):
        return read_stream(source, 0, restore, safe, options)
    if is_tar(start):
        return read_tar(source, restore, safe, options), source.nbytes
    if not start:
        raise EmptyFileError("load: the file is empty, or all of it was read")
    raise CheckpointError(
        f"load: this is no checkpoint: it starts with {start[:16]!r}, expected a zip archive, or a "
        "stream or tar archive of an old version"
    )
