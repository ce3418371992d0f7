"""Layout of the state, and the values after two steps, as PyTorch 2.13 has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn, optim

TABLE = json.loads((Path(__file__).parents[1] / "data" / "state_dicts.json").read_text())[
    "optimizers"
]
NAMES = [name for name in TABLE if hasattr(optim, name)]


def stepped(name: str) -> tuple[Any, list[nn.Parameter]]:
    params = [nn.Parameter(dtorch.ones(2, 3)), nn.Parameter(dtorch.ones(3))]
    optimizer = getattr(optim, name)(params, **TABLE[name]["arguments"])

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum((p * p).sum() for p in params)
        loss.backward()
        if name == "SparseAdam":
            for p in params:
                p.grad = p.grad.to_sparse()  # type: ignore[union-attr]
        return loss

    for _ in range(2):
        optimizer.step(closure)
    return optimizer, params


def described(value: Any) -> Any:
    if isinstance(value, dtorch.Tensor):
        return ["tensor", list(value.shape), str(value.dtype).removeprefix("dtorch.")]
    return type(value).__name__


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_has_the_reference_layout(name: str) -> None:
    optimizer, _ = stepped(name)
    state = optimizer.state_dict()
    groups = json.loads(json.dumps(state["param_groups"]))
    assert groups == TABLE[name]["param_groups"]
    found = {key: described(value) for key, value in state["state"][0].items()}
    assert found == TABLE[name]["state of parameter 0"]


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_give_the_reference_values(name: str) -> None:
    _, params = stepped(name)
    expected = TABLE[name]["values after 2 steps on sum of squares from ones"]
    for p, values in zip(params, expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy().ravel(), values, rtol=2e-6, atol=2e-7)
