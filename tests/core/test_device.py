"""Names of places."""

from __future__ import annotations

import copy
import pickle

import pytest

import dtorch
from dtorch.core.device import as_device
from dtorch.core.errors import DeviceError


def test_names_and_numbers() -> None:
    assert (dtorch.device("cpu").type, dtorch.device("cpu").index) == ("cpu", None)
    assert (dtorch.device("cuda:3").type, dtorch.device("cuda:3").index) == ("cuda", 3)
    assert dtorch.device("cuda", 1) == dtorch.device("cuda:1") == dtorch.device(1)
    assert dtorch.device(dtorch.device("cuda:2")).index == 2
    assert as_device(None) == dtorch.device("cpu")


def test_devices_are_values() -> None:
    assert dtorch.device("cuda:1") != dtorch.device("cuda:2")
    assert dtorch.device("cpu") != "cpu"
    assert len({dtorch.device("cuda:1"), dtorch.device("cuda:1")}) == 1
    place = dtorch.device("cuda:1")
    assert pickle.loads(pickle.dumps(place)) == copy.deepcopy(place) == place
    assert repr(place) == "device(type='cuda', index=1)"


@pytest.mark.parametrize("value", ["gpu", "cuda:x", "cpu:", "", "cuda:-1"])
def test_other_names_are_refused(value: object) -> None:
    with pytest.raises(DeviceError, match="expected"):
        dtorch.device(value)


@pytest.mark.parametrize("value", [1.5, True, None, (2, 3)])
def test_what_is_no_name_is_of_a_wrong_type(value: object) -> None:
    with pytest.raises(TypeError, match=r"device: got .*, expected a string"):
        dtorch.device(value)


def test_index_given_twice_is_refused() -> None:
    with pytest.raises(DeviceError, match="twice"):
        dtorch.device("cuda:1", 1)


def test_tensors_tell_their_device() -> None:
    t = dtorch.ones(1, device="cpu")
    assert t.device == dtorch.device("cpu")
    assert t.get_device() == -1
    assert not t.is_cuda
    assert t.to("cpu") is t
    assert t.to(dtorch.device("cpu"), dtorch.float64).dtype is dtorch.float64
