"""What the parameters of operations take, and which argument of a call that failed is none of it.

Calls do not look at the types of their arguments: that would cost each of them time, and NumPy
complains about most that do not fit. What it says then names neither operation nor argument, so a
call that has failed looks again, here. What a parameter takes is what the block of the operation
says, and what tensors the operation says itself; a parameter that says ``Any`` takes what its name
means everywhere.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from dtorch.core.base import TensorBase
from dtorch.core.definition import Definition
from dtorch.core.dtype import as_dtype

# What a parameter of this name takes, in every operation that says no more than Any.
BY_NAME = {
    "alpha": "Number", "atol": "float | Tensor", "aweights": "Tensor", "beta": "Number",
    "correction": "float", "destination": "Ints", "dilation": "Ints", "dim": "Ints",
    "dims": "Ints", "divisor_override": "int", "dtype": "DType", "dx": "float",
    "fill_value": "Operand", "fweights": "Tensor", "indices": "Sequence[Tensor | None]",
    "indices_or_sections": "Ints", "kernel_size": "Ints", "max": "Operand", "maxnorm": "float",
    "min": "Operand", "nan": "float", "neginf": "float", "norm_type": "float",
    "normalized_shape": "Ints", "ord": "float | str", "other": "Tensor", "output_padding": "Ints",
    "output_ratio": "float | Sequence[float]", "output_size": "int | Sequence[int | None]",
    "p": "float | str", "pad": "Sequence[int]", "padding": "Ints", "posinf": "float",
    "q": "float | Tensor", "rcond": "float | Tensor", "reduce": "bool", "repeats": "int | Tensor",
    "rtol": "float | Tensor", "shape": "Sequence[int]", "shifts": "Ints", "size": "Ints",
    "size_average": "bool", "sizes": "Sequence[int]", "sorter": "Tensor", "source": "Ints",
    "split_size_or_sections": "Ints", "src": "Operand", "stride": "Ints",
    "tol": "float | Tensor", "value": "Operand", "weight": "Operand",
}  # fmt: skip


def misfit(op: Definition, values: Sequence[Any]) -> str | None:
    """Which argument of a call is of a type that its parameter does not take, in words; None if all
    are of one it takes, or it does not say."""
    said = op.body.__annotations__
    for i, (name, value) in enumerate(zip(op.params, values, strict=True)):
        if value is None and (op.defaults[i] is None or not op.public):
            continue
        takes = said.get(name, "Any")
        if i in op.tensor_indices:
            if op.takes_operand(i, value):
                continue
            takes = takes.replace("Any", "Tensor").replace("Array", "Tensor")
        elif takes == "Any":
            takes = BY_NAME.get(name, "Any")
        kinds = [_KINDS.get(kind) for kind in takes.split(" | ")]
        if not all(kinds) or any(fits(value) for _, fits in filter(None, kinds)):
            continue
        expected = " or ".join(dict.fromkeys(words for words, _ in filter(None, kinds)))
        return f"{name} is {_shown(value)}, expected {expected}"
    return None


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if isinstance(value, TensorBase):
        return f"a tensor of shape {tuple(value._array.shape)}"
    if value is None or isinstance(value, (bool, int, float, complex, str, list, tuple)):
        shown = repr(value)
        if len(shown) < 60:
            return shown
    return f"of type {type(value).__name__}"


def _is_tensor(value: Any) -> bool:
    """Tensors, and lists of them for the parameters that take several."""
    if isinstance(value, (list, tuple)) and value:
        return all(part is None or _is_tensor(part) for part in value)
    return isinstance(value, TensorBase)


def _is_int(value: Any) -> bool:
    try:
        operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return not isinstance(value, (bool, np.bool_))


def _is_number(value: Any) -> bool:
    return isinstance(value, (Number, np.generic)) or getattr(value, "shape", None) == ()


def _is_dtype(value: Any) -> bool:
    try:
        as_dtype(value)
    except TypeError:
        return False
    return True


def _several(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(map(fits, value))


_A_TENSOR = ("a tensor", _is_tensor)
_A_NUMBER = ("a number", _is_number)
_AN_INT = ("an int", _is_int)
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "None": ("None", lambda value: value is None),
    "Tensor": _A_TENSOR,
    "TensorBase": _A_TENSOR,
    "Sequence[Tensor]": ("tensors", _several(_is_tensor)),
    "bool": ("a bool", lambda value: isinstance(value, (bool, np.bool_))),
    "int": _AN_INT,
    "float": _A_NUMBER,
    "complex": _A_NUMBER,
    "Number": _A_NUMBER,
    "Operand": ("a number or a tensor", lambda value: _is_number(value) or _is_tensor(value)),
    "str": ("a string", lambda value: isinstance(value, str)),
    "DType": ("a dtype", _is_dtype),
    "Ints": ("ints", lambda value: _is_int(value) or _several(_is_int)(value)),
    "Sequence[int]": ("ints", _several(_is_int)),
}
