"""Networks, datasets and transforms for images."""

from dtorch.vision.image_backend import get_image_backend, set_image_backend

__all__ = ["get_image_backend", "set_image_backend"]
