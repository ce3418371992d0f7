"""The precision of a `Function`: what its forward pass gets, and what its backward pass runs in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from dtorch.amp.autocast import autocast
from dtorch.amp.state import get_autocast_dtype, is_autocast_enabled
from dtorch.core.dtype import from_numpy_dtype
from dtorch.core.tensor import Tensor

F = Callable[..., Any]


def custom_fwd(fwd: F | None = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Decorate the forward pass of a `Function` that is called under `autocast`.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``.
        cast_inputs: dtype to which floating-point arguments on that device are cast, but for
            float64 ones; inside, nothing is cast any more. None: arguments are left alone, and
            casts go on inside.

    Example:
        >>> import dtorch
        >>> class Square(dtorch.autograd.Function):
        ...     @staticmethod
        ...     @dtorch.amp.custom_fwd(device_type="cpu", cast_inputs=dtorch.float32)
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...
        ...     @staticmethod
        ...     @dtorch.amp.custom_bwd(device_type="cpu")
        ...     def backward(ctx, grad):
        ...         return 2 * ctx.saved_tensors[0] * grad
        >>> with dtorch.autocast("cpu"):
        ...     Square.apply(dtorch.ones(2, dtype=dtorch.bfloat16)).dtype
        dtorch.float32
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._autocast_dtype = get_autocast_dtype(device_type)
        ctx._autocast_enabled = is_autocast_enabled(device_type)
        if cast_inputs is None or not ctx._autocast_enabled:
            return fwd(ctx, *args, **kwargs)
        ctx._autocast_enabled = False
        with autocast(device_type, enabled=False):
            return fwd(
                ctx,
                *_cast(args, device_type, cast_inputs),
                **_cast(kwargs, device_type, cast_inputs),
            )

    return forward


def custom_bwd(bwd: F | None = None, *, device_type: str) -> Any:
    """Decorate the backward pass of a `Function`: it casts as the forward pass did."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *grads: Any) -> Any:
        with autocast(device_type, dtype=ctx._autocast_dtype, enabled=ctx._autocast_enabled):
            return bwd(ctx, *grads)

    return backward


def _cast(value: Any, device_type: str, dtype: Any) -> Any:
    """A tensor, or those in tuples, lists and dicts, as ``dtype``."""
    if isinstance(value, Tensor):
        own = from_numpy_dtype(value.array.dtype)
        if own.is_floating_point and own.itemsize <= 4 and value.device.type == device_type:
            return value.to(dtype)
        return value
    if isinstance(value, Mapping):
        return {key: _cast(element, device_type, dtype) for key, element in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_cast(element, device_type, dtype) for element in value)
    return value
