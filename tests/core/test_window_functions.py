"""Windows have the factors that their formulas give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch

FORMULAS: dict[str, Any] = {
    "bartlett_window": np.bartlett, "hann_window": np.hanning, "hamming_window": np.hamming,
    "blackman_window": np.blackman, "kaiser_window": lambda n: np.kaiser(n, 12.0),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("length", [0, 1, 2, 5, 8])
def test_a_symmetric_window_is_numpys_and_a_periodic_one_lacks_its_last_factor(
    name: str, length: int
) -> None:
    make = getattr(dtorch, name)
    symmetric = make(length, periodic=False, dtype=dtorch.float64).numpy()
    np.testing.assert_allclose(symmetric, FORMULAS[name](length), atol=1e-12)
    if length > 1:
        longer = FORMULAS[name](length + 1)[:-1]
        np.testing.assert_allclose(make(length, dtype=dtorch.float64).numpy(), longer, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_wrong_windows_are_refused(name: str) -> None:
    make = getattr(dtorch, name)
    with pytest.raises(RuntimeError, match=f"{name}: window_length is -1"):
        make(-1)
    with pytest.raises(RuntimeError, match="floating-point"):
        make(3, dtype=dtorch.long)
    with pytest.raises(RuntimeError, match="layout"):
        make(3, layout=dtorch.sparse_coo)


def test_a_window_takes_the_options_of_new_tensors() -> None:
    assert dtorch.hann_window(4, requires_grad=True).requires_grad
    assert dtorch.hamming_window(3, False, 0.6, 0.4).tolist() == pytest.approx([0.2, 1.0, 0.2])
