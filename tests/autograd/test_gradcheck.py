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
    with pytest.raises(
        GradError,
        match=r"mismatch for output 0 with respect to input 0.*differ at .*finite differences",
    ):
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


@pytest.mark.parametrize("scattered", [False, True])
def test_gradients_of_outputs_can_be_made_scattered(scattered: bool) -> None:
    contiguous = set()

    class Seen(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            contiguous.add(grad.is_contiguous())
            return grad * 2

    assert gradgradcheck(Seen.apply, (leaf(2, 2),), gen_non_contig_grad_outputs=scattered)
    assert (False in contiguous) == scattered


CHECKS = [
    ("depends on an input it hides", lambda t: t.detach() * 2, leaf(2), "expected to be zero"),
    ("an expanded input", lambda t: t * 2, dtorch.zeros(1).double().expand(2), "share memory"),
    ("no tensor", lambda t: {"a": t}, leaf(2), "returned dict"),
]


@pytest.mark.parametrize(
    ("function", "input", "message"), [c[1:] for c in CHECKS], ids=[c[0] for c in CHECKS]
)
def test_what_cannot_be_checked_is_named(function, input, message) -> None:
    with pytest.raises(RuntimeError, match=message):
        gradcheck(function, (input.requires_grad_(),))
    assert not gradcheck(function, (input,), 1e-6, 1e-5, 1e-3, False)


def test_stored_elements_of_sparse_inputs_are_checked() -> None:
    sparse = dtorch.tensor([[0.0, 2.0], [3.0, 0.0]]).double().to_sparse().requires_grad_()
    assert gradcheck(lambda s: s.to_dense() ** 2, (sparse,), masked=True, fast_mode=True)
    with pytest.raises(ValueError, match="sparse"):
        gradcheck(lambda s: s * 2, (sparse,))


def test_empty_tensors_and_batches_of_gradients_are_checked() -> None:
    assert gradcheck(lambda t: t * 2, (leaf(0, 3),))
    assert gradcheck(lambda t: (t * 2, t * t), (leaf(2),), check_batched_grad=True)
    with pytest.raises(NotImplementedError, match="backward only"):
        gradcheck(lambda t: t * 2, (leaf(1),), check_forward_ad=True)


def test_jacobians_can_be_asked_for() -> None:
    x, y = leaf(2), leaf(2)
    numeric = gradcheck.get_numerical_jacobian(lambda pair: pair[0] * pair[1][0], (x, [y]), y)
    assert dtorch.allclose(numeric, dtorch.diag(x.detach()))
    (analytic,), *flags = gradcheck.get_analytical_jacobian((x,), x * x)
    assert dtorch.allclose(analytic, dtorch.diag(2 * x.detach()))
    assert all(flags)
    assert list(gradcheck.iter_tensors((x, [y.detach()]), True)) == [x]
