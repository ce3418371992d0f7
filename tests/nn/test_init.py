"""Starting values."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dtorch
from dtorch.nn import init


def test_xavier_and_kaiming_have_their_deviation() -> None:
    w = dtorch.empty(200, 100, 3)
    fan_in, fan_out = 300, 600
    for fill, std in (
        (init.xavier_uniform_, math.sqrt(2 / (fan_in + fan_out))),
        (init.xavier_normal_, math.sqrt(2 / (fan_in + fan_out))),
        (init.kaiming_uniform_, math.sqrt(2 / fan_in)),
        (init.kaiming_normal_, math.sqrt(2 / fan_in)),
    ):
        assert fill(w) is w
        assert float(w.std()) == pytest.approx(std, rel=0.02)
    init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")
    assert float(w.std()) == pytest.approx(math.sqrt(2 / fan_out), rel=0.02)


def test_orthogonal_rows_or_columns() -> None:
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        w = init.orthogonal_(dtorch.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_sparse_zeroes_a_share_of_each_column() -> None:
    w = init.sparse_(dtorch.empty(10, 4), 0.25)
    assert ((w == 0).sum(0) == 3).all()


def test_truncated_normal_stays_inside() -> None:
    w = init.trunc_normal_(dtorch.empty(1000), std=1.0, a=-0.5, b=1.0)
    assert float(w.min()) >= -0.5
    assert float(w.max()) <= 1.0
    with pytest.raises(ValueError, match="lies between"):
        init.trunc_normal_(dtorch.empty(3), a=50, b=51)


def test_dirac_hands_channels_on() -> None:
    w = init.dirac_(dtorch.empty(3, 3, 3))
    x = dtorch.randn(1, 3, 5)
    np.testing.assert_allclose(
        dtorch.nn.functional.conv1d(x, w, padding=1).numpy(), x.numpy(), atol=1e-6
    )


def test_filling_is_unrecorded_and_counts_as_a_change() -> None:
    p = dtorch.nn.Parameter(dtorch.empty(2, 2))
    init.constant_(p, 3.0)
    assert p.tolist() == [[3.0, 3.0]] * 2
    assert p.is_leaf
    assert init.eye_(p).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert init.ones_(p).sum().item() == 4
    assert init.uniform is init.uniform_


def test_fans_need_two_dimensions() -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        init.xavier_normal_(dtorch.empty(3))
    with pytest.raises(ValueError, match="fan_in"):
        init.kaiming_normal_(dtorch.empty(3, 3), mode="fan")
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))
    with pytest.raises(ValueError, match="nothing"):
        init.calculate_gain("nothing")


@pytest.mark.parametrize("name", [
    "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
    "kaiming_normal_", "orthogonal_",
])  # fmt: skip
def test_integers_are_not_filled_with_cut_off_random_numbers(name: str) -> None:
    numbers = dtorch.ones(3, 3, dtype=dtorch.int64)
    with pytest.raises(TypeError, match=f"{name.partition('_')[0]}|normal_|uniform_"):
        getattr(init, name)(numbers)
    assert numbers.tolist() == [[1] * 3] * 3
