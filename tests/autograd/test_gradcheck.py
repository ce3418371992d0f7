"""Finite differences."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.autograd import Function, gradcheck, gradgradcheck
from dtorch.core.errors import GradError


def leaf(*shape: int) -> dtorch.Tensor:
    return (dtorch.rand(*shape, dtype=dtorch.float64) + 0.5).requires_grad_()


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return grad


def test_right_gradients_pass() -> None:
    assert gradcheck(lambda a, b: (a @ b, (a * 2).exp()), (leaf(2, 3), leaf(3, 2)))
    assert gradcheck.gradcheck(dtorch.sin, leaf(3))
    assert gradgradcheck(lambda a, b: a * b.sin(), (leaf(3), leaf(3)))


def test_wrong_gradients_are_named() -> None:
    with pytest.raises(GradError, match=r"output 0 by input 0 differ at .*finite differences"):
        gradcheck(Wrong.apply, (leaf(2),))
    assert gradcheck(Wrong.apply, (leaf(2),), raise_exception=False) is False


def test_wrong_second_gradients_are_named() -> None:
    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad * ctx.saved_tensors[0].detach()

    assert gradcheck(Half.apply, (leaf(2),))
    with pytest.raises(GradError, match="differ"):
        gradgradcheck(Half.apply, (leaf(2),))


def test_single_precision_warns() -> None:
    x = dtorch.ones(1, requires_grad=True)
    with pytest.warns(UserWarning, match=r"float32.*float64"):
        gradcheck(lambda t: t * 2, (x,), eps=1e-2)


def test_complex_inputs_and_outputs() -> None:
    z = dtorch.tensor([1 + 2j, 0.5 - 1j], dtype=dtorch.complex128, requires_grad=True)
    assert gradcheck(lambda t: t * t, (z,))
    assert gradcheck(lambda t: t.abs(), (z,))


def test_input_without_grad_is_refused() -> None:
    with pytest.raises(ValueError, match="requires grad"):
        gradcheck(dtorch.sin, (dtorch.ones(1),))


def test_random_backward_is_noticed() -> None:
    class Noisy(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad + dtorch.rand(*grad.shape, dtype=grad.dtype)

    with pytest.raises(GradError, match="two backward passes"):
        gradcheck(Noisy.apply, (leaf(2),))
