"""Files of datasets: downloaded, checked, listed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dtorch.model_zoo.cache import file_name_of
from dtorch.model_zoo.download import Expected, fetch
from dtorch.vision.datasets.archives import extract_archive

__all__ = [
    "check_integrity",
    "download_and_extract",
    "download_url",
    "extract_archive",
    "list_dir",
    "list_files",
]


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
