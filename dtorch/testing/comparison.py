"""Assertions that tensors, numbers and containers of them are equal or nearly so."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtorch.core.coo import strided
from dtorch.core.creation import as_tensor, from_numpy
from dtorch.core.dtype import (
    bfloat16,
    complex64,
    complex128,
    dtype as dtype_class,
    float16,
    float32,
    float64,
    promote_types,
)
from dtorch.core.half import widened
from dtorch.core.tensor import Tensor

# By dtype: relative and absolute tolerance. Of all others equality is expected.
_TOLERANCES: dict[Any, tuple[float, float]] = {
    float16: (1e-3, 1e-5),
    bfloat16: (1.6e-2, 1e-5),
    float32: (1.3e-6, 1e-5),
    float64: (1e-7, 1e-7),
    complex64: (1.3e-6, 1e-5),
    complex128: (1e-7, 1e-7),
}
_CLASSIC_TOLERANCES = {float16: (1e-3, 1e-3), float32: (1e-4, 1e-5), float64: (1e-5, 1e-8)}

_NUMBERS = (int, float, complex, np.number)
_BOOLS = (bool, np.bool_)


class _Mismatch(Exception):  # what is found, not an error of its own
    """What differs, and at which item of the containers."""

    def __init__(self, message: str, path: tuple[Any, ...]) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def text(self) -> str:
        """The message with the place."""
        if not self.path:
            return self.message
        place = "".join(f"[{item!r}]" for item in self.path)
        return f"{self.message}\n\nThe failure occurred for item {place}"


@dataclass
class _Comparison:
    """How two things are compared."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    allow_subclasses: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool

    def compare(self, actual: Any, expected: Any, path: tuple[Any, ...] = ()) -> None:
        """Complain about the first difference."""
        if _are(actual, expected, Sequence, but=(str, bytes)):
            self._sequences(actual, expected, path)
        elif _are(actual, expected, Mapping):
            self._mappings(actual, expected, path)
        elif actual is None or expected is None:
            if actual is not expected:
                raise _Mismatch(f"None mismatch: {actual} is not {expected}", path)
        elif _are(actual, expected, _BOOLS):
            if bool(actual) is not bool(expected):
                raise _Mismatch(f"Booleans mismatch: {actual} is not {expected}", path)
        elif _are(actual, expected, _NUMBERS):
            self._numbers(actual, expected, path)
        elif _are(actual, expected, (Tensor, np.ndarray)) and self._related(actual, expected):
            self._tensors(_tensor(actual), _tensor(expected), path)
        else:
            raise TypeError(
                f"assert_close: cannot compare {type(actual)} with {type(expected)}; expected two "
                "tensors, two NumPy arrays, two numbers, or sequences or mappings of such"
            )

    def _related(self, actual: Any, expected: Any) -> bool:
        if self.allow_subclasses:
            return isinstance(actual, type(expected)) or isinstance(expected, type(actual))
        return type(actual) is type(expected)

    def _sequences(self, actual: Any, expected: Any, path: tuple[Any, ...]) -> None:
        if len(actual) != len(expected):
            raise _Mismatch(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", path
            )
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            self.compare(a, e, (*path, index))

    def _mappings(self, actual: Any, expected: Any, path: tuple[Any, ...]) -> None:
        missing, added = set(expected) - set(actual), set(actual) - set(expected)
        if missing or added:
            raise _Mismatch(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing, key=str)}\n"
                f"Additional keys in the actual mapping: {sorted(added, key=str)}",
                path,
            )
        for key in expected:
            self.compare(actual[key], expected[key], (*path, key))

    def _numbers(self, actual: Any, expected: Any, path: tuple[Any, ...]) -> None:
        if self.check_dtype and type(actual) is not type(expected):
            raise _Mismatch(f"The (d)types do not match: {type(actual)} != {type(expected)}.", path)
        kinds = [_dtype_of_number(number) for number in (actual, expected)]
        self._values(np.asarray(actual), np.asarray(expected), kinds, "Scalars", path)

    def _tensors(self, actual: Any, expected: Any, path: tuple[Any, ...]) -> None:
        checks: list[tuple[str, bool, Callable[[Any], Any]]] = [
            ("shape", True, lambda t: t.shape),
            ("layout", self.check_layout, lambda t: t.layout),
            ("device", self.check_device, lambda t: t.device),
            ("dtype", self.check_dtype, lambda t: t.dtype),
        ]
        for name, wanted, of in checks:
            if wanted and of(actual) != of(expected):
                raise _Mismatch(
                    f"The values for attribute {name!r} do not match: {of(actual)} != "
                    f"{of(expected)}.",
                    path,
                )
        kinds = [actual.dtype, expected.dtype]
        name = "Tensor-likes"
        if actual.layout != strided and actual.layout == expected.layout:
            actual, expected = actual.coalesce(), expected.coalesce()
            if actual._nnz() != expected._nnz():
                raise _Mismatch(
                    "The number of specified values in sparse COO tensors does not match: "
                    f"{actual._nnz()} != {expected._nnz()}",
                    path,
                )
            self._values(
                actual._indices().array, expected._indices().array, [None, None],
                "Sparse COO indices", path,
            )  # fmt: skip
            actual, expected, name = actual._values(), expected._values(), "Sparse COO values"
        elif actual.layout != strided or expected.layout != strided:
            actual, expected = (
                t if t.layout == strided else t.to_dense() for t in (actual, expected)
            )
        elif self.check_stride and actual.stride() != expected.stride():
            raise _Mismatch(
                f"The values for attribute 'stride()' do not match: {actual.stride()} != "
                f"{expected.stride()}.",
                path,
            )
        if kinds[0] is not kinds[1]:
            common = promote_types(*kinds)
            actual, expected = actual.to(common), expected.to(common)
        if name == "Tensor-likes" and not actual.dim() and not expected.dim():
            name = "Scalars"
        self._values(actual.detach().array, expected.detach().array, kinds, name, path)

    def _values(
        self, actual: Any, expected: Any, kinds: list[Any], name: str, path: tuple[Any, ...]
    ) -> None:
        rtol, atol = self.rtol, self.atol
        if rtol is None or atol is None:
            found = [_TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
            rtol, atol = (max(pair) for pair in zip(*found, strict=True))
        close = self._are_close(actual, expected, rtol, atol)
        if close.all():
            return
        with np.errstate(all="ignore"):
            apart = _distance(actual, expected)
            relative = apart / np.abs(widened(expected))
        lines = [f"{name} are not {'close' if rtol or atol else 'equal'}!", ""]
        limits = [f" (up to {t} allowed)" if rtol or atol else "" for t in (atol, rtol)]
        named = zip(("absolute", "relative"), (apart, relative), limits, strict=True)
        if name == "Scalars":
            lines.append(f"Expected {expected.item()} but got {actual.item()}.")
            lines += [
                f"{kind.capitalize()} difference: {_shown(value)}{limit}"
                for kind, value, limit in named
            ]
        else:
            wrong = int(close.size - close.sum())
            share = wrong / close.size
            lines.append(f"Mismatched elements: {wrong} / {close.size} ({share:.1%})")
            for kind, value, limit in named:
                candidates = np.where(close, 0, value)
                index = np.unravel_index(int(candidates.argmax()), close.shape)
                place = tuple(int(i) for i in index)
                greatest = _shown(value[index])
                lines.append(f"Greatest {kind} difference: {greatest} at index {place}{limit}")
        raise _Mismatch("\n".join(lines), path)

    def _are_close(self, actual: Any, expected: Any, rtol: float, atol: float) -> Any:
        same = actual == expected
        if actual.dtype.kind in "fcV":
            a, e = (widened(v).astype(complex if v.dtype.kind == "c" else float)
                    for v in (actual, expected))  # fmt: skip
            with np.errstate(all="ignore"):
                near = np.abs(a - e) <= atol + rtol * np.abs(e)
            same = same | (near & np.isfinite(e))
            if self.equal_nan:
                same = same | (np.isnan(a) & np.isnan(e))
        elif rtol or atol:
            same = same | (_distance(actual, expected) <= atol + rtol * np.abs(expected))
        return np.asarray(same)


def _are(actual: Any, expected: Any, kinds: Any, but: tuple[type, ...] = ()) -> bool:
    return all(isinstance(v, kinds) and not isinstance(v, but) for v in (actual, expected))


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Tensor) else from_numpy(value)


def _dtype_of_number(number: Any) -> Any:
    if isinstance(number, np.number):
        return from_numpy(np.asarray(number)).dtype
    return {float: float64, complex: complex128}.get(type(number))


def _distance(actual: Any, expected: Any) -> Any:
    """Of integers without wrapping around."""
    if actual.dtype.kind in "bu":
        actual, expected = actual.astype(np.int64), expected.astype(np.int64)
    return np.abs(widened(actual) - widened(expected))


def _shown(value: Any) -> Any:
    number = value.item() if hasattr(value, "item") else value
    return math.nan if number != number else number


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert that ``abs(actual - expected) <= atol + rtol * abs(expected)`` for every element.

    Sequences and mappings are compared item by item.

    Args:
        actual, expected: tensors, NumPy arrays, numbers, bools, None, or containers of such.
        allow_subclasses: compare a tensor with one of a class below its own.
        rtol, atol: relative and absolute tolerance, both or none. By default those of the dtype:
            1.3e-6 and 1e-5 for float32, 1e-7 and 1e-7 for float64, 1e-3 and 1e-5 for float16,
            1.6e-2 and 1e-5 for bfloat16; of two dtypes the larger. Integers and bools are to be equal.
        equal_nan: two nan are equal.
        check_device, check_dtype, check_layout, check_stride: expect these to be the same, too.
            Otherwise values are converted to a common dtype and layout first.
        msg: what the error says instead, or a function of what it would say.

    Raises:
        AssertionError: they differ; it says how many elements and how much at most.
        ValueError: only one of the tolerances is given.
        TypeError: they cannot be compared, as a tensor with a number.

    Example:
        >>> import dtorch
        >>> assert_close({"a": dtorch.ones(2)}, {"a": dtorch.ones(2)})
        >>> assert_close(dtorch.tensor([1, 2]), dtorch.tensor([1, 3]))
        Traceback (most recent call last):
            ...
        AssertionError: Tensor-likes are not equal!
        <BLANKLINE>
        Mismatched elements: 1 / 2 (50.0%)
        Greatest absolute difference: 1 at index (1,)
        Greatest relative difference: 0.3333333333333333 at index (1,)
    """
    if (rtol is None) != (atol is None):
        absent = "rtol" if rtol is None else "atol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {absent}."
        )
    comparison = _Comparison(
        rtol, atol, equal_nan, allow_subclasses,
        check_device, check_dtype, check_layout, check_stride,
    )  # fmt: skip
    try:
        comparison.compare(actual, expected)
    except _Mismatch as mismatch:
        text = mismatch.text()
        shown = text if msg is None else msg(text) if callable(msg) else msg
        raise AssertionError(shown) from None


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """`assert_close` with wider tolerances, of anything that can be made a tensor; deprecated."""
    warnings.warn(
        "`dtorch.testing.assert_allclose()` is deprecated; use `dtorch.testing.assert_close()`.",
        FutureWarning,
        stacklevel=2,
    )
    actual = as_tensor(actual)
    expected = as_tensor(expected, dtype=actual.dtype)
    if (rtol is None) != (atol is None):
        raise ValueError("assert_allclose: give both rtol and atol, or none")
    if rtol is None:
        kinds: tuple[dtype_class, ...] = (actual.dtype, expected.dtype)
        found = [_CLASSIC_TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        rtol, atol = (max(pair) for pair in zip(*found, strict=True))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True,
        check_dtype=False, check_stride=False, msg=msg or None,
    )  # fmt: skip
