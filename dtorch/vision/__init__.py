"""Networks, datasets and transforms for images.

Pillow, the optional extra ``vision``, is needed for images, not for networks and tensors.
"""

import importlib
from typing import TYPE_CHECKING, Any

from dtorch.vision.image_backend import get_image_backend, set_image_backend

if TYPE_CHECKING:
    from dtorch.vision import datasets, models, transforms, utils

_SUBMODULES = ("datasets", "models", "transforms", "utils")

__all__ = ["datasets", "get_image_backend", "models", "set_image_backend", "transforms", "utils"]


if not TYPE_CHECKING:  # checkers know the names above, and that there are no others

    def __getattr__(name: str) -> Any:
        # Loaded when first used: who wants a network does not wait for the datasets.
        if name in _SUBMODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_SUBMODULES]
