"""Cards of other makers, and cards of whatever maker, on a machine that has none."""

from __future__ import annotations

import pytest

import dtorch
from dtorch import accelerator, cuda, mps, xpu
from dtorch.core.errors import NoDeviceError

pytestmark = pytest.mark.skipif(cuda.is_available(), reason="there is a card")


@pytest.mark.parametrize("kind", [accelerator, mps, xpu])
def test_asking_never_raises(kind) -> None:
    assert kind.is_available() is False
    assert kind.device_count() == 0


def test_there_is_no_accelerator() -> None:
    assert accelerator.current_accelerator() is None
    with accelerator.device_index(None):
        pass
    for name in ("current_device_index", "synchronize", "memory_allocated", "empty_cache"):
        with pytest.raises(RuntimeError, match="Cannot access accelerator device"):
            getattr(accelerator, name)()


@pytest.mark.parametrize("kind", [mps, xpu])
def test_seeds_are_checked_and_leave_other_numbers_alone(kind) -> None:
    state = dtorch.get_rng_state()
    kind.manual_seed(3)
    assert dtorch.get_rng_state().equal(state)
    with pytest.raises(ValueError, match="expected -2"):
        kind.manual_seed(2**64)


@pytest.mark.parametrize(
    "use", [xpu.synchronize, xpu.Stream, xpu.Event, xpu.current_device, mps.synchronize, mps.seed]
)
def test_use_says_that_there_is_none(use) -> None:
    with pytest.raises(NoDeviceError, match=r"(?i)xpu|mps"):
        use()


@pytest.mark.parametrize("name", ["mps", "xpu:1", "xla", "hpu", "vulkan"])
def test_other_kinds_have_names_and_no_tensors(name: str) -> None:
    place = dtorch.device(name)
    assert str(place) == name
    with pytest.raises(NoDeviceError, match="cpu"):
        dtorch.ones(2, device=place)
    with pytest.raises(NoDeviceError, match="cpu"):
        dtorch.ones(2).to(place)


def test_tensors_say_where_they_do_not_lie() -> None:
    x = dtorch.ones(2)
    assert x.is_cpu
    kinds = ("xpu", "mps", "vulkan", "xla", "ipu", "mtia", "quantized", "nested", "mkldnn")
    assert not [kind for kind in kinds if getattr(x, f"is_{kind}")]


def test_each_kind_has_its_module() -> None:
    assert dtorch.get_device_module() is dtorch.cpu
    assert dtorch.get_device_module("cuda:1") is cuda
    with pytest.raises(NoDeviceError, match="xla"):
        dtorch.get_device_module("xla")
