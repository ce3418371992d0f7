"""GradScaler: loss scaling that finds its factor by itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from dtorch.amp.state import is_autocast_available
from dtorch.core.coo import CooArray
from dtorch.core.creation import tensor
from dtorch.core.dtype import float32
from dtorch.core.errors import ArgumentError, GradError
from dtorch.core.grad_mode import no_grad
from dtorch.core.half import narrowed, widened
from dtorch.core.tensor import Tensor


class _Pass:
    """What happened to the gradients of one optimizer since the last `update`."""

    __slots__ = ("found_inf", "stepped")

    def __init__(self, found_inf: bool) -> None:
        self.found_inf = found_inf
        self.stepped = False


class GradScaler:
    """Multiplies the loss, and divides the gradients, by a factor that keeps small gradients from
    vanishing in float16; steps whose gradients overflow are left out, and the factor shrinks.

    Not needed with bfloat16, which reaches as far as float32. Works with every optimizer whose
    ``step`` takes no closure.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        init_scale: factor at the beginning.
        growth_factor: the factor grows by this after ``growth_interval`` steps without overflow.
        backoff_factor: it changes by this after a step with one.
        growth_interval: number of steps.
        enabled: False: everything passes through unchanged.
    Raises:
        ArgumentError: a growth factor of at most 1, or a backoff factor of at least 1.

    Example:
        >>> import dtorch
        >>> weight = dtorch.ones(2, requires_grad=True)
        >>> optimizer = dtorch.optim.SGD([weight], lr=0.5)
        >>> scaler = GradScaler("cpu", init_scale=1024.0)
        >>> scaler.scale(weight.sum()).backward()
        >>> scaler.step(optimizer)
        >>> scaler.update()
        >>> weight.tolist(), scaler.get_scale()
        ([0.5, 0.5], 1024.0)

    Reference: Micikevicius et al. 2018, arXiv:1710.03740, section 3.2.
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        if growth_factor <= 1.0:
            raise ArgumentError(
                f"GradScaler: growth_factor is {growth_factor}, expected more than 1"
            )
        if backoff_factor >= 1.0:
            raise ArgumentError(
                f"GradScaler: backoff_factor is {backoff_factor}, expected less than 1"
            )
        if enabled and not is_autocast_available(device):
            warnings.warn(
                f"GradScaler: device is {device!r}, but there is no such device; nothing is scaled",
                stacklevel=2,
            )
            enabled = False
        self._enabled = bool(enabled)
        self._scale = float(init_scale)
        self._scaled = False  # whether `scale` was called
        self._growth_factor = float(growth_factor)
        self._backoff_factor = float(backoff_factor)
        self._growth_interval = int(growth_interval)
        self._growth_tracker = 0
        self._passes: dict[int, _Pass] = {}

    # -- the steps of training --------------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """Losses times the factor: a tensor, or those in lists and tuples."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            self._scaled = True
            return outputs * tensor(self._scale, dtype=float32, device=outputs.device)
        if isinstance(outputs, Iterable):
            scaled = [self.scale(output) for output in outputs]
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ArgumentError(
            f"scale: outputs is {type(outputs).__name__}, expected a tensor or several"
        )

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer by the factor, to clip or look at them; `step` does
        it otherwise.

        Raises:
            GradError: it was done already, `step` came before, or nothing was scaled.
            ArgumentError: a gradient is float16, too coarse for what it would become.
        """
        if not self._enabled:
            return
        self._expect_scaled("unscale_")
        done = self._passes.get(id(optimizer))
        if done is not None:
            what = "step()" if done.stepped else "unscale_()"
            raise GradError(
                f"unscale_: {what} was already called for this optimizer since the last update()"
            )
        self._passes[id(optimizer)] = _Pass(self._unscale(optimizer))

    def _unscale(self, optimizer: Any) -> bool:
        """Whether any gradient has an infinity or a NaN, after all were divided."""
        grads = [
            p.grad for group in optimizer.param_groups for p in group["params"]
            if p.grad is not None
        ]  # fmt: skip
        for grad in grads:
            if grad.array.dtype == np.float16:
                raise ArgumentError(
                    "unscale_: a gradient is float16; keep parameters in float32 and compute in "
                    "float16 under autocast"
                )
        found = False
        factor = 1.0 / self._scale
        with no_grad():
            for grad in grads:
                array = grad.array
                if isinstance(array, CooArray):
                    values = widened(array.values) * factor
                    array.values = narrowed(values, array.values.dtype)
                    found = found or not bool(np.isfinite(array.values).all())
                else:
                    grad.mul_(factor)
                    found = found or not bool(grad.isfinite().all())
        return found

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` with the gradients divided by the factor, unless one of
        them overflowed.

        Returns: what the optimizer returns; None if the step is left out.
        Raises:
            GradError: `step` was called since the last `update`, or nothing was scaled.
            ArgumentError: a closure, which would compute gradients anew.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if args or "closure" in kwargs:
            raise ArgumentError("step: got a closure, which an enabled GradScaler cannot scale")
        self._expect_scaled("step")
        done = self._passes.get(id(optimizer))
        if done is None:
            self.unscale_(optimizer)
            done = self._passes[id(optimizer)]
        elif done.stepped:
            raise GradError(
                "step: step() was already called for this optimizer since the last update()"
            )
        done.stepped = True
        return None if done.found_inf else optimizer.step(**kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Shrink the factor if a gradient overflowed since the last update, or count the step.

        Args:
            new_scale: number, or tensor of one, to be the factor.
        Raises:
            GradError: no gradients were looked at.
        """
        if not self._enabled:
            return
        self._expect_scaled("update")
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._passes:
            raise GradError("update: no step() or unscale_() since the last update()")
        elif any(done.found_inf for done in self._passes.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                grown = self._scale * self._growth_factor
                if grown <= float(np.finfo(np.float32).max):  # it multiplies float32 losses
                    self._scale = grown
                self._growth_tracker = 0
        self._passes.clear()

    def _expect_scaled(self, name: str) -> None:
        if not self._scaled:
            raise GradError(f"{name}: nothing was scaled; call scale(loss).backward() before")

    # -- what it is set to ------------------------------------------------------------------------

    def is_enabled(self) -> bool:
        """Whether anything is scaled."""
        return self._enabled

    def get_scale(self) -> float:
        """The factor; 1 if nothing is scaled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the factor grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the factor grows by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the factor changes by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the factor changes by after an overflow."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """Number of steps without overflow after which the factor grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the number of steps without overflow after which the factor grows."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The factor and how it changes, as numbers; empty if nothing is scaled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another scaler was.

        Raises:
            ArgumentError: the dict lacks keys, or its factor is not finite; nothing is changed. An
                empty one is of a scaler that was not enabled.
        """
        if not self._enabled:
            return
        missing = [key for key in self.state_dict() if key not in state_dict]
        if missing:
            raise ArgumentError(
                f"load_state_dict: the state lacks {', '.join(missing)}; an empty one is of a "
                "scaler that was not enabled"
            )
        scale = float(state_dict["scale"])
        if not math.isfinite(scale):
            raise ArgumentError(f"load_state_dict: scale is {scale}, expected a finite number")
        self._scale = scale
        self._growth_factor = float(state_dict["growth_factor"])
        self._backoff_factor = float(state_dict["backoff_factor"])
        self._growth_interval = int(state_dict["growth_interval"])
        self._growth_tracker = int(state_dict["_growth_tracker"])
