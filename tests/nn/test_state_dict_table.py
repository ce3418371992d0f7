"""Names, shapes, order and printed form of the layers, as PyTorch 2.13 has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dtorch
from dtorch import nn

TABLE = json.loads((Path(__file__).parents[1] / "data" / "state_dicts.json").read_text())["layers"]


def made(expression: str) -> Any:
    names = {name: getattr(nn, name) for name in nn.__all__}
    return eval(expression, {**names, "torch": dtorch})


@pytest.mark.parametrize("expression", TABLE)
def test_layer_equals_the_reference(expression: str) -> None:
    expected = TABLE[expression]
    layer = made(expression)
    state = layer.state_dict()
    assert {name: list(tensor.shape) for name, tensor in state.items()} == expected["keys"]
    assert list(state) == list(expected["keys"])
    assert [name for name, _ in layer.named_parameters()] == expected["parameters"]
    assert repr(layer).replace("dtorch.", "torch.") == expected["repr"]
