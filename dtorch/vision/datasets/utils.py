"""Files of datasets: downloaded, checked, unpacked, listed."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo.cache import file_name_of
from dtorch.model_zoo.download import Expected, fetch


def check_integrity(fpath: str | os.PathLike[str], md5: str | None = None) -> bool:
    """Whether a file is there and, if ``md5`` is given, has this checksum."""
    if not os.path.isfile(fpath):
        return False
    if md5 is None:
        return True
    with open(fpath, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == md5.lower()


def download_url(
    url: str, root: str | os.PathLike[str], filename: str | None = None, md5: str | None = None
) -> None:
    """Download an address into the directory ``root``; skipped if the file is fine already.

    Args:
        filename: name of the file. Default: the last part of the address.
        md5: its checksum.
    Raises:
        DownloadError: the file cannot be had, or (HashMismatch) has another checksum.
    """
    path = Path(root).expanduser() / file_name_of(url, filename)
    if not check_integrity(path, md5):
        fetch(url, path, Expected(md5=md5), replace=True)


def extract_archive(
    archive: str | os.PathLike[str], directory: str | os.PathLike[str] | None = None
) -> None:
    """Unpack a tar, zip or gz file.

    Args:
        directory: where to. Default: the archive's.
    Raises:
        ArgumentError: a name in the archive leads out of the directory, its entries overlap (and
            would unpack to far more than it), or its kind is unknown.
    """
    path = Path(archive)
    target = path.parent if directory is None else Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            try:
                tar.extractall(target, filter="data")
            except tarfile.FilterError as error:
                raise ArgumentError(f"{path}: not unpacked, {error}") from error
    elif zipfile.is_zipfile(path):
        _extract_zip(path, target)
    elif path.suffix == ".gz":
        unpacked = target / path.stem
        with gzip.open(path) as source, unpacked.open("wb") as file:
            shutil.copyfileobj(source, file)
    else:
        raise ArgumentError(f"{path} is no tar, zip or gz file")


def _extract_zip(path: Path, target: Path) -> None:
    inside = target.resolve()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not (inside / name).resolve().is_relative_to(inside):
                raise ArgumentError(f"{path}: not unpacked, {name!r} leads out of the directory")
        if sum(entry.compress_size for entry in archive.infolist()) > path.stat().st_size:
            raise ArgumentError(f"{path}: not unpacked, its entries overlap each other")
        archive.extractall(target)


def download_and_extract(
    url: str, root: str | os.PathLike[str], filename: str | None = None, md5: str | None = None
) -> None:
    """Download an archive into ``root`` and unpack it there."""
    download_url(url, root, filename, md5)
    extract_archive(Path(root).expanduser() / file_name_of(url, filename))


def list_dir(root: str | os.PathLike[str], prefix: bool = False) -> list[str]:
    """Sorted names of the directories in ``root``, with its path before them if ``prefix``."""
    root = os.path.expanduser(root)
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    return [os.path.join(root, name) for name in names] if prefix else names


def list_files(
    root: str | os.PathLike[str], suffix: str | tuple[str, ...], prefix: bool = False
) -> list[str]:
    """Sorted names of the files in ``root`` with this ending, or one of these."""
    root = os.path.expanduser(root)
    names = sorted(
        entry.name for entry in os.scandir(root) if entry.is_file() and entry.name.endswith(suffix)
    )
    return [os.path.join(root, name) for name in names] if prefix else names
