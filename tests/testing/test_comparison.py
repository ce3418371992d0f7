"""What assert_close lets pass, and what it says of the rest."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.testing import assert_allclose, assert_close

t = dtorch.tensor


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (t([1.0, 2.0]), t([1.0, 2.0 + 1e-6]), {}),
        (t([1.0], dtype=dtorch.float64), t([1.0 + 1e-8], dtype=dtorch.float64), {}),
        (t([1.0], dtype=dtorch.float16), t([1.0009], dtype=dtorch.float16), {}),
        (t([1.0], dtype=dtorch.bfloat16), t([1.01], dtype=dtorch.bfloat16), {}),
        (t([1.0, 2.0]), t([1.0, 2.1]), {"rtol": 0.1, "atol": 0}),
        (t([math.nan]), t([math.nan]), {"equal_nan": True}),
        (t([math.inf]), t([math.inf]), {}),
        (t([1.0]), t([1.0], dtype=dtorch.float64), {"check_dtype": False}),
        (t([1]), t([1.0]), {"check_dtype": False}),
        (dtorch.ones(2, 3), dtorch.ones(3, 2).T, {}),
        (dtorch.ones(0), dtorch.ones(0), {}),
        (dtorch.ones(2, requires_grad=True), dtorch.ones(2), {}),
        (dtorch.nn.Parameter(dtorch.ones(2)), dtorch.ones(2), {}),
        (dtorch.eye(2).to_sparse(), dtorch.eye(2).to_sparse(), {}),
        (dtorch.eye(2).to_sparse(), dtorch.eye(2), {"check_layout": False}),
        (np.ones(2), np.ones(2), {}),
        (1.0, 1.0 + 1e-9, {}),
        (1, 1.0, {"check_dtype": False}),
        (True, True, {}),
        (None, None, {}),
        ((t(1.0),), [t(1.0)], {}),
        (OrderedDict(a=t(1.0)), {"a": t(1.0)}, {}),
        (range(3), range(3), {}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_close_passes(actual: Any, expected: Any, options: Any) -> None:
    assert_close(actual, expected, **options)


@pytest.mark.parametrize(
    ("actual", "expected", "options", "message"),
    [
        (
            t([1.0, 2.0, 3.0]), t([1.0, 2.5, 4.0]), {},
            "Tensor-likes are not close!\n\nMismatched elements: 2 / 3 (66.7%)\nGreatest absolute "
            "difference: 1.0 at index (2,) (up to 1e-05 allowed)\nGreatest relative difference: "
            "0.25 at index (2,) (up to 1.3e-06 allowed)",
        ),
        (
            t([1, 2, 3]), t([1, 2, 4]), {},
            "Tensor-likes are not equal!\n\nMismatched elements: 1 / 3 (33.3%)\nGreatest absolute "
            "difference: 1 at index (2,)\nGreatest relative difference: 0.25 at index (2,)",
        ),
        (
            t(1.0), t(2.0), {},
            "Scalars are not close!\n\nExpected 2.0 but got 1.0.\nAbsolute difference: 1.0 (up to "
            "1e-05 allowed)\nRelative difference: 0.5 (up to 1.3e-06 allowed)",
        ),
        (t([1, 255], dtype=dtorch.uint8), t([1, 0], dtype=dtorch.uint8), {}, "difference: 255 at"),
        (t([True, False]), t([True, True]), {}, "Mismatched elements: 1 / 2"),
        (t([math.nan]), t([math.nan]), {}, "difference: nan at index (0,)"),
        (t([math.inf]), t([-math.inf]), {}, "difference: inf at index (0,)"),
        (dtorch.ones(2), dtorch.ones(3), {}, "attribute 'shape' do not match: dtorch.Size([2]) !="),
        (t([1.0]), t([1]), {}, "attribute 'dtype' do not match: dtorch.float32 != dtorch.int64"),
        (dtorch.ones(2, 3), dtorch.ones(3, 2).T, {"check_stride": True}, "'stride()' do not match"),
        (dtorch.eye(2).to_sparse(), dtorch.eye(2), {}, "attribute 'layout' do not match"),
        (dtorch.eye(2).to_sparse(), 2 * dtorch.eye(2).to_sparse(), {}, "Sparse COO values are not"),
        (1.0, 2.0, {}, "Expected 2.0 but got 1.0."),
        (1, 1.0, {}, "The (d)types do not match: <class 'int'> != <class 'float'>"),
        (True, False, {}, "Booleans mismatch: True is not False"),
        (None, 1, {}, "None mismatch: None is not 1"),
        ([t(1.0)], [t(1.0), t(2.0)], {}, "length of the sequences mismatch: 1 != 2"),
        (
            {"a": 1, "c": 2}, {"a": 1, "b": 2}, {},
            "Missing keys in the actual mapping: ['b']\nAdditional keys in the actual mapping: "
            "['c']",
        ),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}, {}, "The failure occurred for item ['a'][1]"),
        (t(1.0), t(2.0), {"msg": "mine"}, "mine"),
        ([1.0], [2.0], {"msg": "mine: {}".format}, "mine: Scalars are not close!"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_what_differs_is_told(actual: Any, expected: Any, options: Any, message: str) -> None:
    with pytest.raises(AssertionError) as failure:
        assert_close(actual, expected, **options)
    assert message in str(failure.value)


@pytest.mark.parametrize(
    ("actual", "expected", "options", "error"),
    [
        (t(1.0), t(1.0), {"rtol": 0.1}, ValueError),
        (t(1.0), 1.0, {}, TypeError),
        (t([1.0]), np.ones(1), {}, TypeError),
        ("a", "a", {}, TypeError),
        ({1}, {1}, {}, TypeError),
        (dtorch.nn.Parameter(t(1.0)), t(1.0), {"allow_subclasses": False}, TypeError),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused(
    actual: Any, expected: Any, options: Any, error: Any
) -> None:
    with pytest.raises(error, match=r"rtol|assert_close: cannot compare"):
        assert_close(actual, expected, **options)


def test_the_deprecated_form_is_wider_and_takes_lists() -> None:
    with pytest.warns(FutureWarning, match="assert_close"):
        assert_allclose(t([1.0, 2.0]), [1.0, 2.0001])
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match="not close"):
        assert_allclose(t([1.0]), t([1.1]))
