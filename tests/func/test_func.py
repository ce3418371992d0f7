"""Derivatives of functions, functions over batches, modules as functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    rearrange,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vjp,
    vmap,
)
from dtorch.nn.utils import stateless
from dtorch.testing import assert_close

X, Y = dtorch.tensor([1.0, 2.0, 3.0]), dtorch.tensor([4.0, 5.0, 6.0])


def cubes(x: Any) -> Any:
    return (x**3).sum()


def mixed(x: Any, y: Any) -> Any:
    return (x * y**2).sum()


# -- derivatives ------------------------------------------------------------------------------------


def test_gradients_are_functions_and_nest() -> None:
    assert_close(grad(cubes)(X), 3 * X**2)
    assert_close(grad(lambda x: grad(cubes)(x).sum())(X), 6 * X)
    assert_close(
        grad(lambda x: grad(lambda z: grad(cubes)(z).sum())(x).sum())(X), dtorch.full((3,), 6.0)
    )
    assert_close(grad(mixed, argnums=(0, -1))(X, Y), (Y**2, 2 * X * Y))
    assert_close(grad_and_value(cubes)(X), (3 * X**2, dtorch.tensor(36.0)))
    assert_close(grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": X, "b": [Y]}), {"a": Y, "b": [X]})
    assert_close(grad(lambda x, k=1: (x * k).sum())(X, k=3), dtorch.full((3,), 3.0))
    assert_close(grad(lambda x: dtorch.tensor(1.0))(X), dtorch.zeros(3))
    found, aux = grad(lambda x: (cubes(x), {"x": x}), has_aux=True)(X)
    assert_close((found, aux["x"]), (3 * X**2, X))


def test_results_are_recorded_only_where_something_outside_asks_for_it() -> None:
    assert not grad(cubes)(X).requires_grad
    assert not vjp(cubes, X)[0].requires_grad
    z = X.clone().requires_grad_()
    grad(cubes)(z).sum().backward()
    assert_close(z.grad, 6 * X)
    w = dtorch.full((3,), 2.0, requires_grad=True)
    grad(lambda x: (w * x**2).sum())(X).sum().backward()
    assert_close(w.grad, 2 * X)
    with dtorch.no_grad():
        assert_close(grad(cubes)(X), 3 * X**2)
        assert not grad(lambda x: (w * x).sum())(X).requires_grad
    assert X.grad is None
    assert not X.requires_grad


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad(lambda x: x * 2)(X), RuntimeError, "scalar Tensor, got tensor with 1 dims"),
        (lambda: grad(lambda x: 1.0)(X), RuntimeError, "return a Tensor"),
        (lambda: grad(cubes)(1.0), ValueError, "must be Tensor"),
        (lambda: grad(cubes)(dtorch.tensor([1])), RuntimeError, "floating point dtype"),
        (lambda: grad(mixed, argnums=2)(X, Y), RuntimeError, "argnum=2, but only 2"),
        (lambda: grad(cubes, has_aux=True)(X), RuntimeError, "should be a tuple"),
        (lambda: vjp(cubes, X)[1](X), RuntimeError, "Mismatch in shape"),
        (lambda: vjp(lambda x: (x, x), X)[1](X), RuntimeError, "pytree structure of cotangents"),
        (lambda: vjp(lambda x: 1.0, X), RuntimeError, "only tensors"),
        (lambda: jvp(cubes, X, Y), RuntimeError, "to be a tuple"),
        (lambda: jvp(cubes, (X,), (X, X)), RuntimeError, "same python structure"),
        (lambda: jvp(cubes, (X,), (X[:1],)), RuntimeError, "has shape"),
    ],
)  # fmt: skip
def test_what_has_no_derivative_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_products_with_the_jacobian_from_both_sides() -> None:
    def both(a: Any, b: Any) -> Any:
        return {"product": a * b, "sum": a + b}

    value, product = vjp(both, X, Y)
    assert_close(value, both(X, Y))
    assert_close(product({"product": X, "sum": Y}), (X * Y + Y, X * X + Y))
    assert_close(product({"product": X, "sum": Y}), (X * Y + Y, X * X + Y))
    value, tangent = jvp(both, (X, Y), (Y, X))
    assert_close(tangent, {"product": Y * Y + X * X, "sum": X + Y})
    value, tangent, aux = jvp(lambda x: (x * 2, "aux"), (X,), (Y,), has_aux=True)
    assert (aux, tangent.tolist()) == ("aux", (2 * Y).tolist())
    value, linear = linearize(lambda x: x**2, X)
    assert_close((value, linear(Y), linear(X)), (X**2, 2 * X * Y, 2 * X * X))


def test_jacobians_have_the_structure_of_the_result_around_that_of_the_arguments() -> None:
    assert_close(jacrev(lambda x: x**2)(X), dtorch.diag(2 * X))
    assert_close(jacfwd(lambda x: x**2)(X), dtorch.diag(2 * X))
    found = jacrev(lambda a, b: (a * b, {"s": a.sum()}), argnums=(0, 1))(X, Y)
    assert_close(
        found, ((dtorch.diag(Y), dtorch.diag(X)), {"s": (dtorch.ones(3), dtorch.zeros(3))})
    )
    square = dtorch.arange(4.0).view(2, 2)
    assert jacrev(lambda a: a.T @ a)(square).shape == (2, 2, 2, 2)
    turned = dtorch.eye(4).view(2, 2, 2, 2).transpose(0, 1)  # an output is in any order of memory
    assert_close(jacrev(lambda a: a.T)(square), turned)
    assert_close(jacrev(lambda a: a.sum().expand(2))(square), dtorch.ones(2, 2, 2))
    assert_close(jacrev(lambda d: d["a"] ** 2)({"a": X}), {"a": dtorch.diag(2 * X)})
    found, aux = jacrev(lambda x: (x**2, 7), has_aux=True)(X)
    assert aux == 7


def test_second_derivatives_of_several_arguments() -> None:
    assert_close(hessian(cubes)(X), dtorch.diag(6 * X))
    (xx, xy), (yx, yy) = hessian(mixed, argnums=(0, 1))(X, Y)
    assert_close((xx, xy, yx, yy),
                 (dtorch.zeros(3, 3), dtorch.diag(2 * Y), dtorch.diag(2 * Y), dtorch.diag(2 * X)))  # fmt: skip
    assert_close(jacrev(jacrev(cubes))(X), dtorch.diag(6 * X))


# -- batches ----------------------------------------------------------------------------------------

ROWS = dtorch.arange(6.0).view(2, 3)


def test_functions_of_slices_become_functions_of_batches() -> None:
    assert_close(vmap(dtorch.dot)(ROWS, ROWS), (ROWS * ROWS).sum(1))
    assert_close(vmap(dtorch.dot, in_dims=(0, None))(ROWS, X), ROWS @ X)
    assert_close(vmap(lambda c: c.sum(), in_dims=-1)(ROWS), ROWS.sum(0))
    assert_close(vmap(lambda c: c * 2, out_dims=1)(ROWS), (2 * ROWS).T)
    assert_close(vmap(lambda c: (c.sum(), c))(ROWS), (ROWS.sum(1), ROWS))
    by_name = vmap(lambda d: {"o": d["a"] + d["b"]}, in_dims=({"a": 0, "b": None},))
    assert_close(by_name({"a": ROWS, "b": X}), {"o": ROWS + X})
    outer = vmap(vmap(lambda a, b: a * b, in_dims=(None, 0)), in_dims=(0, None))
    assert_close(outer(X, Y), dtorch.outer(X, Y))
    assert_close(vmap(lambda a, b: a + b)(ROWS, b=ROWS).shape, (2, 2, 3))
    assert vmap(dtorch.sin)(dtorch.ones(0, 3)).shape == (0, 3)
    assert_close(vmap(lambda c: (c, X), out_dims=(0, None))(ROWS), (ROWS, X))
    assert dtorch.vmap is vmap


def test_batches_and_gradients_go_together() -> None:
    assert_close(vmap(grad(cubes))(ROWS), 3 * ROWS**2)
    assert_close(grad(lambda m: vmap(cubes)(m).sum())(ROWS), 3 * ROWS**2)


def test_random_numbers_are_drawn_as_told() -> None:
    with pytest.raises(RuntimeError, match="random operation"):
        vmap(lambda c: c + dtorch.rand(3))(ROWS)
    same = vmap(lambda c: dtorch.rand(3), randomness="same")(ROWS)
    assert (same[0] == same[1]).all()
    different = vmap(lambda c: dtorch.rand(3), randomness="different")(ROWS)
    assert (different[0] != different[1]).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: vmap(dtorch.add)(ROWS, dtorch.ones(3, 3)), ValueError, "same size in the mapped"),
        (lambda: vmap(dtorch.add, in_dims=(None, None))(ROWS, ROWS), ValueError, "at least one Te"),
        (lambda: vmap(lambda c: 1.0)(ROWS), ValueError, "must only return Tensors"),
        (lambda: vmap(lambda: 1)(), ValueError, "got no inputs"),
        (lambda: vmap(dtorch.mul)(ROWS, 2.0), ValueError, "input is of type"),
        (lambda: vmap(dtorch.sin, in_dims=2)(ROWS), ValueError, "dimensionality 2"),
        (lambda: vmap(dtorch.add, in_dims=(0,))(ROWS, ROWS), ValueError, "not compatible"),
        (lambda: vmap(dtorch.sin, in_dims="a")(ROWS), ValueError, "expected `in_dims`"),
        (lambda: vmap(dtorch.sin, out_dims=(0, 0))(ROWS), ValueError, "not compatible"),
        (lambda: vmap(dtorch.sin, out_dims=3)(ROWS), IndexError, "out of range"),
        (lambda: vmap(dtorch.sin, chunk_size=0), ValueError, "greater than 0"),
        (lambda: vmap(dtorch.sin, randomness="x"), RuntimeError, "Only allowed values"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# -- modules ----------------------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(dtorch.tensor(1.0))
        self.b = self.a
        self.register_buffer("c", dtorch.tensor(3.0))
        self.sub = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.sub.weight, 2.0)

    def forward(self, x: Any) -> Any:
        self.c = self.c + 1
        return x * self.a * self.b + self.c + self.sub(x.view(1)).sum()


def test_modules_are_called_with_other_tensors_and_keep_their_own() -> None:
    net, one = Tied(), dtorch.tensor(1.0)
    own = dict(net.named_parameters())
    ten = dtorch.tensor(10.0)
    assert functional_call(net, {"a": ten}, one) == 106
    net.c.fill_(3)
    assert functional_call(net, {"b": ten, "c": dtorch.tensor(0.0)}, (one,)) == 103
    assert functional_call(net, {"a": ten, "c": one}, one, tie_weights=False) == 14
    assert functional_call(net, ({"c": one}, {"sub.weight": ten.view(1, 1)}), one) == 13
    buffers = {"c": one}
    functional_call(net, buffers, one)
    assert buffers["c"] == 2  # what the module assigned meanwhile
    assert net.c == 3
    assert all(net.get_parameter(name) is tensor for name, tensor in own.items())
    with pytest.raises(RuntimeError):
        functional_call(net, {"sub.weight": dtorch.ones(2, 2)}, dtorch.ones(3, 3))
    assert net.sub.weight.item() == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n, t: functional_call(n, {"a": t}, t, strict=True), RuntimeError, "Missing key"),
        (lambda n, t: functional_call(n, {"z": t}, t, strict=True), RuntimeError, "Unexpected key"),
        (lambda n, t: functional_call(n, {"a": t, "b": t + 1}, t), ValueError, "multiple values"),
        (lambda n, t: functional_call(n, ({"a": t}, {"a": t}), t), ValueError, "multiple dict"),
        (lambda n, t: functional_call(n, {"a": 3}, t), TypeError, "expected a Tensor"),
        (lambda n, t: functional_call(n, 3, t), ValueError, "to be a dict"),
        (lambda n, t: functional_call(n, {"no.such": t}, t), AttributeError, "no"),
        (lambda n, t: stack_module_state([]), RuntimeError, "at least one model"),
        (lambda n, t: stack_module_state([n, nn.ReLU()]), RuntimeError, "same class"),
        (lambda n, t: stack_module_state([n, Tied().eval()]), RuntimeError, "training/eval"),
    ],
)  # fmt: skip
def test_tensors_that_a_module_does_not_have_are_refused(
    call: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        call(Tied(), dtorch.tensor(1.0))


def test_gradients_of_modules_are_dicts_and_ensembles_run_at_once() -> None:
    net = nn.Linear(3, 2)
    by_name = grad(lambda p: functional_call(net, p, (X,)).sum())(dict(net.named_parameters()))
    assert_close(by_name, {"weight": X.expand(2, 3), "bias": dtorch.ones(2)})
    nets = [nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(4)]
    parameters, buffers = stack_module_state(nets)
    assert parameters["0.weight"].shape == (4, 2, 3)
    assert parameters["0.weight"].is_leaf
    assert parameters["0.weight"].requires_grad
    assert buffers["1.running_mean"].shape == (4, 2)
    for each in nets:
        each.eval()

    def call(p: Any, b: Any, x: Any) -> Any:
        return functional_call(nets[0], (p, b), (x,))

    out = vmap(call, in_dims=(0, 0, None))(parameters, buffers, ROWS)
    assert_close(out, dtorch.stack([each(ROWS) for each in nets]))


def test_the_former_name_works_and_says_so() -> None:
    net = nn.Linear(1, 1)
    with pytest.warns(FutureWarning, match=r"dtorch.func.functional_call"):
        out = stateless.functional_call(net, {"bias": dtorch.zeros(1)}, dtorch.zeros(1))
    assert out == 0


def test_batch_normalization_can_be_made_to_keep_nothing() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2))
    assert replace_all_batch_norm_modules_(net) is net
    assert net[0].running_mean is None
    np.testing.assert_allclose(net.eval()(dtorch.rand(5, 2)).mean(0).detach().numpy(), 0, atol=1e-6)


# -- patterns ---------------------------------------------------------------------------------------

CUBE = dtorch.arange(24.0).view(2, 3, 4)


@pytest.mark.parametrize(
    ("pattern", "sizes", "expected"),
    [
        ("a b c -> c a b", {}, CUBE.permute(2, 0, 1)),
        ("a b c -> a (b c)", {}, CUBE.reshape(2, 12)),
        ("a b (c d) -> a b c d", {"c": 2}, CUBE.reshape(2, 3, 2, 2)),
        ("... c -> c ...", {}, CUBE.permute(2, 0, 1)),
        ("a b c -> a 1 b c", {}, CUBE.unsqueeze(1)),
        ("(a e) b c -> e a b c", {"e": 2}, CUBE.view(1, 2, 3, 4).transpose(0, 1)),
        ("a b (h d) -> (h a) d b", {"h": 2}, CUBE.view(2, 3, 2, 2).permute(2, 0, 3, 1).reshape(4, 2, 3)),
    ],
    ids=str,
)  # fmt: skip
def test_dims_are_rearranged_by_a_pattern(pattern: str, sizes: Any, expected: Any) -> None:
    assert_close(rearrange(CUBE, pattern, **sizes), expected)
    assert_close(
        rearrange([CUBE, CUBE], "n " + pattern.replace("->", "-> n"), **sizes)[1], expected
    )


@pytest.mark.parametrize(
    "pattern",
    ["a b c -> a b", "a b -> b a", "a b c", "a a c -> a c a", "a b (c d) -> a b c d", "a (b -> a b",
     "a b c - > c"],
)  # fmt: skip
def test_patterns_that_do_not_fit_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="rearrange"):
        rearrange(CUBE, pattern)


def test_what_cannot_be_true_here_says_why() -> None:
    with pytest.raises(AttributeError, match="not recorded as a program"):
        _ = dtorch.func.functionalize
