"""Networks, datasets and transforms for images.

Pillow, the optional extra ``vision``, is needed for images, not for networks and tensors.
"""

from typing import TYPE_CHECKING

from dtorch.on_demand import on_demand
from dtorch.vision.image_backend import get_image_backend, set_image_backend

if TYPE_CHECKING:
    from dtorch.vision import datasets, models, ops, transforms, utils

_SUBMODULES = ("datasets", "models", "ops", "transforms", "utils")

__all__ = [
    "datasets", "get_image_backend", "models", "ops", "set_image_backend", "transforms", "utils",
]  # fmt: skip


if not TYPE_CHECKING:
    # Who wants a network does not wait for the datasets.
    __getattr__ = on_demand(__name__, {name: name for name in _SUBMODULES})


def __dir__() -> list[str]:
    return [*globals(), *_SUBMODULES]
