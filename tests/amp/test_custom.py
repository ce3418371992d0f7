"""Functions that say in which precision they run."""

from __future__ import annotations

from typing import Any

import dtorch
from dtorch.amp import custom_bwd, custom_fwd
from dtorch.autograd import Function

bf16, f32, f64 = dtorch.bfloat16, dtorch.float32, dtorch.float64
seen: list[Any] = []


class Single(Function):
    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=f32)
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        seen.append((a.dtype, b.dtype, dtorch.is_autocast_enabled("cpu")))
        return a @ b

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, grad: Any) -> Any:
        a, b = ctx.saved_tensors
        seen.append((grad.dtype, dtorch.is_autocast_enabled("cpu")))
        return grad @ b.t(), a.t() @ grad


class Asis(Function):
    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, grad: Any) -> Any:
        a, b = ctx.saved_tensors
        seen.append(((grad @ b.t()).dtype, dtorch.get_autocast_dtype("cpu")))
        return grad @ b.t(), a.t() @ grad


def leaves(dtype: Any = f32) -> tuple[Any, Any]:
    return tuple(dtorch.ones(2, 2, dtype=dtype, requires_grad=True) for _ in range(2))


def test_inputs_are_cast_and_nothing_inside() -> None:
    seen.clear()
    a, b = leaves(bf16)
    with dtorch.autocast("cpu"):
        out = Single.apply(a, b)
    assert out.dtype is f32
    out.sum().backward()
    assert seen == [(f32, f32, False), (f32, False)]
    assert a.grad.dtype is bf16


def test_double_precision_inputs_stay() -> None:
    seen.clear()
    with dtorch.autocast("cpu"):
        Single.apply(*leaves(f64))
    assert seen[0][:2] == (f64, f64)


def test_outside_of_regions_inputs_are_left_alone() -> None:
    seen.clear()
    assert Single.apply(*leaves(bf16)).dtype is bf16
    assert seen == [(bf16, bf16, False)]


def test_backward_casts_as_forward_did() -> None:
    seen.clear()
    a, b = leaves()
    with dtorch.autocast("cpu", dtype=dtorch.float16):
        out = Asis.apply(a, b)
    assert out.dtype is dtorch.float16
    out.float().sum().backward()
    assert seen == [(dtorch.float16, dtorch.float16)]
    assert a.grad.dtype is f32
    with dtorch.autocast("cpu", enabled=False):
        out = Asis.apply(a, b)
    with dtorch.autocast("cpu"):
        out.sum().backward()
    assert seen[-1][0] is f32


def test_older_names_are_for_cards() -> None:
    @dtorch.cuda.amp.custom_fwd
    def forward(ctx: Any, x: Any) -> Any:
        return x

    @dtorch.cuda.amp.custom_fwd(cast_inputs=f32)
    def cast(ctx: Any, x: Any) -> Any:
        return x

    class Context:
        pass

    x = dtorch.ones(1, dtype=bf16)
    with dtorch.autocast("cpu"):
        assert forward(Context(), x) is cast(Context(), x) is x
