"""Reading the files of Torch7."""

from dtorch.utils.serialization.read_lua_file import load_lua

__all__ = ["load_lua"]
