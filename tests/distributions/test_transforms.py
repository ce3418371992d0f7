"""Transforms: inverses, Jacobians, caches, shapes."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.autograd.functional import jacobian
from dtorch.distributions import Normal, constraints, transforms as T  # noqa: N812

ONE = dtorch.ones((), dtype=dtorch.float64)

MAPS = [
    T.AffineTransform(1.0, -2.0),
    T.AffineTransform(ONE, ONE * 3, event_dim=1),
    T.ExpTransform(),
    T.PowerTransform(ONE * 2.5),
    T.SigmoidTransform(),
    T.SoftplusTransform(),
    T.TanhTransform(),
    T.StickBreakingTransform(),
    T.CorrCholeskyTransform(),
    T.CumulativeDistributionTransform(Normal(ONE, 2 * ONE)),
    T.IndependentTransform(T.ExpTransform(), 1),
    T.ReshapeTransform((3,), (1, 3)),
    T.ComposeTransform([T.AffineTransform(0.0, 0.5), T.StickBreakingTransform()]),
    T.ComposeTransform([T.SigmoidTransform(), T.AffineTransform(-1.0, 2.0)]),
    T.ComposeTransform([]),
    T.CatTransform([T.ExpTransform(), T.TanhTransform()], -1, [1, 2]),
    T.StackTransform([T.ExpTransform(), T.TanhTransform(), T.AffineTransform(0.0, 2.0)], -1),
]
each = pytest.mark.parametrize("t", MAPS, ids=lambda t: type(t).__name__)


def value_for(t: Any) -> Any:
    dtorch.manual_seed(0)
    x = dtorch.randn(3, dtype=dtorch.float64)
    return x.abs() + 0.1 if t.domain is constraints.positive else x


@each
def test_inverse_undoes_it_and_the_inverse_of_that_is_the_map(t: Any) -> None:
    x = value_for(t)
    y = t(x)
    dtorch.testing.assert_close(t.inv(y), x)
    assert t.inv.inv is t
    assert t.inv == t.inv
    assert tuple(t.forward_shape(x.shape)) == tuple(y.shape)
    assert tuple(t.inverse_shape(y.shape)) == tuple(x.shape)
    dtorch.testing.assert_close(t.inv.log_abs_det_jacobian(y, x), -t.log_abs_det_jacobian(x, y))


@each
def test_log_abs_det_jacobian_is_that_of_the_jacobian(t: Any) -> None:
    x = value_for(t)
    y = t(x)
    found = t.log_abs_det_jacobian(x, y).sum()
    matrix = jacobian(t, x).reshape(-1, 3).numpy()
    if isinstance(t, T.CorrCholeskyTransform):
        matrix = matrix[[3, 6, 7]]  # the elements below the diagonal
    if y.numel() == 4:
        matrix = matrix[:3]  # the last probability follows from the others
    np.testing.assert_allclose(float(found), np.linalg.slogdet(matrix)[1], rtol=1e-9, atol=1e-12)


@each
def test_sign_tells_rising_from_falling(t: Any) -> None:
    try:
        sign = t.sign
    except NotImplementedError:
        return
    x = value_for(t)
    rises = (t(x + 1e-3) - t(x)) * sign > 0
    assert rises.all()


@pytest.mark.parametrize("t", MAPS[:9] + MAPS[10:], ids=lambda t: type(t).__name__)
def test_caches_give_back_the_very_value(t: Any) -> None:
    cached = t.with_cache()
    x = value_for(t)
    y = cached(x)
    if t == T.identity_transform:
        return
    assert cached.inv(y) is x
    assert cached(x) is y
    assert t.with_cache(t._cache_size) is t


def test_maps_without_a_bijection_say_so() -> None:
    x = dtorch.tensor([-1.0, 2.0])
    assert T.AbsTransform()(x).tolist() == [1, 2]
    assert not T.AbsTransform().bijective
    dtorch.testing.assert_close(
        T.SoftmaxTransform()(T.SoftmaxTransform().inv(x.softmax(0))), x.softmax(0)
    )
    for t in (T.AbsTransform(), T.SoftmaxTransform()):
        with pytest.raises(NotImplementedError):
            t.log_abs_det_jacobian(x, x)
        with pytest.raises(NotImplementedError):
            _ = t.sign
    with pytest.raises(NotImplementedError):
        T.Transform()(x)


def test_equal_maps_are_equal_and_survive_pickling() -> None:
    assert T.AffineTransform(dtorch.zeros(2), 1) == T.AffineTransform(0.0, 1)
    assert T.AffineTransform(0.0, 1) != T.AffineTransform(0.0, 2)
    assert T.ExpTransform() == T.ExpTransform() != T.TanhTransform()
    assert T.PowerTransform(ONE) == T.PowerTransform(ONE)
    both = T.ComposeTransform([T.ExpTransform(), T.AffineTransform(0.0, 1)])
    _ = both.inv
    assert pickle.loads(pickle.dumps(both)) == both
    assert repr(both) == "ComposeTransform(\n    ExpTransform(),\n    AffineTransform()\n)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T.ExpTransform(cache_size=2), "cache_size"),
        (lambda: T.ReshapeTransform((2, 3), (5,)), "different numbers of elements"),
        (lambda: T.ReshapeTransform((2,), (2,)).forward_shape((3,)), "Shape mismatch"),
        (lambda: T.StickBreakingTransform().forward_shape(()), "Too few dimensions"),
        (lambda: T.CorrCholeskyTransform().forward_shape((4,)), "flattened lower-diagonal"),
        (lambda: T.CorrCholeskyTransform().inverse_shape((4, 3)), "not square"),
        (lambda: T.IndependentTransform(T.ExpTransform(), 2)(dtorch.ones(2)), "Too few dim"),
        (lambda: T.CatTransform([T.ExpTransform()], 0, [2])(dtorch.ones(3)), "expected size 2"),
        (lambda: T.StackTransform([T.ExpTransform()], 0)(dtorch.ones(3)), "expected size 1"),
        (lambda: T.ReshapeTransform((2, 3), (6,)).event_dim, "Please use either"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
