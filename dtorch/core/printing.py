"""How tensors print: rows in aligned columns, the middle of large ones left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.base import REQUIRES_GRAD, VOLATILE
from dtorch.core.dtype import bool_, default_complex, from_numpy_dtype, get_default_dtype, int64

_PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


class _Options:
    precision = 4
    threshold: float = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print.

    Args:
        precision: digits after the point.
        threshold: number of elements above which the middle is left out.
        edgeitems: rows and columns shown at each end then.
        linewidth: characters in a line.
        profile: ``"default"``, ``"short"`` or ``"full"``: values for all of these.
        sci_mode: always (True) or never (False) use exponents; None decides by the numbers.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"profile is {profile!r}, expected one of {', '.join(_PROFILES)}")
        for name, value in _PROFILES[profile].items():
            setattr(options, name, value)
    for name, given in (("precision", precision), ("threshold", threshold),
                        ("edgeitems", edgeitems), ("linewidth", linewidth)):  # fmt: skip
        if given is not None:
            setattr(options, name, given)
    options.sci_mode = sci_mode


def _sparse_str(tensor: Any) -> str:
    array = tensor._array
    parts = []
    for name, part in (("indices", array.indices), ("values", array.values)):
        start = f"{name}=tensor("
        size = "" if part.size else f", size={tuple(part.shape)}"
        parts.append(f"{start}{_body(part, len('tensor(') + len(start))}{size})")
    rest = [f"size={tuple(tensor.shape)}", f"nnz={array.nnz}"]
    dtype = from_numpy_dtype(array.dtype)
    if dtype not in (get_default_dtype(), int64):
        rest.append(f"dtype={dtype}")
    parts.append(", ".join([*rest, f"layout={tensor.layout}", *_history(tensor)]))
    return f"tensor({(',' + chr(10) + ' ' * len('tensor(')).join(parts)})"


def _history(tensor: Any) -> list[str]:
    """What of the gradients stands behind the numbers."""
    if tensor._grad_fn is not None:
        return [f"grad_fn={tensor._grad_fn!r}"]
    if tensor._mode == REQUIRES_GRAD:
        return ["requires_grad=True"]
    return ["volatile=True"] if tensor._mode == VOLATILE else []


def _body(array: np.ndarray, indent: int) -> str:
    """The numbers of an array, whose lines begin below the bracket at ``indent``."""
    if not array.size:
        return "[]"
    summarize = array.size > options.threshold
    shown = _edges(array) if summarize else array
    return _nested(array, _Format(shown), indent, summarize)


def tensor_str(tensor: Any) -> str:
    """The text of ``repr(tensor)``."""
    if tensor.is_sparse:
        return _sparse_str(tensor)
    array = tensor._array if tensor.is_meta else backend.to_numpy(tensor._array)
    suffixes = []
    dtype = from_numpy_dtype(array.dtype)
    evident = (get_default_dtype(), int64, bool_, default_complex()) if array.size else (
        get_default_dtype(),)  # fmt: skip
    if dtype not in evident or (tensor.is_meta and dtype is not get_default_dtype()):
        suffixes.append(f"dtype={dtype}")
    if tensor.device.type != "cpu":
        suffixes.append(f"device='{tensor.device}'")
    if tensor.is_meta:
        suffixes = [f"device='{tensor.device}'", f"size={tuple(array.shape)}", *suffixes[:-1]]
    elif not array.size and array.shape != (0,):
        suffixes.insert(0, f"size={tuple(array.shape)}")
    prefix = "tensor("
    body = "..." if tensor.is_meta else _body(array, len(prefix))
    return _join(prefix, body, [*suffixes, *_history(tensor)])


def _join(prefix: str, body: str, suffixes: list[str]) -> str:
    text = prefix + body
    width = len(text) - text.rfind("\n") - 1
    for suffix in suffixes:
        if width + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * len(prefix) + suffix
            width = len(prefix) + len(suffix)
        else:
            text += ", " + suffix
            width += len(suffix) + 2
    return text + ")"


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that are shown of a large array."""
    n = options.edgeitems
    for dim, size in enumerate(array.shape):
        if size > 2 * n:
            array = np.take(array, [*range(n), *range(size - n, size)], axis=dim)
    return array


class _Format:
    """Formats the numbers of one array alike."""

    width: int

    def __init__(self, shown: np.ndarray) -> None:
        self.kind = "f" if shown.dtype.kind == "V" else shown.dtype.kind
        if self.kind == "c":
            self.real, self.imag = _Format(shown.real), _Format(shown.imag)
            self.width = self.real.width + self.imag.width + 1
            return
        self.scientific = self.whole = False
        values = shown.astype(np.float64) if self.kind == "f" else shown
        if self.kind == "f":
            finite = np.abs(values[np.isfinite(values) & (values != 0)])
            self._choose(finite)
        # Zeros, nan and inf do not widen a column of other numbers.
        counted = values[np.isfinite(values) & (values != 0)] if self.kind == "f" else values
        self.width = max((len(self._text(v)) for v in counted.ravel().tolist()), default=1)

    def _choose(self, finite: np.ndarray) -> None:
        self.whole = bool((finite == np.ceil(finite)).all())
        if finite.size:
            low, high = float(finite.min()), float(finite.max())
            self.scientific = high / low > 1000 or high > 1e8 or (not self.whole and low < 1e-4)
        if options.sci_mode is not None:
            self.scientific = options.sci_mode

    def _text(self, value: Any) -> str:
        if self.kind != "f":
            return str(value)
        if not math.isfinite(value):
            return str(value)
        if self.scientific:
            return f"{value:.{options.precision}e}"
        return f"{value:.0f}." if self.whole else f"{value:.{options.precision}f}"

    def __call__(self, value: Any) -> str:
        if self.kind == "c":
            sign = "-" if math.copysign(1, value.imag) < 0 else "+"
            return f"{self.real(value.real)}{sign}{self.imag(abs(value.imag)).strip()}j"
        return self._text(value).rjust(self.width)


def _nested(array: np.ndarray, form: _Format, indent: int, summarize: bool) -> str:
    n = options.edgeitems
    if array.ndim == 0:
        return form(array.astype(np.float64).item() if array.dtype.kind == "V" else array.item())
    cut = summarize and len(array) > 2 * n
    if array.ndim == 1:
        values = array.astype(np.float64) if array.dtype.kind == "V" else array
        head = [form(v) for v in (values[:n] if cut else values).tolist()]
        tail = [form(v) for v in values[-n:].tolist()] if cut else []
        texts = [*head, " ...", *tail] if cut else head
        return _wrap_lines(texts, form.width, indent)
    rows = [*range(n), None, *range(len(array) - n, len(array))] if cut else range(len(array))
    parts = [
        "..." if row is None else _nested(array[row], form, indent + 1, summarize) for row in rows
    ]
    separator = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(parts) + "]"


def _wrap_lines(texts: list[str], width: int, indent: int) -> str:
    in_line = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(texts[i : i + in_line]) for i in range(0, len(texts), in_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
