"""Nan goes through what chooses by comparisons, and so does its gradient, as in PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so

NAN, INF = math.nan, math.inf

# The gradient at nan that PyTorch 2.13 gives.
FUNCTIONS: dict[str, tuple[Any, float]] = {
    "relu": (F.relu, 1.0),
    "relu6": (F.relu6, 1.0),
    "hardtanh": (F.hardtanh, 1.0),
    "threshold": (lambda x: F.threshold(x, 0.5, -7.0), 1.0),
    "hardshrink": (F.hardshrink, 1.0),
    "softshrink": (F.softshrink, 1.0),
    "hardsigmoid": (F.hardsigmoid, 0.0),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.25), 0.25),
    "prelu": (lambda x: F.prelu(x, dtorch.tensor([0.25], dtype=x.dtype)), 0.25),
    "rrelu": (lambda x: F.rrelu(x, 0.25, 0.25, training=True), 1.0),
    "elu": (F.elu, 1.0),
    "celu": (F.celu, 1.0),
    "clamp": (lambda x: x.clamp(-1, 1), 0.0),
    "clamp min": (lambda x: x.clamp(min=0), 0.0),
    "clamp max": (lambda x: x.clamp(max=0), 0.0),
    "maximum": (lambda x: dtorch.maximum(x, dtorch.zeros_like(x)), 1.0),
    "minimum": (lambda x: dtorch.minimum(dtorch.zeros_like(x), x), 1.0),
    "amax": (lambda x: x.amax(), 1.0),
    "max": (lambda x: x.max(), 1.0),
    "max along": (lambda x: x.max(0)[0], 1.0),
    "median": (lambda x: x.median(), 1.0),
    "cummax": (lambda x: x.cummax(0)[0], 1.0),
    "sort": (lambda x: x.sort()[0], 1.0),
    "max_pool1d": (lambda x: F.max_pool1d(x[None], 1), 1.0),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x[None], 1), 1.0),
}


@pytest.mark.parametrize("dtype", [dtorch.float32, dtorch.float64, dtorch.float16, dtorch.bfloat16])
@pytest.mark.parametrize("count", [1, 5000])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_goes_through_what_chooses(name: str, count: int, dtype: Any) -> None:
    function, wanted = FUNCTIONS[name]
    x = dtorch.full((count,), NAN, dtype=dtype, requires_grad=True)
    if count > 1 and name in (
        "amax",
        "max",
        "median",
        "max along",
        "cummax",
        "adaptive_max_pool1d",
    ):
        pytest.skip("the gradient is shared or goes to one of them")
    out = function(x)
    assert out.isnan().all()
    for create_graph in (False, True):
        found = dtorch.autograd.grad(out.sum(), x, retain_graph=True, create_graph=create_graph)[0]
        assert found.detach().double().unique().tolist() == [wanted]


def test_nan_among_numbers_is_the_largest() -> None:
    x = dtorch.tensor([1.0, NAN, INF, -1.0])
    assert math.isnan(x.max().item())
    assert x.argmax().item() == x.argmin().item() == 1
    assert math.isnan(x.sort()[0][-1].item())
    assert math.isnan(x.topk(1)[0].item())
    assert math.isnan(x.median().item())
    assert x.nanmedian().item() == 1
    assert math.isnan(F.max_pool1d(x[None], 4).item())
    assert dtorch.fmax(x, dtorch.zeros(4)).tolist() == [1.0, 0.0, INF, 0.0]
    assert math.isnan(dtorch.maximum(x, dtorch.zeros(4))[1].item())


@pytest.mark.parametrize(
    "loss",
    [
        F.smooth_l1_loss, F.huber_loss, F.l1_loss, F.mse_loss, F.kl_div, F.soft_margin_loss,
        F.binary_cross_entropy_with_logits, F.poisson_nll_loss,
    ],
)  # fmt: skip
def test_losses_of_nan_are_nan(loss: Any) -> None:
    for input, target in ((NAN, 0.5), (0.5, NAN)):
        found = loss(dtorch.tensor([input, 0.5]), dtorch.tensor([target, 0.5]))
        assert math.isnan(found.item())


def test_divergence_from_negative_targets_is_nan() -> None:
    found = F.kl_div(dtorch.zeros(2), dtorch.tensor([-1.0, 0.0]), reduction="none")
    np.testing.assert_array_equal(found.numpy(), [NAN, 0.0])


def test_logit_outside_of_probabilities_has_no_gradient() -> None:
    x = dtorch.tensor([-1.0, 0.5, 2.0, NAN], requires_grad=True)
    dtorch.logit(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [NAN, 4.0, NAN, NAN])


def test_windows_beside_an_infinite_element_are_finite() -> None:
    x = dtorch.ones(1, 1, 5)
    x[0, 0, 0] = INF
    assert F.adaptive_avg_pool1d(x, 3).tolist() == [[[INF, 1.0, 1.0]]]
    assert F.interpolate(x, 3).tolist() == [[[INF, 1.0, 1.0]]]
    y = dtorch.ones(1, 1, 5, requires_grad=True)
    upstream = dtorch.tensor([[[0.0, 0.0, INF]]])
    F.adaptive_avg_pool1d(y, 3).backward(upstream)
    assert y.grad.tolist() == [[[0.0, 0.0, 0.0, INF, INF]]]


LARGE = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "where": lambda x: dtorch.where(x > 0, x, 0.0),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.0),
    "clamp": lambda x: x.clamp(min=0),
    "maximum": lambda x: dtorch.maximum(x, dtorch.zeros_like(x)),
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
}


@pytest.mark.parametrize("dtype", [dtorch.float32, dtorch.float64, dtorch.float16, dtorch.bfloat16])
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("upstream", [INF, NAN])
def test_zeros_are_written_by_every_kernel(name: str, dtype: Any, upstream: float) -> None:
    places = np.linspace(-8, 8, 6001)
    places = places[np.abs(places + 1.5) > 0.1]  # there the slope of hardswish is 0 in between
    x = dtorch.tensor(places, dtype=dtype, requires_grad=True)
    out = LARGE[name](x)
    for create_graph in (False, True):
        ones, odd = (
            dtorch.autograd.grad(
                out, x, dtorch.full_like(out, value), retain_graph=True, create_graph=create_graph
            )[0]
            for value in (1.0, upstream)
        )
        assert (odd[ones == 0] == 0).all()
        assert not odd[ones != 0].isfinite().any()


@pytest.mark.parametrize("dtype", [dtorch.float32, dtorch.float64])
@pytest.mark.parametrize("nd", [1, 2, 3])
def test_a_window_of_the_lowest_numbers_alone_has_its_first_element(nd: int, dtype: Any) -> None:
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[nd - 1]
    sides = (5, 6, 4)[:nd]
    places = np.arange(np.prod(sides), dtype=np.float64).reshape(sides)
    for kernel, stride, padding, dilation in (
        (2, 1, 1, 1), (2, 1, 1, 2), (3, 2, 1, 1), (3, 1, 1, 2), (2, 3, 1, 1),
    ):  # fmt: skip
        x = dtorch.full((1, 1, *sides), -INF, dtype=dtype, requires_grad=True)
        out, index = pool(x, kernel, stride, padding, dilation, return_indices=True)
        assert (out == -INF).all()
        # Of numbers that fall from the first to the last the first is the largest.
        falling = dtorch.tensor(-places, dtype=dtype).reshape(1, 1, *sides)
        wanted = pool(falling, kernel, stride, padding, dilation, return_indices=True)[1]
        assert index.tolist() == wanted.tolist()
        out.backward(dtorch.ones_like(out))
        counts = np.bincount(wanted.numpy().ravel(), minlength=places.size)
        assert x.grad.flatten().tolist() == counts.tolist()


def test_rectified_recurrent_units_that_are_off_pass_no_infinite_gradient() -> None:
    rnn = dtorch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
    with dtorch.no_grad():
        rnn.weight_ih_l0.copy_(dtorch.tensor([[1.0], [-1.0]]))
        rnn.weight_hh_l0.zero_()
    x = dtorch.ones(1, 1, 1, requires_grad=True)
    out = rnn(x)[0]
    assert out.flatten().tolist() == [1.0, 0.0]
    (found,) = dtorch.autograd.grad(out, x, dtorch.tensor([[[1.0, INF]]]))
    assert found.item() == 1.0
