"""What all tests share: a fixed seed."""

from __future__ import annotations

import pytest

from dtorch.core.random import manual_seed


@pytest.fixture(autouse=True)
def _seed() -> None:
    manual_seed(0)
