"""Outputs and gradients of layers equal those that PyTorch computed (tests/data)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn

sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES

STORED = dict(np.load(Path(__file__).parents[1] / "data" / "layer_outputs.npz"))
NAMES = {name: getattr(nn, name) for name in nn.__all__} | {"torch": dtorch, "F": nn.functional}


def part(case: str, what: str) -> dict[str, np.ndarray]:
    lead = f"{case}/{what}/"
    return {key[len(lead) :]: value for key, value in STORED.items() if key.startswith(lead)}


def flat(value: Any) -> list[Any]:
    if isinstance(value, dtorch.Tensor):
        return [value]
    return [] if value is None else [t for p in value for t in flat(p)]


def close(actual: Any, expected: np.ndarray, what: str) -> None:
    array = actual.detach().numpy()
    assert array.shape == expected.shape, what
    np.testing.assert_allclose(array, expected, rtol=1e-7, atol=1e-9, err_msg=what)


@pytest.mark.parametrize(("case", "expression", "inputs"), CASES, ids=[c[0] for c in CASES])
def test_outputs_and_gradients_equal_the_stored_ones(
    case: str, expression: str, inputs: list[Any]
) -> None:
    layer = eval(expression, NAMES)
    if isinstance(layer, nn.Module):
        layer = layer.double()
        state = {k: dtorch.from_numpy(v.copy()) for k, v in part(case, "state").items()}
        layer.load_state_dict(state)
    args = [dtorch.from_numpy(v.copy()) for v in part(case, "input").values()]
    gradients = part(case, "input_grad")
    for i in gradients:
        args[int(i)].requires_grad_()
    outs = flat(layer(*args))
    expected = part(case, "output")
    assert len(outs) == len(expected)
    for i, out in enumerate(outs):
        close(out, expected[str(i)], f"output {i}")
    parts = [
        (out * dtorch.cos(dtorch.arange(out.numel()).double().reshape(out.shape))).sum()
        for out in outs
        if out.requires_grad
    ]
    sum(parts[1:], parts[0]).backward()
    for i, value in gradients.items():
        grad = args[int(i)].grad
        found = dtorch.zeros_like(args[int(i)]) if grad is None else grad
        close(found, value, f"gradient of input {i}")
    if isinstance(layer, nn.Module):
        parameters, buffers = dict(layer.named_parameters()), dict(layer.named_buffers())
        for name, value in part(case, "grad").items():
            close(parameters[name].grad, value, f"gradient of {name}")
        for name, value in part(case, "after").items():
            close(buffers[name], value, f"{name} afterwards")
