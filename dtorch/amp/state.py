"""Whether this thread casts operands, for each kind of device, and to which dtype."""

from __future__ import annotations

import functools
import threading
from typing import Any

from dtorch.amp import policies
from dtorch.core import backend
from dtorch.core.base import REQUIRES_GRAD
from dtorch.core.device import device
from dtorch.core.dtype import as_dtype, bfloat16, dtype, float16, float32, from_numpy_dtype
from dtorch.core.errors import ArgumentError, DeviceError
from dtorch.core.grad_mode import mode
from dtorch.core.interrupts import at_fork, completed
from dtorch.core.op import Op
from dtorch.core.tensor import Tensor

DEVICES = ("cpu", "cuda")


class _State(threading.local):
    def __init__(self) -> None:
        self.enabled = dict.fromkeys(DEVICES, False)
        self.dtypes = {"cpu": bfloat16, "cuda": float16}
        self.cache_enabled = True
        # What regions of this thread found: device, enabled and dtype of that, cache_enabled.
        self.before: list[tuple[str, bool, dtype, bool]] = []
        # Parameters converted in this region, by what the result depends on; with the parameter,
        # so that its id names nobody else meanwhile.
        self.cache: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}
        self.suspended = False  # inside an operation that has a policy


state = _State()
_lock = threading.Lock()
at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_casting: set[tuple[int, str]] = set()  # threads and devices for which a cast is enabled


def check_device_type(name: str, device_type: Any) -> str:
    """The device type, if it is one.

    Raises:
        ArgumentError: it is not "cpu" or "cuda".
    """
    if device_type not in DEVICES:
        raise ArgumentError(f"{name}: device_type is {device_type!r}, expected 'cpu' or 'cuda'")
    return str(device_type)


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` works for a kind of device on this machine.

    >>> is_autocast_available("cpu")
    True
    """
    if check_device_type("is_autocast_available", device_type) == "cpu":
        return True
    try:
        backend.require(device("cuda"))
    except DeviceError:
        return False
    return True


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether operands are cast in this thread.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``. Default: ``"cuda"``, as it always was.
    """
    return state.enabled[check_device_type("is_autocast_enabled", device_type or "cuda")]


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Turn the casts of this thread on or off; `autocast` is the usual way."""
    _enable(check_device_type("set_autocast_enabled", device_type), bool(enabled))


@completed
def _enable(name: str, enabled: bool) -> None:
    state.enabled[name] = enabled
    change = _casting.add if enabled else _casting.discard
    with _lock:
        # Operations ask for casts only while there is a thread that wants some.
        change((threading.get_ident(), name))
        policies.install(call if _casting else None)


def begin_region(name: str, enabled: bool, fast_dtype: dtype, cache_enabled: bool) -> None:
    """Set what a region sets; `end_region` undoes it."""
    before = name, state.enabled[name], state.dtypes[name], state.cache_enabled
    try:
        state.dtypes[name], state.cache_enabled = fast_dtype, cache_enabled
        _enable(name, enabled)
    except BaseException:
        _go_back(*before)
        raise
    state.before += [before]


def end_region() -> None:
    """Set what was set before this thread's innermost region; to be called by what is `completed`."""
    _go_back(*state.before[-1])
    if len(state.before) == 1:
        state.cache.clear()
    del state.before[-1]


@completed
def _go_back(name: str, enabled: bool, fast_dtype: dtype, cache_enabled: bool) -> None:
    state.dtypes[name], state.cache_enabled = fast_dtype, cache_enabled
    _enable(name, enabled)


def get_autocast_dtype(device_type: str) -> dtype:
    """The dtype that this thread casts to: bfloat16 on the CPU, float16 on cards, unless set.

    >>> get_autocast_dtype("cpu")
    dtorch.bfloat16
    """
    return state.dtypes[check_device_type("get_autocast_dtype", device_type)]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set the dtype that this thread casts to."""
    state.dtypes[check_device_type("set_autocast_dtype", device_type)] = as_dtype(dtype)


# The older names of these, one for each device.
is_autocast_cpu_enabled = functools.partial(is_autocast_enabled, "cpu")
set_autocast_cpu_enabled = functools.partial(set_autocast_enabled, "cpu")
get_autocast_cpu_dtype = functools.partial(get_autocast_dtype, "cpu")
set_autocast_cpu_dtype = functools.partial(set_autocast_dtype, "cpu")
get_autocast_gpu_dtype = functools.partial(get_autocast_dtype, "cuda")
set_autocast_gpu_dtype = functools.partial(set_autocast_dtype, "cuda")


def is_autocast_cache_enabled() -> bool:
    """Whether parameters cast in a region are kept for the next operation of the region."""
    return state.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Set whether parameters cast in a region are kept for its next operation."""
    state.cache_enabled = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the parameters cast in this region."""
    state.cache.clear()


# -- calls of operations ------------------------------------------------------------------------


def call(op: Op, run: Any, values: list[Any], settled: bool) -> Any:
    """Run an operation that has a policy, with operands as that says; see `Op.policy`."""
    where = _device_of(values, op)
    if state.suspended or not state.enabled[where]:
        return run(values)
    if not settled:
        target = policies.target_of(op, values, state.dtypes[where])
        if target is not None:
            values = list(values)
            for i in op.tensor_indices:
                values[i] = _cast(values[i], target)
    state.suspended = True
    try:
        return run(values)
    finally:
        state.suspended = False


def _device_of(values: list[Any], op: Op) -> str:
    for i in op.tensor_indices:
        value = values[i][0] if isinstance(values[i], (list, tuple)) and values[i] else values[i]
        if isinstance(value, Tensor):
            return "cpu" if backend.device_of(value.array).type == "cpu" else "cuda"
    return "cpu"


def _cast(value: Any, target: dtype) -> Any:
    """A tensor, or those of a list, as ``target``; double precision and what is no floating-point
    number stay as they are."""
    if isinstance(value, (list, tuple)):
        return [_cast(element, target) for element in value]
    if not isinstance(value, Tensor):
        return value
    own = from_numpy_dtype(value.array.dtype)
    if own is target or not own.is_floating_point or own.itemsize > 4:
        return value
    if state.cache_enabled and own is float32 and value._mode == REQUIRES_GRAD and value.is_leaf:
        key = (id(value), target, value._version, mode.enabled)
        found = state.cache.get(key)
        if found is None:
            found = state.cache[key] = (value, value.to(target))
        return found[1]
    return value.to(target)
