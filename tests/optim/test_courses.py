"""The course of optimizers and schedules equals that of PyTorch (tests/data)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn, optim

sys.path.insert(0, str(Path(__file__).parent))
CASES: dict[str, Any] = {}
exec((Path(__file__).parent / "cases.py").read_text(), CASES)
STORED = json.loads((Path(__file__).parents[1] / "data" / "optimizer_runs.json").read_text())
NAMES = {name: getattr(optim, name) for name in optim.__all__}


def start() -> list[nn.Parameter]:
    first = dtorch.tensor([[1.0, -2.0, 0.5], [3.0, -0.1, 0.3]], dtype=dtorch.float64)
    second = dtorch.tensor([0.7, -1.1, 2.0], dtype=dtorch.float64)
    return [nn.Parameter(first), nn.Parameter(second)]


def loss_of(p: list[Any]) -> Any:
    return ((p[0] - 0.3) ** 4).sum() / 4 + (p[0] * p[1]).sum() + ((p[1] + 1) ** 2).sum() * 2


@pytest.mark.parametrize("expression", CASES["OPTIMIZERS"])
def test_optimizer_takes_the_stored_course(expression: str) -> None:
    p = start()
    optimizer = eval(expression, {**NAMES, "p": p})

    def closure() -> Any:
        optimizer.zero_grad()
        loss = loss_of(p)
        loss.backward()
        return loss

    for number, expected in enumerate(STORED["optimizers"][expression]):
        optimizer.step(closure)
        found = np.concatenate([x.detach().numpy().ravel() for x in p])
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=f"step {number}")


@pytest.mark.parametrize("number", range(len(CASES["SCHEDULES"])))
def test_schedule_takes_the_stored_course(number: int) -> None:
    maker, expression, steps = CASES["SCHEDULES"][number]
    o = eval(maker, {**NAMES, "p": start()})
    s = eval(expression, {"S": optim.lr_scheduler, "A": optim.swa_utils, "o": o})
    course = []
    for _ in range(steps):
        course.append([[g["lr"], g.get("momentum", g.get("betas"))] for g in o.param_groups])
        o.step()
        s.step()
    course.append([[g["lr"], g.get("momentum", g.get("betas"))] for g in o.param_groups])
    for step, (found, expected) in enumerate(zip(course, STORED["schedules"][number], strict=True)):
        for (lr, momentum), (lr_expected, momentum_expected) in zip(found, expected, strict=True):
            assert lr == pytest.approx(lr_expected, rel=1e-12, abs=1e-15), f"step {step}"
            assert momentum == pytest.approx(momentum_expected, rel=1e-12), f"step {step}"
    assert s.get_last_lr() == [g["lr"] for g in o.param_groups]
