"""Saving and loading: checkpoints of every version of PyTorch, and files it can read."""

from typing import TYPE_CHECKING

from dtorch.on_demand import on_demand
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.safe_globals import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

if TYPE_CHECKING:
    from dtorch.serialization.checkpoints import Checkpoint, CheckpointManager
    from dtorch.serialization.loading import load
    from dtorch.serialization.location import (
        default_restore_location,
        location_tag,
        register_package,
    )
    from dtorch.serialization.saving import save
    from dtorch.serialization.source_code import SourceChangeWarning

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


_MODULES = {
    "checkpoints": ("Checkpoint", "CheckpointManager"),
    "loading": ("load",),
    "location": ("default_restore_location", "location_tag", "register_package"),
    "saving": ("save",),
    "source_code": ("SourceChangeWarning",),
}

if not TYPE_CHECKING:
    # Every import of dtorch comes by here, and not every program reads or writes files.
    __getattr__ = on_demand(
        __name__,
        {name: module for module, names in _MODULES.items() for name in names},
    )
