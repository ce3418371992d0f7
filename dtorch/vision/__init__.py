"""Networks, datasets and transforms for images.

Pillow, the optional extra ``vision``, is needed for images, not for networks and tensors.
"""

import importlib
from typing import Any

from dtorch.vision.image_backend import get_image_backend, set_image_backend

_SUBMODULES = ("datasets", "models", "transforms", "utils")

__all__ = ["datasets", "get_image_backend", "models", "set_image_backend", "transforms", "utils"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: who wants a network does not wait for the datasets.
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_SUBMODULES]
