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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_steps_equal_those_in_numpy(kind, options, dtype, monkeypatch):
    def make(params):
        return kind(params, **options)

    got = course(make, dtype)
    monkeypatch.setattr(fused, "takes", lambda *arrays: False)
    expected = course(make, dtype)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].dtype == value.dtype
        np.testing.assert_allclose(
            got[name], value, rtol=2e-5 if dtype is np.float32 else 1e-12, atol=1e-6, err_msg=name
        )


def test_many_elements_on_several_threads(native, monkeypatch):
    def make(params):
        return Adam(params, lr=0.1)

    got = course(make, np.float32, 300_001, 2)
    monkeypatch.setattr(fused, "takes", lambda *arrays: False)
    np.testing.assert_allclose(
        got["param"], course(make, np.float32, 300_001, 2)["param"], rtol=1e-4, atol=1e-5
    )


def test_which_arrays_are_left_to_numpy():
    wide = np.ones((4, 6), np.float32)
    assert fused.takes(wide, wide.T.copy().T, wide)
    assert not fused.takes(wide, wide, wide.T)
    assert not fused.takes(wide[:, ::2], wide[:, ::2])
    assert not fused.takes(wide, wide.astype(np.float64))
    assert not fused.takes(*[wide.astype(np.float16)] * 2)


def test_wrong_sizes_are_refused(native):
    x = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="does not fit the parameter"):
        native.sgd_step(x, x[:3].copy(), None, 0.1, 0.0, 0.0, 0.0, False, False)
