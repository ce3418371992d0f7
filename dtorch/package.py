"""Archives of models together with their code, which dtorch neither writes nor runs.

>>> from dtorch import package
>>> package.is_from_package(dict)
False
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["PackageExporter", "PackageImporter", "is_from_package"]


def is_from_package(obj: Any) -> bool:
    """Whether a module or an object comes out of such an archive: no."""
    return False


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"package.{name}: dtorch has no archives of code; save the state dict with dtorch.save and "
        "install the code as a package"
    )


class PackageExporter:
    """Writes an archive.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("PackageExporter")


class PackageImporter:
    """Reads an archive.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("PackageImporter")
