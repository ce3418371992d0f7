"""Every network against the keys, shapes and outputs that published checkpoints rely on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtorch.core.creation import from_numpy
from dtorch.core.grad_mode import no_grad
from dtorch.nn.init import without_drawing
from dtorch.vision import models

_DATA = Path(__file__).parents[2] / "data" / "vision"
KEYS: dict[str, dict[str, list[int]]] = json.loads(
    gzip.decompress((_DATA / "keys.json.gz").read_bytes())
)["models"]
OUTPUTS: dict[str, dict[str, Any]] = {
    name: entry
    for file in ("outputs.json", "more_outputs.json")
    for name, entry in json.loads((_DATA / file).read_text())["models"].items()
}


def made(name: str) -> Any:
    with without_drawing():
        return getattr(models, name)()


def fill_by_formula(model: Any) -> None:
    """Give each entry of the state the values that the reference outputs were computed with."""
    for key, tensor in model.state_dict().items():
        array = tensor.numpy()
        if array.dtype.kind != "f":
            continue
        flat, chunk = array.reshape(-1), 1 << 16  # in pieces that stay in the processor's cache
        for begin in range(0, array.size, chunk):
            i = np.arange(begin, min(begin + chunk, array.size), dtype=np.float64)
            if key.endswith("running_var"):
                values = 1 + 0.5 * np.sin(i) ** 2
            elif array.ndim <= 1:
                values = 0.1 * np.sin(i + 1) + (1 if key.endswith("weight") else 0)
            else:
                values = np.sin(0.7 * i + 0.3) * np.sqrt(2 / (array.size / array.shape[0]))
            flat[begin : begin + chunk] = values


@pytest.mark.parametrize("name", KEYS)
def test_keys_and_shapes_are_those_of_published_checkpoints(name: str) -> None:
    state = made(name).state_dict()
    assert {key: list(tensor.shape) for key, tensor in state.items()} == KEYS[name]
    assert list(state) == list(KEYS[name])


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_those_of_the_reference(name: str) -> None:
    expected = OUTPUTS[name]
    model = made(name).eval()
    fill_by_formula(model)
    side = expected["input side"]
    images = np.cos(0.01 * np.arange(2 * 3 * side * side)).reshape(2, 3, side, side)
    with no_grad():
        output = model(from_numpy(images.astype(np.float32))).numpy()
    assert list(output.shape) == expected["shape"]
    # Relative to the largest: where terms of 1e9 cancel, a single output has fewer digits.
    scale = np.abs(expected["first"]).max()
    np.testing.assert_allclose(output[0, :8], expected["first"], atol=1e-4 * scale)
    np.testing.assert_allclose(output[1, :4], expected["second row"], atol=1e-4 * scale)
    assert np.abs(output).sum(dtype=float) == pytest.approx(expected["abs sum"], rel=1e-4)
    assert output.sum(dtype=float) == pytest.approx(
        expected["sum"], rel=1e-4, abs=1e-6 * expected["abs sum"]
    )
