"""Every operation: importing this package defines them all."""

from dtorch.core.ops import (
    activation,
    arithmetic,
    bounds,
    comparison,
    complex,
    conversion,
    convolution,
    cumulative,
    diagonal,
    exponential,
    indexing,
    joining,
    linalg,
    loss,
    norm,
    normalization,
    padding,
    pooling,
    power,
    reduction,
    repetition,
    rounding,
    splitting,
    statistics,
    strided,
    trigonometric,
    view,
)

__all__ = [
    "activation", "arithmetic", "bounds", "comparison", "complex", "conversion", "convolution",
    "cumulative", "diagonal", "exponential", "indexing", "joining", "linalg", "loss", "norm",
    "normalization", "padding", "pooling", "power", "reduction", "repetition", "rounding",
    "splitting", "statistics", "strided", "trigonometric", "view",
]  # fmt: skip
