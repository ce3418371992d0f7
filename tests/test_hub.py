from __future__ import annotations

from pathlib import Path

import pytest

from dtorch import hub
from dtorch.core.errors import ArgumentError
from dtorch.model_zoo import HashMismatch, cache


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "parts_of_hub_test.py").write_text("def width():\n    return 3\n")
    (tmp_path / "hubconf.py").write_text(
        "from parts_of_hub_test import width as _width\n"
        "def net(scale=1):\n    '''A net.'''\n    return _width() * scale\n"
        "def _hidden():\n    pass\n"
    )
    return tmp_path


def test_models_of_a_local_repository(repository: Path) -> None:
    assert hub.list(repository) == ["net"]
    assert hub.help(repository, "net") == "A net."
    assert hub.load(repository, "net", scale=2) == 6


def test_an_unknown_model_is_answered_with_the_known(repository: Path) -> None:
    with pytest.raises(ArgumentError, match="no model '_hidden', only net"):
        hub.load(repository, "_hidden")


def test_a_missing_dependency_is_named(tmp_path: Path) -> None:
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_package']\n")
    with pytest.raises(RuntimeError, match="needs no_such_package"):
        hub.list(tmp_path)


def test_repositories_of_the_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="fetch the repository with git"):
        hub.load("owner/name", "net", source="github")
    with pytest.raises(FileNotFoundError, match=r"hubconf\.py"):
        hub.list(tmp_path)


def test_the_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_chosen", [])
    hub.set_dir(tmp_path)
    assert hub.get_dir() == str(tmp_path)


def test_a_file_is_downloaded_to_where_it_is_wanted(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    hub.download_url_to_file(source.as_uri(), target, progress=False)
    assert target.read_bytes() == b"new"
    with pytest.raises(HashMismatch):
        hub.download_url_to_file(source.as_uri(), target, hash_prefix="00", progress=False)
    assert target.read_bytes() == b"new"
