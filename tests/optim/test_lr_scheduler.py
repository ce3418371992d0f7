"""Schedules: construction to go on, and states that PyTorch reads."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

import dtorch
from dtorch import nn, optim
from dtorch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LRScheduler,
    OneCycleLR,
)

CASES: dict[str, Any] = {}
exec((Path(__file__).parent / "cases.py").read_text(), CASES)
STORED = json.loads((Path(__file__).parents[1] / "data" / "optimizer_runs.json").read_text())
NAMES = {name: getattr(optim, name) for name in optim.__all__}


class GoingOn:
    """A module of schedules that are built to go on from an epoch."""

    def __init__(self, module: Any, last_epoch: int) -> None:
        self.module, self.last_epoch = module, last_epoch

    def __getattr__(self, name: str) -> Any:
        kind = getattr(self.module, name)
        if name == "ChainedScheduler":
            return kind
        return lambda *args, **kwargs: kind(*args, **kwargs, last_epoch=self.last_epoch)


def made(number: int, last_epoch: int = -1, state: Any = None) -> tuple[Any, Any]:
    maker, expression, _ = CASES["SCHEDULES"][number]
    p = [nn.Parameter(dtorch.ones(2)), nn.Parameter(dtorch.ones(1))]
    optimizer = eval(maker, {**NAMES, "p": p})
    if state is not None:
        optimizer.load_state_dict(state)
    modules = {
        "S": GoingOn(optim.lr_scheduler, last_epoch),
        "A": GoingOn(optim.swa_utils, last_epoch),
    }
    return optimizer, eval(expression, {**modules, "o": optimizer})


def rates(optimizer: Any) -> list[Any]:
    names = ("lr", "momentum", "betas")
    return [group[name] for group in optimizer.param_groups for name in names if name in group]


def flat(values: list[Any]) -> list[float]:
    return [x for value in values for x in (value if isinstance(value, tuple) else [value])]


every_schedule = pytest.mark.parametrize("number", range(len(CASES["SCHEDULES"])))


@every_schedule
def test_a_schedule_built_to_go_on_takes_the_rest_of_the_course(number: int) -> None:
    steps = CASES["SCHEDULES"][number][2]
    for before in range(1, steps):
        optimizer, schedule = made(number)
        for _ in range(before):
            optimizer.step()
            schedule.step()
        again, going_on = made(number, before - 1, optimizer.state_dict())
        for step in range(before, steps):
            assert flat(rates(again)) == pytest.approx(
                flat(rates(optimizer)), rel=1e-9, abs=1e-14
            ), f"built after {before} steps, at step {step}"
            for o, s in ((optimizer, schedule), (again, going_on)):
                o.step()
                s.step()


def test_every_schedule_has_a_case() -> None:
    cases = " ".join(expression for _, expression, _ in CASES["SCHEDULES"])
    names = {"SWALR", *optim.lr_scheduler.__all__} - {"LRScheduler", "ReduceLROnPlateau"}
    assert [name for name in sorted(names) if f".{name}(" not in cases] == []


@every_schedule
def test_going_on_without_initial_rates_is_refused(number: int) -> None:
    with pytest.raises(KeyError, match=r"group 0 has no 'initial_lr'.* from epoch 3"):
        made(number, 3)


def test_going_on_without_the_bounds_of_the_one_cycle_is_refused() -> None:
    group = {"params": [nn.Parameter(dtorch.ones(1))], "initial_lr": 0.1}
    with pytest.raises(KeyError, match="no 'max_lr'"):
        OneCycleLR(optim.SGD([group], momentum=0.9), 1.0, 12, last_epoch=3)


def keys_of(state: Any) -> Any:
    if isinstance(state, dict):
        return {str(key): keys_of(value) for key, value in state.items()}
    if isinstance(state, list) and any(isinstance(value, dict) for value in state):
        return [keys_of(value) for value in state]
    return None


@every_schedule
def test_states_have_the_keys_of_the_reference(number: int) -> None:
    optimizer, schedule = made(number)
    for _ in range(CASES["SCHEDULES"][number][2]):
        optimizer.step()
        schedule.step()
    found = [keys_of(schedule.state_dict()), keys_of(optimizer.state_dict())]
    expected = STORED["schedule states"][number]
    assert found[0] == expected[0]
    assert found[1]["param_groups"] == expected[1]["param_groups"]


def test_state_of_a_plateau_has_the_keys_of_the_reference() -> None:
    optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))], lr=1.0)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", min_lr=0.1)
    schedule.step(1.0)
    assert set(schedule.state_dict()) == {
        "_last_lr", "best", "cooldown", "cooldown_counter", "default_min_lr", "eps", "factor",
        "last_epoch", "min_lrs", "mode", "mode_worse", "num_bad_epochs", "patience", "threshold",
        "threshold_mode",
    }  # fmt: skip
    assert (schedule.mode_worse, schedule.default_min_lr) == (-math.inf, 0.1)


class Falling:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, cycle: float) -> float:
        return self.factor**cycle


def test_a_function_of_heights_keeps_its_attributes() -> None:
    def made(factor: float) -> Any:
        optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))], momentum=0.9)
        return CyclicLR(optimizer, 0.1, 1.0, 2, scale_fn=Falling(factor))

    twin = made(0.9)
    twin.load_state_dict(made(0.25).state_dict())
    assert twin.scale_fn(1) == 0.25


def test_a_constant_factor_of_nothing_ends_at_the_initial_rate() -> None:
    optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))], lr=0.3)
    schedule = optim.lr_scheduler.ConstantLR(optimizer, factor=0, total_iters=1)
    assert schedule.get_last_lr() == [0]
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.3]


def test_warm_restarts_are_placed_exactly_where_rounds_begin() -> None:
    optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))], lr=1.0)
    schedule = CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=3)
    for rounds in range(12):
        schedule.step(3**rounds - 1)
        assert schedule.get_last_lr() == [1.0]


def test_own_schedules_know_whether_they_begin_and_are_asked_by_a_step() -> None:
    seen = []

    class Own(LRScheduler):
        def get_lr(self) -> list[float]:
            seen.append((self._is_initial, self._get_lr_called_within_step))
            return [1.0]

    optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))])
    schedule = Own(optimizer)
    optimizer.step()
    schedule.step()
    schedule.get_lr()
    assert seen == [(True, True), (False, True), (False, False)]


def test_a_schedule_goes_on_without_a_warning_when_the_optimizer_steps_first() -> None:
    optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))], lr=1.0)
    optimizer.param_groups[0]["initial_lr"] = 4.0
    schedule = ExponentialLR(optimizer, 0.5, last_epoch=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [0.5]


@every_schedule
def test_a_loaded_schedule_takes_the_rest_of_the_course(number: int) -> None:
    steps = CASES["SCHEDULES"][number][2]
    optimizer, schedule = made(number)
    for before in range(steps):
        again, loaded = made(number)
        again.load_state_dict(optimizer.state_dict())
        loaded.load_state_dict(schedule.state_dict())
        for o, s in ((optimizer, schedule), (again, loaded)):
            o.step()
            s.step()
        assert rates(again) == rates(optimizer), f"loaded after {before} steps"
        assert loaded.get_last_lr() == schedule.get_last_lr()


def test_a_cycle_keeps_the_lowest_rate_it_is_given() -> None:
    group = {"params": [nn.Parameter(dtorch.ones(1))], "initial_lr": 1.0}
    optimizer = optim.SGD([group], lr=1.0)
    schedule = CyclicLR(optimizer, 0.1, 1.0, 3, last_epoch=0, cycle_momentum=False)
    found = []
    for _ in range(4):
        optimizer.step()
        schedule.step()
        found += schedule.get_last_lr()
    assert found == pytest.approx([0.7, 1.0, 0.7, 0.4])  # as in PyTorch
