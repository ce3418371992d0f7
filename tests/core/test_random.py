"""Samplers follow their distributions (Kolmogorov-Smirnov at a fixed seed) and their rules."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import numpy as np
import pytest
from scipy import stats

import dtorch
from dtorch.core.errors import ArgumentError, DtypeError

SIZE = 20_000
LEAST_P = 1e-3


def sample(name: str, *args: Any) -> np.ndarray:
    dtorch.manual_seed(7)
    return getattr(dtorch.empty(SIZE, dtype=dtorch.float64), name)(*args).numpy()


@pytest.mark.parametrize(
    ("name", "args", "distribution"),
    [
        ("uniform_", (), stats.uniform()),
        ("uniform_", (-2, 5), stats.uniform(-2, 7)),
        ("normal_", (), stats.norm()),
        ("normal_", (3, 0.5), stats.norm(3, 0.5)),
        ("exponential_", (), stats.expon()),
        ("exponential_", (2.5,), stats.expon(scale=1 / 2.5)),
        ("cauchy_", (1, 2), stats.cauchy(1, 2)),
        ("log_normal_", (), stats.lognorm(2, scale=np.exp(1))),
        ("log_normal_", (0, 0.5), stats.lognorm(0.5)),
    ],
)
def test_sampler_follows_its_distribution(name: str, args: Any, distribution: Any) -> None:
    assert stats.kstest(sample(name, *args), distribution.cdf).pvalue > LEAST_P


@pytest.mark.parametrize("dtype", [dtorch.float16, dtorch.float32, dtorch.bfloat16])
def test_narrow_dtypes_follow_the_distribution_up_to_rounding(dtype: Any) -> None:
    values = dtorch.randn(SIZE, dtype=dtype).double().numpy()
    assert stats.kstest(values + 1e-3 * np.random.default_rng(0).normal(size=SIZE),
                        stats.norm().cdf).statistic < 0.02  # fmt: skip


def chi_square(values: np.ndarray, probabilities: dict[int, float]) -> float:
    counts = [int((values == value).sum()) for value in probabilities]
    expected = np.array(list(probabilities.values())) * len(values)
    rest = len(values) - sum(counts)
    if rest or expected.sum() < len(values) - 1e-6:
        counts.append(rest)
        expected = np.append(expected, len(values) - expected.sum())
    return float(stats.chisquare(counts, expected).pvalue)


def test_geometric_starts_at_one() -> None:
    values = sample("geometric_", 0.3)
    assert values.min() == 1
    assert chi_square(values, {k: 0.3 * 0.7 ** (k - 1) for k in range(1, 12)}) > LEAST_P


def test_bernoulli_takes_probabilities_from_the_tensor_or_a_number() -> None:
    dtorch.manual_seed(1)
    of_tensor = dtorch.bernoulli(dtorch.full((SIZE,), 0.2)).numpy()
    of_number = dtorch.empty(SIZE).bernoulli_(0.7).numpy()
    assert chi_square(of_tensor, {0: 0.8, 1: 0.2}) > LEAST_P
    assert chi_square(of_number, {0: 0.3, 1: 0.7}) > LEAST_P


def test_poisson_has_the_mean_of_its_input() -> None:
    dtorch.manual_seed(1)
    values = dtorch.poisson(dtorch.full((SIZE,), 2.5)).numpy()
    assert chi_square(values, {k: stats.poisson(2.5).pmf(k) for k in range(9)}) > LEAST_P


def test_random_covers_its_range_evenly() -> None:
    assert chi_square(sample("random_", 6), dict.fromkeys(range(6), 1 / 6)) > LEAST_P
    assert chi_square(sample("random_", 2, 5), dict.fromkeys((2, 3, 4), 1 / 3)) > LEAST_P
    whole = dtorch.empty(SIZE, dtype=dtorch.uint8).random_().numpy()
    assert chi_square(whole, dict.fromkeys(range(256), 1 / 256)) > LEAST_P


def test_random_without_bounds_stays_where_floats_are_exact() -> None:
    values = dtorch.empty(1000).random_().numpy()
    assert values.max() < 2**24
    assert values.max() > 2**22


def test_multinomial_with_replacement_follows_the_weights() -> None:
    dtorch.manual_seed(2)
    values = dtorch.multinomial(dtorch.tensor([1.0, 0.0, 3.0, 4.0]), SIZE, True).numpy()
    assert chi_square(values, {0: 1 / 8, 2: 3 / 8, 3: 1 / 2}) > LEAST_P


def test_multinomial_without_replacement_follows_the_weights() -> None:
    dtorch.manual_seed(2)
    pairs = dtorch.multinomial(dtorch.tensor([1.0, 2.0, 5.0]).expand(SIZE, 3), 2).numpy()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    code = pairs[:, 0] * 3 + pairs[:, 1]
    weight = {0: 1 / 8, 1: 2 / 8, 2: 5 / 8}
    expected = {
        3 * i + j: weight[i] * weight[j] / (1 - weight[i])
        for i in range(3)
        for j in range(3)
        if i != j
    }
    assert chi_square(code, expected) > LEAST_P


@pytest.mark.parametrize(
    ("weights", "count", "message"),
    [
        ([0.0, 0.0], 1, "sum to more than 0"),
        ([-1.0, 2.0], 1, "not negative"),
        ([float("inf"), 1.0], 1, "finite"),
        ([0.0, 1.0], 2, "replacement=True"),
        ([1.0, 1.0], 0, "at least 1"),
    ],
)
def test_multinomial_names_bad_weights(weights: list[float], count: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        dtorch.multinomial(dtorch.tensor(weights), count)


def test_randperm_is_uniform_over_permutations() -> None:
    dtorch.manual_seed(3)
    codes = np.array([int("".join(map(str, dtorch.randperm(3).tolist()))) for _ in range(3000)])
    assert chi_square(codes, dict.fromkeys((12, 21, 102, 120, 201, 210), 1 / 6)) > LEAST_P


def test_normal_takes_tensors_for_mean_and_std() -> None:
    dtorch.manual_seed(4)
    std = dtorch.tensor([1.0, 3.0])
    values = dtorch.normal(dtorch.zeros(SIZE, 1), std).numpy()
    assert values.shape == (SIZE, 2)
    for column, spread in zip(values.T, (1, 3), strict=True):
        assert stats.kstest(column, stats.norm(0, spread).cdf).pvalue > LEAST_P
    assert dtorch.normal(2.0, dtorch.zeros(3)).tolist() == [2, 2, 2]
    assert tuple(dtorch.normal(0.0, 1.0, (2, 3)).shape) == (2, 3)


def test_uniform_leaves_out_its_upper_bound() -> None:
    values = dtorch.empty(200_000).uniform_(1, 1 + 2**-22)
    assert float(values.max()) < 1 + 2**-22
    assert float(values.min()) >= 1


@pytest.mark.parametrize(
    ("name", "args", "error"),
    [
        ("uniform_", (2, 1), ArgumentError),
        ("normal_", (0, -1), ArgumentError),
        ("exponential_", (0,), ArgumentError),
        ("cauchy_", (0, 0), ArgumentError),
        ("log_normal_", (0, 0), ArgumentError),
        ("geometric_", (1.5,), ArgumentError),
        ("bernoulli_", (1.5,), ArgumentError),
        ("random_", (3, 3), ArgumentError),
    ],
)
def test_sampler_names_bad_parameters(name: str, args: Any, error: Any) -> None:
    with pytest.raises(error, match=name):
        getattr(dtorch.empty(3), name)(*args)


@pytest.mark.parametrize("name", ["uniform_", "normal_", "exponential_", "cauchy_", "log_normal_"])
def test_continuous_samplers_refuse_integers(name: str) -> None:
    with pytest.raises(DtypeError, match=r"int64.*floating"):
        getattr(dtorch.zeros(3, dtype=dtorch.int64), name)()


def test_state_round_trips_exactly_between_calls_of_any_kind() -> None:
    generator = dtorch.Generator().manual_seed(5)
    dtorch.randint(0, 7, (3,), generator=generator)  # leaves half a word behind
    state = generator.get_state()
    first = [dtorch.rand(5, generator=generator), dtorch.randn(5, generator=generator)]
    generator.set_state(state)
    second = [dtorch.rand(5, generator=generator), dtorch.randn(5, generator=generator)]
    assert all(dtorch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert dtorch.equal(generator.clone_state().get_state(), generator.get_state())


def test_fork_rng_gives_the_state_back() -> None:
    dtorch.manual_seed(6)
    expected = dtorch.rand(3)
    dtorch.manual_seed(6)
    with dtorch.random.fork_rng():
        dtorch.rand(100)
    assert dtorch.equal(dtorch.rand(3), expected)
    dtorch.manual_seed(6)
    with dtorch.random.fork_rng(enabled=False):
        dtorch.rand(100)
    assert not dtorch.equal(dtorch.rand(3), expected)


def _draw(queue: Any) -> None:
    queue.put(dtorch.rand(4).tolist())


def test_forked_process_draws_even_if_a_thread_held_the_lock() -> None:
    dtorch.manual_seed(8)
    state = dtorch.get_rng_state()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with dtorch.default_generator.numpy.bit_generator.lock:
            held.set()
            done.wait(0.5)  # a fork waits for a draw to end

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    process = context.Process(target=_draw, args=(queue,))
    process.start()
    process.join(30)
    done.set()
    thread.join()
    assert process.exitcode == 0
    dtorch.set_rng_state(state)
    assert queue.get() == dtorch.rand(4).tolist()


def test_sampling_into_a_recorded_tensor_cuts_its_history() -> None:
    x = dtorch.ones(3, requires_grad=True)
    y = x * 2
    y.uniform_()
    y.sum().backward()
    assert x.grad is None


FLOATING = [dtorch.bfloat16, dtorch.float16, dtorch.float32, dtorch.float64]
every_floating = pytest.mark.parametrize("dtype", FLOATING, ids=str)


@every_floating
@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-1, 1), (3, 3.5), (0.1, 0.3), (-0.3, -0.1), (3, 3.0001), (-2, 0), (1e4, 2e4)],
)
def test_uniform_numbers_stay_within_their_bounds_in_every_dtype(
    dtype: Any, low: float, high: float
) -> None:
    dtorch.manual_seed(0)
    values = dtorch.empty(100_000, dtype=dtype).uniform_(low, high).double()
    assert low <= float(values.min())
    assert float(values.max()) < high
    step = max(abs(low), abs(high)) * dtorch.finfo(dtype).eps
    if high - low > 20 * step:
        assert abs(float(values.mean()) - (low + high) / 2) < 0.01 * (high - low)


@every_floating
def test_rand_leaves_out_1(dtype: Any) -> None:
    dtorch.manual_seed(0)
    drawn = dtorch.rand(200_000, dtype=dtype)
    for values in (drawn, dtorch.rand_like(drawn), dtorch.empty_like(drawn).uniform_()):
        assert float(values.min()) >= 0
        assert float(values.max()) < 1
        assert float(values.max()) > 0.999 - dtorch.finfo(dtype).eps
        assert abs(float(values.double().mean()) - 0.5) < 3e-3


def test_both_parts_of_complex_numbers_are_drawn() -> None:
    values = dtorch.rand(1000, dtype=dtorch.complex64)
    for part in (values.real, values.imag):
        assert part.unique().numel() > 900
        assert 0 <= float(part.min()) <= float(part.max()) < 1
    for name in ("uniform_", "exponential_", "cauchy_", "log_normal_", "geometric_", "random_"):
        with pytest.raises(DtypeError, match=name):
            getattr(values, name)(*((0.5,) if name == "geometric_" else ()))


@pytest.mark.parametrize("dtype", [dtorch.bfloat16, dtorch.float16], ids=str)
def test_normal_numbers_of_half_precision_are_rounded_once(dtype: Any) -> None:
    def drawn(dtype: Any) -> Any:
        dtorch.manual_seed(0)
        return dtorch.empty(5000, dtype=dtype).normal_(3.3, 0.37)

    assert drawn(dtype).equal(drawn(dtorch.float32).to(dtype))
    dtorch.manual_seed(0)
    spread = dtorch.full((5000,), 0.37, dtype=dtype)
    values = dtorch.normal(3.3, spread)
    dtorch.manual_seed(0)
    assert values.equal((dtorch.randn(5000) * spread.float() + 3.3).to(dtype))


@pytest.mark.parametrize(
    ("dtype", "most"),
    [
        (dtorch.uint8, 255), (dtorch.int8, 127), (dtorch.int16, 2**15 - 1),
        (dtorch.int32, 2**31 - 1), (dtorch.int64, 2**63 - 1), (dtorch.bool, 1),
        (dtorch.bfloat16, 256), (dtorch.float16, 2048), (dtorch.float32, 2**24),
        (dtorch.float64, 2**53),
    ],
)  # fmt: skip
def test_whole_numbers_fit_their_dtype(dtype: Any, most: int) -> None:
    dtorch.manual_seed(0)
    values = [int(v) for v in dtorch.empty(50_000, dtype=dtype).random_().tolist()]
    assert 0 <= min(values) <= max(values) <= most
    assert max(values) > 0.99 * most
    assert dtorch.empty(9, dtype=dtype).random_(0, None).ge(0).all()
    if dtype.is_floating_point:
        drawn = dtorch.randint(0, 3 * most + 1, (50_000,), dtype=dtype)
        assert float(drawn.double().max()) <= 3 * most
        return
    for act in (
        lambda: dtorch.empty(3, dtype=dtype).random_(most + 2),
        lambda: dtorch.randint(0, most + 2, (3,), dtype=dtype),
        lambda: dtorch.randint(-(2**63) - 1, 3, (3,), dtype=dtype),
    ):
        with pytest.raises(ArgumentError, match="cannot hold"):
            act()


@pytest.mark.parametrize("dtype", [dtorch.bfloat16, dtorch.float16, dtorch.int8, dtorch.bool])
def test_permutations_that_a_dtype_cannot_hold_are_refused(dtype: Any) -> None:
    most = {dtorch.bfloat16: 257, dtorch.float16: 2049, dtorch.int8: 128, dtorch.bool: 2}[dtype]
    assert sorted(int(v) for v in dtorch.randperm(most, dtype=dtype).tolist()) == list(range(most))
    with pytest.raises(ArgumentError, match="different whole numbers"):
        dtorch.randperm(most + 1, dtype=dtype)


@every_floating
@pytest.mark.parametrize("bounds", [(0, float("inf")), (float("nan"), 1), (-1e310, 0), (2, 1)])
def test_uniform_bounds_that_a_dtype_cannot_hold_are_refused(dtype: Any, bounds: Any) -> None:
    with pytest.raises(ArgumentError, match="uniform_"):
        dtorch.empty(3, dtype=dtype).uniform_(*bounds)


@every_floating
def test_numbers_are_drawn_in_the_dtype_of_out(dtype: Any) -> None:
    out = dtorch.empty(100_000, dtype=dtype)
    dtorch.manual_seed(0)
    assert dtorch.rand(100_000, out=out) is out
    assert float(out.max()) < 1
    dtorch.manual_seed(0)
    assert out.equal(dtorch.rand(100_000, dtype=dtype))
    dtorch.manual_seed(0)
    dtorch.randint(0, 3, (100_000,), out=out)
    assert set(out.tolist()) == {0, 1, 2}
    dtorch.normal(0.0, 1.0, (5,), out=out)
    with pytest.raises(DtypeError, match="that of out"):
        dtorch.randn(3, out=out, dtype=dtorch.complex64)


def test_out_of_whole_numbers_takes_no_fractions() -> None:
    with pytest.raises(DtypeError, match="floating"):
        dtorch.rand(3, out=dtorch.empty(3, dtype=dtorch.int64))


def test_ranges() -> None:
    x = dtorch.rand(1000)
    assert 0 <= x.min().item() <= x.max().item() < 1
    y = dtorch.randint(3, 7, (1000,))
    assert set(y.tolist()) == {3, 4, 5, 6}
    for named in (dtorch.randint(2, size=(20,)), dtorch.randint(high=2, size=(20,))):
        assert set(named.tolist()) == {0, 1}
    assert dtorch.randint(low=5, high=6, size=(2,)).tolist() == [5, 5]
    assert y.dtype is dtorch.int64
    assert sorted(dtorch.randperm(6).tolist()) == list(range(6))
    assert dtorch.rand_like(dtorch.ones(2, dtype=dtorch.float64)).dtype is dtorch.float64
    assert dtorch.randn_like(dtorch.ones(2, 3)).shape == (2, 3)
    z = dtorch.empty(1000, dtype=dtorch.int8).random_()
    assert z.min().item() >= 0
    assert dtorch.empty(100).uniform_(2, 3).min().item() >= 2
    assert dtorch.bernoulli(dtorch.tensor([0.0, 1.0])).tolist() == [0, 1]
    np.testing.assert_allclose(dtorch.empty(10000).normal_(5, 2).mean().item(), 5, atol=0.1)


def test_impossible_requests_are_named() -> None:
    with pytest.raises(ArgumentError, match="from 3 to 3"):
        dtorch.randint(3, 3, (1,))
    for missing in ({"size": (2,)}, {"high": 3}, {"low": 3}):
        with pytest.raises(TypeError, match="expected high and size, or low, high and size"):
            dtorch.randint(**missing)
    with pytest.raises(DtypeError, match="int64"):
        dtorch.rand(1, dtype=dtorch.int64)
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        dtorch.bernoulli(dtorch.tensor([1.5]))
    with pytest.raises(ArgumentError, match="std is -1"):
        dtorch.zeros(1).normal_(0, -1)


def test_binomial_counts_successes_and_refuses_what_is_no_probability() -> None:
    dtorch.manual_seed(0)
    count = dtorch.tensor([[0.0], [10.0], [40.0]]).expand(3, 20_000)
    drawn = dtorch.binomial(count, dtorch.full((3, 20_000), 0.25))
    assert drawn.dtype is dtorch.float32
    np.testing.assert_allclose(drawn.mean(1).numpy(), [0, 2.5, 10], atol=0.06)
    np.testing.assert_allclose(drawn.var(1).numpy(), [0, 1.875, 7.5], atol=0.2)
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        dtorch.binomial(dtorch.ones(2), dtorch.full((2,), 1.5))
    with pytest.raises(ValueError, match=r"count is dtorch.int64"):
        dtorch.binomial(dtorch.tensor([1]), dtorch.tensor([0.5]))


def test_many_rows_of_few_weights_are_drawn_in_proportion() -> None:
    dtorch.manual_seed(0)
    weights = dtorch.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]]).repeat(2000, 1)
    drawn = dtorch.multinomial(weights, 4, replacement=True).numpy()
    assert (drawn[1::2] == 1).all()
    counts = np.bincount(drawn[::2].ravel(), minlength=3)
    assert counts[1] == 0
    np.testing.assert_allclose(counts[0] / counts.sum(), 0.25, atol=0.02)
