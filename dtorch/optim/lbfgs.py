"""L-BFGS: a quasi-Newton method with little memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.base import wrap
from dtorch.core.coo import CooArray
from dtorch.core.errors import ArgumentError
from dtorch.core.grad_mode import enable_grad, no_grad
from dtorch.core.half import widened
from dtorch.core.quiet import quietly
from dtorch.core.tensor import Tensor
from dtorch.optim.line_search import strong_wolfe
from dtorch.optim.optimizer import Optimizer, T, changed, check_options, real


class LBFGS(Optimizer):
    """Steps along the gradient, changed by an estimate of the curvature from earlier steps.

    ``step`` needs a closure, and calls it several times; there is one group of parameters only.

    Args:
        params: parameters.
        lr: length of steps, in units of the direction.
        max_iter: iterations in one call of ``step``.
        max_eval: calls of the closure in one call of ``step``. Default: ``max_iter * 5 // 4``.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when loss or parameters change by no more.
        history_size: number of earlier steps remembered.
        line_search_fn: None or ``"strong_wolfe"``.

    Reference: Nocedal and Wright 2006, "Numerical optimization", algorithms 7.4 and 7.5.

    Raises:
        ValueError: a negative ``lr``, an unknown ``line_search_fn`` or several groups; or as
            `Optimizer`.
        TypeError: a step without a closure.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((w - 3) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item()
        8.0
        >>> dtorch.allclose(w, dtorch.full((2,), 3.0))
        True
    """

    # In the dtype of what they were computed from, which may be wider or real.
    _numbers = ("d", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad")

    def __init__(
        self, params: Any, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_options("LBFGS", lr=(lr, 0, None))
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentError(
                f"LBFGS: line_search_fn is {line_search_fn!r}, expected None or 'strong_wolfe'"
            )
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip
        if len(self.param_groups) != 1:
            raise ArgumentError(f"LBFGS: got {len(self.param_groups)} groups, one is all it takes")

    @property
    def _params(self) -> list[Any]:
        return self.param_groups[0]["params"]  # type: ignore[no-any-return]

    # -- parameters as one vector ---------------------------------------------------------------

    def _flat_grad(self) -> np.ndarray:
        parts = []
        for p in self._params:
            grad = np.zeros_like(p.array) if p._grad is None else p._grad.array
            if isinstance(grad, CooArray):
                grad = grad.coalesce().to_dense()
            parts.append(real(widened(grad)).reshape(-1))
        return np.concatenate(parts)

    def _flat_params(self) -> list[np.ndarray]:
        return [p.array.copy() for p in self._params]

    def _move(self, step: float, direction: np.ndarray) -> None:
        at = 0
        for p in self._params:
            wide = widened(p.array)
            array = real(wide)
            array += direction[at : at + array.size].reshape(array.shape) * step
            if wide is not p.array:
                p.array[...] = wide
            changed(p)
            at += array.size

    def _set(self, values: list[np.ndarray]) -> None:
        for p, value in zip(self._params, values, strict=True):
            p.array[...] = value
            changed(p)

    def step(self, closure: Callable[[], T]) -> T:  # type: ignore[override]  # it needs a closure
        """Several iterations.

        Args:
            closure: zeroes the gradients, computes the loss and its gradients, and returns it.
        Returns: the loss before the first iteration.
        """

        def evaluate() -> Any:
            with enable_grad():
                return closure()

        with no_grad():
            return quietly(self._iterate, evaluate)  # type: ignore[no-any-return]  # the loss

    def _search(
        self, evaluate: Callable[[], Any], step: float, direction: np.ndarray, loss: float,
        grad: np.ndarray, slope: float,
    ) -> tuple[float, np.ndarray, float, int]:  # fmt: skip
        """Move along the direction: loss, gradient, length of the step and evaluations."""
        start = self._flat_params()

        def at(length: float) -> Any:
            self._set(start)
            self._move(length, direction)
            found = float(evaluate())
            gradient = self._flat_grad()
            return found, gradient, _dot(gradient, direction)

        loss, grad, step, used = strong_wolfe(
            at, step, float(np.abs(direction).max()), loss, grad, slope
        )
        self._set(start)
        self._move(step, direction)
        return loss, grad, step, used

    def _iterate(self, evaluate: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = evaluate()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        grad = self._flat_grad()
        if not grad.size or np.abs(grad).max() <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state, group["history_size"], grad.dtype)
        iteration = 0
        while iteration < group["max_iter"]:
            iteration += 1
            state["n_iter"] += 1
            direction = memory.direction(grad, state["n_iter"] == 1)
            before_loss = loss
            memory.previous_grad = grad.copy()
            step = group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]
            if state["n_iter"] == 1:
                step = min(1.0, 1.0 / float(np.abs(grad).sum())) * step
            slope = _dot(grad, direction)
            memory.step = step
            if slope > -group["tolerance_change"]:
                break
            used = 0
            if group["line_search_fn"] is not None:
                loss, grad, step, used = self._search(evaluate, step, direction, loss, grad, slope)
            else:
                self._move(step, direction)
                if iteration != group["max_iter"]:
                    loss = float(evaluate())
                    grad = self._flat_grad()
                    used = 1
            memory.step = step
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or np.abs(grad).max() <= group["tolerance_grad"]
                or np.abs(direction * step).max() <= group["tolerance_change"]
                or abs(loss - before_loss) < group["tolerance_change"]
            ):
                break
        memory.save(state, before_loss)
        return first_loss


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(backend.matmul(a, b))


class _Memory:
    """Earlier steps and changes of the gradient, and the direction that follows from them."""

    def __init__(self, state: dict[str, Any], size: int, kind: Any) -> None:
        self.size = size
        self.kind = kind

        def vector(tensor: Any) -> Any:
            return None if tensor is None else tensor.array.astype(kind, copy=False)

        self.last_direction = vector(state.get("d"))
        self.step = state.get("t", 0)
        self.steps = [vector(s) for s in state.get("old_stps", [])]
        self.changes = [vector(y) for y in state.get("old_dirs", [])]
        self.ro = [float(r) for r in state.get("ro", [])]
        self.scale = float(state["H_diag"]) if "H_diag" in state else 1.0
        self.previous_grad = vector(state.get("prev_flat_grad"))
        self.al: list[Any] = [None] * size

    def direction(self, grad: np.ndarray, first: bool) -> np.ndarray:
        if not first:
            self._learn(grad)
        else:
            self.scale = 1.0
        found = self._two_loops(grad)
        self.last_direction = found
        return found

    def _learn(self, grad: np.ndarray) -> None:
        y = grad - self.previous_grad
        s = self.last_direction * self.kind.type(self.step)
        curvature = _dot(y, s)
        if curvature <= 1e-10:
            return
        if len(self.changes) == self.size:
            for kept in (self.changes, self.steps, self.ro):
                kept.pop(0)
        self.changes.append(y)
        self.steps.append(s)
        self.ro.append(1 / curvature)
        self.scale = curvature / _dot(y, y)

    def _two_loops(self, grad: np.ndarray) -> np.ndarray:
        q = -grad
        for i in range(len(self.changes) - 1, -1, -1):
            self.al[i] = _dot(self.steps[i], q) * self.ro[i]
            q -= self.changes[i] * self.kind.type(self.al[i])
        q *= self.kind.type(self.scale)
        for i, (y, s) in enumerate(zip(self.changes, self.steps, strict=True)):
            beta = _dot(y, q) * self.ro[i]
            q += s * self.kind.type(self.al[i] - beta)
        return q

    def save(self, state: dict[str, Any], previous_loss: float) -> None:
        state["d"] = wrap(self.last_direction)
        state["t"] = self.step
        state["old_dirs"] = [wrap(y) for y in self.changes]
        state["old_stps"] = [wrap(s) for s in self.steps]
        state["ro"] = [wrap(np.asarray(r, self.kind)) for r in self.ro]
        state["al"] = self.al
        state["H_diag"] = wrap(np.asarray(self.scale, self.kind))
        state["prev_flat_grad"] = wrap(self.previous_grad)
        state["prev_loss"] = previous_loss
