"""Hooks on what operations save."""

from __future__ import annotations

import threading

import pytest

import dtorch
from dtorch.autograd import Function
from dtorch.autograd.graph import saved_tensors_hooks


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


def test_saved_inputs_and_outputs_are_packed_and_unpacked() -> None:
    packed, unpacked = [], []

    def pack(t):
        packed.append(t.tolist())
        return t.numpy(force=True)

    def unpack(array):
        unpacked.append(array.tolist())
        return dtorch.from_numpy(array)

    x = leaf(2.0)
    with saved_tensors_hooks(pack, unpack):
        y = (x * x).exp()
    assert packed == [[2.0], [2.0], y.tolist()]
    assert unpacked == []
    y.backward()
    assert x.grad.tolist() == pytest.approx([4 * y.item()])
    assert sorted(unpacked) == sorted(packed)


def test_changed_values_change_the_gradient() -> None:
    x = leaf(2.0)
    with saved_tensors_hooks(lambda t: t, lambda t: t * 10):
        y = x * x
    y.backward()
    assert x.grad.tolist() == [40.0]


def test_second_gradients_keep_their_history() -> None:
    x = leaf(2.0)
    with saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        inner = x * 3
        y = inner * inner * inner.exp()
    (first,) = dtorch.autograd.grad(y, x, create_graph=True)
    (second,) = dtorch.autograd.grad(first, x)
    plain = x * 3
    (expected,) = dtorch.autograd.grad(plain * plain * plain.exp(), x, create_graph=True)
    assert first.tolist() == expected.tolist()
    assert second.tolist() == pytest.approx(dtorch.autograd.grad(expected, x)[0].tolist())


def test_hooks_of_a_custom_function() -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad * ctx.saved_tensors[0]

    x = leaf(3.0)
    with saved_tensors_hooks(lambda t: t.tolist(), lambda values: dtorch.tensor(values).double()):
        y = Square.apply(x)
    y.backward()
    assert x.grad.tolist() == [6.0]


def test_innermost_hooks_serve_and_threads_have_their_own() -> None:
    x = leaf(1.0)
    used = []
    outer = saved_tensors_hooks(lambda t: used.append("outer") or t, lambda t: t)
    inner = saved_tensors_hooks(lambda t: used.append("inner") or t, lambda t: t)
    with outer:
        with inner:
            x.exp()
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()
        x.exp()
    x.exp()
    assert used == ["inner", "outer"]


def test_unpack_must_give_a_tensor() -> None:
    x = leaf(1.0)
    with saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = x * x
    with pytest.raises(TypeError, match=r"unpack_hook returned int"):
        y.backward()


def test_pack_must_not_change_the_tensor() -> None:
    with (
        saved_tensors_hooks(lambda t: t.detach().add_(1), lambda t: t),
        pytest.raises(RuntimeError, match="pack_hook"),
    ):
        leaf(1.0).exp()
