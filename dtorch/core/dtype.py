"""Data types and the rule by which they combine.

The lattice of types is NumPy's for two arrays of the same category, and the reference API's
across categories (bool < integer < floating < complex): an operand of a higher category decides
alone, whatever its width.
"""

from __future__ import annotations

import builtins
import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.core.naming import package

__all__ = [
    "bfloat16",
    "bool_",
    "complex64",
    "complex128",
    "dtype",
    "finfo",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "promote_types",
    "set_default_dtype",
    "uint8",
]  # fmt: skip

_KINDS = {"b": "bool", "i": "integer", "f": "floating-point", "c": "complex"}
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


class dtype:  # noqa: N801 - the public name of the reference API
    """Type of a tensor's elements, such as ``dtorch.float32``.

    Attributes:
        name: the name without package, ``"float32"``.
        itemsize: bytes of one element.
        is_floating_point, is_complex, is_signed: what they say.
        category: 0 bool, 1 integer, 2 floating, 3 complex.
    """

    __slots__ = ("_numpy", "category", "is_complex", "is_floating_point", "is_signed", "itemsize",
                 "name")  # fmt: skip

    @property
    def conversion(self) -> str:
        """How a tensor is converted to this dtype, as messages recommend it: ``.float()``."""
        own = {"float32": "float", "float64": "double", "float16": "half", "int64": "long"}
        return f".{own[self.name]}()" if self.name in own else f".to({self})"

    def __init__(self, name: str, numpy_dtype: np.dtype[Any] | None, itemsize: int, kind: str):
        self.name = name
        self.itemsize = itemsize
        self.category = _CATEGORY[kind]
        self.is_floating_point = self.category == 2
        self.is_complex = kind == "c"
        self.is_signed = kind not in "bu"
        self._numpy = numpy_dtype

    @property
    def numpy(self) -> np.dtype[Any]:
        """The equal NumPy dtype."""
        if self._numpy is None:
            # Loaded on first use: it is a third of the import time of a small library.
            import ml_dtypes  # noqa: PLC0415

            self._numpy = np.dtype(getattr(ml_dtypes, self.name))
            _BY_NUMPY[self._numpy] = self
        return self._numpy

    def __repr__(self) -> str:
        return f"{package()}.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name

    def __setstate__(self, state: Any) -> None:
        # A hostile pickle could otherwise change the one object of a dtype.
        raise TypeError(f"{self} cannot be changed, not by a pickle either")


# What names a dtype.
DType: TypeAlias = dtype | str | type[Any] | np.dtype[Any]


def _make(name: str, kind: str) -> dtype:
    numpy_dtype = np.dtype(name)
    return dtype(name, numpy_dtype, numpy_dtype.itemsize, kind)


uint8 = _make("uint8", "u")
int8 = _make("int8", "i")
int16 = _make("int16", "i")
int32 = _make("int32", "i")
int64 = _make("int64", "i")
float16 = _make("float16", "f")
float32 = _make("float32", "f")
float64 = _make("float64", "f")
bfloat16 = dtype("bfloat16", None, 2, "V")
complex64 = _make("complex64", "c")
complex128 = _make("complex128", "c")
bool_ = _make("bool", "b")

ALL = (uint8, int8, int16, int32, int64, float16, float32, float64, bfloat16, complex64,
       complex128, bool_)  # fmt: skip
_BY_NUMPY = {t._numpy: t for t in ALL if t._numpy is not None}
_BY_NAME = {t.name: t for t in ALL} | {
    "float": float32, "double": float64, "half": float16, "byte": uint8, "char": int8,
    "short": int16, "int": int32, "long": int64, "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip
_PYTHON = {builtins.bool: bool_, int: int64}

_default = float32


def get_default_dtype() -> dtype:
    """The floating type of new tensors made from Python floats."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the floating type of new tensors made from Python floats.

    Raises:
        DtypeError: ``d`` is not a floating-point dtype.
    """
    global _default
    d = as_dtype(d)
    if not d.is_floating_point:
        raise DtypeError(f"set_default_dtype: got {d}, expected a floating-point dtype")
    _default = d


def from_numpy_dtype(numpy_dtype: Any) -> dtype:
    """The dtype equal to a NumPy dtype.

    Raises:
        DtypeError: there is none (strings, objects, dates, unsigned beyond 8 bits ...).
    """
    found = _BY_NUMPY.get(numpy_dtype)
    if found is None:
        found = _from_odd_numpy_dtype(np.dtype(numpy_dtype))
    return found


def _from_odd_numpy_dtype(numpy_dtype: np.dtype[Any]) -> dtype:
    if numpy_dtype.name == "bfloat16":
        _ = bfloat16.numpy  # registers it
    found = _BY_NUMPY.get(numpy_dtype)
    if found is None:
        names = ", ".join(t.name for t in ALL)
        raise DtypeError(f"NumPy dtype {numpy_dtype!s} has no equal here; expected one of {names}")
    return found


def as_dtype(value: Any) -> dtype:
    """Turn a dtype, its name, a Python type or a NumPy dtype into a dtype.

    >>> as_dtype("torch.float64"), as_dtype(int)
    (dtorch.float64, dtorch.int64)
    """
    if isinstance(value, dtype):
        return value
    if isinstance(value, str):
        found = _BY_NAME.get(value.rpartition(".")[2])
        if found is not None:
            return found
    if value is float:
        return float64
    if value is complex:
        return complex128
    if isinstance(value, type) and value in _PYTHON:
        return _PYTHON[value]
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return from_numpy_dtype(np.dtype(value))
    raise DtypeError(f"dtype: got {value!r}, expected a dtype such as dtorch.float32")


def refuse_dtypes(op: str, kinds: str, given: dtype, remedy: str = "convert first") -> None:
    """Complain if operands of ``op`` have a dtype it is not defined for.

    Args:
        kinds: letters of the refused kinds: ``b`` bool, ``i`` integer, ``f`` floating, ``c``
            complex.
    Raises:
        DtypeError: naming the dtype, and the kinds that are taken.
    """
    if "bifc"[given.category] in kinds:
        taken = " or ".join(name for kind, name in _KINDS.items() if kind not in kinds)
        raise DtypeError(f"{op}: not defined for {given}, expected {taken} numbers; {remedy}")


_MOST = {code: float(np.finfo(code).max) for code in "efd"}


def number_in(op: str, value: Any, target: np.dtype[Any]) -> np.ndarray:
    """A number as a 0-dim array of ``target``.

    Negative integers of unsigned dtypes count from the end, as they do in C.

    Raises:
        ArgumentError: the dtype does not hold such a number.

    >>> number_in("fill_", 2.5, np.dtype(np.int8)).item()
    2
    """
    if type(value) is float and abs(value) <= _MOST.get(target.char, -1):
        return np.array(value, target)
    number = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    kind = target.kind
    if kind == "b" or (kind == "c" and isinstance(number, complex)):
        return np.asarray(number).astype(target)
    fits = True
    if isinstance(number, complex):
        fits, number = not number.imag, number.real
    least, most = _ends(target)
    if kind == "u" and isinstance(number, int):
        least = -most
    if not (fits and least <= number <= most):
        if kind in "iu" or not fits or abs(number) < math.inf:
            raise ArgumentError(f"{op}: {value} does not fit into {from_numpy_dtype(target)}")
        return np.asarray(number).astype(target)  # nan and infinities
    return np.asarray(int(number) if kind in "iu" else float(number)).astype(target)


def numbers_in(op: str, numbers: np.ndarray, target: np.dtype[Any]) -> np.ndarray:
    """An array of numbers as one of ``target``; each has to be one that an integer dtype holds.

    Raises:
        ArgumentError: an integer dtype does not hold one of them.
        DtypeError: numbers are complex, ``target`` is not.
        TypeError: they are no numbers.

    >>> numbers_in("tensor", np.array([1.0, -2.5]), np.dtype(np.int8)).tolist()
    [1, -2]
    """
    kind = numbers.dtype.kind
    if kind not in "biufcV":
        raise TypeError(f"{op}: data of {numbers.dtype} cannot be elements of a tensor")
    if kind == "c" and target.kind not in "bc":
        raise DtypeError(f"{op}: numbers are complex, {from_numpy_dtype(target)} is not")
    if target.kind in "iu" and numbers.size:
        for end in (numbers.min(), numbers.max()):
            number_in(op, end, target)  # complains where it does not fit
    return numbers.astype(target)


@cache
def _ends(target: np.dtype[Any]) -> tuple[Any, Any]:
    """The least and the largest number that a dtype holds."""
    if target.kind in "iu":
        return int(np.iinfo(target).min), int(np.iinfo(target).max)
    most = finfo(from_numpy_dtype(target)).max
    return -most, most


def default_complex() -> dtype:
    """The complex type whose parts have the default dtype's width."""
    return complex128 if _default is float64 else complex64


def scalar_dtype(value: Any) -> dtype:
    """The dtype a Python number stands for: bool, int64, the default dtype, its complex twin."""
    if isinstance(value, builtins.bool):
        return bool_
    if isinstance(value, int):
        return int64
    if isinstance(value, float):
        return _default
    return default_complex()


@cache
def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype to which both can be converted.

    >>> promote_types(uint8, int8), promote_types(int64, float16)
    (dtorch.int16, dtorch.float16)
    """
    a, b = as_dtype(type1), as_dtype(type2)
    if a is b:
        return a
    if a.category != b.category:
        high, low = (a, b) if a.category > b.category else (b, a)
        if high.is_complex and low.is_floating_point:
            return complex128 if low is float64 else high
        return high
    if a.is_floating_point and bfloat16 in (a, b):
        other = b if a is bfloat16 else a
        return float32 if other is float16 else other
    return from_numpy_dtype(np.promote_types(a.numpy, b.numpy))


def result_dtype(dims: list[dtype], zero_dims: list[dtype], scalars: list[dtype]) -> dtype:
    """Result type of an operation whose operands fall into three ranks of weight.

    Tensors with dimensions count before 0-dim tensors, and these before Python numbers: a
    lower rank matters only where its category is higher.
    """
    best: dtype | None = None
    for rank in (dims, zero_dims, scalars):
        if not rank:
            continue
        combined = rank[0]
        for other in rank[1:]:
            combined = promote_types(combined, other)
        if best is None:
            best = combined
        elif combined.category > best.category:
            # A complex number against a float32 tensor stays at single precision.
            if combined.is_complex and best.is_floating_point:
                best = promote_types(best, complex64)
            else:
                best = combined
    if best is None:
        raise DtypeError("result type: no operand given")
    return best


class finfo:  # noqa: N801 - the public name of the reference API
    """Limits of a floating-point or complex dtype.

    Attributes:
        bits: width of one (real) number.
        eps: distance from 1 to the next larger number.
        max, min: largest and lowest number.
        tiny, smallest_normal: smallest positive number of full precision.
        resolution: power of ten that decimals can be trusted to.
        dtype: name of the dtype.

    >>> finfo(float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None) -> None:
        wanted = get_default_dtype() if type is None else as_dtype(type)
        if not wanted.is_floating_point and not wanted.is_complex:
            raise DtypeError(f"finfo: got {wanted}, expected a floating-point dtype; use iinfo")
        info: Any = _bfloat16_info() if wanted is bfloat16 else np.finfo(wanted.numpy)
        self.bits = int(info.bits)
        self.dtype = wanted.name
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(info.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, dtype={self.dtype})"
        )


def _bfloat16_info() -> Any:
    # Loaded on first use, like the dtype itself.
    import ml_dtypes  # noqa: PLC0415

    return ml_dtypes.finfo(ml_dtypes.bfloat16)  # type: ignore[no-untyped-call]


class iinfo:  # noqa: N801 - the public name of the reference API
    """Limits of an integer dtype: ``bits``, ``max``, ``min`` and the name, ``dtype``.

    >>> iinfo(int8).max
    127
    """

    def __init__(self, type: Any) -> None:
        wanted = as_dtype(type)
        if wanted.category != 1:
            raise DtypeError(f"iinfo: got {wanted}, expected an integer dtype")
        info = np.iinfo(wanted.numpy)
        self.bits, self.max, self.min = info.bits, int(info.max), int(info.min)
        self.dtype = wanted.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
