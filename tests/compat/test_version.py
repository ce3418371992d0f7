"""Versions compare as versions do, whatever they are compared with."""

from __future__ import annotations

import importlib

import pytest

from dtorch import compat, version
from dtorch.compat.torch_version import TorchVersion


@pytest.fixture(autouse=True)
def uninstall():
    yield
    compat.uninstall()


def test_numbers_are_compared_and_not_letters() -> None:
    ours = TorchVersion("2.13.0+dtorch0.1")
    assert ours > "2.9"
    assert ours >= "2.13"
    assert ours >= (2, 13)
    assert ours > "2.13.0"
    assert ours < "2.13.1"
    assert ours != "2.13.0"
    assert TorchVersion("2.0.0a0") < "2.0"
    assert TorchVersion("2.0.0rc1") < TorchVersion("2.0.0")
    assert TorchVersion("1.10") == "1.10.0"
    assert not ours < "1.9"
    assert ours != "no version"


def test_it_is_a_text() -> None:
    assert compat.TORCH_VERSION.split("+")[0] == "2.13.0"
    assert {compat.TORCH_VERSION: 1}[compat.TORCH_VERSION] == 1


def test_the_module_of_versions_names_the_release_that_is_followed() -> None:
    compat.install()
    torch = importlib.import_module("torch")
    theirs = importlib.import_module("torch.version")
    assert torch.version is theirs
    assert theirs.__version__ == torch.__version__ == compat.TORCH_VERSION
    assert theirs.cuda is theirs.hip is None
    assert version.__version__ in theirs.__version__
