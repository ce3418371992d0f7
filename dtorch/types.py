"""Kinds of arguments, for annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, TypeAlias

from dtorch.core.coo import layout
from dtorch.core.device import device
from dtorch.core.dtype import dtype
from dtorch.core.shapes import Size
from dtorch.core.storage import Storage as UntypedStorage
from dtorch.core.tensor import Tensor
from dtorch.core.typed_storage import TypedStorage

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number: TypeAlias = builtins.int | builtins.float | builtins.bool
Device: TypeAlias = device | str | builtins.int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Storage: TypeAlias = UntypedStorage | TypedStorage

# Names that annotations of programs import though they are not public.
_int = builtins.int
_float = builtins.float
_bool = builtins.bool
_complex = builtins.complex
_dtype = dtype
_device = device
_layout = layout
_size: TypeAlias = Size | Sequence[builtins.int]
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
