"""Every optimizer on parameters of every floating and complex dtype."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn, optim
from dtorch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

CASES: dict[str, Any] = {}
exec((Path(__file__).parent / "cases.py").read_text(), CASES)
STORED = json.loads((Path(__file__).parents[1] / "data" / "optimizer_runs.json").read_text())
NAMES = {name: getattr(optim, name) for name in optim.__all__}
DTYPES = ["float32", "float64", "bfloat16", "float16", "complex64", "complex128"]
HALVES = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
EVERY = [*CASES["OPTIMIZERS"], "SGD(p, lr=0.1)", "SparseAdam(p, lr=0.1)"]

every_optimizer = pytest.mark.parametrize("expression", EVERY)


def tensor(values: Any, dtype: str) -> Any:
    wide = dtorch.tensor(np.asarray(values, np.complex128).tolist(), dtype=dtorch.complex128)
    if "complex" not in dtype:
        wide = wide.real
    return wide.clone().to(getattr(dtorch, dtype))


def numbers(seed: int, *shape: int) -> Any:
    draw = np.random.default_rng(seed).standard_normal
    return draw(shape) + 1j * draw(shape)


class Run:
    """Two matrices and a number, with gradients that do not depend on how exact the steps are."""

    def __init__(self, expression: str, dtype: str) -> None:
        self.dtype = dtype
        self.sparse = expression.startswith("SparseAdam")
        shapes = [(4, 3), (5, 1), ()][: 2 if self.sparse else 3]
        self.params = [nn.Parameter(tensor(numbers(i, *s), dtype)) for i, s in enumerate(shapes)]
        self.optimizer = eval(expression, {**NAMES, "p": self.params})
        self.steps = 0

    def gradients(self) -> Any:
        for i, p in enumerate(self.params):
            grad = tensor(numbers(10 * self.steps + i, *p.shape) * 0.3 + 0.1, self.dtype)
            p.grad = grad.to_sparse() if self.sparse else grad
        return dtorch.tensor(float(-self.steps))

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.steps += 1
            self.optimizer.step(self.gradients)

    def values(self) -> list[list[Any]]:
        return [p.detach().tolist() for p in self.params]


def refused(expression: str, dtype: str) -> bool:
    return "complex" in dtype and expression.startswith(("Adafactor", "SparseAdam"))


@pytest.mark.parametrize("dtype", DTYPES)
@every_optimizer
def test_a_loaded_optimizer_goes_on_to_the_bit(expression: str, dtype: str) -> None:
    if refused(expression, dtype):
        pytest.skip("no complex numbers")
    run, again = Run(expression, dtype), Run(expression, dtype)
    run.step(5)
    file = io.BytesIO()
    dtorch.save(([p.detach() for p in run.params], run.optimizer.state_dict()), file)
    file.seek(0)
    params, state = dtorch.load(file)
    for mine, theirs in zip(again.params, params, strict=True):
        mine.data.copy_(theirs)
    again.optimizer.load_state_dict(state)
    again.steps = run.steps
    for _ in range(4):
        run.step()
        again.step()
        assert again.values() == run.values()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@every_optimizer
def test_real_and_imaginary_parts_step_as_numbers_of_their_own(expression: str, dtype: str) -> None:
    if refused(expression, dtype):
        with pytest.raises((TypeError, ValueError), match="complex"):
            Run(expression, dtype).step()
        return
    run = Run(expression, dtype)
    parts = [nn.Parameter(dtorch.view_as_real(p.detach()).clone()) for p in run.params]
    optimizer = eval(expression, {**NAMES, "p": parts})
    for _ in range(6):
        run.step()

        def gradients() -> Any:
            loss = run.gradients()
            for part, p in zip(parts, run.params, strict=True):
                part.grad = dtorch.view_as_real(p.grad).clone()
            return loss

        optimizer.step(gradients)
        for part, p in zip(parts, run.params, strict=True):
            np.testing.assert_allclose(
                dtorch.view_as_real(p.detach()).numpy(), part.detach().numpy(),
                rtol=1e-5 if dtype == "complex64" else 1e-12, atol=1e-7,
            )  # fmt: skip


@pytest.mark.parametrize("dtype", HALVES)
@every_optimizer
def test_states_in_half_precision_are_those_of_single_precision_rounded_once(
    expression: str, dtype: str
) -> None:
    """After one step, from states that are half precision in both."""
    if expression.startswith("LBFGS"):
        pytest.skip("keeps its state in single precision")
    run, wide = Run(expression, dtype), Run(expression, "float32")
    run.step(4)
    wide.steps = run.steps
    wide.optimizer.load_state_dict(run.optimizer.state_dict())
    for mine, theirs in zip(wide.params, run.params, strict=True):
        mine.data.copy_(theirs.detach().float())

    def same_gradients() -> Any:
        loss = run.gradients()
        for mine, theirs in zip(wide.params, run.params, strict=True):
            mine.grad = theirs.grad.float()
        return loss

    run.steps += 1
    run.optimizer.step(run.gradients)
    wide.optimizer.step(same_gradients)
    for mine, theirs in zip(run.params, wide.params, strict=True):
        assert close(mine, theirs, dtype)
        state = wide.optimizer.state[theirs]
        for name, value in run.optimizer.state[mine].items():
            if isinstance(value, dtorch.Tensor):
                assert close(value, state[name], dtype), name


def close(half: Any, exact: Any, dtype: str) -> bool:
    half, exact = half.detach().double().numpy(), exact.detach().double().numpy()
    return bool((np.abs(half - exact) <= HALVES[dtype] * 1.01 * np.abs(exact) + 1e-7).all())


def test_averages_of_squares_in_half_precision_have_no_bias() -> None:
    for dtype in HALVES:
        p = nn.Parameter(tensor(np.ones(1000), dtype))
        optimizer = optim.RMSprop([p], lr=0.0)
        draw = np.random.default_rng(0)
        exact = np.zeros(1000)
        for _ in range(50):
            p.grad = tensor(draw.uniform(0.5, 1.5, 1000), dtype)
            exact += 0.01 * (p.grad.double().numpy() ** 2 - exact)
            optimizer.step()
        found = optimizer.state[p]["square_avg"].double().numpy()
        assert abs((found / exact).mean() - 1) < 0.01


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_averaged_models_average_in_half_precision(dtype: str) -> None:
    net = nn.Linear(1, 1, bias=False).to(getattr(dtorch, dtype))
    mean, moving = AveragedModel(net), AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    for value in (1.0, 2.0, 6.0):
        nn.init.constant_(net.weight, value)
        mean.update_parameters(net)
        moving.update_parameters(net)
    assert mean.module.weight.item() == 3.0
    assert moving.module.weight.item() == pytest.approx(2.4375, rel=0.01)


@pytest.mark.parametrize("expression", STORED["half and complex"])
@pytest.mark.parametrize("dtype", ["complex128", "complex64", "bfloat16", "float16"])
def test_courses_are_those_of_the_reference(expression: str, dtype: str) -> None:
    """In half precision the reference rounds at several places of a step, hence the tolerance."""
    stored = STORED["half and complex"][expression].get(dtype)
    if stored is None:
        assert refused(expression, dtype)
        return
    run = Run(expression, dtype)
    run.step(20)
    found = np.concatenate([np.ravel(np.asarray(p.detach().to(
        dtorch.complex128).tolist())) for p in run.params])  # fmt: skip
    expected = np.array(stored[0]) + 1j * np.array(stored[1])
    tolerance = {"complex128": 1e-6, "complex64": 1e-5, "bfloat16": 0.08, "float16": 0.01}[dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@every_optimizer
def test_sharing_the_state_before_the_first_step_changes_no_step(expression: str) -> None:
    if expression.startswith("LBFGS") or "dampening" in expression:
        pytest.skip("begins with the first gradient")
    run, shared = Run(expression, "float32"), Run(expression, "float32")
    shared.optimizer.share_memory()
    names = set(shared.optimizer.state[shared.params[0]])
    for r in (run, shared):
        r.step(3)
    for mine, theirs in zip(run.params, shared.params, strict=True):
        assert dtorch.allclose(mine, theirs, rtol=1e-6)
    tensors = {k for k, v in run.optimizer.state[run.params[0]].items() if hasattr(v, "dtype")}
    assert names >= tensors


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@every_optimizer
def test_steps_with_infinite_gradients_warn_of_nothing(expression: str, dtype: str) -> None:
    run = Run(expression, dtype)
    values = [np.inf, -np.inf, np.nan, 0, 1e38, -1e38, 1e-45]

    def gradients() -> Any:
        for p in run.params:
            grad = tensor(np.resize(values, p.shape), dtype)
            p.grad = grad.to_sparse() if run.sparse else grad
        return dtorch.tensor(np.inf)

    for _ in range(2):
        run.optimizer.step(gradients)
