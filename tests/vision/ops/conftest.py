"""Boxes that overlap here and there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dtorch


@pytest.fixture
def boxes() -> Callable[..., dtorch.Tensor]:
    def made(count: int, seed: int = 0) -> dtorch.Tensor:
        rng = np.random.default_rng(seed)
        corner, size = rng.random((count, 2)) * 10, rng.random((count, 2)) * 5 + 1
        return dtorch.from_numpy(np.concatenate([corner, corner + size], 1).astype(np.float32))

    return made
