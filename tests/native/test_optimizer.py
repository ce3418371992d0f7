"""The compiled steps against those in NumPy, by hiding the former."""

import itertools

import numpy as np
import pytest

import dtorch
from dtorch.core import backend
from dtorch.optim import SGD, Adam, AdamW, fused

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")


def course(make, dtype, n=1000, steps=4):
    """Parameter and state after some steps from gradients that are the same in every course."""
    rng = np.random.default_rng(0)
    param = dtorch.nn.Parameter(dtorch.from_numpy(rng.standard_normal(n).astype(dtype)))
    optimizer = make([param])
    for _ in range(steps):
        param.grad = dtorch.from_numpy(rng.standard_normal(n).astype(dtype))
        optimizer.step()
    state = {name: value.numpy() for name, value in optimizer.state[param].items()}
    return {"param": param.detach().numpy(), **state}


CASES = [
    *(
        (SGD, {"lr": 0.1, "momentum": m, "dampening": d, "weight_decay": w, "nesterov": nesterov})
        for m, d, w, nesterov in itertools.product((0, 0.9), (0, 0.5), (0, 0.01), (False, True))
        if not (nesterov and (m == 0 or d))
    ),
    *(
        (kind, {"lr": 0.01, "weight_decay": w, "amsgrad": a, "maximize": m})
        for kind, w, a, m in itertools.product(
            (Adam, AdamW), (0, 0.1), (False, True), (False, True)
        )
    ),
]


@pytest.fixture
def in_numpy(monkeypatch):
    """Leaves all parameters to NumPy from the call on."""

    def hide() -> None:
        for name in ("sgd", "adam"):
            monkeypatch.setattr(fused, name, lambda params, group, state: params)

    return hide


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_steps_equal_those_in_numpy(kind, options, dtype, in_numpy):
    def make(params):
        return kind(params, **options)

    got = course(make, dtype)
    in_numpy()
    expected = course(make, dtype)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].dtype == value.dtype
        np.testing.assert_allclose(
            got[name], value, rtol=2e-5 if dtype is np.float32 else 1e-12, atol=1e-6, err_msg=name
        )


SIZES = [(1,), (300_001,), (7, 5), (0,), (16 * 1024,), ()]


def group_course(make):
    """Parameters of several sizes and types after three steps."""
    rng = np.random.default_rng(1)
    params = [
        dtorch.nn.Parameter(dtorch.from_numpy(np.asarray(rng.standard_normal(size), dtype)))
        for size in SIZES
        for dtype in (np.float32, np.float64)
    ]
    optimizer = make(params)
    for _ in range(3):
        for p in params:
            p.grad = dtorch.from_numpy(
                np.asarray(rng.standard_normal(p.shape), p.detach().numpy().dtype)
            )
        optimizer.step()
    return [p.detach().numpy() for p in params]


@pytest.mark.parametrize(
    "make",
    [lambda p: Adam(p, lr=0.1), lambda p: SGD(p, lr=0.1), lambda p: SGD(p, lr=0.1, momentum=0.9)],
    ids=["adam", "sgd", "momentum"],
)
def test_many_parameters_on_several_threads(make, threads, in_numpy):
    got = group_course(make)
    in_numpy()
    for a, b in zip(got, group_course(make), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_which_parameters_are_left_to_numpy(native):
    def left(values, grad):
        p = dtorch.nn.Parameter(dtorch.from_numpy(values))
        p.grad = None if grad is None else dtorch.from_numpy(grad)
        return native.sgd_steps([p], {}, 0.1, 0.0, 0.0, 0.0, False, False) == [p]

    wide = np.ones((4, 6), np.float32)
    assert not left(wide, wide.T.copy().T)
    assert not left(wide, None)
    assert left(wide.T, wide.T)
    assert left(wide[:, ::2], wide[:, ::2])
    assert left(wide.astype(np.float16), wide.astype(np.float16))


def test_a_state_that_has_not_begun_is_left_to_numpy(native):
    p = dtorch.nn.Parameter(dtorch.ones(3))
    p.grad = dtorch.ones(3)
    options = (0.1, 0.9, 0.999, 1e-8, 0.0, False, False, False)
    assert native.adam_steps([p], {}, *options) == [p]
    state = {name: dtorch.zeros(3) for name in ("exp_avg", "exp_avg_sq")}
    assert native.adam_steps([p], {p: {"step": dtorch.tensor(0.0), **state}}, *options) == []
    state["exp_avg"] = dtorch.zeros(2)
    assert native.adam_steps([p], {p: {"step": dtorch.tensor(0.0), **state}}, *options) == [p]


def test_compiled_steps_count_as_changes_for_autograd(native):
    p = dtorch.nn.Parameter(dtorch.ones(3))
    out = (p * p).sum()
    p.grad = dtorch.ones(3)
    assert native.sgd_steps([p], {}, 0.1, 0.0, 0.0, 0.0, False, False) == []
    with pytest.raises(RuntimeError, match="modified in place"):
        out.backward()


def test_what_is_no_list_of_parameters_is_refused(native):
    with pytest.raises(TypeError):
        native.sgd_steps(3, {}, 0.1, 0.0, 0.0, 0.0, False, False)
