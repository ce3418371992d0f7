"""Parts of networks for images that are no layers of `dtorch.nn`."""

from dtorch.vision.ops.misc import FrozenBatchNorm2d

__all__ = ["FrozenBatchNorm2d"]
