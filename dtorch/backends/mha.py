"""The fast path of attention layers."""

_enabled = True


def get_fastpath_enabled() -> bool:
    """The flag that `set_fastpath_enabled` sets."""
    return _enabled


def set_fastpath_enabled(value: bool) -> None:
    """Set a flag; layers take the fast way that gives the same numbers in any case."""
    global _enabled
    _enabled = bool(value)
