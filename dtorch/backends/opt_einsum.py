"""The package opt_einsum, which is not used: `dtorch.einsum` multiplies from left to right."""

from typing import Any

enabled = False
strategy = None


def is_available() -> bool:
    """Whether the package is used: no."""
    return False


def get_opt_einsum() -> Any:
    """The package: None."""
    return None
