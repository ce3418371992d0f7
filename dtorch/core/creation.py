"""Making tensors: from data, from a rule, from memory."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from dtorch.core import backend, classic, dtype as dtypes, meta
from dtorch.core.arrays import Array
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.classic import Classic
from dtorch.core.coo import CooArray
from dtorch.core.device import CPU, Place, as_device, defaults, make_default
from dtorch.core.dtype import (
    DType,
    as_dtype,
    dtype,
    from_numpy_dtype,
    get_default_dtype,
    promote_types,
    scalar_dtype,
)
from dtorch.core.elements import device_like, placed, require_cpu, sequence_array, xp_of
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, GradError, ShapeError
from dtorch.core.inplace import bump, expect_dtype_of_out, expect_writable
from dtorch.core.memory_format import contiguous_format, made_in, order_of, preserve_format
from dtorch.core.op import method
from dtorch.core.shapes import as_sizes, given_sizes
from dtorch.core.storage import Storage, array_over, end_of
from dtorch.core.tensor import Tensor
from dtorch.core.typed_storage import STORAGE_TYPES

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "empty_strided", "eye", "from_file",
    "from_numpy",
    "frombuffer", "full", "full_like", "linspace", "logspace", "ones", "ones_like", "range",
    "scalar_tensor", "set_default_device", "tensor",
    "zeros", "zeros_like",
]  # fmt: skip


def _finish(
    array: Array,
    requires_grad: bool,
    out: Any = None,
    device: Place | None = None,
    dtype: DType | None = None,
) -> Tensor:
    if device is not None or defaults.changed:
        array = placed(array, device)
    if out is not None:
        return _write_out(array, out, dtype)
    tensor: Tensor = wrap(array)
    return tensor.requires_grad_() if requires_grad else tensor


def _ruled(
    rule: Callable[[], Array], sizes: tuple[int, ...], kind: Any, out: Any, requires_grad: bool,
    device: Any, dtype: Any,
) -> Tensor:  # fmt: skip
    """A tensor of the numbers that ``rule`` gives, of these sizes and this NumPy dtype; on the device
    without memory there are none."""
    xp = xp_of(device)
    array = rule() if xp is np else xp.empty(sizes, kind)
    return _finish(array, requires_grad, out, device, dtype)


def _write_out(array: Array, out: Any, dtype: Any) -> Tensor:
    expect_dtype_of_out("out", out, dtype)
    if out._mode == REQUIRES_GRAD:
        raise GradError("out= has no gradient, and this tensor requires grad")
    if out._array.shape != array.shape:
        out.resize_(array.shape)
    expect_writable("out", out)
    out._array[...] = array
    bump(out)
    return out  # type: ignore[no-any-return]


def _numpy(wanted: Any, default: dtype | None = None) -> np.dtype[Any]:
    if wanted is not None:
        return as_dtype(wanted).numpy
    return (default or get_default_dtype()).numpy


def set_default_device(device: Any) -> None:
    """Set where tensors are made that are not told where; a ``with`` block of a device goes before.

    Args:
        device: None means the CPU.

    Raises:
        NoDeviceError: there is no such device.
    """
    place = CPU if device is None else as_device(device)
    backend.require(place)
    make_default(place)


@entry("tensor")
def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    device: Place | None = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor with a copy of ``data``: a number, nested sequences, an array or a tensor.

    Args:
        dtype: type of the elements. Default: int64 for ints, bool for bools, the default dtype for
            floats; that of an array or tensor.
    Raises:
        ShapeError: sequences of different lengths.
        TypeError: elements that are no numbers.
    Example:
        >>> tensor([[1, 2], [3, 4]])
        tensor([[1, 2],
                [3, 4]])
    """
    if isinstance(data, TensorBase):
        array = data._array.copy()
        device = device_like(data, device)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data)
    else:
        # With a dtype given, numbers go there at once: by way of float32 they would lose digits.
        array = sequence_array("tensor", data) if dtype is not None else _from_python(data)
    if dtype is not None:
        target = as_dtype(dtype).numpy
        given = isinstance(data, (TensorBase, np.ndarray))  # converted as `to` does
        array = array.astype(target) if given else dtypes.numbers_in("tensor", array, target)
    else:
        from_numpy_dtype(array.dtype)  # complains about strings and the like
    return _finish(array, requires_grad, device=device)


def _from_python(data: Any) -> np.ndarray:
    if _FLOAT.issuperset(map(type, data if isinstance(data, (list, tuple)) else (data,))):
        return np.array(data, get_default_dtype().numpy)
    array = sequence_array("tensor", data)
    if array.dtype.kind not in "fc":
        return array
    found = _dtypes_in(data) or {get_default_dtype()}
    return array.astype(reduce(promote_types, found).numpy, copy=False)


_FLOAT = frozenset((float,))


def _dtypes_in(data: Any) -> set[dtype]:
    """The dtypes of all numbers in nested sequences; a Python number has that it stands for."""
    if isinstance(data, TensorBase):
        data = data._array
    if isinstance(data, (np.ndarray, np.generic)):
        return {from_numpy_dtype(data.dtype)}
    if isinstance(data, (int, float, complex)):
        return {scalar_dtype(data)}
    kinds = set(map(type, data))
    if kinds <= {bool, int, float, complex}:
        return {scalar_dtype(kind()) for kind in kinds}
    return set().union(*map(_dtypes_in, data))


def scalar_tensor(
    s: Any, *, dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False
) -> Tensor:
    """A 0-dim tensor of a number; of the default dtype, whatever the number.

    >>> scalar_tensor(3)
    tensor(3.)
    """
    return full((), s, dtype=dtype or get_default_dtype(), device=device,
                requires_grad=requires_grad)  # fmt: skip


@entry("as_tensor")
def as_tensor(data: Any, dtype: DType | None = None, device: Place | None = None) -> Tensor:
    """``data`` as a tensor, sharing memory with an array or tensor of the wanted dtype."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray):
        return from_numpy(data).to(device=as_device(device), dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


def from_file(
    filename: Any, shared: bool | None = None, size: int = 0, *, dtype: DType | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of ``size`` elements over a memory-mapped file; see `TypedStorage.from_file`."""
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    storage = STORAGE_TYPES[kind].from_file(filename, bool(shared), size)
    out = tensor_from_storage(storage.untyped(), storage.dtype, 0, (len(storage),))
    return out.requires_grad_() if requires_grad else out


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor over the memory of a NumPy array.

    Raises:
        TypeError: something else, or an array whose dtype has no equal here.
        ArgumentError: negative strides, or a byte order that is not this machine's.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: got {type(ndarray).__name__}, expected a NumPy array")
    if any(stride < 0 for stride in ndarray.strides):
        raise ArgumentError("from_numpy: the array has negative strides; pass a copy()")
    if not ndarray.dtype.isnative:
        raise ArgumentError("from_numpy: the array has foreign byte order; convert it first")
    from_numpy_dtype(ndarray.dtype)
    return wrap(ndarray)  # type: ignore[no-any-return]


def array_from_dlpack(name: str, source: Any) -> np.ndarray:
    """An array over the memory that an object of another library offers by ``__dlpack__``.

    How much memory there is only that library knows; what cannot be true is refused.

    Raises:
        ArgumentError: its strides are negative, or its elements lie at no address.
    """
    array: np.ndarray = np.from_dlpack(source)
    if min(array.strides, default=0) < 0:
        raise ArgumentError(f"{name}: the array has negative strides; pass a copy()")
    # For no address at all NumPy takes memory of its own.
    if array.size and (array.flags.owndata or end_of(array) > sys.maxsize):
        raise ArgumentError(
            f"{name}: there is no memory for elements of shape {array.shape} and strides "
            f"{array.strides} in bytes"
        )
    return array


def tensor_from_storage(
    storage: Storage, dtype: Any, offset: int, size: Any, stride: Any = None
) -> Tensor:
    """A tensor over a storage.

    Args:
        offset, stride: in elements; a stride of None means contiguous.
    Raises:
        ShapeError: elements would lie outside the storage.
    """
    result: Tensor = wrap(array_over(storage, as_dtype(dtype).numpy, offset, size, stride))
    storage.track(result)
    return result


@entry("empty", computes=False)
def empty(
    *sizes: Any, size: Any = None, out: Any = None, dtype: DType | None = None, device: Place | None = None,
    requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """An uninitialised tensor."""
    array = xp_of(device).empty(
        as_sizes("empty", sizes if size is None else given_sizes("empty", sizes, size)),
        _numpy(dtype),
    )
    if memory_format is not None and memory_format is not contiguous_format:
        if memory_format is preserve_format:
            raise ArgumentError(
                "empty: unsupported memory format Preserve; there is nothing to keep"
            )
        order = order_of("empty", memory_format, array)
        array = made_in(xp_of(device).empty, array.shape, array.dtype, order)
    return _finish(array, requires_grad, out, device, dtype)


@entry("zeros", computes=False)
def zeros(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: DType | None = None,
    device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros."""
    array = xp_of(device).zeros(
        as_sizes("zeros", sizes if size is None else given_sizes("zeros", sizes, size)),
        _numpy(dtype),
    )
    return _finish(array, requires_grad, out, device, dtype)


@entry("ones", computes=False)
def ones(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: DType | None = None,
    device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones."""
    array = xp_of(device).ones(
        as_sizes("ones", sizes if size is None else given_sizes("ones", sizes, size)), _numpy(dtype)
    )
    return _finish(array, requires_grad, out, device, dtype)


@entry("full")
def full(
    size: Any, fill_value: Any, *, out: Any = None, dtype: DType | None = None, device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of one number; its dtype follows from the number."""
    default = None
    if isinstance(fill_value, TensorBase):
        default = from_numpy_dtype(fill_value._array.dtype)
    elif isinstance(fill_value, (int, float, complex)):
        default = dtypes.scalar_dtype(fill_value)
    sizes = as_sizes("full", size if isinstance(size, (tuple, list)) else (size,))
    array = _filled(xp_of(device), sizes, fill_value, _numpy(dtype, default))
    return _finish(array, requires_grad, out, device, dtype)


def _filled(xp: Any, sizes: tuple[int, ...], value: Any, kind: np.dtype[Any]) -> Any:
    if isinstance(value, TensorBase):
        return xp.full(sizes, value._array.astype(kind))
    array = xp.empty(sizes, kind)
    array.fill(dtypes.number_in("full", value, kind))
    return array


def _like(
    name: str, make: str, input: Tensor, dtype: Any, device: Any, requires_grad: bool, format: Any
) -> Tensor:
    """What the array module's function ``make`` gives of the sizes, and in the order of memory, of
    ``input``, or in that of a format."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}: got {type(input).__name__}, expected a tensor")
    array = input._array
    kind = array.dtype if dtype is None else as_dtype(dtype).numpy
    if device is None and format is None and type(array) is np.ndarray and array.flags.c_contiguous:
        result: Tensor = wrap(getattr(np, make)(array.shape, kind))  # the commonest case
        return result.requires_grad_() if requires_grad else result
    place = device_like(input, device)
    order = None if isinstance(array, CooArray) else order_of(name, format, array)
    made = made_in(getattr(xp_of(place), make), array.shape, kind, order)
    return _finish(made, requires_grad, device=place)


def _without_elements(input: Tensor, dtype: Any, requires_grad: bool) -> Tensor:
    """A sparse tensor of the sizes of another, that stores nothing."""
    kind = input._array.dtype if dtype is None else as_dtype(dtype).numpy
    return _finish(np.zeros_like(input._array).astype(kind, copy=False), requires_grad)


@entry("empty_like", computes=False)
def empty_like(
    input: Tensor, *, dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """An uninitialised tensor of the sizes, dtype and device of ``input``."""
    if isinstance(getattr(input, "_array", None), CooArray):
        return _without_elements(input, dtype, requires_grad)
    return _like("empty_like", "empty", input, dtype, device, requires_grad, memory_format)


@entry("zeros_like", computes=False)
def zeros_like(
    input: Tensor, *, dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros of the sizes, dtype and device of ``input``."""
    if isinstance(getattr(input, "_array", None), CooArray):
        return _without_elements(input, dtype, requires_grad)
    return _like("zeros_like", "zeros", input, dtype, device, requires_grad, memory_format)


@entry("ones_like", computes=False)
def ones_like(
    input: Tensor, *, dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Ones of the sizes, dtype and device of ``input``."""
    return _like("ones_like", "ones", input, dtype, device, requires_grad, memory_format)


@entry("full_like")
def full_like(
    input: Tensor, fill_value: Any, *, dtype: DType | None = None, device: Place | None = None,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """One number in the sizes, dtype and device of ``input``."""
    made: Any = _like("full_like", "empty", input, dtype, device, False, memory_format)
    if isinstance(fill_value, TensorBase):
        made._array[...] = fill_value._array
    else:
        made._array.fill(dtypes.number_in("full_like", fill_value, made._array.dtype))
    return made.requires_grad_() if requires_grad else made  # type: ignore[no-any-return]


@entry("arange")
def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Any = None, dtype: DType | None = None,
    device: Place | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from ``start`` up to, not including, ``end``, in steps.

    >>> arange(5)
    tensor([0, 1, 2, 3, 4])
    """
    if end is None:
        start, end = 0, start
    whole = type(start) is type(end) is type(step) is int
    if not whole:
        start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
        whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    if step == 0 or (end - start) * (1 if step > 0 else -1) < 0:
        raise ArgumentError(f"arange: no way from {start} to {end} in steps of {step}")
    as_int64 = whole and (dtype is not None or not classic.allows(Classic.ARANGE))
    numpy_dtype = _numpy(dtype, dtypes.int64 if as_int64 else None)
    count = max(0, math.ceil((end - start) / step))

    def rule() -> Array:
        array = np.arange(start, end, step) if whole else start + np.arange(count) * step
        return array.astype(numpy_dtype, copy=False)

    return _ruled(rule, (count,), numpy_dtype, out, requires_grad, device, dtype)


@entry("linspace")
def linspace(
    start: float, end: float, steps: int = 100, *, out: Any = None, dtype: DType | None = None,
    device: Place | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` numbers at equal distances, from ``start`` to ``end`` inclusive."""
    if steps < 0:
        raise ArgumentError(f"linspace: steps is {steps}, expected at least 0")
    kind = _numpy(dtype)
    return _ruled(
        lambda: np.linspace(float(start), float(end), steps).astype(kind),
        (steps,), kind, out, requires_grad, device, dtype,
    )  # fmt: skip


@entry("logspace")
def logspace(
    start: float, end: float, steps: int = 100, base: float = 10.0, *, out: Any = None,
    dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` powers of ``base``; the exponents at equal distances from ``start`` to ``end``."""
    if steps < 0:
        raise ArgumentError(f"logspace: steps is {steps}, expected at least 0")
    kind = _numpy(dtype)
    return _ruled(
        lambda: np.logspace(float(start), float(end), steps, base=base).astype(kind),
        (steps,), kind, out, requires_grad, device, dtype,
    )  # fmt: skip


@entry("range")
def range(
    start: float = 0, end: float | None = None, step: float = 1, *, out: Any = None,
    dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from ``start`` to ``end`` inclusive, in steps, of the default dtype.

    Deprecated in favour of `arange`, which leaves out the end.
    """
    warnings.warn("dtorch.range is deprecated; use arange, whose end is excluded", FutureWarning,
                  stacklevel=2)  # fmt: skip
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) * step < 0:
        raise ArgumentError(f"range: no way from {start} to {end} in steps of {step}")
    count = math.floor((end - start) / step) + 1
    kind = _numpy(dtype)
    return _ruled(
        lambda: (start + np.arange(count) * step).astype(kind),
        (count,), kind, out, requires_grad, device, dtype,
    )  # fmt: skip


@entry("empty_strided", computes=False)
def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: DType | None = None,
    device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """An uninitialised tensor of given sizes and strides, in elements.

    Raises:
        ShapeError: their lengths differ.
        ArgumentError: a negative size or stride.
    """
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise ShapeError(f"empty_strided: size {size} and stride {stride} differ in length")
    if min((*size, *stride), default=0) < 0:
        raise ArgumentError(f"empty_strided: size {size} and stride {stride} must not be negative")
    numpy_dtype = _numpy(dtype)
    last = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = 0 if 0 in size else last + 1
    if as_device(device).type == "meta":
        steps = [step * numpy_dtype.itemsize for step in stride]
        laid_out: Any = meta.laid_out(size, numpy_dtype, steps)
        return _finish(laid_out, requires_grad, device=device)
    require_cpu("empty_strided", device)
    memory = np.empty(count * numpy_dtype.itemsize, np.uint8)
    result = tensor_from_storage(Storage.from_bytes(memory), numpy_dtype, 0, size, stride)
    return result.requires_grad_() if requires_grad else result


@entry("asarray")
def asarray(
    obj: Any, *, dtype: DType | None = None, device: Place | None = None, copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``obj`` as a tensor: a tensor, an array, a buffer, nested sequences or a number.

    Args:
        copy: True: always copy; False: never; None: only where needed.

    Raises:
        ArgumentError: ``copy`` is False and the memory cannot be shared.
    """
    if isinstance(obj, TensorBase) or not hasattr(obj, "__dlpack__") or isinstance(obj, np.ndarray):
        source = obj
        if not isinstance(obj, (TensorBase, np.ndarray)) and _has_buffer(obj):
            source = np.asarray(obj)
    else:
        source = array_from_dlpack("asarray", obj)
    result = as_tensor(source, dtype, device)
    shares = isinstance(source, (TensorBase, np.ndarray)) and np.shares_memory(
        result._array, source._array if isinstance(source, TensorBase) else source
    )
    if copy and shares:
        result = result.detach().clone()
    elif copy is False and not shares and result.numel():
        raise ArgumentError(
            f"asarray: the memory of {type(obj).__name__} cannot be shared as asked"
        )
    return result.requires_grad_() if requires_grad else result


def _has_buffer(obj: Any) -> bool:
    try:
        memoryview(obj).release()
    except TypeError:
        return False
    return True


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-D tensor over the memory of an object with the buffer protocol.

    Args:
        count: number of elements; -1: as many as there are.
        offset: bytes to skip.
    """
    numpy_dtype = as_dtype(dtype).numpy
    size = memoryview(buffer).nbytes
    if not 0 <= offset < max(size, 1):
        raise ArgumentError(f"frombuffer: offset is {offset}, but the buffer has {size} bytes")
    left = size - offset
    if count < 0 and left % numpy_dtype.itemsize:
        raise ArgumentError(
            f"frombuffer: {left} bytes are no multiple of the {numpy_dtype.itemsize} of one element"
        )
    if count == 0 or count < -1 or count * numpy_dtype.itemsize > left:
        raise ArgumentError(f"frombuffer: {count} elements of {numpy_dtype} in {left} bytes")
    # NumPy knows custom dtypes such as bfloat16 only as views.
    flat = np.frombuffer(
        buffer, np.uint8, -1 if count < 0 else count * numpy_dtype.itemsize, offset
    )
    if not flat.flags.writeable:
        flat = flat.copy()  # tensors can be written to
    return _finish(flat.view(numpy_dtype), requires_grad)


@entry("fftfreq")
def fftfreq(
    n: int, d: float = 1.0, *, dtype: DType | None = None, device: Place | None = None
) -> Tensor:
    """Frequencies of a transform of ``n`` elements that were taken at distances ``d``."""
    return _finish(np.fft.fftfreq(n, d).astype(_numpy(dtype)), False, device=device)


@entry("rfftfreq")
def rfftfreq(
    n: int, d: float = 1.0, *, dtype: DType | None = None, device: Place | None = None
) -> Tensor:
    """Frequencies of the transform of a real signal of ``n`` elements."""
    return _finish(np.fft.rfftfreq(n, d).astype(_numpy(dtype)), False, device=device)


@entry("eye", computes=False)
def eye(
    n: int, m: int | None = None, *, out: Any = None, dtype: DType | None = None, device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A matrix ``(n, m)`` with ones on the diagonal."""
    if n < 0 or (m is not None and m < 0):
        raise ArgumentError(f"eye: sizes are {n} and {m}, expected at least 0")
    kind = _numpy(dtype)
    return _ruled(
        lambda: np.eye(n, m, dtype=kind),
        (n, n if m is None else m), kind, out, requires_grad, device, dtype,
    )  # fmt: skip


def _new(name: str, make: Any) -> Any:
    def method(
        self: Tensor, *sizes: Any, size: Any = None, dtype: DType | None = None, device: Place | None = None,
        requires_grad: bool = False, pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        return make(  # type: ignore[no-any-return]
            *sizes, size=size, dtype=self.dtype if dtype is None else dtype,
            device=device_like(self, device), requires_grad=requires_grad,
        )  # fmt: skip

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Like `dtorch.{make.__name__}`, of the dtype and device of this tensor."
    return method


def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: DType | None = None,
    device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Like `dtorch.tensor`, of the dtype and device of this tensor."""
    return tensor(
        data,
        dtype=self.dtype if dtype is None else dtype,
        device=device_like(self, device),
        requires_grad=requires_grad,
    )


def new(self: Tensor, *args: Any, device: Place | None = None, storage: Any = None) -> Tensor:
    """A tensor of the same dtype, by the rules of the classic constructors."""
    given = args if storage is None else (storage,)
    return Tensor(*given, dtype=self.dtype, device=device_like(self, device))


def new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: DType | None = None, device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Like `dtorch.full`, of the dtype and device of this tensor."""
    return full(size, fill_value, dtype=self.dtype if dtype is None else dtype,
                device=device_like(self, device), requires_grad=requires_grad)  # fmt: skip


def new_empty_strided(
    self: Tensor, size: Any, stride: Any, *, dtype: DType | None = None, device: Place | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Like `dtorch.empty_strided`, of the dtype and device of this tensor."""
    return empty_strided(size, stride, dtype=self.dtype if dtype is None else dtype,
                         device=device_like(self, device), requires_grad=requires_grad)  # fmt: skip


for _name, _make in (("new_empty", empty), ("new_zeros", zeros), ("new_ones", ones)):
    method(_name, _new(_name, _make))
for _function in (new_tensor, new_full, new_empty_strided):
    method(_function.__name__, _function)
