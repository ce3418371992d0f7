"""Loading a checkpoint by its address."""

from __future__ import annotations

import os
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo.cache import checkpoint_directory, file_name_of, hash_in_name
from dtorch.model_zoo.download import Expected, fetch
from dtorch.serialization.loading import load


def load_url(
    url: str, model_dir: str | os.PathLike[str] | None = None, map_location: Any = None,
    progress: bool = True, check_hash: bool = False, file_name: str | None = None,
    *, weights_only: bool = True,
) -> Any:  # fmt: skip
    """Load the checkpoint at an address; it is downloaded the first time only.

    A file that is in the cache already is loaded without a check. Several processes may ask for
    the same address: one downloads, the others wait. A download that broke off is continued.

    Args:
        url: of scheme http, https or file. Proxies are taken from the environment.
        model_dir: the cache directory; see `dtorch.model_zoo.checkpoint_directory`.
        map_location: as in `dtorch.load`.
        progress: show the progress of the download on stderr.
        check_hash: the file name must have the form ``stem-<hex>.ext``. Where it has, the
            SHA-256 of a downloaded file must start with these digits in any case.
        file_name: the name in the cache. Default: the last part of the address.
        weights_only: as in `dtorch.load`.
    Returns:
        What the file holds, for example a state dict.
    Raises:
        DownloadError: the file cannot be had, or (HashMismatch) is another than its name says;
            also a RuntimeError and an OSError.
    Differs from the reference API: ``weights_only`` is True, so that a checkpoint runs no code.
    Example:
        >>> import dtorch, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as there, tempfile.TemporaryDirectory() as cache:
        ...     file = pathlib.Path(there, "weights.pth")
        ...     dtorch.save({"bias": dtorch.zeros(2)}, file)
        ...     load_url(file.as_uri(), cache, progress=False)
        {'bias': tensor([0., 0.])}
    """
    name = file_name_of(url, file_name)
    prefix = hash_in_name(name)
    if check_hash and prefix is None:
        raise ArgumentError(
            f"load_url: check_hash is True, but {name!r} does not have the form "
            "stem-<at least 8 hex digits>.ext; pass a file_name with the expected hash"
        )
    path = checkpoint_directory(model_dir) / name
    fetch(url, path, Expected(sha256_prefix=prefix), progress=progress)
    return load(path, map_location=map_location, weights_only=weights_only)
