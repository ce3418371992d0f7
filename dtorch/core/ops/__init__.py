"""Every operation: importing this package defines them all."""

from dtorch.core.ops import (
    activation,
    arithmetic,
    comparison,
    conversion,
    convolution,
    exponential,
    indexing,
    joining,
    linalg,
    loss,
    normalization,
    pooling,
    reduction,
    trigonometric,
    view,
)

__all__ = [
    "activation", "arithmetic", "comparison", "conversion", "convolution", "exponential",
    "indexing", "joining", "linalg", "loss", "normalization", "pooling", "reduction",
    "trigonometric", "view",
]  # fmt: skip
