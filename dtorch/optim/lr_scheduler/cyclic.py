"""Schedules that go up and down: warm restarts, cycles, one cycle."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.optim.lr_scheduler.base import (
    LRScheduler,
    check_count,
    expect_in_groups,
    for_groups,
    set_rate,
)
from dtorch.optim.optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """Rate along half a cosine to ``eta_min``, again and again from the initial one.

    Args:
        T_0: epochs of the first round.
        T_mult: each round is so many times longer than the one before.
        eta_min: least rate.

    ``step`` also takes a fraction of an epoch.

    Reference: Loshchilov and Hutter 2016, arXiv:1608.03983.

    Raises:
        ValueError: ``T_0`` or ``T_mult`` is no int of at least 1; ``step`` is given a negative epoch.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = CosineAnnealingWarmRestarts(optimizer, T_0=3)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [1.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,  # noqa: N803
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_count("CosineAnnealingWarmRestarts", "T_0", T_0)
        check_count("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to a given one, which may be a fraction."""
        self._step_count += 1
        if epoch is None and (self.last_epoch < 0 or self._is_initial):
            epoch = self.last_epoch + 1
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            self._place(epoch)
        self.last_epoch = math.floor(epoch)
        self._set(self._computed())

    def _place(self, epoch: float) -> None:
        """The round in which ``epoch`` lies, and where in it."""
        if epoch < 0:
            raise ArgumentError(
                f"CosineAnnealingWarmRestarts: epoch is {epoch}, expected at least 0"
            )
        self.T_cur, self.T_i = epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur %= self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _uses_betas(name: str, optimizer: Optimizer) -> bool:
    """Whether the first beta of the optimizer is its momentum."""
    if not {"momentum", "betas"} & set(optimizer.defaults):
        raise ArgumentError(
            f"{name}: {type(optimizer).__name__} has neither momentum nor betas; pass "
            "cycle_momentum=False"
        )
    return "betas" in optimizer.defaults


class CyclicLR(LRScheduler):
    """Rate up from ``base_lr`` to ``max_lr`` and down again, over and over; step after each batch.

    Args:
        base_lr, max_lr: bounds, for all groups or each.
        step_size_up, step_size_down: batches up, and down (default: as many).
        mode: ``"triangular"``; ``"triangular2"``, half as high each round; or ``"exp_range"``,
            ``gamma**batch`` as high.
        scale_fn: own function for the height, of the round or (``scale_mode="iterations"``) of the
            batch.
        cycle_momentum: move momentum (or the first beta) the other way, from ``max_momentum`` to
            ``base_momentum``.

    Reference: Smith 2015, arXiv:1506.01186.

    Raises:
        ValueError: an unknown ``mode``, a list that is not as long as the list of groups, or
            ``cycle_momentum`` with an optimizer that has neither momentum nor betas.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = CyclicLR(optimizer, 0.5, 1.0, step_size_up=2, cycle_momentum=False)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [1.0]
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: Any, max_lr: Any, step_size_up: int = 2000,
        step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
        cycle_momentum: bool = True, base_momentum: Any = 0.8, max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        groups = optimizer.param_groups
        lowest = for_groups("CyclicLR", "base_lr", base_lr, len(groups))
        if last_epoch == -1:
            for group, lr in zip(groups, lowest, strict=True):
                group["initial_lr"] = lr
                set_rate(group, lr)
        self.max_lrs = for_groups("CyclicLR", "max_lr", max_lr, len(groups))
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ArgumentError(
                f"CyclicLR: mode is {mode!r}, expected 'triangular', 'triangular2' or 'exp_range'"
            )
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = "iterations" if mode == "exp_range" and scale_fn is None else scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = _uses_betas("CyclicLR", optimizer)
            self.base_momentums = for_groups(
                "CyclicLR", "base_momentum", base_momentum, len(groups)
            )
            self.max_momentums = for_groups("CyclicLR", "max_momentum", max_momentum, len(groups))
            if last_epoch == -1:
                for group, low, high in zip(
                    groups, self.base_momentums, self.max_momentums, strict=True
                ):
                    _set_momentum(group, high)
                    group["max_momentum"], group["base_momentum"] = high, low
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lowest  # whatever the groups began with, where others had a schedule before

    def scale_fn(self, x: float) -> float:
        """The height of a round or batch, as a share of the full one."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return float(0.5 ** (x - 1) if self.mode == "triangular2" else self.gamma**x)

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        rise = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = rise * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                _set_momentum(group, high - (high - low) * height)
        return [
            low + (high - low) * height
            for low, high in zip(self.base_lrs, self.max_lrs, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and an own function."""
        state = super().state_dict()
        function = state["_scale_fn_custom"]
        plain = function is None or isinstance(function, types.FunctionType)
        state["_scale_fn_custom"] = None if plain else function.__dict__.copy()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; an own function stays."""
        attributes = state_dict.get("_scale_fn_custom")
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if attributes is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(attributes)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def _line(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


class OneCycleLR(LRScheduler):
    """Rate up to ``max_lr`` and down to next to nothing, once; step after each batch.

    Args:
        max_lr: largest rate, for all groups or each.
        total_steps: number of steps; or
        epochs, steps_per_epoch: whose product it is.
        pct_start: share of the steps that go up.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: move momentum (or the first beta) the other way, from ``max_momentum`` to
            ``base_momentum`` and back.
        div_factor: the first rate is ``max_lr / div_factor``.
        final_div_factor: the last rate is the first over this.
        three_phase: come down to the first rate as long as going up, then to the last.

    Reference: Smith and Topin 2017, arXiv:1708.07120.

    Raises:
        ValueError: no number of steps or one below 1, ``pct_start`` outside 0 to 1, an unknown
            ``anneal_strategy``, ``cycle_momentum`` with an optimizer that has neither momentum nor
            betas, or more steps than the schedule has.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, cycle_momentum=False)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [1.0]
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: Any, total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: Any = 0.85,
        max_momentum: Any = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(
                    "OneCycleLR: pass total_steps, or both epochs and steps_per_epoch"
                )
            check_count("OneCycleLR", "epochs", epochs)
            check_count("OneCycleLR", "steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        check_count("OneCycleLR", "total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycleLR: pct_start is {pct_start}, expected 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"OneCycleLR: anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'"
            )
        self.total_steps = total_steps
        self._anneal_func_type = anneal_strategy
        up = float(pct_start * total_steps) - 1
        if three_phase:
            down = float(2 * pct_start * total_steps) - 2
            courses = [
                (up, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                (down, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                (total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            courses = [
                (up, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                (total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"),
            ]
        names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
        self._schedule_phases: list[dict[str, Any]] = [
            dict(zip(names, course, strict=True)) for course in courses
        ]
        groups = optimizer.param_groups
        self.cycle_momentum = cycle_momentum
        highest = for_groups("OneCycleLR", "max_lr", max_lr, len(groups))
        if last_epoch == -1:
            for group, lr in zip(groups, highest, strict=True):
                group["initial_lr"] = lr / div_factor
                group["max_lr"] = lr
                group["min_lr"] = group["initial_lr"] / final_div_factor
        else:
            expect_in_groups(optimizer, last_epoch, "initial_lr", "max_lr", "min_lr")
        if cycle_momentum:
            self.use_beta1 = _uses_betas("OneCycleLR", optimizer)
            most = for_groups("OneCycleLR", "max_momentum", max_momentum, len(groups))
            least = for_groups("OneCycleLR", "base_momentum", base_momentum, len(groups))
            if last_epoch == -1:
                for group, high, low in zip(groups, most, least, strict=True):
                    _set_momentum(group, high)
                    group["max_momentum"], group["base_momentum"] = high, low
            else:
                expect_in_groups(optimizer, last_epoch, "max_momentum", "base_momentum")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        if t > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {t} of a schedule of {self.total_steps} steps; make it longer"
            )
        anneal = _cosine if self._anneal_func_type == "cos" else _line
        phases = self._schedule_phases
        last = len(phases) - 1
        number = next((i for i, phase in enumerate(phases) if t <= phase["end_step"]), last)
        phase = phases[number]
        start = phases[number - 1]["end_step"] if number else 0.0
        share = (t - start) / (phase["end_step"] - start)

        def between(group: dict[str, Any], what: str) -> float:
            return anneal(group[phase[f"start_{what}"]], group[phase[f"end_{what}"]], share)

        values = []
        for group in self.optimizer.param_groups:
            values.append(between(group, "lr"))
            if self.cycle_momentum:
                _set_momentum(group, between(group, "momentum"))
        return values
