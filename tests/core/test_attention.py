"""Attention in tiles: values and gradients by plain formulas, memory, dropout, errors."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.autograd import grad, gradcheck, gradgradcheck
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.ops.attention_tiles import Options, dropout_factors, philox
from dtorch.nn.functional import scaled_dot_product_attention as attention, softmax


def made(*shape: int, seed: int = 0, dtype: Any = dtorch.float64) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape)
    return dtorch.from_numpy(values).to(dtype).requires_grad_()


def plain(query: Any, key: Any, value: Any, bias: Any = None, scale: float | None = None) -> Any:
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    return softmax(scores if bias is None else scores + bias, -1) @ value


def later(rows: int, columns: int) -> Any:
    return dtorch.ones(rows, columns).triu(1).bool()


def minus_infinity(where: Any) -> Any:
    return dtorch.zeros(*where.shape, dtype=dtorch.float64).masked_fill(where, -np.inf)


def equal(a: Any, b: Any, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(a.numpy(force=True), b.numpy(force=True), rtol=1e-9, atol=atol)


@settings(max_examples=30, deadline=None)
@given(
    lead=st.lists(st.integers(1, 3), max_size=2), rows=st.integers(1, 40),
    keys=st.one_of(st.integers(1, 20), st.integers(120, 140), st.just(256)),
    width=st.integers(1, 20), out_width=st.integers(1, 40),
    masked=st.sampled_from(["no", "causal", "numbers"]),
)  # fmt: skip
def test_values_and_gradients_equal_the_formula(
    lead: Any, rows: Any, keys: Any, width: Any, out_width: Any, masked: Any
) -> None:
    inputs = made(*lead, rows, width), made(*lead, keys, width), made(*lead, keys, out_width)
    bias, given = None, {}
    if masked == "causal":
        given, bias = {"is_causal": True}, minus_infinity(later(rows, keys))
    elif masked == "numbers":
        bias = made(rows, keys, seed=5).detach()
        given = {"attn_mask": bias}
    out, expected = attention(*inputs, **given), plain(*inputs, bias)
    equal(out, expected)
    weights = made(*out.shape, seed=9).detach()
    for a, b in zip(grad(out, inputs, weights), grad(expected, inputs, weights), strict=True):
        equal(a, b, 1e-11)


def test_first_and_second_gradients_equal_differences() -> None:
    inputs = made(2, 3, 4), made(2, 5, 4, seed=1), made(2, 5, 2, seed=2)
    mask = dtorch.tensor([[True, False, True, True, False]])
    for options in ({}, {"is_causal": True}, {"attn_mask": mask}):
        assert gradcheck(lambda *x, o=options: attention(*x, **o), inputs)
        assert gradgradcheck(lambda *x, o=options: attention(*x, **o), inputs)


def test_a_mask_has_a_gradient() -> None:
    inputs = made(3, 4), made(5, 4, seed=1), made(5, 2, seed=2), made(3, 5, seed=3)
    assert gradcheck(lambda q, k, v, m: attention(q, k, v, m), inputs)


def test_heads_and_batches_broadcast() -> None:
    query, key, value = made(2, 3, 6, 4), made(1, 3, 5, 4, seed=1), made(5, 2, seed=2)
    mask = dtorch.from_numpy(np.random.default_rng(4).random((2, 1, 1, 5)) < 0.6)
    mask[..., 0] = True
    bias = minus_infinity(~mask)
    out, expected = attention(query, key, value, mask), plain(query, key, value, bias)
    equal(out, expected)
    inputs = (query, key, value)
    for a, b in zip(grad(out.sum(), inputs), grad(expected.sum(), inputs), strict=True):
        assert a.shape == b.shape
        equal(a, b)


def test_heads_of_the_query_share_keys_and_values() -> None:
    query, key, value = made(2, 6, 3, 4), made(2, 2, 5, 4, seed=1), made(2, 2, 5, 3, seed=2)
    out = attention(query, key, value, enable_gqa=True)
    repeated = [x.repeat_interleave(3, 1) for x in (key, value)]
    expected = plain(query, *repeated)
    equal(out, expected)
    inputs = (query, key, value)
    for a, b in zip(grad(out.sum(), inputs), grad(expected.sum(), inputs), strict=True):
        equal(a, b)


def test_queries_without_keys_give_zeros() -> None:
    query, key, value = made(2, 4), made(3, 4, seed=1), made(3, 2, seed=2)
    mask = dtorch.tensor([[True, False, True], [False, False, False]])
    out = attention(query, key, value, mask)
    assert out[1].tolist() == [0, 0]
    for gradient in grad(out.sum(), (query, key, value)):
        assert bool(dtorch.isfinite(gradient).all())
    assert attention(query, key[:0], value[:0]).tolist() == [[0, 0], [0, 0]]
    assert tuple(attention(query[:0], key, value).shape) == (0, 2)


def test_scale_may_be_zero() -> None:
    query, key, value = made(2, 4), made(3, 4, seed=1), made(3, 2, seed=2)
    equal(attention(query, key, value, scale=0.0)[0], value.mean(0))


def test_weights_are_dropped_by_the_seed_alone() -> None:
    inputs = made(4, 30, 8), made(4, 200, 8, seed=1), made(4, 200, 8, seed=2)
    dtorch.manual_seed(3)
    first = attention(*inputs, dropout_p=0.4)
    second = attention(*inputs, dropout_p=0.4)
    dtorch.manual_seed(3)
    again = attention(*inputs, dropout_p=0.4)
    assert dtorch.equal(first, again)
    assert not dtorch.equal(first, second)


def test_dropped_weights_have_no_part_in_gradients_of_any_order() -> None:
    inputs = made(2, 3, 4), made(2, 5, 4, seed=1), made(2, 5, 2, seed=2)

    def seeded(*x: Any) -> Any:
        dtorch.manual_seed(11)
        return attention(*x, dropout_p=0.5)

    assert gradcheck(seeded, inputs)
    assert gradgradcheck(seeded, inputs)


def test_all_weights_dropped_give_zeros() -> None:
    out = attention(made(2, 4), made(3, 4), made(3, 2), dropout_p=1.0)
    assert out.tolist() == [[0, 0], [0, 0]]


def test_share_of_dropped_weights_is_the_probability() -> None:
    factors = dropout_factors((3,), 64, range(512), Options(1.0, False, 0.25, 99))
    assert abs((factors == 0).mean() - 0.25) < 0.005
    assert set(np.unique(factors)) == {0, 1 / 0.75}
    for other in (1, 32, 128):  # neighbouring weights know nothing of each other
        both = (factors[..., other:] == 0) & (factors[..., :-other] == 0)
        assert abs(both.mean() - 0.25**2) < 0.005


def test_random_words_equal_those_published() -> None:
    # Known answers of the authors' library Random123.
    ones, key = [0xFFFFFFFF] * 4, 2**64 - 1
    words = [int(word) for word in philox([0] * 4, 0)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    words = [int(word) for word in philox(ones, key)]
    assert words == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_narrow_dtypes_are_kept() -> None:
    inputs = [made(2, 3, 4, seed=i) for i in range(3)]
    expected = attention(*inputs)
    for dtype in (dtorch.float16, dtorch.bfloat16):
        narrow = [x.detach().to(dtype).requires_grad_() for x in inputs]
        out = attention(*narrow, is_causal=False)
        assert out.dtype == dtype
        assert float((out.double() - expected).abs().max()) < 0.03
        assert all(g.dtype == dtype for g in grad(out.sum(), narrow))


MEMORY = """
import tracemalloc
import dtorch
from dtorch.core import backend
from dtorch.nn.functional import scaled_dot_product_attention
def peak():
    if backend.native is None:
        return tracemalloc.get_traced_memory()[1]
    return backend.native.allocator_stats()["peak_bytes"]
def attend(length):
    inputs = [dtorch.randn(length, 16).requires_grad_() for _ in range(3)]
    mask = dtorch.ones(1, length).bool()
    scaled_dot_product_attention(*inputs, mask, dropout_p=0.1).sum().backward()
    return peak() - before
tracemalloc.start()
before = peak()
print(attend(512), attend(2048))
"""


def test_memory_grows_with_the_length_and_not_with_its_square() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True, timeout=120
    )
    short, long = map(int, done.stdout.split())
    assert long < 5 * short


@pytest.mark.parametrize(
    ("shapes", "options", "error"),
    [
        (((3, 4), (5, 3), (5, 2)), {}, ShapeError),
        (((3, 4), (5, 4), (6, 2)), {}, ShapeError),
        (((4,), (5, 4), (5, 2)), {}, ShapeError),
        (((2, 3, 4), (3, 5, 4), (3, 5, 2)), {}, ShapeError),
        (((3, 3, 4), (2, 5, 4), (2, 5, 2)), {"enable_gqa": True}, ShapeError),
        (((3, 4), (5, 4), (5, 2)), {"dropout_p": 1.5}, ArgumentError),
        (((3, 4), (5, 4), (5, 2)), {"attn_mask": dtorch.ones(3, 6).bool()}, ShapeError),
        (((3, 4), (5, 4), (5, 2)), {"attn_mask": dtorch.ones(3, 5).long()}, ArgumentError),
        (
            ((3, 4), (5, 4), (5, 2)),
            {"attn_mask": dtorch.ones(3, 5).bool(), "is_causal": True},
            ArgumentError,
        ),
    ],
)
def test_wrong_arguments_are_explained(shapes: Any, options: Any, error: type) -> None:
    with pytest.raises(error, match="scaled_dot_product_attention"):
        attention(*(made(*shape) for shape in shapes), **options)


def test_dtypes_must_agree() -> None:
    with pytest.raises(DtypeError, match="one floating-point dtype"):
        attention(made(3, 4), made(5, 4, dtype=dtorch.float32), made(5, 2))
    with pytest.raises(DtypeError, match="one floating-point dtype"):
        attention(*(dtorch.ones(2, 2).long() for _ in range(3)))


def test_multihead_attention_is_the_same_with_and_without_weights() -> None:
    layer = dtorch.nn.MultiheadAttention(12, 3, batch_first=True).double()
    x = made(2, 7, 12)
    padding = dtorch.tensor([[False] * 7, [False] * 5 + [True] * 2])
    for options in ({}, {"key_padding_mask": padding}, {"attn_mask": later(7, 7)},
                    {"key_padding_mask": padding, "is_causal": True}):  # fmt: skip
        with_weights, weights = layer(x, x, x, **options)
        without, none = layer(x, x, x, need_weights=False, **options)
        assert none is None
        assert weights is not None
        equal(without, with_weights)
        equal(grad(without.sum(), x)[0], grad(with_weights.sum(), x)[0], 1e-11)


def test_multihead_attention_drops_weights_in_training_alone() -> None:
    layer = dtorch.nn.MultiheadAttention(8, 2, dropout=0.5).double()
    x = made(6, 1, 8)
    dtorch.manual_seed(0)
    first = layer(x, x, x, need_weights=False)[0]
    dtorch.manual_seed(0)
    assert dtorch.equal(first, layer(x, x, x, need_weights=False)[0])
    layer.eval()
    a, b = (layer(x, x, x, need_weights=False)[0] for _ in range(2))
    assert dtorch.equal(a, b)
    assert not dtorch.equal(a, first)
