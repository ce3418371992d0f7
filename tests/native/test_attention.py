"""Compiled attention equals its reference in NumPy, for any shapes, masks and layouts."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core.ops import attention_tiles as tiles
from dtorch.core.ops.attention import tiled_attention
from dtorch.core.ops.attention_tiles import Options


def forward(*values):
    return tiled_attention.kernels["cpu"](*values)


def backward(*values):
    return tiled_attention.formulas["query"].kernels["cpu"](*values)


DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 5e-5, np.float64: 1e-11}


@st.composite
def calls(draw, dtype):
    """Arrays of a call: gradient, query, key, value, mask; and its options."""
    lead = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    size = st.integers(1, 70)
    rows, width, out_width = draw(size), draw(size), draw(size)
    keys = draw(st.one_of(size, st.integers(120, 300)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))

    def array(*shape):
        if draw(st.booleans()):  # as a view of (rows, *lead, columns) is
            made = random.standard_normal((shape[-2], *shape[:-2], shape[-1])).astype(dtype)
            return np.moveaxis(made, 0, -2)
        return random.standard_normal(shape).astype(dtype)

    arrays = [
        array(*lead, *last)
        for last in ((rows, out_width), (rows, width), (keys, width), (keys, out_width))
    ]
    kind = draw(st.sampled_from(["none", "bool", "row", "numbers"]))
    mask = None
    if kind == "numbers":
        mask = random.standard_normal((rows, keys)).astype(dtype)
        mask[random.random((rows, keys)) < 0.2] = -np.inf
    elif kind != "none":
        mask = random.random((rows, keys) if kind == "bool" else (1, keys)) < 0.7
    if mask is not None:
        mask = np.broadcast_to(mask, (*lead, rows, keys))
    dropout = draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    options = Options(
        draw(st.sampled_from([0.125, 1.0])), draw(st.booleans()), dropout,
        draw(st.integers(0, 2**64 - 1)),
    )  # fmt: skip
    return *arrays, mask, options


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_result_and_gradients_equal_the_reference(native, dtype, data):
    grad, query, key, value, mask, options = data.draw(calls(dtype))
    with np.errstate(invalid="ignore", under="ignore"):
        expected = tiles.forward(np, query, key, value, mask, options)
        slopes = tiles.backward(np, grad, query, key, value, mask, options, *expected)
    found = forward(query, key, value, mask, options)
    kind = TOLERANCE[dtype]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=kind, atol=kind)
    found = backward(grad, query, key, value, mask, options, *found)
    for a, b in zip(found, slopes, strict=True):
        np.testing.assert_allclose(a, b, rtol=20 * kind, atol=20 * kind)


def test_result_does_not_depend_on_the_number_of_threads(native):
    random = np.random.default_rng(0)
    arrays = [random.standard_normal((2, 300, 24)).astype(np.float32) for _ in range(4)]
    options = Options(0.2, True, 0.1, 7)
    before, found = native.get_num_threads(), []
    for threads in (1, 3):
        native.set_num_threads(threads)
        out = forward(*arrays[1:], None, options)
        found.append((*out, *backward(*arrays, None, options, *out)))
    native.set_num_threads(before)
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_heads_stay_beside_each_other_in_memory(native):
    heads = np.ones((2, 5, 3, 4), np.float32).transpose(0, 2, 1, 3)
    out, _ = forward(heads, heads, heads, None, Options(1.0, False, 0.0, 0))
    assert out.transpose(0, 2, 1, 3).flags.c_contiguous


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": np.ones((2, 6, 5), np.float32)},
        {"value": np.ones((2, 7, 3), np.float32)},
        {"value": np.ones((2, 6, 3), np.float64)},
        {"mask": np.ones((2, 5, 5), bool)},
        {"out": np.ones((2, 5, 4), np.float32)},
        {"query": np.ones((2, 0, 4), np.float32)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(native, wrong):
    arrays = {
        "query": np.ones((2, 5, 4), np.float32),
        "key": np.ones((2, 6, 4), np.float32),
        "value": np.ones((2, 6, 3), np.float32),
        "mask": None,
        "out": np.empty((2, 5, 3), np.float32),
        "log_sums": np.empty((2, 5, 1), np.float32),
        **wrong,
    }
    with pytest.raises(ValueError, match="attention"):
        native.attention(scale=1.0, is_causal=False, dropout_p=0.0, seed=0, **arrays)
