"""Packages that only some of `dtorch.vision` needs, imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def require(module: str, feature: str, install: str) -> Any:
    """Import ``module``.

    Args:
        feature: what needs it, for the error.
        install: what to give pip.
    Raises:
        ImportError: it is not installed; says how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name):
            raise
        raise ImportError(
            f"{feature} needs the package {module.partition('.')[0]}, which is not installed: "
            f"pip install '{install}'",
            name=module,
        ) from error


def pillow(module: str = "PIL.Image") -> Any:
    """A module of Pillow, by default the one with the images."""
    return require(module, "dtorch.vision", "dtorch[vision]")


def is_pil_image(value: Any) -> bool:
    """Whether this is an image of Pillow; does not import it."""
    image = sys.modules.get("PIL.Image")
    return image is not None and isinstance(value, image.Image)
