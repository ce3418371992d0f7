"""Operations whose results share the memory of their first operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core import backend
from dtorch.core.base import INFERENCE, TensorBase, wrap_view
from dtorch.core.op import Op
from dtorch.core.operands import HALVES


class ViewOp(Op):
    """An operation whose result views the memory of its first operand."""

    kind = "view"

    def __init__(self, body: Callable[..., Any], *, several: bool = False, **options: Any) -> None:
        self.several = several  # returns a tuple of views
        options.setdefault("tensors", ("input",))
        super().__init__(body, **options)

    def run(self, values: list[Any], out: Any = None) -> Any:
        input = values[0]
        if not isinstance(input, TensorBase):
            raise TypeError(f"{self.name}: input is {type(input).__name__}, expected a tensor")
        result = self.body(backend.array_module(input._array), input._array, *values[1:])
        results = result if self.several else (result,)
        args = tuple(values[1:])
        outs = tuple(
            wrap_view(input, r, self, args, nr if self.several else None, self.several)
            for nr, r in enumerate(results)
        )
        if input._mode == INFERENCE:
            for view in outs:
                view._mode = INFERENCE
        elif input._mode:
            self.set_history(values, outs, results, input._mode)
        if out is not None:
            return self.write_out(values, result, out, input._mode)
        return outs if self.several else outs[0]

    def compute(self, values: Sequence[Any], types: int = HALVES) -> Any:
        return self.body(backend.array_module(values[0]), *values)


def view(**options: Any) -> Callable[[Callable[..., Any]], ViewOp]:
    """Define a `ViewOp`."""
    return lambda body: ViewOp(body, **options)
