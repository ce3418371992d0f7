"""Saving and loading: checkpoints of every version of PyTorch, and files it can read."""

from typing import TYPE_CHECKING, Any

from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.loading import load
from dtorch.serialization.location import (
    default_restore_location,
    location_tag,
    register_package,
)
from dtorch.serialization.safe_globals import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)
from dtorch.serialization.saving import save
from dtorch.serialization.source_code import SourceChangeWarning

if TYPE_CHECKING:
    from dtorch.serialization.checkpoints import Checkpoint, CheckpointManager

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "CheckpointManager",
    "SourceChangeWarning",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_safe_globals",
    "load",
    "location_tag",
    "register_package",
    "safe_globals",
    "save",
]


if not TYPE_CHECKING:  # checkers know the names above, and that there are no others

    def __getattr__(name: str) -> Any:
        # Every import of dtorch comes by here; the manager needs a lot that only it needs.
        if name in ("Checkpoint", "CheckpointManager"):
            from dtorch.serialization import checkpoints  # noqa: PLC0415

            return getattr(checkpoints, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
