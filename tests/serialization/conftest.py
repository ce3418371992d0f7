"""The files in tests/data/checkpoints, and what the JSON beside each says it contains."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtorch.core.tensor import Tensor

CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"


@pytest.fixture(scope="session")
def checkpoints() -> Path:
    """The folder of files that other versions wrote."""
    return CHECKPOINTS


def _assert_tensor(tensor: Any, described: dict[str, Any], path: str) -> None:
    assert isinstance(tensor, Tensor), path
    assert tensor.dtype.name == described["dtype"], path
    assert list(tensor.shape) == described["shape"], path
    assert list(tensor.stride()) == described["stride"], path
    assert tensor.storage_offset() == described["offset"], path
    assert tensor.requires_grad == described["requires_grad"], path
    array = tensor.detach()._array.reshape(-1)
    if tensor.is_complex():
        expected = np.array(described["data"], np.float64).reshape(-1, 2)
        actual = np.stack([array.real, array.imag], -1).astype(np.float64)
    else:
        expected = np.array(described["data"], np.float64)
        actual = array.astype(np.float64)
    np.testing.assert_array_equal(actual.reshape(-1), expected.reshape(-1), path)


def assert_as_described(value: Any, described: dict[str, Any], path: str = "") -> None:
    """Check a loaded object against its description."""
    if "dtype" in described:
        _assert_tensor(value, described, path)
    elif "dict" in described:
        assert isinstance(value, dict)
        assert list(value) == [key for key, _ in described["dict"]]
        for key, item in described["dict"]:
            assert_as_described(value[key], item, f"{path}[{key!r}]")
    elif "value" in described:
        assert value == described["value"], path
        assert type(value) is type(described["value"]), path
    else:
        kind = "list" if "list" in described else "tuple"
        assert type(value).__name__ == kind, path
        assert len(value) == len(described[kind]), path
        for index, item in enumerate(described[kind]):
            assert_as_described(value[index], item, f"{path}[{index}]")


@pytest.fixture
def described(checkpoints: Path):
    """Checks a loaded object against the JSON beside a file."""

    def check(value: Any, name: str) -> None:
        assert_as_described(value, json.loads((checkpoints / f"{name}.json").read_text()))

    return check


@pytest.fixture
def run_torch():
    """Runs a script with PyTorch, where DTORCH_TEST_TORCH_PYTHON names an interpreter with it."""
    python = os.environ.get("DTORCH_TEST_TORCH_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("needs PyTorch: DTORCH_TEST_TORCH_PYTHON names no interpreter")

    def run(script: str, *args: Any) -> str:
        done = subprocess.run([python, "-W", "ignore", "-c", script, *map(str, args)],
                              capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
