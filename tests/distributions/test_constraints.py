"""Constraints, and the transforms that lead into them."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch.distributions import biject_to, constraints, transform_to
from dtorch.distributions.constraint_registry import ConstraintRegistry

INSIDE_AND_OUT = [
    (constraints.real, [0.0, 1e30], [float("nan")]),
    (constraints.boolean, [0.0, 1.0], [0.5, 2.0]),
    (constraints.nonnegative_integer, [0.0, 3.0], [-1.0, 0.5]),
    (constraints.positive_integer, [1.0, 3.0], [0.0, 1.5]),
    (constraints.integer_interval(1, 3), [1.0, 3.0], [0.0, 2.5]),
    (constraints.positive, [1e-30, 2.0], [0.0, -1.0, float("nan")]),
    (constraints.nonnegative, [0.0, 2.0], [-1.0]),
    (constraints.greater_than(1), [1.5], [1.0]),
    (constraints.greater_than_eq(1), [1.0], [0.5]),
    (constraints.less_than(1), [0.5], [1.0]),
    (constraints.unit_interval, [0.0, 1.0], [-0.1, 1.1]),
    (constraints.half_open_interval(0, 1), [0.0, 0.5], [1.0]),
    (constraints.interval(-1, 1), [-1.0, 1.0], [2.0]),
]

EVENTS = [
    (constraints.real_vector, [[0.0, 1.0]], [[0.0, float("nan")]]),
    (constraints.one_hot, [[0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
    (constraints.multinomial(3), [[1.0, 2.0], [0.0, 0.0]], [[2.0, 2.0], [-1.0, 1.0]]),
    (constraints.simplex, [[0.3, 0.7]], [[0.3, 0.6], [-0.5, 1.5]]),
    (constraints.independent(constraints.positive, 1), [[1.0, 2.0]], [[1.0, 0.0]]),
    (constraints.lower_triangular, [[[1.0, 0.0], [2.0, -1.0]]], [[[1.0, 1.0], [0.0, 1.0]]]),
    (constraints.lower_cholesky, [[[1.0, 0.0], [2.0, 1.0]]], [[[1.0, 0.0], [2.0, -1.0]]]),
    (constraints.corr_cholesky, [[[1.0, 0.0], [0.6, 0.8]]], [[[1.0, 0.0], [0.6, 0.6]]]),
    (constraints.symmetric, [[[1.0, 2.0], [2.0, -1.0]]], [[[1.0, 2.0], [0.0, 1.0]]]),
    (constraints.positive_semidefinite, [[[1.0, 1.0], [1.0, 1.0]]], [[[1.0, 2.0], [2.0, 1.0]]]),
    (constraints.positive_definite, [[[2.0, 1.0], [1.0, 2.0]]], [[[0.0, 0.0], [0.0, 0.0]]]),
]


@pytest.mark.parametrize(("constraint", "inside", "outside"), INSIDE_AND_OUT, ids=str)
def test_numbers_inside_and_outside(constraint: Any, inside: Any, outside: Any) -> None:
    assert constraint.event_dim == 0
    assert constraint.check(dtorch.tensor(inside)).all()
    assert not constraint.check(dtorch.tensor(outside)).any()


@pytest.mark.parametrize(("constraint", "inside", "outside"), EVENTS, ids=lambda c: str(c)[:30])
def test_vectors_and_matrices_inside_and_outside(
    constraint: Any, inside: Any, outside: Any
) -> None:
    values = dtorch.tensor([*inside, *outside])
    expected = [True] * len(inside) + [False] * len(outside)
    assert constraint.check(values).tolist() == expected
    assert values.dim() - constraint.event_dim == 1


def test_square_matrices_are_told_from_others() -> None:
    assert constraints.square.check(dtorch.ones(2, 3, 3)).tolist() == [True, True]
    assert constraints.symmetric.check(dtorch.ones(2, 3, 4)).tolist() == [False, False]


def test_constraints_of_parts_and_slices() -> None:
    parts = constraints.cat([constraints.positive, constraints.real], dim=-1, lengths=[1, 2])
    assert parts.check(dtorch.tensor([-1.0, -1.0, 2.0])).tolist() == [False, True, True]
    slices = constraints.stack([constraints.positive, constraints.boolean], dim=-1)
    assert slices.check(dtorch.tensor([[3.0, 3.0]])).tolist() == [[True, False]]
    assert slices.is_discrete
    assert slices.event_dim == 1
    mixture = constraints.MixtureSameFamilyConstraint(constraints.interval(
        dtorch.tensor([0.0, 1.0]), dtorch.tensor([2.0, 3.0])
    ))  # fmt: skip
    assert mixture.check(dtorch.tensor([0.5, 1.5])).tolist() == [False, True]


def test_dependent_constraints_are_those_of_instances() -> None:
    class Between:
        @constraints.dependent_property(is_discrete=False, event_dim=0)
        def support(self) -> Any:
            return constraints.interval(0, 2)

        @constraints.dependent_property
        def unknown(self) -> Any:
            return constraints.real

    kind: Any = Between
    assert constraints.is_dependent(kind.support)
    assert not constraints.is_dependent(Between().support)
    assert kind.support.event_dim == 0
    with pytest.raises(NotImplementedError, match="statically"):
        _ = kind.unknown.is_discrete
    with pytest.raises(ValueError, match="Cannot determine validity"):
        constraints.dependent.check(dtorch.ones(1))


def test_representations_name_the_bounds() -> None:
    assert repr(constraints.positive) == "GreaterThan(lower_bound=0.0)"
    assert repr(constraints.interval(0, 2)) == "Interval(lower_bound=0, upper_bound=2)"
    assert repr(constraints.real_vector) == "IndependentConstraint(Real(), 1)"


REACHED = [
    constraints.real, constraints.positive, constraints.nonnegative, constraints.greater_than(-1.0),
    constraints.less_than(2.0), constraints.interval(-1.0, 3.0), constraints.unit_interval,
    constraints.half_open_interval(0.0, 2.0), constraints.simplex, constraints.corr_cholesky,
    constraints.real_vector, constraints.independent(constraints.positive, 1),
    constraints.cat([constraints.positive, constraints.real], -1, [1, 2]),
    constraints.stack([constraints.positive, constraints.real, constraints.unit_interval], -1),
]  # fmt: skip
ONLY_TRANSFORMED = [
    constraints.lower_cholesky, constraints.positive_definite, constraints.positive_semidefinite,
]  # fmt: skip


@pytest.mark.parametrize("constraint", REACHED, ids=lambda c: str(c)[:30])
@pytest.mark.parametrize("registry", [biject_to, transform_to], ids=["biject_to", "transform_to"])
def test_transforms_lead_into_the_set_and_back(registry: Any, constraint: Any) -> None:
    transform = registry(constraint)
    dtorch.manual_seed(0)
    x = dtorch.randn(4, 3, dtype=dtorch.float64)
    y = transform(x)
    assert constraint.check(y).all()
    back = transform.inv(y)
    dtorch.testing.assert_close(transform(back), y)
    if registry is biject_to:
        assert transform.bijective
        dtorch.testing.assert_close(back, x)


@pytest.mark.parametrize("constraint", ONLY_TRANSFORMED, ids=str)
def test_matrices_have_transforms_but_no_bijections(constraint: Any) -> None:
    transform = transform_to(constraint)
    y = transform(dtorch.randn(4, 3, 3, dtype=dtorch.float64))
    assert constraint.check(y).all()
    dtorch.testing.assert_close(transform(transform.inv(y)), y)
    with pytest.raises(NotImplementedError, match="Cannot transform"):
        biject_to(constraint)


def test_others_register_their_constraints() -> None:
    class Even(constraints.Constraint):
        pass

    registry = ConstraintRegistry()

    @registry.register(Even)
    def make(constraint: Any) -> Any:
        return dtorch.distributions.AffineTransform(0, 2)

    assert registry(Even()).scale == 2
    assert registry.register(Even(), make) is make
    with pytest.raises(NotImplementedError, match="Cannot transform _Boolean"):
        registry(constraints.boolean)
    with pytest.raises(TypeError, match="Constraint subclass or instance"):
        registry.register(3, make)
