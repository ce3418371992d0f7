"""The name that dtypes, sizes, layouts and tensor types print in front of their own.

Programs written for PyTorch compare ``x.type()`` with ``"torch.FloatTensor"`` and print dtypes into
files that others read, so where ``import torch`` gives dtorch it is called ``torch``.
"""

from __future__ import annotations

OWN = "dtorch"

_package = OWN


def package() -> str:
    """The name that this package goes by."""
    return _package


def go_by(name: str) -> None:
    """Let the package go by another name from here on."""
    global _package
    _package = name
