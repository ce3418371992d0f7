"""Stores the course of optimizers and schedules of tests/optim/cases.py: ``optimizer_runs.json``.

Run with an interpreter that has PyTorch:  python tests/data/make_optimizer_runs.py
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import optim

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "optim"))
from cases import OPTIMIZERS, SCHEDULES  # noqa: E402

STEPS = 7


def keys_of(state):
    if isinstance(state, dict):
        return {str(key): keys_of(value) for key, value in state.items()}
    if isinstance(state, list) and any(isinstance(value, dict) for value in state):
        return [keys_of(value) for value in state]
    return None


def start():
    first = torch.tensor([[1.0, -2.0, 0.5], [3.0, -0.1, 0.3]], dtype=torch.float64)
    second = torch.tensor([0.7, -1.1, 2.0], dtype=torch.float64)
    return [torch.nn.Parameter(first), torch.nn.Parameter(second)]


def loss_of(p):
    return ((p[0] - 0.3) ** 4).sum() / 4 + (p[0] * p[1]).sum() + ((p[1] + 1) ** 2).sum() * 2


def numbers(seed, *shape):
    draw = np.random.default_rng(seed).standard_normal
    return draw(shape) + 1j * draw(shape)


def tensor(values, dtype):
    wide = torch.tensor(np.asarray(values, np.complex128).tolist(), dtype=torch.complex128)
    return (wide if "complex" in dtype else wide.real.clone()).to(getattr(torch, dtype))


def values_after(expression, names, dtype, steps=20):
    """Values after steps with given gradients, as tests/optim/test_dtypes.py takes them."""
    params = [
        torch.nn.Parameter(tensor(numbers(i, *shape), dtype))
        for i, shape in enumerate([(4, 3), (5, 1), ()])
    ]
    optimizer = eval(expression, {**names, "p": params})
    for step in range(1, steps + 1):

        def gradients(step=step):
            for i, p in enumerate(params):
                p.grad = tensor(numbers(10 * step + i, *p.shape) * 0.3 + 0.1, dtype)
            return torch.tensor(float(-step))

        optimizer.step(gradients)
    flat = torch.cat([p.detach().to(torch.complex128).reshape(-1) for p in params])
    return [flat.real.tolist(), flat.imag.tolist()]


def main():
    warnings.simplefilter("ignore")
    names = {name: getattr(optim, name) for name in dir(optim)}
    stored = {"optimizers": {}, "schedules": [], "schedule states": []}
    for expression in OPTIMIZERS:
        p = start()
        optimizer = eval(expression, {**names, "p": p})

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = loss_of(p)
            loss.backward()
            return loss

        course = []
        for _ in range(STEPS):
            optimizer.step(closure)
            course.append(torch.cat([x.detach().reshape(-1) for x in p]).tolist())
        stored["optimizers"][expression] = course
    for maker, schedule, steps in SCHEDULES:
        p = start()
        o = eval(maker, {**names, "p": p})
        s = eval(schedule, {"S": optim.lr_scheduler, "A": optim.swa_utils, "o": o})
        course = []
        for _ in range(steps):
            course.append([[g["lr"], g.get("momentum", g.get("betas"))] for g in o.param_groups])
            o.step()
            s.step()
        course.append([[g["lr"], g.get("momentum", g.get("betas"))] for g in o.param_groups])
        stored["schedules"].append(course)
        stored["schedule states"].append([keys_of(s.state_dict()), keys_of(o.state_dict())])
    stored["half and complex"] = {}
    for expression in OPTIMIZERS:
        if "LBFGS" in expression:
            continue
        courses = stored["half and complex"][expression] = {}
        for dtype in ("complex128", "complex64", "bfloat16", "float16"):
            if "complex" not in dtype or "Adafactor" not in expression:
                courses[dtype] = values_after(expression, names, dtype)
    (HERE / "optimizer_runs.json").write_text(json.dumps(stored))


main()
