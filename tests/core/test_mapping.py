"""Python functions applied to each element."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.core.errors import GradError, ShapeError


def test_apply_visits_elements_in_the_order_of_their_indices() -> None:
    seen: list[float] = []
    x = dtorch.tensor([[1.0, 2.0], [3.0, 4.0]]).t()
    assert x.apply_(lambda v: (seen.append(v), v * 10)[1]) is x
    assert x.tolist() == [[10, 30], [20, 40]]
    assert seen == [1, 3, 2, 4]


def test_map_takes_elements_of_other_tensors_that_broadcast() -> None:
    x = dtorch.tensor([[1, 2], [3, 4]])
    x.map_(dtorch.tensor([10, 20]), lambda a, b: a + b)
    assert x.tolist() == [[11, 22], [13, 24]]
    x.map2_(x, dtorch.tensor([[1], [0]]), lambda a, b, c: (a + b) * c)
    assert x.tolist() == [[22, 44], [0, 0]]


def test_nothing_is_written_if_the_function_fails() -> None:
    x = dtorch.ones(3)
    with pytest.raises(ZeroDivisionError):
        x.apply_(lambda v: 1 / 0)
    assert x.tolist() == [1, 1, 1]
    assert x._version == 0


def test_tensors_that_require_grad_and_shapes_that_do_not_fit_are_refused() -> None:
    x = dtorch.ones(3)
    with pytest.raises(GradError, match=r"map_.*detach"):
        x.map_(dtorch.ones(3, requires_grad=True), lambda a, b: a)
    with pytest.raises(ShapeError, match=r"map_.*\(2,\)"):
        x.map_(dtorch.ones(2), lambda a, b: a)
    with pytest.raises(TypeError, match=r"map_: got int"):
        x.map_(3, lambda a, b: a)
