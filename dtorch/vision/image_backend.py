"""Which library decodes image files."""

from __future__ import annotations

from dtorch.core.errors import ArgumentError

_BACKENDS = ("PIL", "accimage")
_chosen = ["PIL"]


def set_image_backend(backend: str) -> None:
    """Choose the library that `dtorch.vision.datasets.folder.default_loader` uses.

    Args:
        backend: "PIL", or "accimage", which must be installed by yourself.
    """
    if backend not in _BACKENDS:
        raise ArgumentError(
            f"set_image_backend: backend is {backend!r}, expected one of {', '.join(_BACKENDS)}"
        )
    _chosen[0] = backend


def get_image_backend() -> str:
    """The library chosen by `set_image_backend`; "PIL" at first."""
    return _chosen[0]
