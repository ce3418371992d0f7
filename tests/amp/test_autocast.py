"""Regions in which operands are cast: where they begin and end, and what they leave behind."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.core.ops.linalg import matmul
from dtorch.nn import functional as nnf

bf16, f16, f32, f64 = dtorch.bfloat16, dtorch.float16, dtorch.float32, dtorch.float64


def matrix(dtype: Any = f32, seed: int = 0) -> Any:
    made = np.random.default_rng(seed).standard_normal((4, 4)).astype(np.float32)
    return dtorch.from_numpy(made).to(dtype)


def product() -> Any:
    """The dtype of a product of float32."""
    return (matrix() @ matrix()).dtype


def test_products_are_bfloat16_inside_and_float32_outside() -> None:
    assert product() is f32
    with dtorch.autocast("cpu"):
        assert product() is bf16
        assert dtorch.mm(matrix(), matrix()).dtype is bf16
        assert matrix().matmul(matrix()).dtype is bf16
        assert matmul(matrix(), matrix()).dtype is bf16
        assert (matrix() + matrix()).dtype is f32
    assert product() is f32


def test_dtype_is_chosen_by_argument_and_by_default_of_the_thread() -> None:
    with dtorch.autocast("cpu", dtype=f16):
        assert product() is f16
        assert dtorch.get_autocast_dtype("cpu") is f16
    assert dtorch.get_autocast_dtype("cpu") is bf16
    dtorch.set_autocast_dtype("cpu", f16)
    try:
        with dtorch.autocast("cpu"):
            assert product() is f16
    finally:
        dtorch.set_autocast_dtype("cpu", bf16)


def test_regions_nest_and_restore_what_was_before() -> None:
    with dtorch.autocast("cpu"):
        with dtorch.autocast("cpu", enabled=False):
            assert product() is f32
            assert not dtorch.is_autocast_enabled("cpu")
            with dtorch.autocast("cpu", dtype=f16):
                assert product() is f16
            assert product() is f32
        assert product() is bf16
        assert dtorch.is_autocast_enabled("cpu")
    assert not dtorch.is_autocast_enabled("cpu")


def test_an_exception_ends_the_region() -> None:
    with pytest.raises(KeyError), dtorch.autocast("cpu"):
        raise KeyError
    assert product() is f32


def test_one_object_serves_for_several_regions_one_inside_the_other() -> None:
    region = dtorch.autocast("cpu")
    with region, region:
        assert product() is bf16
    assert product() is f32
    with region:
        assert product() is bf16


def test_decorated_functions_cast_while_they_run() -> None:
    @dtorch.autocast("cpu")
    def inside(depth: int) -> Any:
        return product() if depth == 0 else inside(depth - 1)

    assert inside(3) is bf16
    assert product() is f32
    assert inside.__name__ == "inside"


def test_threads_have_settings_of_their_own() -> None:
    found = []

    def elsewhere() -> None:
        found.append(product())
        with dtorch.autocast("cpu", dtype=f16):
            found.append(product())

    with dtorch.autocast("cpu"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert product() is bf16
    assert found == [f32, f16]


def test_one_object_serves_for_several_threads() -> None:
    region, found = dtorch.autocast("cpu"), []
    inside, outside = threading.Event(), threading.Event()

    def elsewhere() -> None:
        dtorch.set_autocast_dtype("cpu", f16)
        with region:
            inside.set()
            assert outside.wait(100)
            found.append(product())
        found.append(dtorch.get_autocast_dtype("cpu"))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert inside.wait(100)
    with region:
        pass
    outside.set()
    thread.join()
    assert found == [bf16, f16]
    assert dtorch.get_autocast_dtype("cpu") is bf16


def test_other_dtypes_are_left_alone() -> None:
    with dtorch.autocast("cpu"):
        assert (matrix(f64) @ matrix(f64)).dtype is f64
        assert (matrix(bf16) @ matrix()).dtype is bf16
        assert (dtorch.ones(2, 2).long() @ dtorch.ones(2, 2).long()).dtype is dtorch.int64
        with pytest.raises(DtypeError):
            matrix(f64) @ matrix()


def test_values_are_those_of_operands_rounded_to_bfloat16() -> None:
    a, b = matrix(), matrix(seed=1)
    with dtorch.autocast("cpu"):
        found = a @ b
    np.testing.assert_array_equal(found.float().numpy(), (a.bfloat16() @ b.bfloat16()).float())


def test_losses_are_float32_and_mixed_operands_promote() -> None:
    with dtorch.autocast("cpu"):
        low = matrix() @ matrix()
        assert nnf.mse_loss(low, matrix()).dtype is f32
        assert nnf.cross_entropy(low, dtorch.arange(4)).dtype is f32
        assert (low + matrix()).dtype is f32
        assert dtorch.cat([low, matrix()]).dtype is f32
        assert dtorch.stack([low, matrix()]).dtype is f32
        assert dtorch.softmax(low, 1).dtype is bf16


def test_results_that_are_given_keep_their_dtype() -> None:
    out, target = dtorch.zeros(4, 4), dtorch.zeros(4, 4)
    exact = matrix() @ matrix()
    with dtorch.autocast("cpu"):
        dtorch.mm(matrix(), matrix(), out=out)
        target.addmm_(matrix(), matrix())
    np.testing.assert_array_equal(out.numpy(), exact.numpy())
    np.testing.assert_array_equal(target.numpy(), exact.numpy())


MODULES = {
    "Linear": (lambda: nn.Linear(4, 3), (2, 4), bf16),
    "Conv2d": (lambda: nn.Conv2d(4, 3, 3), (2, 4, 5, 5), bf16),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 3, 3), (2, 4, 5), bf16),
    "LSTM": (lambda: nn.LSTM(4, 3), (2, 1, 4), bf16),
    "RNN": (lambda: nn.RNN(4, 3), (2, 1, 4), bf16),
    "GRU": (lambda: nn.GRU(4, 3), (2, 1, 4), f32),
    "LSTMCell": (lambda: nn.LSTMCell(4, 3), (2, 4), f32),
    "LayerNorm": (lambda: nn.LayerNorm(4), (2, 4), f32),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (2, 4), f32),
    "Transformer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (2, 3, 4), f32
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_modules_compute_as_in_pytorch_and_get_float32_gradients(name: str) -> None:
    make, shape, expected = MODULES[name]
    module = make()
    with dtorch.autocast("cpu"):
        out = module(dtorch.randn(*shape))
        while isinstance(out, tuple):
            out = out[0]
        loss = out.float().square().sum()
    assert out.dtype is expected
    loss.backward()
    assert {p.grad.dtype for p in module.parameters() if p.grad is not None} == {f32}


def test_attention_is_cast() -> None:
    attend = nn.MultiheadAttention(4, 2)
    with dtorch.autocast("cpu"):
        out, _ = attend(*[dtorch.randn(3, 2, 4)] * 3)
    assert out.dtype is bf16
    out.float().sum().backward()
    assert attend.in_proj_weight.grad.dtype is f32


def test_gradients_are_near_those_of_float32() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    x, target = dtorch.randn(8, 2, 5, 5), dtorch.arange(8) % 3
    grads = []
    for enabled in (False, True):
        net.zero_grad()
        with dtorch.autocast("cpu", enabled=enabled):
            nnf.cross_entropy(net(x), target).backward()
        grads.append([p.grad.clone() for p in net.parameters()])
    for exact, low in zip(*grads, strict=True):
        assert low.dtype is f32
        assert float((exact - low).abs().max()) < 0.03 * float(exact.abs().max())


def test_parameters_are_cast_once_in_a_region() -> None:
    weight = matrix().requires_grad_()
    casts: list[Any] = []

    def node_of_cast(out: Any) -> Any:
        return out.grad_fn.next_functions[-1][0]

    with dtorch.autocast("cpu"):
        casts += [node_of_cast(matrix() @ weight) for _ in range(2)]
        with dtorch.autocast("cpu"):
            casts.append(node_of_cast(matrix() @ weight))
    with dtorch.autocast("cpu", cache_enabled=False):
        casts += [node_of_cast(matrix() @ weight) for _ in range(2)]
    assert casts[0] is casts[1] is casts[2]
    assert len(set(map(id, casts))) == 3


def test_parameters_changed_in_a_region_are_cast_anew() -> None:
    weight = dtorch.ones(2, 2, requires_grad=True)
    with dtorch.autocast("cpu"):
        weight @ weight
        with dtorch.no_grad():
            weight.mul_(2)
        assert (weight @ weight).tolist() == [[8.0, 8.0], [8.0, 8.0]]


def test_a_cast_without_gradient_does_not_serve_for_one_with() -> None:
    weight = dtorch.ones(2, 2, requires_grad=True)
    with dtorch.autocast("cpu"):
        with dtorch.no_grad():
            weight @ weight
        (weight @ weight).float().sum().backward()
    assert weight.grad is not None


def test_cache_can_be_cleared_and_turned_off() -> None:
    assert dtorch.is_autocast_cache_enabled()
    dtorch.set_autocast_cache_enabled(False)
    try:
        with dtorch.autocast("cpu"):
            assert not dtorch.is_autocast_cache_enabled()
    finally:
        dtorch.set_autocast_cache_enabled(True)
    weight = dtorch.ones(2, 2, requires_grad=True)
    with dtorch.autocast("cpu"):
        first = weight @ weight
        dtorch.clear_autocast_cache()
        second = weight @ weight
    nodes = [out.grad_fn.next_functions[0][0] for out in (first, second)]
    assert nodes[0] is not nodes[1]


def test_second_gradients_flow_through_casts() -> None:
    weight = matrix().requires_grad_()
    with dtorch.autocast("cpu"):
        out = (matrix() @ weight).float().square().sum()
    (first,) = dtorch.autograd.grad(out, [weight], create_graph=True)
    (second,) = dtorch.autograd.grad(first.sum(), [weight])
    assert first.dtype is second.dtype is f32
    assert float(second.abs().sum()) > 0


def test_switches_work_without_a_region() -> None:
    dtorch.set_autocast_enabled("cpu", True)
    try:
        assert product() is bf16
    finally:
        dtorch.set_autocast_enabled("cpu", False)
    assert product() is f32


def test_a_dtype_that_is_no_lower_one_disables_the_region_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="float64, expected bfloat16 or float16"):
        region = dtorch.autocast("cpu", dtype=f64)
    with region:
        assert product() is f32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dtorch.autocast("cpu", dtype=f64, enabled=False)


def test_a_missing_card_disables_the_region_with_a_warning() -> None:
    if dtorch.is_autocast_available("cuda"):
        pytest.skip("there is a card")
    with pytest.warns(UserWarning, match="no such device"):
        region = dtorch.cuda.amp.autocast()
    with region:
        assert product() is f32
        assert not dtorch.is_autocast_enabled()


@pytest.mark.parametrize("wrong", ["tpu", "cuda:0", 1, None])
def test_unknown_devices_are_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="device_type"):
        dtorch.autocast(wrong)


def test_older_names_for_the_processor() -> None:
    with dtorch.cpu.amp.autocast():
        assert product() is bf16
    with dtorch.cpu.amp.autocast(dtype=f16):
        assert product() is f16
    assert isinstance(dtorch.cpu.amp.autocast(False), dtorch.autocast)


def test_digits_are_read_as_well_as_in_float32() -> None:
    data = pytest.importorskip("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = dtorch.from_numpy((data.images[order][:, None] / 16).astype(np.float32))
    y = dtorch.from_numpy(data.target[order].astype(np.int64))
    right = []
    for enabled in (False, True):
        dtorch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 10),
        )  # fmt: skip
        optimizer = dtorch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(4):
            for at in range(0, 1400, 50):
                optimizer.zero_grad()
                with dtorch.autocast("cpu", enabled=enabled):
                    loss = nnf.cross_entropy(net(x[at : at + 50]), y[at : at + 50])
                loss.backward()
                optimizer.step()
        net.eval()
        with dtorch.no_grad(), dtorch.autocast("cpu", enabled=enabled):
            right.append(float((net(x[1400:]).argmax(1) == y[1400:]).float().mean()))
    assert right[0] > 0.96
    assert right[1] > right[0] - 0.01
