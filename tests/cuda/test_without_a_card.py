"""What CUDA names do where there is no card."""

from __future__ import annotations

import pytest

import dtorch
from dtorch import cuda

if cuda.is_available():
    pytest.skip("there is a card", allow_module_level=True)


def test_asking_never_raises() -> None:
    assert cuda.is_available() is False
    assert cuda.device_count() == 0
    assert cuda.is_initialized() is False
    assert cuda.is_bf16_supported() is False
    assert cuda.nccl.is_available([dtorch.ones(1)]) is False
    assert cuda.memory_allocated() == cuda.max_memory_allocated() == cuda.memory_reserved() == 0
    assert cuda.memory_stats() == {}
    assert cuda.get_rng_state_all() == cuda.get_arch_list() == []
    cuda.empty_cache()
    cuda.reset_peak_memory_stats()


def test_seeds_are_checked_and_leave_other_numbers_alone() -> None:
    state = dtorch.get_rng_state()
    cuda.manual_seed(3)
    cuda.manual_seed_all(3)
    cuda.seed()
    cuda.seed_all()
    assert dtorch.get_rng_state().equal(state)
    with pytest.raises(ValueError, match="expected -2"):
        cuda.manual_seed_all(2**64)


@pytest.mark.parametrize("kind", ["torch.cuda.FloatTensor", cuda.FloatTensor])
def test_types_of_a_card_are_refused_where_there_is_none(kind: object) -> None:
    layers = [dtorch.nn.Linear(1, 1), dtorch.legacy.nn.Linear(1, 1)]
    for convertible in (dtorch.ones(1), *layers):
        with pytest.raises(RuntimeError, match="cuda"):
            convertible.type(kind)
    with pytest.raises(RuntimeError, match="cuda"):
        layers[1].cuda()
    assert layers[1].type() == "dtorch.FloatTensor"


def test_what_changes_nothing_needs_no_card() -> None:
    cuda.set_device(-1)
    cuda.set_stream(None)
    cuda.set_rng_state(dtorch.get_rng_state())
    with cuda.device(None), cuda.device_of(dtorch.ones(1)), cuda.stream(None):
        pass


@pytest.mark.parametrize(
    "use",
    [
        cuda.init,
        cuda.current_device,
        cuda.synchronize,
        cuda.get_device_name,
        cuda.get_device_properties,
        cuda.mem_get_info,
        cuda.initial_seed,
        cuda.get_rng_state,
        cuda.Stream,
        cuda.Event,
        cuda.current_stream,
        lambda: cuda.nvtx.range_push("part"),
        lambda: cuda.device(0).__enter__(),
        lambda: cuda.FloatTensor(2, 3),
        lambda: cuda.sparse.FloatTensor(2, 3),
        lambda: cuda.FloatStorage(2),
        cuda.CUDAGraph,
        cuda.memory_snapshot,
        lambda: dtorch.ones(2).cuda(),
        lambda: dtorch.ones(2).record_stream(None),
        lambda: dtorch.zeros(2, device="cuda"),
        lambda: dtorch.rand(2, device="cuda:1"),
        lambda: dtorch.tensor([1.0], device=dtorch.device("cuda")),
        lambda: dtorch.Generator("cuda"),
    ],
)
def test_use_names_what_is_missing(use) -> None:
    with pytest.raises(RuntimeError, match=r"cuda|CuPy|CPU"):
        use()


def test_what_needs_a_card_raises_what_programs_catch() -> None:
    with pytest.raises(AssertionError, match="CuPy is not installed"):
        cuda.current_device()


def test_types_tell_tensors_by_their_device() -> None:
    x = dtorch.ones(2)
    assert isinstance(x, dtorch.FloatTensor)
    assert not isinstance(x, cuda.FloatTensor)
    assert not isinstance(x, cuda.sparse.FloatTensor)
    assert not isinstance(x.storage(), cuda.FloatStorage)
    assert repr(cuda.LongTensor) == "<class 'dtorch.cuda.LongTensor'>"
    with pytest.raises(RuntimeError, match="expected a CUDA device"):
        cuda.set_device("cpu")
