"""One operation on each tensor of a list, as optimizers of libraries call them: ``dtorch._foreach_add``.

Other operands are a list of as many tensors or numbers, or one for all. The names with a last
underscore change the tensors of the first list and return them.

>>> import dtorch
>>> tensors = [dtorch.ones(2), dtorch.zeros(1)]
>>> dtorch._foreach_add(tensors, 1)
[tensor([2., 2.]), tensor([1.])]
>>> _ = dtorch._foreach_mul_(tensors, [3, 4])
>>> tensors
[tensor([3., 3.]), tensor([0.])]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.op import REGISTRY
from dtorch.core.tensor import Tensor

_UNARY = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor",
    "frac", "lgamma", "log", "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt",
    "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
_BINARY = {
    "add": "add", "clamp_max": "minimum", "clamp_min": "maximum", "div": "div",
    "maximum": "maximum", "minimum": "minimum", "mul": "mul", "pow": "pow", "sub": "sub",
}  # fmt: skip


def _each(name: str, values: Any, count: int) -> Sequence[Any]:
    """One value for each tensor."""
    if not isinstance(values, (list, tuple)):
        return [values] * count
    if len(values) != count:
        raise ArgumentError(
            f"_foreach_{name}: got {count} tensors and {len(values)} other operands, expected as many"
        )
    return values


def _lists(name: str, self: Sequence[Tensor], *others: Any) -> Any:
    if not isinstance(self, (list, tuple)) or not self:
        raise ArgumentError(f"_foreach_{name}: got {self!r}, expected a list of tensors")
    return zip(self, *(_each(name, other, len(self)) for other in others), strict=True)


def _unary(name: str) -> dict[str, Callable[..., Any]]:
    op = REGISTRY[name]

    def function(self: Sequence[Tensor]) -> list[Tensor]:
        return [op.function(tensor) for (tensor,) in _lists(name, self)]

    def change(self: Sequence[Tensor]) -> Sequence[Tensor]:
        for (tensor,) in _lists(name, self):
            getattr(tensor, f"{name}_")()
        return self

    return {f"_foreach_{name}": function, f"_foreach_{name}_": change}


def _binary(name: str, own: str) -> dict[str, Callable[..., Any]]:
    op = REGISTRY[own]

    def compute(tensor: Any, other: Any, alpha: Any) -> Any:
        if own in ("maximum", "minimum") and not isinstance(other, Tensor):
            bound = "max" if own == "minimum" else "min"
            return tensor.clamp(**{bound: other})
        return (
            op.function(tensor, other) if alpha is None else op.function(tensor, other, alpha=alpha)
        )

    def function(self: Any, other: Any, *, alpha: Any = None) -> list[Tensor]:
        if isinstance(self, (int, float, complex)):  # powers of one number
            return [op.function(self, exponent) for exponent in other]
        return [compute(tensor, one, alpha) for tensor, one in _lists(name, self, other)]

    def change(self: Sequence[Tensor], other: Any, *, alpha: Any = None) -> Sequence[Tensor]:
        for tensor, one in _lists(name, self, other):
            tensor.copy_(compute(tensor, one, alpha))
        return self

    return {f"_foreach_{name}": function, f"_foreach_{name}_": change}


def _product(name: str) -> dict[str, Callable[..., Any]]:
    """``addcmul`` and ``addcdiv``."""
    op = REGISTRY[name]

    def function(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> list[Tensor]:
        value = value.tolist() if isinstance(value, Tensor) and value.ndim else value
        return [
            op.function(t, one, two, value=factor)
            for t, one, two, factor in _lists(name, self, tensor1, tensor2, value)
        ]

    def change(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Sequence[Tensor]:
        for target, result in zip(self, function(self, tensor1, tensor2, value), strict=True):
            target.copy_(result)
        return self  # type: ignore[no-any-return]

    return {f"_foreach_{name}": function, f"_foreach_{name}_": change}


def _foreach_lerp(self: Sequence[Tensor], tensors1: Any, weight: Any) -> list[Tensor]:
    return [a.lerp(b, w) for a, b, w in _lists("lerp", self, tensors1, weight)]


def _foreach_lerp_(self: Sequence[Tensor], tensors1: Any, weight: Any) -> Sequence[Tensor]:
    for a, b, w in _lists("lerp", self, tensors1, weight):
        a.lerp_(b, w)
    return self


def _foreach_norm(self: Sequence[Tensor], ord: float = 2, dtype: Any = None) -> list[Tensor]:
    norm = REGISTRY["linalg_vector_norm"].function
    return [norm(tensor, ord, dtype=dtype) for (tensor,) in _lists("norm", self)]


def _foreach_max(self: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.max() for (tensor,) in _lists("max", self)]


def _foreach_zero_(self: Sequence[Tensor]) -> Sequence[Tensor]:
    for (tensor,) in _lists("zero_", self):
        tensor.zero_()
    return self


def _foreach_copy_(
    self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False
) -> Sequence[Tensor]:
    for target, source in _lists("copy_", self, src):
        target.copy_(source)
    return self


def _foreach_clone(self: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.clone() for (tensor,) in _lists("clone", self)]


for _name in _UNARY:
    globals().update(_unary(_name))
for _name, _own in _BINARY.items():
    globals().update(_binary(_name, _own))
for _name in ("addcdiv", "addcmul"):
    globals().update(_product(_name))
