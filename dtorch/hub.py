"""Models and weights from repositories on this machine and from addresses.

A repository is a directory with a file ``hubconf.py``, whose public functions make models.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import re
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtorch.core.errors import ArgumentError, DtorchError
from dtorch.model_zoo.cache import base_directory, set_directory
from dtorch.model_zoo.download import Expected, fetch
from dtorch.model_zoo.loading import load_url

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

load_state_dict_from_url = load_url

# What libraries import from here.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
READ_DATA_CHUNK = 128 * 1024
DEFAULT_CACHE_DIR = "~/.cache"
urlparse = urllib.parse.urlparse


class MissingDependency(DtorchError, ImportError, RuntimeError):
    """A repository needs packages that are not installed."""


def get_dir() -> str:
    """The directory for all that is downloaded; ``checkpoints`` in it is for weights."""
    return str(base_directory())


def _get_torch_home() -> str:
    """The directory above `get_dir`, which libraries ask for."""
    return str(base_directory())


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the directory for all that is downloaded; it goes before environment variables."""
    set_directory(d)


def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Download an address into a file.

    Args:
        dst: path of the file; one that is there is replaced when the download is complete.
        hash_prefix: first hex digits of the expected SHA-256.
        progress: show the progress on stderr.
    Raises:
        DownloadError: the file cannot be had, or has another hash; nothing is stored then.
    """
    expected = Expected(sha256_prefix=hash_prefix or None)
    fetch(url, Path(dst).expanduser(), expected, progress=progress, replace=True)


def list(
    github: str | os.PathLike[str], force_reload: bool = False, skip_validation: bool = False,
    trust_repo: Any = None, verbose: bool = True, *, source: str = "local",
) -> builtins.list[str]:  # fmt: skip
    """Names of the models of a repository.

    Args:
        github: the directory, for all that it is called.
        force_reload, skip_validation, trust_repo, verbose: are about the network.
        source: "local"; repositories on the network must be fetched first, with git.
    """
    repo_or_dir = github
    module = _hubconf(repo_or_dir, source)
    return [
        name for name, value in vars(module).items() if callable(value) and not name.startswith("_")
    ]


def help(
    github: str | os.PathLike[str], model: str, force_reload: bool = False,
    skip_validation: bool = False, trust_repo: Any = None, *, source: str = "local",
) -> str | None:  # fmt: skip
    """The docstring of a model of a repository; the parameters are those of `list`."""
    return _entry(github, model, source).__doc__


def load(
    repo_or_dir: str | os.PathLike[str], model: str, *args: Any, source: str = "local",
    trust_repo: Any = None, force_reload: bool = False, verbose: bool = True,
    skip_validation: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Make a model of a repository; other arguments are passed on to it.

    Args:
        source: "local"; repositories on the network must be fetched first, with git.
        trust_repo, force_reload, verbose, skip_validation: are about the network.

    This runs the code of the repository.
    """
    return _entry(repo_or_dir, model, source)(*args, **kwargs)


def _entry(repo_or_dir: str | os.PathLike[str], model: str, source: str) -> Callable[..., Any]:
    found = getattr(_hubconf(repo_or_dir, source), model, None)
    if not callable(found) or model.startswith("_"):
        raise ArgumentError(
            f"hub: {os.fspath(repo_or_dir)} has no model {model!r}, only "
            f"{', '.join(list(repo_or_dir)) or 'none'}"
        )
    return found  # type: ignore[no-any-return]


def _hubconf(repo_or_dir: str | os.PathLike[str], source: str) -> Any:
    if source != "local":
        raise ArgumentError(
            f"hub: source is {source!r}, expected 'local'; fetch the repository with git and pass "
            "its directory, so that you see the code you run"
        )
    directory = Path(repo_or_dir).expanduser().resolve()
    path = directory / "hubconf.py"
    if not path.is_file():
        raise FileNotFoundError(f"hub: there is no {path}")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"hub: {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # It imports the other modules of its repository.
    sys.path.insert(0, str(directory))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(directory))
    missing = [
        n for n in getattr(module, "dependencies", ()) if importlib.util.find_spec(n) is None
    ]
    if missing:
        raise MissingDependency(f"hub: {path} needs {', '.join(missing)}, which are not installed")
    return module
