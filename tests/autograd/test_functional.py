"""Jacobians, Hessians and their products with vectors."""

from __future__ import annotations

import numpy as np
import pytest

import dtorch
from dtorch.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp
from dtorch.core.errors import GradError, ShapeError

A = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])


def tensor(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64)


def linear(x: dtorch.Tensor) -> dtorch.Tensor:
    return dtorch.from_numpy(A) @ x


def cubic(x: dtorch.Tensor, y: dtorch.Tensor) -> dtorch.Tensor:
    return (x**2 * y).sum()


@pytest.mark.parametrize("vectorize", [False, True])
def test_jacobian_of_a_linear_map_is_its_matrix(vectorize: bool) -> None:
    found = jacobian(linear, tensor(1, 2, 3), vectorize=vectorize)
    np.testing.assert_allclose(found.numpy(), A)
    assert not found.requires_grad


@pytest.mark.parametrize("vectorize", [False, True])
def test_jacobian_nests_outputs_outside_inputs_inside(vectorize: bool) -> None:
    x, y = tensor(1, 2), tensor(3, 4)
    found = jacobian(lambda a, b: (a * b, b.sum()), (x, y), vectorize=vectorize)
    assert found[0][0].tolist() == [[3, 0], [0, 4]]
    assert found[0][1].tolist() == [[1, 0], [0, 2]]
    assert found[1][0].tolist() == [0, 0]
    assert found[1][1].tolist() == [1, 1]


def test_jacobian_can_be_differentiated() -> None:
    x = tensor(1, 2).requires_grad_()
    jacobian(lambda t: t**3, x, create_graph=True).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_strict_complains_about_independent_inputs() -> None:
    with pytest.raises(GradError, match=r"input 1.*strict=False"):
        jacobian(lambda a, b: a * 2, (tensor(1), tensor(1)), strict=True)


def test_hessian_of_one_and_of_several_inputs() -> None:
    x, y = tensor(1, 2), tensor(3, 4)
    assert hessian(lambda t: (t**3).sum(), x).tolist() == [[6, 0], [0, 12]]
    (xx, xy), (yx, yy) = hessian(cubic, (x, y))
    assert xx.tolist() == [[6, 0], [0, 8]]
    assert xy.tolist() == [[2, 0], [0, 4]] == yx.tolist()
    assert yy.tolist() == [[0, 0], [0, 0]]


def test_hessian_needs_one_element() -> None:
    with pytest.raises(ShapeError, match=r"hessian.*\(2,\).*one element"):
        hessian(lambda t: t * 2, tensor(1, 2))


def test_products_with_vectors() -> None:
    x, v, w = tensor(1, 2, 3), tensor(1, -1, 2), tensor(2, 5)
    out, found = vjp(linear, x, w)
    np.testing.assert_allclose(out.numpy(), A @ [1, 2, 3])
    np.testing.assert_allclose(found.numpy(), w.numpy() @ A)
    out, found = jvp(linear, x, v)
    np.testing.assert_allclose(found.numpy(), A @ v.numpy())
    out, found = hvp(lambda t: (t**3).sum(), x, v)
    assert out.item() == 36
    assert found.tolist() == [6, -12, 36]
    assert vhp(lambda t: (t**3).sum(), x, v)[1].tolist() == [6, -12, 36]


def test_products_of_several_inputs_and_outputs() -> None:
    x, y = tensor(1, 2), tensor(3, 4)
    outs, found = jvp(lambda a, b: (a * b, a + b), (x, y), (tensor(1, 0), tensor(0, 1)))
    assert [o.tolist() for o in outs] == [[3, 8], [4, 6]]
    assert [f.tolist() for f in found] == [[3, 2], [1, 1]]


def test_vector_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"v has shapes \[\(3,\)\].*\[\(2,\)\]"):
        vjp(linear, tensor(1, 2, 3), tensor(1, 2, 3))
    with pytest.raises(ShapeError, match="left out"):
        vjp(linear, tensor(1, 2, 3))


def test_gradient_mode_outside_does_not_matter() -> None:
    with dtorch.no_grad():
        assert jacobian(lambda t: t * 2, tensor(1)).tolist() == [[2]]
