"""Regions in which operands are cast."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

from dtorch.amp.state import (
    DEVICES,
    begin_region,
    check_device_type,
    end_region,
    is_autocast_available,
    state,
)
from dtorch.core.dtype import as_dtype, bfloat16, dtype as dtype_type, float16
from dtorch.core.errors import ArgumentError
from dtorch.core.interrupts import completed


class autocast(contextlib.ContextDecorator):  # noqa: N801 - the public name of the reference API
    """In a ``with`` block, or in calls of a decorated function, operations choose their precision.

    Products of matrices, convolutions, attention and recurrent layers cast float32 operands to
    ``dtype``; losses, and other operations that would lose digits, cast to float32; the rest runs
    on what it is given. float64 is never cast. Parameters stay float32 and get float32 gradients:
    the casts are recorded. Each thread has its own setting; regions nest.

    Use it for the forward pass and the loss; `backward` runs in the dtypes of the forward pass.
    In-place forms and calls with ``out=`` are not cast.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``.
        dtype: bfloat16 or float16. Default: what `set_autocast_dtype` has set, at first bfloat16 on
            the CPU and float16 on a card. Another one disables the region, with a warning.
        enabled: False: nothing is cast in the region, even inside another.
        cache_enabled: keep what parameters are cast to until the outermost region ends. Default: as
            it is set.
    Raises:
        ArgumentError: another device type.

    Example:
        >>> import dtorch
        >>> layer = dtorch.nn.Linear(4, 2)
        >>> with dtorch.autocast("cpu"):
        ...     out = layer(dtorch.ones(3, 4))
        >>> out.dtype, layer.weight.dtype
        (dtorch.bfloat16, dtorch.float32)

    Reference: Micikevicius et al. 2018, arXiv:1710.03740.
    """

    def __init__(
        self, device_type: str = "cuda", dtype: Any = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(device_type, str):
            raise ArgumentError(
                f"autocast: device_type is {type(device_type).__name__}, expected a str"
            )
        self.device = check_device_type("autocast", device_type)
        self.fast_dtype: dtype_type = (
            state.dtypes[device_type] if dtype is None else as_dtype(dtype)
        )
        self.cache_enabled = state.cache_enabled if cache_enabled is None else bool(cache_enabled)
        self.enabled = bool(enabled) and self._is_supported()

    def _is_supported(self) -> bool:
        if not is_autocast_available(self.device):
            text = f"autocast: device_type is {self.device!r}, but there is no such device"
        elif self.fast_dtype not in (bfloat16, float16):
            text = f"autocast: dtype is {self.fast_dtype}, expected bfloat16 or float16"
        else:
            return True
        warnings.warn(f"{text}; nothing is cast", stacklevel=3)
        return False

    def __enter__(self) -> autocast:
        begin_region(self.device, self.enabled, self.fast_dtype, self.cache_enabled)
        return self

    @completed
    def __exit__(self, *_: object) -> None:
        end_region()


def regions_here() -> list[autocast]:
    """Regions that cast as it is done here, for what runs later or in another thread."""
    return [
        autocast(device, state.dtypes[device], state.enabled[device], state.cache_enabled)
        for device in DEVICES
    ]
