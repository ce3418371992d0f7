"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.tensor import Tensor
from dtorch.legacy.optim.stepping import Function, Settings, settings_of, step
from dtorch.optim.lbfgs import LBFGS

__all__ = ["lbfgs"]


def lbfgs(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Any, ...]:
    """Steps of L-BFGS; see `dtorch.optim.LBFGS`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``maxIter`` (20), ``maxEval`` (1.25 times that), ``tolFun`` (1e-5, of the gradient),
            ``tolX`` (1e-9, of the step and of the value), ``nCorrection`` (100),
            ``learningRate`` (1), ``lineSearch``: a function of ``opfunc, x, t, d, f, g, gtd,
            lineSearchOptions``, where t is the length of the step to try, d the direction and gtd
            the slope along it, that gives f, g, x and t at the end of the step and the number of
            its calls of ``opfunc``. A fixed length is taken without.
    Returns: ``x``, the values at the points the steps ended at, and the number of calls of
        ``opfunc``; ``x`` and the values alone where it is optimal from the start.
    Example:
        >>> import dtorch
        >>> x = dtorch.tensor([4.0, -1.0])
        >>> x, values, calls = lbfgs(lambda x: ((x**2).sum(), 2 * x), x, {})
        >>> dtorch.allclose(x, dtorch.zeros(2), atol=1e-4), calls == len(values)
        (True, True)
    """
    config, state = settings_of("lbfgs", config, state)
    most = config.get("maxIter", 20)
    run = _Run(opfunc, config)

    def kind(params: list[Tensor], **options: Any) -> _LBFGS:
        return _LBFGS(params, run, **options)

    kept = step(
        kind, x, x.detach().new_zeros(x.shape), state, lr=config.get("learningRate", 1),
        max_iter=most, max_eval=config.get("maxEval", most * 5 // 4),
        tolerance_grad=config.get("tolFun", 1e-5), tolerance_change=config.get("tolX", 1e-9),
        history_size=config.get("nCorrection", 100),
        line_search_fn="strong_wolfe" if config.get("lineSearch") else None,
    )  # fmt: skip
    state["funcEval"], state["nIter"] = kept["func_evals"], kept["n_iter"]
    return (x, run.values, run.calls) if run.moved else (x, run.values)


class _Run:
    """The values that one call of the function found, and how."""

    def __init__(self, opfunc: Function, config: Settings) -> None:
        self.opfunc = opfunc
        self.search: Callable[..., Any] | None = config.get("lineSearch")
        self.options = config.get("lineSearchOptions")
        self.values: list[Any] = []
        self.calls = 0
        self.moved = False


class _LBFGS(LBFGS):
    """`LBFGS` of one tensor, with the function and the line search of a run."""

    def __init__(self, params: list[Tensor], run: _Run, **options: Any) -> None:
        super().__init__(params, **options)
        self._run = run

    def step(self, closure: Any = None) -> Any:
        """Several iterations."""
        return super().step(self._evaluate)

    def _evaluate(self) -> Any:
        (x,) = self._params
        value, gradient = self._run.opfunc(x.detach())
        self._run.calls += 1
        self._run.values.append(value)
        x.grad = gradient.detach()
        return value

    def _move(self, step: float, direction: np.ndarray) -> None:
        self._run.moved = True
        super()._move(step, direction)

    def _search(
        self, evaluate: Any, step: float, direction: np.ndarray, loss: float, grad: np.ndarray,
        slope: float,
    ) -> tuple[float, np.ndarray, float, int]:  # fmt: skip
        run, (x,) = self._run, self._params
        assert run.search is not None
        run.moved = True
        loss, gradient, point, step, used = run.search(
            run.opfunc, x.detach(), step, wrap(direction.reshape(x.shape)), loss,
            wrap(grad.reshape(x.shape)), slope, run.options,
        )  # fmt: skip
        self._set([point.detach().array])
        run.calls += used
        run.values.append(loss)
        return float(loss), gradient.detach().array.reshape(-1), float(step), used
