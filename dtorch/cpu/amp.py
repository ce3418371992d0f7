"""`dtorch.amp` for the processor, by the older names."""

from __future__ import annotations

from typing import Any

from dtorch import amp
from dtorch.core.dtype import bfloat16

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):  # noqa: N801 - the public name of the reference API
    """`dtorch.autocast` on ``"cpu"``."""

    def __init__(
        self, enabled: bool = True, dtype: Any = bfloat16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`dtorch.amp.GradScaler` for ``"cpu"``."""

    def __init__(
        self, init_scale: float = 2.0**16, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
