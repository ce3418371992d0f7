"""Nothing is downloaded but from files that the tests write."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtorch.model_zoo import transfer

pytest.importorskip("PIL")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError(f"a test would have connected to {args[0]}")

    monkeypatch.setattr(transfer, "_opened", refuse)


@pytest.fixture
def pixels() -> np.random.Generator:
    return np.random.default_rng(0)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()
