from __future__ import annotations

from pathlib import Path

import pytest

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo.cache import (
    checkpoint_directory,
    file_name_of,
    hash_in_name,
    set_directory,
)


def test_the_directory_is_found_in_the_documented_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert checkpoint_directory() == tmp_path / "home" / ".cache" / "dtorch" / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", "/torch")
    assert checkpoint_directory() == Path("/torch/models")
    monkeypatch.setenv("TORCH_MODEL_ZOO", "/zoo")
    assert checkpoint_directory() == Path("/zoo")
    set_directory("/chosen")
    assert checkpoint_directory() == Path("/chosen/checkpoints")
    assert checkpoint_directory("/given") == Path("/given")


def test_the_cache_directory_of_the_desktop_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert checkpoint_directory() == Path("/caches/dtorch/checkpoints")


def test_the_name_is_the_last_part_of_the_path() -> None:
    assert file_name_of("https://host/a/b%20c.pth?download=1#top") == "b c.pth"
    assert file_name_of("https://host/a/", "mine.pth") == "mine.pth"


@pytest.mark.parametrize(
    ("url", "name"),
    [("https://host/", None), ("https://host/%2e%2e", None), ("https://host/a%2Fb", None),
     ("https://host/a", "../a"), ("https://host/a", "/etc/a")],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(url: str, name: str | None) -> None:
    with pytest.raises(ArgumentError, match="expected a plain name"):
        file_name_of(url, name)


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("resnet18-5c106cde.pth", "5c106cde"),
        ("mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce67e"),
        ("net-0123456789abcdef.pth.tar", "0123456789abcdef"),
        ("net-0123abc.pth", None),
        ("net-0123abcg.pth", None),
        ("net-5c106cde", None),
        ("5c106cde.pth", None),
    ],
)
def test_hashes_in_names(name: str, digits: str | None) -> None:
    assert hash_in_name(name) == digits
