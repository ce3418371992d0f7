"""Variances of many numbers far from 0, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so


@pytest.mark.parametrize("start", [0.0, 1000.0, 1e6, 1e7, -1e7])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_variance_keeps_its_digits_far_from_zero(start: float, dim: int | None) -> None:
    array = np.full((400, 500), start, np.float32)
    array[::2, ::2] += 1
    array[1::2, 1::2] += 1
    x = dtorch.from_numpy(array)
    for found in (x.var(dim, False), x.std(dim, False) ** 2, dtorch.var_mean(x, dim, False)[0]):
        np.testing.assert_allclose(found.numpy(), 0.25, rtol=1e-5)
    batch = dtorch.nn.functional.batch_norm(x.view(1, 1, 400, 500), None, None, training=True)
    np.testing.assert_allclose(batch.abs().numpy(), 0.99998, rtol=1e-5)


def test_gradient_of_a_variance_far_from_zero() -> None:
    array = (np.random.default_rng(0).standard_normal(2000) + 1e6).astype(np.float32)
    x = dtorch.from_numpy(array).requires_grad_()
    x.var().backward()
    wide = array.astype(np.float64)
    expected = 2 * (wide - wide.mean()) / (wide.size - 1)
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("start", [0.0, 1000.0, -1e6])
@pytest.mark.parametrize("rows", [(60, 8), (300, 4), (6, 8, 10)], ids=str)
@pytest.mark.parametrize("layer", ["batch_norm", "layer_norm", "group_norm", "instance_norm"])
def test_gradients_of_normalization_far_from_zero(layer: str, rows: Any, start: float) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(rows) + start).astype(np.float32)
    if layer == "instance_norm":
        x = x.reshape(3, 4, -1)
    weight, bias, grad = (rng.standard_normal(n).astype(np.float32) for n in (8, 8, x.shape))

    def gradients(dtype: Any) -> list[Any]:
        input, w, b = (dtorch.from_numpy(a).to(dtype).requires_grad_() for a in (x, weight, bias))
        channels = x.shape[1]
        out = {
            "batch_norm": lambda: F.batch_norm(input, None, None, w[:channels], b[:channels], True),
            "layer_norm": lambda: F.layer_norm(
                input, (x.shape[-1],), w.repeat(2)[: x.shape[-1]], b.repeat(2)[: x.shape[-1]]
            ),
            "group_norm": lambda: F.group_norm(input, 2, w[:channels], b[:channels]),
            "instance_norm": lambda: F.instance_norm(input),
        }[layer]()
        out.backward(dtorch.from_numpy(grad).to(dtype))
        return [t.grad.double().numpy() for t in (input, w, b) if t.grad is not None]

    for single, double in zip(gradients(dtorch.float32), gradients(dtorch.float64), strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=2e-6 * np.abs(double).max())


@pytest.mark.parametrize("start", [0.0, 1e4, -1e6])
def test_distances_far_from_zero_keep_their_digits(start: float) -> None:
    rng = np.random.default_rng(0)
    rows = [(rng.standard_normal((40, 3)) + start).astype(np.float32) for _ in range(2)]
    x, y = (dtorch.tensor(r, requires_grad=True) for r in rows)
    u, v = (dtorch.tensor(r.astype(np.float64), requires_grad=True) for r in rows)
    far, exact = dtorch.cdist(x, y), dtorch.cdist(u, v)
    np.testing.assert_allclose(far.detach(), exact.detach(), rtol=1e-4)
    far.square().sum().backward()
    exact.square().sum().backward()
    np.testing.assert_allclose(x.grad, u.grad, rtol=1e-4, atol=1e-2)


def test_distances_from_an_infinite_row_leave_the_others_alone() -> None:
    x, y = dtorch.ones(30, 2), dtorch.zeros(30, 2)
    y[3, 0] = float("inf")
    found = dtorch.cdist(x, y)
    assert (found[:, :3] == 2**0.5).all()
    assert dtorch.cdist(dtorch.ones(30, 2), dtorch.ones(0, 2)).shape == (30, 0)


def test_variances_of_constants_and_of_few_numbers() -> None:
    assert dtorch.full((1000,), 0.1).var().item() == 0
    assert dtorch.full((1000,), 1e7 / 3).std(unbiased=False).item() == 0
    assert dtorch.tensor([2.0]).var(unbiased=False).item() == 0
    assert dtorch.tensor([2.0]).var().isnan()
    assert dtorch.empty(0).var().isnan()
