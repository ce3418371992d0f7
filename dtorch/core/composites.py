"""Operations made of other operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core import meta
from dtorch.core.base import PLAIN, REQUIRES_GRAD, TensorBase
from dtorch.core.dtype import float32
from dtorch.core.grad_mode import mode
from dtorch.core.half import is_half
from dtorch.core.inplace import (
    check_fits_inplace,
    check_inplace,
    expect_apart,
    expect_dtype_of_out,
    several,
    write,
)
from dtorch.core.op import Op
from dtorch.core.operands import FLOATING, HALVES, settled


class CompositeOp(Op):
    """An operation made of others; it needs no formulas, its parts have theirs."""

    kind = "composite"
    takes_module = False

    def _make_function(self) -> Callable[..., Any]:
        def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            values = self.bind(args, kwargs)
            result = self._call(values, out is not None)
            if out is None:
                return result
            if not isinstance(result, tuple):
                return self.write_out(values, result._array, out, result._mode)
            expect_apart(self.name, out, values)
            for target, part in zip(several(self.name, out, len(result)), result, strict=True):
                expect_dtype_of_out(self.name, target, part._array.dtype)
                write(self.name, target, part._array, part._mode)
            return type(result)(*out) if hasattr(result, "_fields") else tuple(out)

        return self._made_entry(function, self._body)

    def _call(self, values: list[Any], settled: bool) -> Any:
        policy = self.policy
        return self._body(values) if policy is None else policy(self, self._body, values, settled)

    def _body(self, values: list[Any]) -> Any:
        found = settled(values, self.tensor_indices, self.rules, self.unsettled)
        if found is None and self.refused:
            self.check_dtypes(values)
        in_single = found is not None and found[2] & FLOATING and not found[2] & HALVES
        half = self._half_dtype(values) if self.wide and not in_single else None
        if half is not None:
            values = [_cast(value, half, float32) for value in values]
        n = self.positional
        named = dict(zip(self.params[n:], values[n:], strict=True)) if n < len(values) else {}
        counts = meta.used  # what is inside may mix its own arrays with the operands
        if counts:
            if not meta.inside.depth:
                self.expect_one_device(values)
            meta.inside.depth += 1
        try:
            result = self.body(*values[:n], **named)
        finally:
            if counts:
                meta.inside.depth -= 1
        return result if half is None else _cast(result, float32, half)

    def _half_dtype(self, values: Sequence[Any]) -> Any:
        """The dtype of floating tensors if it is the same float16 or bfloat16 for all of them, but
        numbers, and the caller has not named another."""
        named = self.index.get("dtype")
        if named is not None and values[named] is not None:
            return None
        found = None
        for value in values:
            tensors: Any = (value,) if isinstance(value, TensorBase) else _tensors_in(value)
            for tensor in tensors:
                array = tensor._array
                if is_half(array):
                    if found not in (None, tensor.dtype):
                        return None
                    found = tensor.dtype
                elif array.ndim and array.dtype.kind in "fc":
                    return None
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self.bind(args, kwargs), False)

    def run_inplace(self, values: list[Any]) -> Any:
        target = values[0]
        check_inplace(self.name + "_", target, target._mode)
        before = list(values)
        if mode.enabled and any(getattr(v, "_mode", PLAIN) == REQUIRES_GRAD for v in values):
            before[0] = target.clone()
        result = self._call(before, True)
        check_fits_inplace(self.name + "_", target._array, result._array)
        return target.copy_(result)


def _tensors_in(value: Any) -> Sequence[Any]:
    """The tensors in a list or tuple, also those further in."""
    if isinstance(value, (list, tuple)):
        return [
            tensor
            for part in value
            for tensor in ((part,) if isinstance(part, TensorBase) else _tensors_in(part))
        ]
    return ()


def _cast(value: Any, source: Any, target: Any) -> Any:
    """Tensors of one dtype, in lists and tuples too, as another; other values as they are."""
    if isinstance(value, TensorBase):
        return value.to(target) if value.dtype is source else value  # type: ignore[attr-defined]  # tensors have it
    if isinstance(value, (list, tuple)):
        parts = [_cast(part, source, target) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def composite(**options: Any) -> Callable[[Callable[..., Any]], CompositeOp]:
    """Define a `CompositeOp`."""
    return lambda body: CompositeOp(body, **options)
