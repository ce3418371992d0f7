"""What registering a hook returns."""

from dtorch.core.graph import RemovableHandle

__all__ = ["RemovableHandle"]
