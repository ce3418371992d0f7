"""Operations on each element by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np

from dtorch.core import dispatch, meta
from dtorch.core.arrays import ArrayModule
from dtorch.core.base import PLAIN, TensorBase
from dtorch.core.classic import Classic
from dtorch.core.coo import CooArray
from dtorch.core.dtype import (
    dtype,
    from_numpy_dtype,
    get_default_dtype,
    number_in,
    refuse_dtypes,
    result_dtype,
    scalar_dtype,
)
from dtorch.core.errors import ArgumentError, DtorchError, DtypeError, LayoutError
from dtorch.core.half import SINGLE, convert, is_half
from dtorch.core.inplace import bump, check_inplace
from dtorch.core.op import NUMBERS, Op
from dtorch.core.operands import HALVES, IS_PROMOTED, MAY_BE_NUMBER, type_bits
from dtorch.core.shapes import broadcast_shapes

ndarray = np.ndarray
generic = np.generic


class ElementwiseOp(Op):
    """An operation on each element by itself; operands are promoted and broadcast."""

    kind = "elementwise"

    def __init__(
        self,
        body: Callable[..., Any],
        *,
        floating: bool = False,
        promoted: Sequence[str] | None = None,
        beyond: str | dict[str, str] = "wrap",
        loop: str | None = None,
        **options: Any,
    ) -> None:
        """Make the operation.

        Args:
            floating: integer operands are converted to the default dtype first.
            promoted: those of the tensors that are converted to their common dtype.
            beyond: what becomes of single numbers that the integers beside them cannot hold:
                they "wrap", are refused ("refuse") or left as they are ("keep"); for each
                operand, one that bounds from below ("lower") or above ("upper") is the last bound
                there is, or refused where the result would be the number.
            loop: name of the compiled loop that computes it, as a kernel and in short ways.
        """
        self.loop = None if loop is None else dispatch.find_loop(loop)
        self.floating = floating
        self.beyond = beyond
        self._promoted = promoted
        options.setdefault("inplace", True)
        options.setdefault("wide", True)
        super().__init__(body, **options)
        if self.loop is not None:
            self.kernels["cpu"] = self.loop
        if floating:
            self.unsettled |= type_bits("bi")
        if len(self.tensors) > 1:
            self.formerly(Classic.POINTWISE)(self._in_order)

    @cached_property
    def promoted(self) -> tuple[int, ...]:
        """Places of the operands that are converted to their common dtype."""
        return tuple(self.index[name] for name in self._promoted or self.tensors)

    @property
    def guard(self) -> int:
        """What the short ways leave to the whole call."""
        integers = self.floating or "b" in self.refused or "i" in self.refused
        return dispatch.INTEGERS * integers | dispatch.COMPLEX * ("c" in self.refused)

    def compute(self, values: Sequence[Any], types: int = HALVES) -> Any:
        try:
            return super().compute(values, types)
        except LayoutError:
            found = self._of_stored(values, types)
            if found is None:
                raise
            return found
        except DtorchError:
            raise  # the body has said what is wrong
        except ValueError:
            self._explain_shapes(values)
            raise
        except TypeError:
            raise self._undefined(values) from None

    def _of_stored(self, values: Sequence[Any], types: int) -> Any:
        """The result for the one operand that is sparse, as its stored elements have it; None where
        the others, which are 0, would not stay so."""
        (at, whole), *others = [(i, v) for i, v in enumerate(values) if hasattr(v, "strides")]
        if others or not isinstance(whole, CooArray):
            return None

        def of(array: Any) -> Any:
            return Op.compute(self, [*values[:at], array, *values[at + 1 :]], types)

        if of(np.zeros(1, whole.dtype))[0]:
            return None
        whole = whole.coalesce()
        return whole.with_values(of(whole.values))

    def run_body(self, xp: ArrayModule, values: Sequence[Any]) -> Any:
        if meta.used and any(type(value) is meta.MetaArray for value in values):
            return meta.elementwise(lambda *some: self.run_body(np, some), values)
        if self.ufunc is None or len(values) > self.ufunc.nin:
            return super().run_body(xp, values)
        return self.ufunc(*values)

    def _undefined(self, values: Sequence[Any]) -> DtypeError:
        dtypes = [str(v.dtype) for v in values if hasattr(v, "dtype")]
        return DtypeError(f"{self.name}: not defined for {' and '.join(dtypes)}")

    def _half_dtype(self, values: Sequence[Any]) -> Any:
        """That of operands of float16 or bfloat16, beside which there may be numbers of float32."""
        for i in self.tensor_indices:
            value = values[i]
            if is_half(value):
                return value.dtype
            if getattr(value, "ndim", 0) and value.dtype.kind in "fc":
                return None
        return None

    def _explain_shapes(self, values: Sequence[Any]) -> None:
        broadcast_shapes(self.name, *(v.shape for v in values if hasattr(v, "shape")))

    def _in_order(self, values: list[Any]) -> list[Any] | None:
        """The operands in the shape of the first, where all have as many elements."""
        operands = [values[i] for i in self.tensor_indices]
        shapes = [v._array.shape for v in operands if isinstance(v, TensorBase) and v._array.ndim]
        if not isinstance(operands[0], TensorBase) or len({math.prod(s) for s in shapes}) != 1:
            return None
        first = shapes[0]
        with suppress(ValueError):
            if np.broadcast_shapes(*shapes) == first:
                return None  # that is not what is wrong
        again = list(values)
        for i in self.tensor_indices:
            if isinstance(again[i], TensorBase) and again[i]._array.ndim:
                again[i] = again[i] if again[i]._array.shape == first else again[i].reshape(first)
        return again

    def takes_operand(self, i: int, value: Any) -> bool:
        return isinstance(value, (NUMBERS, generic)) or super().takes_operand(i, value)

    def rule_of(self, i: int) -> int:
        rule = super().rule_of(i) | MAY_BE_NUMBER
        return rule | IS_PROMOTED if i in self.promoted else rule

    def prepare(self, values: list[Any], raw: list[Any]) -> list[Any]:
        combined = self.result_dtype(values)
        if self.refused:
            refuse_dtypes(self.name, self.refused, combined)
        target = combined.numpy
        number = self._dtype_of_numbers(target)
        for i in self.promoted:
            value = raw[i]
            if value is None:
                continue
            if isinstance(value, ndarray):
                if value.dtype != target:
                    if value.ndim or self.beyond == "refuse":  # only numbers are refused
                        raw[i] = convert(value, target)
                    else:
                        raw[i] = self._number_as(i, value, number)
            elif isinstance(value, (*NUMBERS, generic)):
                raw[i] = self._number_as(i, value, number)
            else:
                raw[i] = value.astype(target)  # an array of another device
        return raw

    def _number_as(self, i: int, value: Any, target: np.dtype[Any]) -> Any:
        """A number as a 0-dim array of ``target``."""
        beyond = self.beyond if isinstance(self.beyond, str) else (
            self.beyond.get(self.params[i], "refuse"))  # fmt: skip
        if target.kind in "iu" and beyond in ("keep", "lower", "upper"):
            number = value.item() if isinstance(value, (ndarray, generic)) else value
            limits = np.iinfo(target)
            if beyond == "keep" and not limits.min <= number <= limits.max:
                return number
            if beyond == "lower" and number < limits.min:
                return np.asarray(limits.min, target)
            if beyond == "upper" and number > limits.max:
                return np.asarray(limits.max, target)
            if beyond != "keep" and number < limits.min:  # no count from the end, for a bound
                raise ArgumentError(
                    f"{self.name}: {number} does not fit into {from_numpy_dtype(target)}"
                )
        if beyond not in ("keep", "wrap"):
            return number_in(self.name, value, target)
        return np.asarray(value).astype(target)

    def _dtype_of_numbers(self, target: Any) -> Any:
        """The dtype of a number beside a tensor of ``target``: that which is computed with. Only where
        it is compared is it rounded as elements are, since one made of 0.1 is to equal 0.1."""
        compares = self.beyond == "keep"
        halves = self.wide and target.itemsize == 2 and target.kind in "fV"
        return SINGLE if halves and not compares else target

    def result_dtype(self, values: Sequence[Any]) -> dtype:
        """The dtype in which the operands are combined."""
        ranks: tuple[list[dtype], list[dtype], list[dtype]] = ([], [], [])
        for i in self.promoted:
            value = values[i]
            if isinstance(value, TensorBase):
                ranks[0 if value._array.ndim else 1].append(from_numpy_dtype(value._array.dtype))
            elif isinstance(value, NUMBERS):
                ranks[2].append(scalar_dtype(value))
            elif isinstance(value, generic):
                ranks[2].append(scalar_dtype(value.item()))
        found = result_dtype(*ranks)
        if self.floating and found.category < 2:
            return get_default_dtype()
        return found

    def _make_function(self) -> Callable[..., Any]:
        general = super()._make_function()
        arity = len(self.tensors)
        if (self.loop is None and self.ufunc is None) or not self._is_plain():
            return general
        return dispatch.elementwise_way(general, self.ufunc, self.loop, arity, self.guard)

    def _make_inplace(self) -> Callable[..., Any]:
        general = super()._make_inplace()
        if self.loop is None or not self._is_plain():
            return general
        return dispatch.changing_way(general, self.loop, len(self.tensors), self.guard)

    def _is_plain(self) -> bool:
        """Whether calls with one or two tensors, all promoted, are a common case."""
        arity = len(self.tensors)
        return self.tensors == self.params[:arity] and arity <= 2 and self._promoted is None

    def run_inplace(self, values: list[Any]) -> Any:
        if self.ufunc is None or any(getattr(v, "_mode", PLAIN) for v in values):
            return super().run_inplace(values)
        target = values[0]
        raw, combined = self.unwrap(values)
        check_inplace(self.name + "_", target, combined)
        array = target._array
        raw = self.prepare(values, raw)
        same = all(getattr(r, "dtype", array.dtype) == array.dtype for r in raw)
        if not same or broadcast_shapes(self.name, *(np.shape(r) for r in raw)) != array.shape:
            return super().run_inplace(values)
        try:
            kept = self.ufunc.resolve_dtypes((*(array.dtype for _ in raw), None))[-1] == array.dtype
        except TypeError:
            raise self._undefined(raw) from None
        if not kept:
            return super().run_inplace(values)
        self.ufunc(*raw, out=array)
        bump(target)
        return target


def elementwise(**options: Any) -> Callable[[Callable[..., Any]], ElementwiseOp]:
    """Define an `ElementwiseOp`."""
    return lambda body: ElementwiseOp(body, **options)
