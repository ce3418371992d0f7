"""Rules about sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import dtorch
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.shapes import (
    as_sizes,
    broadcast_shapes,
    infer_size,
    normalize_dim,
    normalize_dims,
    pair,
    sum_to,
    window_count,
)


def test_size_is_a_tuple_that_knows_its_product() -> None:
    size = dtorch.Size([2, 3])
    assert size == (2, 3)
    assert size.numel() == 6
    assert dtorch.Size().numel() == 1
    assert type(size[:1]) is dtorch.Size
    assert type(size + (4,)) is dtorch.Size  # noqa: RUF005 - the operator is what is tested
    assert dtorch.ones(2, 3).shape == size


def test_dims_count_from_both_ends() -> None:
    assert [normalize_dim("op", d, 3) for d in (0, 2, -1, -3)] == [0, 2, 2, 0]
    assert normalize_dim("op", -1, 0) == 0
    assert normalize_dims("op", None, 3) == (0, 1, 2)
    assert normalize_dims("op", (-1, 0), 3) == (2, 0)
    with pytest.raises(DimensionError, match=r"op: dim 3.*-3 to 2"):
        normalize_dim("op", 3, 3)
    with pytest.raises(TypeError, match=r"1\.5.*int"):
        normalize_dim("op", 1.5, 3)
    with pytest.raises(ArgumentError, match="twice"):
        normalize_dims("op", (0, -3), 3)


@pytest.mark.parametrize("dims", [2, (2,), -2, (0, 2)])
def test_dims_of_0_dim_tensors_are_0_and_minus_1_alone(dims: Any) -> None:
    assert normalize_dims("op", 0, 0) == normalize_dims("op", (-1,), 0) == ()
    with pytest.raises(DimensionError, match="out of range for 0 dimensions"):
        normalize_dims("op", dims, 0)


def test_sizes_come_as_numbers_or_as_one_sequence() -> None:
    assert as_sizes("op", (2, 3)) == as_sizes("op", ([2, 3],)) == (2, 3)
    assert as_sizes("op", (dtorch.Size([4]),)) == (4,)
    assert as_sizes("op", ()) == ()
    with pytest.raises(TypeError, match="op: sizes"):
        as_sizes("op", (2.5,))


def test_one_size_is_inferred() -> None:
    assert infer_size("view", (2, -1), 6) == (2, 3)
    assert infer_size("view", (6,), 6) == (6,)
    for shape, message in (((-1, -1), "2 sizes of -1"), ((4, -1), "6 elements"), ((5,), "which has 5"),
                           ((-2, 3), "negative"), ((0, -1), "0 elements")):  # fmt: skip
        with pytest.raises(ShapeError, match=message):
            infer_size("view", shape, 0 if shape == (0, -1) else 6)


@given(npst.mutually_broadcastable_shapes(num_shapes=3, max_dims=4))
def test_broadcasting_is_numpys(shapes: Any) -> None:
    assert broadcast_shapes("op", *shapes.input_shapes) == shapes.result_shape


def test_shapes_that_do_not_broadcast_are_named() -> None:
    with pytest.raises(ShapeError, match=r"add: .*\(2, 3\) and \(4,\).*3 and 4 of dimension -1"):
        dtorch.ones(2, 3) + dtorch.ones(4)


@given(st.data())
def test_sum_to_undoes_broadcasting(data: Any) -> None:
    shape = data.draw(npst.array_shapes(max_dims=3, min_side=1, max_side=3))
    wide = data.draw(npst.broadcastable_shapes(shape, max_dims=4, min_side=1, max_side=3))
    result = np.broadcast_shapes(shape, wide)
    grad = np.random.default_rng(0).normal(size=result)
    expected = np.zeros(shape)
    np.add.at(expected, np.broadcast_arrays(*np.ogrid[tuple(map(slice, shape))], np.empty(result))[:-1]
              if shape else (), grad)  # fmt: skip
    np.testing.assert_allclose(sum_to(grad, shape), expected)
    np.testing.assert_allclose(sum_to(dtorch.from_numpy(grad), shape).numpy(), expected)


def test_pairs_and_windows() -> None:
    assert pair(3) == (3, 3)
    assert pair((1, 2)) == (1, 2)
    assert pair([4]) == (4, 4)
    with pytest.raises(ArgumentError, match="pair"):
        pair((1, 2, 3))
    assert window_count("pool", 5, 2, 2, 0) == 2
    assert window_count("pool", 5, 3, 1, 1, 2) == 3
    with pytest.raises(ShapeError, match="window of 6"):
        window_count("pool", 5, 6, 1, 0)
    with pytest.raises(ArgumentError, match="stride 0"):
        window_count("pool", 5, 2, 0, 0)
