"""Sharing strategies, kept for scripts that set one."""

from __future__ import annotations

from dtorch.core.errors import SettingError

_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = "file_descriptor"


def get_all_sharing_strategies() -> set[str]:
    """The names that `set_sharing_strategy` takes."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """The name that was set last."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how memory is passed to other processes.

    Both names mean the same here: tensors lie in arenas without a name, and a process has one
    descriptor for an arena, so neither descriptors run out nor files stay behind.

    Raises:
        SettingError: another name; also an AssertionError.
    """
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise SettingError(
            f"set_sharing_strategy: got {new_strategy!r}, expected one of {sorted(_STRATEGIES)}"
        )
    _strategy = new_strategy
