"""Computing twice instead of keeping."""

from __future__ import annotations

import weakref

import pytest

import dtorch
from dtorch.core.errors import GradError
from dtorch.utils.checkpoint import checkpoint, checkpoint_sequential, detach_variable

both = pytest.mark.parametrize("use_reentrant", [True, False])


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


@both
def test_value_and_gradient_are_those_of_a_plain_call(use_reentrant: bool) -> None:
    def function(a, factor, b):
        return (a * b).exp() * factor, a.sin()

    a, b = leaf(0.5, 1.0), leaf(2.0, 3.0)
    outputs = checkpoint(function, a, 3.0, b, use_reentrant=use_reentrant)
    (outputs[0].sum() + outputs[1].sum()).backward()
    found = [a.grad.tolist(), b.grad.tolist()]
    a.grad = b.grad = None
    plain = function(a, 3.0, b)
    (plain[0].sum() + plain[1].sum()).backward()
    assert [o.tolist() for o in outputs] == [pytest.approx(o.tolist()) for o in plain]
    assert found == [pytest.approx(a.grad.tolist()), pytest.approx(b.grad.tolist())]


@both
def test_the_function_runs_again_in_backward(use_reentrant: bool) -> None:
    calls = []

    def function(x):
        calls.append(dtorch.is_grad_enabled())
        return x.exp().exp()

    x = leaf(0.1)
    y = checkpoint(function, x, use_reentrant=use_reentrant)
    assert len(calls) == 1
    y.backward()
    assert calls == [not use_reentrant, True]


def test_inner_values_are_not_kept() -> None:
    inner: list[weakref.ref] = []

    def function(x):
        y = x.exp()
        inner.append(weakref.ref(y))
        return y.exp()

    out = checkpoint(function, leaf(0.1))
    assert inner[0]() is None
    out.backward()


@both
def test_random_numbers_are_the_same_the_second_time(use_reentrant: bool) -> None:
    masks = []

    def function(x):
        mask = dtorch.rand(4, dtype=dtorch.float64)
        masks.append(mask.tolist())
        return x * mask

    x = leaf(1, 1, 1, 1)
    y = checkpoint(function, x, use_reentrant=use_reentrant)
    after = dtorch.rand(1).item()
    y.sum().backward()
    assert masks[0] == masks[-1]
    assert x.grad.tolist() == masks[0]
    dtorch.manual_seed(0)
    dtorch.rand(4, dtype=dtorch.float64)
    assert dtorch.rand(1).item() == after


def test_parameters_that_are_no_arguments_get_gradients() -> None:
    w = leaf(3.0)
    for use_reentrant in (True, False):
        x = leaf(2.0)
        checkpoint(lambda t: t * w, x, use_reentrant=use_reentrant).backward()
        assert w.grad.tolist() == [2.0]
        w.grad = None


def test_keyword_arguments_and_second_gradients_without_reentry() -> None:
    x = leaf(2.0)
    y = checkpoint(lambda t, *, power: t**power, x, power=3)
    (first,) = dtorch.autograd.grad(y, x, create_graph=True)
    (second,) = dtorch.autograd.grad(first, x)
    assert (first.tolist(), second.tolist()) == ([12.0], [12.0])
    with pytest.raises(ValueError, match="use_reentrant=False"):
        checkpoint(lambda t, *, power: t**power, x, power=3, use_reentrant=True)


def test_retained_graph_computes_again() -> None:
    x = leaf(2.0)
    y = checkpoint(lambda t: t * t, x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]


def test_function_that_computes_something_else_is_noticed() -> None:
    calls = []

    def function(x):
        calls.append(1)
        return x.exp() if len(calls) == 1 else x.exp().exp()

    with pytest.raises(GradError, match="must compute the same"):
        checkpoint(function, leaf(0.1)).backward()


@both
def test_sequences(use_reentrant: bool) -> None:
    functions = [dtorch.sin, dtorch.exp, dtorch.cos, lambda t: t * 3]
    x = leaf(0.3)
    y = checkpoint_sequential(functions, 2, x, use_reentrant=use_reentrant)
    y.backward()
    found = x.grad.tolist()
    x.grad = None
    plain = x.sin().exp().cos() * 3
    plain.backward()
    assert y.tolist() == plain.tolist()
    assert found == pytest.approx(x.grad.tolist())
    with pytest.raises(ValueError, match="segments is 5"):
        checkpoint_sequential(functions, 5, x)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_second_call_casts_as_the_first(use_reentrant: bool) -> None:
    layer, seen = dtorch.nn.Linear(3, 3), []

    def part(x: dtorch.Tensor) -> dtorch.Tensor:
        out = layer(x)
        seen.append(out.dtype)
        return out.exp()

    x = dtorch.ones(2, 3, requires_grad=True)
    with dtorch.autocast("cpu"):
        out = checkpoint(part, x, use_reentrant=use_reentrant)
    out.float().sum().backward()
    assert seen == [dtorch.bfloat16] * 2
    assert layer.weight.grad.dtype is x.grad.dtype is dtorch.float32


def test_detached_variables_require_grad_where_they_did() -> None:
    x = dtorch.ones(1, requires_grad=True) * 2
    leaf, plain, number = detach_variable((x, dtorch.ones(1), 3))
    assert leaf.is_leaf
    assert (leaf.requires_grad, plain.requires_grad, number) == (True, False, 3)
    with pytest.raises(RuntimeError, match="tuple"):
        detach_variable([x])
