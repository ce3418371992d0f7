"""Layers and functions given integers, and batches of nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.core.errors import DtypeError

sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES

NAMES = {name: getattr(nn, name) for name in nn.__all__} | {"torch": dtorch, "F": nn.functional}
EVERY_CASE = pytest.mark.parametrize(
    ("expression", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)


def made(expression: str) -> Any:
    """The layer or function of a case, in float64."""
    layer = eval(expression, NAMES)
    return layer.double() if isinstance(layer, nn.Module) else layer


def flat(value: Any) -> list[Any]:
    if isinstance(value, dtorch.Tensor):
        return [value]
    return [] if value is None else [t for part in value for t in flat(part)]


def integers(inputs: list[tuple[Any, ...]]) -> list[Any]:
    """Inputs of a case; whole numbers from 0 to 3 in place of the floating ones."""
    rng = np.random.default_rng(0)
    return [
        dtorch.from_numpy(rng.integers(0, i[2] if i[0] == "index" else 4, i[1])) for i in inputs
    ]


@EVERY_CASE
def test_integers_are_refused_by_name_or_give_what_floats_give(
    expression: str, inputs: list[Any]
) -> None:
    if "value=0.5" in expression:
        pytest.skip("what is written between integers becomes an integer")
    layer = made(expression)
    complaint = ""
    try:
        found = flat(layer(*integers(inputs)))
    except DtypeError as error:
        complaint = str(error)
    assert not complaint.startswith(("mul:", "sub:", "matmul:", "mean:"))
    if complaint:
        return
    floats = [
        given if kind == "index" else given.double()
        for (kind, *_), given in zip(inputs, integers(inputs), strict=True)
    ]
    for one, other in zip(found, flat(layer(*floats)), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), 1e-5)
