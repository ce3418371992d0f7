"""Where downloaded files are kept, and what their names say."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

from dtorch.core.errors import ArgumentError

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})(?:\.[A-Za-z0-9]+)+")

_chosen: list[Path] = []  # by set_directory; at most one


def base_directory() -> Path:
    """The directory for all that is downloaded: chosen, or ``~/.cache/dtorch``."""
    if _chosen:
        return _chosen[-1]
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "dtorch"


def set_directory(directory: str | os.PathLike[str]) -> None:
    """Choose the directory for all that is downloaded."""
    _chosen[:] = [Path(directory).expanduser()]


def checkpoint_directory(model_dir: str | os.PathLike[str] | None = None) -> Path:
    """The directory in which `load_url` looks and stores.

    In this order: ``model_dir``; the directory given to `dtorch.hub.set_dir`;
    ``$TORCH_MODEL_ZOO``; ``$TORCH_HOME/models``; ``~/.cache/dtorch/checkpoints``.
    """
    if model_dir is not None:
        return Path(model_dir).expanduser()
    if not _chosen:
        if os.environ.get("TORCH_MODEL_ZOO"):
            return Path(os.environ["TORCH_MODEL_ZOO"]).expanduser()
        if os.environ.get("TORCH_HOME"):
            return Path(os.environ["TORCH_HOME"]).expanduser() / "models"
    return base_directory() / "checkpoints"


def file_name_of(url: str, file_name: str | None = None) -> str:
    """The name under which an address is kept: the last part of its path, if none is given.

    Raises:
        ArgumentError: there is none, or it would lead out of the directory.
    """
    name = file_name
    if name is None:
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ArgumentError(
            f"{url!r} gives the file name {name!r}, expected a plain name; pass file_name="
        )
    return name


def hash_in_name(name: str) -> str | None:
    """The start of the SHA-256 that a name of the form ``stem-<hex>.ext`` promises.

    >>> hash_in_name("resnet18-5c106cde.pth"), hash_in_name("resnet-v2.pth")
    ('5c106cde', None)
    """
    found = _HASH_IN_NAME.search(name)
    return found[1] if found and found.end() == len(name) else None
