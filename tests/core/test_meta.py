"""Tensors without memory have what follows from sizes and dtypes, and nothing else."""

from __future__ import annotations

import copy
import pickle
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from op_samples import map_tensors, outputs, recorded, samples_of

import dtorch
from dtorch import Tensor, nn
from dtorch.autograd import grad
from dtorch.core.base import TensorBase
from dtorch.core.errors import DeviceError, NoDataError
from dtorch.core.op import Op, public_ops

# What they give, or how they compute it, depends on the data.
NEED_DATA = {
    "allclose", "argwhere", "bincount", "btrifact", "btrifact_with_info", "btrisolve", "btriunpack", "ctc_loss", "eig",
    "embedding_bag", "equal", "gels", "geqrf", "gesv", "histc", "histogram", "histogramdd", "index_put", "linalg_lu", "linalg_lu_factor", "linalg_lu_factor_ex", "lu",
    "istft", "linalg_lu_solve", "linalg_matrix_rank", "lu_unpack", "masked_scatter", "masked_select", "matrix_exp", "nanquantile", "nonzero",
    "one_hot", "orgqr", "ormqr", "pstrf", "repeat_interleave", "unique", "unique_consecutive",
}  # fmt: skip
# Their results lie in memory in an order of their own.
OWN_ORDER = {"cumulative_trapezoid", "scaled_dot_product_attention", "solve_triangular"}


def without_memory(value: Any) -> Any:
    return map_tensors(lambda tensor: tensor.to("meta"), value)


def tensors_in(result: Any) -> list[Any]:
    return [part for part in outputs(result) if isinstance(part, TensorBase)]


@pytest.mark.parametrize("op", [op for op in public_ops().values() if op.make_samples], ids=str)
def test_every_operation_gives_sizes_dtype_and_strides(op: Op) -> None:
    for args, kwargs in samples_of(op, np.float32):
        if any(isinstance(arg, Tensor) and arg.is_sparse for arg in args):
            continue
        try:
            with_memory = tensors_in(op.function(*args, **kwargs))
        except dtorch.core.errors.DtorchError:
            continue  # a sample of double precision
        try:
            found = op.function(*without_memory(list(args)), **without_memory(kwargs))
        except NoDataError:
            assert op.name in NEED_DATA
            continue
        for expected, actual in zip(with_memory, tensors_in(found), strict=True):
            assert actual.is_meta
            assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
            if op.name not in OWN_ORDER:
                assert actual.stride() == expected.stride()


@pytest.mark.parametrize("op", [op for op in public_ops().values() if op.formulas], ids=str)
def test_every_gradient_has_the_sizes_of_its_operand(op: Op) -> None:
    if op.make_samples is None or op.name in NEED_DATA:
        return
    for args, kwargs in samples_of(op, np.float32)[:2]:
        inputs: list[Tensor] = []

        def leaf(tensor: Any, inputs: list[Tensor] = inputs) -> Any:
            tensor = tensor.to("meta")
            if tensor.is_floating_point():
                inputs.append(tensor.requires_grad_())
            return tensor

        if any(isinstance(arg, Tensor) and arg.is_sparse for arg in args):
            continue
        outs = outputs(op.function(*map_tensors(leaf, list(args)), **map_tensors(leaf, kwargs)))
        outs = [out for out in outs if recorded(out)]
        if not outs:
            continue
        for x, found in zip(
            inputs, grad(outs, inputs, [dtorch.ones_like(o) for o in outs], allow_unused=True),
            strict=True,
        ):  # fmt: skip
            assert found is None or (found.is_meta and found.shape == x.shape)


def test_networks_larger_than_any_memory_are_built_and_trained() -> None:
    tracemalloc.start()
    with dtorch.device("meta"):
        layer = nn.TransformerEncoderLayer(2**13, 64, 2**15, batch_first=True)
        image = nn.Sequential(
            nn.Conv2d(3, 2**10, 3, padding=1), nn.BatchNorm2d(2**10), nn.ReLU(), nn.MaxPool2d(2)
        )
        lstm = nn.LSTM(2**12, 2**12, 2)
        words, labels = dtorch.randn(2**6, 2**9, 2**13), dtorch.randint(10, (2**6, 2**9))
        images, steps = dtorch.rand(2**10, 3, 2**9, 2**9), dtorch.zeros(5, 2**12, 2**12)
    nn.functional.cross_entropy(layer(words).transpose(1, 2), labels).backward()
    image(images).sum().backward()
    lstm(steps)[0].sum().backward()
    for module in (layer, image, lstm):
        optimizer = dtorch.optim.AdamW(module.parameters())
        optimizer.step()
        assert all(p.is_meta and p.grad.is_meta for p in module.parameters())
    numbers = dtorch.arange(10**13, device="meta") + dtorch.eye(10**3, device="meta")[:, :1]
    assert numbers.shape == (10**3, 10**13)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_views_know_their_place_in_memory_that_is_not_there() -> None:
    x = dtorch.empty(4, 6, device="meta")
    part = x[1:, ::2].t()
    assert (part.shape, part.stride(), part.storage_offset()) == ((3, 3), (2, 6), 6)
    assert part.untyped_storage().nbytes() == x.untyped_storage().nbytes() == 96
    assert part._base is x
    assert x.view(-1).add_(1)._version == x._version == 1
    assert not part.is_contiguous()
    assert part.contiguous().stride() == (3, 1)
    assert x.data_ptr() == 0
    with pytest.raises(RuntimeError, match="view"):
        part.view(-1)


@pytest.mark.parametrize(
    "look",
    [
        Tensor.numpy, Tensor.tolist, Tensor.cpu, Tensor.nonzero, np.asarray,
        lambda x: x[0].item(), lambda x: float(x[0]), lambda x: bool(x[0] > 0),
        lambda x: x[x > 0], lambda x: x.equal(x), lambda x: dtorch.allclose(x, x),
        lambda x: dtorch.zeros(3).copy_(x), lambda x: x.to("cpu"), lambda x: 1.5 in x,
        lambda x: x.storage()[0], lambda x: x.share_memory_(),
    ],
)  # fmt: skip
def test_data_are_refused(look) -> None:
    x = dtorch.empty(3, device="meta")
    with pytest.raises(NoDataError, match="meta"):
        look(x)


def test_operands_with_and_without_memory_do_not_mix() -> None:
    x = dtorch.empty(3, device="meta")
    assert (x + dtorch.tensor(2.0)).is_meta
    assert x.copy_(dtorch.ones(3)) is x
    layer = nn.Linear(3, 2, device="meta")
    uses = (lambda: x + dtorch.ones(3), lambda: dtorch.cat([dtorch.ones(3), x]),
            lambda: layer(dtorch.ones(3)), lambda: nn.functional.softmax(x, 0) @ dtorch.ones(3))  # fmt: skip
    for use in uses:
        with pytest.raises(DeviceError, match="same device"):
            use()
    with pytest.raises(DeviceError, match="must match"):
        x.set_(dtorch.ones(3).storage())


def test_they_print_their_sizes() -> None:
    assert repr(dtorch.empty(2, 3, device="meta")) == "tensor(..., device='meta', size=(2, 3))"
    whole = dtorch.zeros(2, dtype=dtorch.int64, device="meta")
    assert repr(whole) == "tensor(..., device='meta', size=(2,), dtype=dtorch.int64)"
    assert dtorch.ones(2, device="meta").type() == "dtorch.meta.FloatTensor"


def test_copies_and_pickles_stay_without_memory() -> None:
    x = dtorch.empty(2, 3, device="meta").t()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.clone(), x.detach()):
        assert twin.is_meta
        assert (twin.shape, twin.stride()) == (x.shape, x.stride())


def test_nothing_is_drawn() -> None:
    state = dtorch.get_rng_state()
    x = dtorch.empty(3, device="meta").uniform_().normal_()
    made = (dtorch.rand_like(x), dtorch.bernoulli(x), x.multinomial(2), dtorch.normal(x, 1.0),
            nn.functional.dropout(x), dtorch.randperm(4, device="meta"))  # fmt: skip
    assert all(tensor.is_meta for tensor in made)
    assert dtorch.get_rng_state().equal(state)


# -- the default device ---------------------------------------------------------------------------


def test_a_device_is_a_block_in_which_tensors_are_made_there() -> None:
    real = dtorch.ones(2)
    with dtorch.device("meta"):
        assert dtorch.get_default_device() == dtorch.device("meta")
        made = (dtorch.ones(2), dtorch.tensor([1.0]), dtorch.as_tensor(np.ones(2)),
                dtorch.linspace(0, 1, 3), nn.Linear(2, 3).weight)  # fmt: skip
        with dtorch.device("cpu"):
            assert dtorch.zeros(2).is_cpu
        kept = (dtorch.ones(2, device="cpu"), dtorch.zeros_like(real), real.new_zeros(2),
                real + 1, dtorch.from_numpy(np.ones(2)), dtorch.Tensor(2), dtorch.bernoulli(real),
                nn.functional.dropout(real))  # fmt: skip
    assert all(tensor.is_meta for tensor in made)
    assert all(tensor.is_cpu for tensor in kept)
    assert dtorch.zeros(2).is_cpu


def test_the_block_is_of_its_thread_and_ends_with_an_error() -> None:
    found = []
    with dtorch.device("meta"):
        thread = threading.Thread(target=lambda: found.append(dtorch.zeros(1).device.type))
        thread.start()
        thread.join()
    with pytest.raises(DeviceError), dtorch.device("meta"):
        dtorch.zeros(1, device="xpu")
    assert found == [dtorch.zeros(1).device.type] == ["cpu"]


def test_the_default_device_is_set_for_all() -> None:
    dtorch.set_default_device("meta")
    try:
        assert dtorch.zeros(2).is_meta
    finally:
        dtorch.set_default_device(None)
    assert dtorch.zeros(2).is_cpu
    with pytest.raises(DeviceError, match="xpu"):
        dtorch.set_default_device("xpu")
    assert dtorch.get_default_device() == dtorch.device("cpu")


# -- modules and files ------------------------------------------------------------------------------


def test_a_module_gets_its_memory_afterwards() -> None:
    module, source = nn.Linear(2, 3, device="meta"), nn.Linear(2, 3)
    with pytest.raises(NoDataError, match="to_empty"):
        module.to("cpu")
    with pytest.warns(UserWarning, match="assign=True"):
        module.load_state_dict(source.state_dict())
    assert module.weight.is_meta
    module.load_state_dict(source.state_dict(), assign=True)
    assert module.weight.equal(source.weight)
    empty = nn.BatchNorm1d(2, device="meta").to_empty(device="cpu")
    assert empty.weight.is_cpu
    assert empty.running_mean.is_cpu
    assert nn.Linear(2, 3).to("meta").weight.is_meta


def test_files_hold_tensors_without_memory_and_give_such(tmp_path) -> None:
    file = tmp_path / "file.pt"
    module = nn.Linear(2, 3, device="meta")
    dtorch.save([module.state_dict(), module.weight, module.weight.detach().t()], file)
    state, weight, turned = dtorch.load(file)
    assert state["bias"].is_meta
    assert isinstance(weight, nn.Parameter)
    assert turned.stride() == (1, 2)
    dtorch.save({"a": dtorch.ones(4, 2).t()}, file)
    (found,) = dtorch.load(file, map_location="meta").values()
    assert found.is_meta
    assert (found.shape, found.stride()) == ((2, 4), (1, 2))
