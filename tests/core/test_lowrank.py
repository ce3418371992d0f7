"""Decompositions by a few random products."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.core.errors import ArgumentError


@pytest.mark.parametrize("dtype", [dtorch.float64, dtorch.complex128], ids=str)
def test_a_matrix_of_low_rank_is_found_whole(dtype: dtorch.dtype) -> None:
    dtorch.manual_seed(0)
    matrix = dtorch.randn(2, 30, 3, dtype=dtype) @ dtorch.randn(3, 20, dtype=dtype)
    mean = matrix.mean(-2, True)
    for shift in (None, mean):
        left, sizes, right = dtorch.svd_lowrank(matrix, 4, M=shift)
        assert (left.shape, sizes.shape, right.shape) == ((2, 30, 4), (2, 4), (2, 20, 4))
        whole = matrix if shift is None else matrix - shift
        dtorch.testing.assert_close((left * sizes.unsqueeze(-2)) @ right.mH, whole)
        dtorch.testing.assert_close(sizes[:, :3], dtorch.linalg.svdvals(whole)[:, :3])


def test_principal_directions_are_those_of_the_covariance() -> None:
    dtorch.manual_seed(0)
    samples = dtorch.randn(200, 5, dtype=dtorch.float64) * dtorch.tensor([9.0, 5.0, 3.0, 0.1, 0.1])
    _, sizes, axes = dtorch.pca_lowrank(samples + 7)
    assert axes.shape == (5, 5)
    dtorch.testing.assert_close((axes * sizes**2 / 199) @ axes.T, samples.T.cov())
    assert dtorch.pca_lowrank(samples + 7, 1, center=False)[1] > sizes[0]


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="q is -1"):
        dtorch.svd_lowrank(dtorch.ones(3, 2), -1)
    with pytest.raises(ArgumentError, match="q is 3, expected 0 to 2"):
        dtorch.pca_lowrank(dtorch.ones(3, 2), 3)
