"""Downloads: repeated until complete, checked, put in place at once, by one process of many."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo.errors import DownloadError, HashMismatch
from dtorch.model_zoo.lock import file_lock
from dtorch.model_zoo.partial import Partial
from dtorch.model_zoo.transfer import Interrupted, Refused, attempt, copy_file

ATTEMPTS = 5  # without progress worth the name
FIRST_WAIT = 0.5  # seconds; doubled after each attempt
LONGEST_WAIT = 30.0  # seconds, whatever the server asks for
_WORTH = 1024 * 1024  # bytes after which an attempt does not count as failed
OFFLINE = "DTORCH_OFFLINE"  # environment variable: 1 means never to connect


@dataclass(frozen=True)
class Expected:
    """What is known about a file beforehand.

    Attributes:
        sha256_prefix: first hex digits of its SHA-256.
        md5: all hex digits of its MD5.
    """

    sha256_prefix: str | None = None
    md5: str | None = None

    def check(self, path: Path, url: str) -> None:
        """Raise HashMismatch if the file is another."""
        for algorithm, expected in (("sha256", self.sha256_prefix), ("md5", self.md5)):
            if expected is None:
                continue
            with path.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            if not found.startswith(expected.lower()):
                raise HashMismatch(
                    f"{url}: the {algorithm} of the file is {found}, expected {expected}; nothing "
                    "was stored. The file at this address has changed or was damaged on its way; "
                    "if its name is not meant as a hash, pass another as file_name="
                )


def fetch(
    url: str, destination: Path, expected: Expected = Expected(), *, progress: bool = True,
    replace: bool = False,
) -> Path:  # fmt: skip
    """Have the file at ``url`` as ``destination``, which is returned.

    A file that is there is left alone, unless it is to be replaced. Otherwise one process downloads it while others that want
    it wait. Nothing appears under that name before it is complete and checked.

    Args:
        url: of scheme http, https or file.
        progress: show the progress on stderr.
        replace: download even if there is a file, which stays until the new one is complete.
    Raises:
        ArgumentError: another scheme.
        DownloadError: the file cannot be had or cannot be stored; says where to put it by hand.
    """
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https", "file"):
        raise ArgumentError(f"{url!r} has the scheme {scheme!r}, expected http, https or file")
    if destination.exists() and not replace:
        return destination
    if scheme != "file" and os.environ.get(OFFLINE, "") not in ("", "0"):
        raise DownloadError(
            f"{url}: {OFFLINE} is set, so nothing is downloaded; {_hint(destination)}"
        )
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(destination.with_name(f".{destination.name}.lock")):
            if replace or not destination.exists():
                _download(url, destination, expected, progress)
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(_explain(url, destination, error)) from error
    return destination


def _hint(destination: Path) -> str:
    return f"on a machine without network put the file at {destination}"


def _explain(url: str, destination: Path, error: OSError) -> str:
    where = destination.parent
    if error.errno == errno.ENOSPC:
        return f"{url}: no space left in {where}; make room or choose another directory"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{url}: cannot write to {where} ({error.strerror}); pass model_dir= or set "
            "TORCH_MODEL_ZOO to a directory that can be written"
        )
    return f"{url}: cannot store {destination}: {error}"


def _download(url: str, destination: Path, expected: Expected, progress: bool) -> None:
    partial = Partial(destination)
    if progress:
        sys.stderr.write(f'Downloading: "{url}" to {destination}\n')
    try:
        if urlsplit(url).scheme == "file":
            _copy_local(url, partial, progress)
        else:
            _download_patiently(url, destination, partial, progress)
        expected.check(partial.path, url)
        with partial.path.open("rb") as file:
            os.fsync(file.fileno())
        partial.finish(destination)
    except HashMismatch:
        partial.discard()
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            partial.discard()
        raise


def _copy_local(url: str, partial: Partial, progress: bool) -> None:
    source = Path(urllib.request.url2pathname(urlsplit(url).path))
    if not source.is_file():
        raise DownloadError(f"{url}: there is no file {source}")
    copy_file(source, partial, progress)


def _download_patiently(url: str, destination: Path, partial: Partial, progress: bool) -> None:
    failures = 0
    while True:
        before = partial.size()
        try:
            attempt(url, partial, progress)
        except Refused as error:
            raise DownloadError(f"{url}: {error}; {_hint(destination)}") from error
        except Interrupted as error:
            failures = 1 if partial.size() - before >= _WORTH else failures + 1
            if failures >= ATTEMPTS:
                raise DownloadError(
                    f"{url}: {error}, given up after {failures} attempts; {_hint(destination)}"
                ) from error
            wait = FIRST_WAIT * 2 ** (failures - 1) if error.wait is None else error.wait
            if progress:
                sys.stderr.write(f"{url}: {error}; trying again\n")
            time.sleep(min(wait, LONGEST_WAIT))
        else:
            return
