"""Unpacking archives that come from the network."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dtorch.core.errors import ArgumentError
from dtorch.serialization.locks import hold

TIMES = 100  # how much larger than the archive its contents may be
AT_LEAST = 64 << 20
_CHUNK = 1 << 18
_BLOCK = 512  # of a tar archive
_COMPRESSED: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open),
)  # fmt: skip
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile,
           EOFError, NotImplementedError, UnicodeDecodeError)  # fmt: skip


def limit_of(path: Path) -> int:
    """How many bytes an archive may hold: 100 times its own, and 64 MiB at least."""
    return max(TIMES * path.stat().st_size, AT_LEAST)


class Limited:
    """Reads a stream up to a limit.

    Args:
        stream: open for reading.
        path: the archive, for the message.
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = limit_of(path)

    def read(self, nbytes: int = _CHUNK) -> bytes:
        """The next bytes.

        Raises:
            ArgumentError: they are beyond the limit.
        """
        piece = self._stream.read(min(nbytes, self._left + 1))
        self._left -= len(piece)
        if self._left < 0:
            raise ArgumentError(
                f"{self._path}: not unpacked, it holds more than {limit_of(self._path)} bytes, "
                f"{TIMES} times its own size"
            )
        return piece


@contextlib.contextmanager
def reading(path: Path, packed: bool = True) -> Iterator[Limited]:
    """The content of a file; decompressed if it is compressed, unless it is not ``packed``."""
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(path.open("rb"))
        start = file.read(6)
        file.seek(0)
        for magic, opened in _COMPRESSED:
            if packed and start.startswith(magic):
                file = stack.enter_context(opened(file))
        yield Limited(file, path)


def extract_archive(
    archive: str | os.PathLike[str], directory: str | os.PathLike[str] | None = None
) -> None:
    """Unpack a tar, zip, gz, bz2 or xz file.

    All of it is unpacked beside its place first, so that nothing is there after an error.

    Args:
        directory: where to. Default: the archive's.
    Raises:
        ArgumentError: it is damaged or of another kind; it has links or devices; a name in it leads
            out of the directory or is there twice; its entries overlap; or it would unpack to more
            than 100 times its size (but 64 MiB are always allowed).
    """
    path = Path(archive)
    target = path.parent if directory is None else Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target, path.name)
    beside = target / f".{path.name}.{secrets.token_hex(4)}.unpacking"
    beside.mkdir()
    held = hold(beside, os.O_RDONLY)
    try:
        _unpack(path, beside)
        _move_into(beside, target)
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disc, not of the archive
        raise ArgumentError(f"{path}: not unpacked, it is damaged: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if held is not None:
            held.close()


def _remove_leftovers(target: Path, name: str) -> None:
    """Remove what a process that was killed has left half unpacked."""
    for left in target.glob(f".{name}.*.unpacking"):
        with contextlib.suppress(OSError):
            held = hold(left, os.O_RDONLY)
            if held is not None and held.is_locked:
                shutil.rmtree(left, ignore_errors=True)


def _unpack(path: Path, target: Path) -> None:
    with reading(path) as stream:
        start = stream.read(_BLOCK)
    if _is_tar(start):
        with reading(path) as stream:
            _unpack_tar(path, stream, target)
    elif zipfile.is_zipfile(path):
        _unpack_zip(path, target)
    elif path.suffix in (".gz", ".bz2", ".xz"):
        with reading(path) as stream:
            _write(stream, target / path.stem)
    else:
        raise ArgumentError(f"{path} is no tar, zip or gz file, nor one of bz2 or xz")


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _unpack_tar(path: Path, stream: Limited, target: Path) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]  # it reads only
        for member in tar:
            place = _place(path, target, member.name)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                place.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                if content is None or member.issparse():
                    raise ArgumentError(f"{path}: not unpacked, {member.name!r} is no plain file")
                _write(content, place, path)
            else:
                raise ArgumentError(f"{path}: not unpacked, {member.name!r} is a link or a device")


def _unpack_zip(path: Path, target: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.compress_size for entry in entries) > path.stat().st_size:
            raise ArgumentError(f"{path}: not unpacked, its entries overlap each other")
        if sum(entry.file_size for entry in entries) > limit_of(path):
            raise ArgumentError(
                f"{path}: not unpacked, it holds more than {limit_of(path)} bytes, {TIMES} times its "
                "own size"
            )
        for entry in entries:
            place, kind = _place(path, target, entry.filename), entry.external_attr >> 16
            if stat.S_IFMT(kind) not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & 1:
                raise ArgumentError(
                    f"{path}: not unpacked, {entry.filename!r} is a link, a device or encrypted"
                )
            if entry.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as content:
                _write(content, place, path)


def _place(path: Path, target: Path, name: str) -> Path:
    """Where a member goes."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith("/") or ".." in parts or "\0" in name or any(":" in p for p in parts[:1]):
        raise ArgumentError(f"{path}: not unpacked, {name!r} leads out of the directory")
    return target.joinpath(*parts)


def _write(content: Any, place: Path, archive: Path | None = None) -> None:
    try:
        with place.open("xb") as file:
            while piece := content.read(_CHUNK):
                file.write(piece)
    except (FileExistsError, IsADirectoryError):
        raise ArgumentError(f"{archive}: not unpacked, it has {place.name!r} twice") from None


def _move_into(source: Path, target: Path) -> None:
    for directory, _, files in os.walk(source):
        place = target / Path(directory).relative_to(source)
        place.mkdir(exist_ok=True)
        for name in files:
            os.replace(Path(directory, name), place / name)
