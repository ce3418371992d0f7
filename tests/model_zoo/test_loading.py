from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from dtorch import hub, model_zoo
from dtorch.core.creation import arange
from dtorch.core.errors import ArgumentError
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.saving import save
from dtorch.utils import model_zoo as utils_model_zoo


@pytest.fixture
def checkpoint(server: Any) -> str:
    """Digits of the hash of a checkpoint that the server serves."""
    file = io.BytesIO()
    save({"weight": arange(3)}, file)
    server.content = file.getvalue()
    return hashlib.sha256(server.content).hexdigest()[:8]


def test_a_checkpoint_is_loaded_from_an_address(
    server: Any, checkpoint: str, tmp_path: Path
) -> None:
    url = f"{server.url}/net-{checkpoint}.pth"
    for _ in range(2):
        state = model_zoo.load_url(url, tmp_path, progress=False, check_hash=True)
        assert state["weight"].tolist() == [0, 1, 2]
    assert len(server.headers_seen) == 1
    assert (tmp_path / f"net-{checkpoint}.pth").exists()


def test_the_hash_of_the_name_is_checked_without_being_asked(
    server: Any, checkpoint: str, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="expected 00000000"):
        model_zoo.load_url(f"{server.url}/net-00000000.pth", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_another_file_name_means_no_hash(server: Any, checkpoint: str, tmp_path: Path) -> None:
    url = f"{server.url}/net-20240101.pth"
    model_zoo.load_url(url, tmp_path, progress=False, file_name="net.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_a_required_hash_must_be_in_the_name(server: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="check_hash is True"):
        model_zoo.load_url(f"{server.url}/net.pth", tmp_path, check_hash=True)


def test_a_file_that_is_there_is_loaded_without_check(tmp_path: Path) -> None:
    save({"weight": arange(2)}, tmp_path / "net-00000000.pth")
    state = model_zoo.load_url("https://nowhere.invalid/net-00000000.pth", tmp_path)
    assert state["weight"].tolist() == [0, 1]


def test_a_truncated_file_without_hash_is_an_error(
    server: Any, checkpoint: str, tmp_path: Path
) -> None:
    server.plan = [("claim_length", 100)]
    with pytest.raises(CheckpointError):
        model_zoo.load_url(f"{server.url}/net.pth", tmp_path, progress=False)


def test_downloaded_code_does_not_run(server: Any, tmp_path: Path) -> None:
    file = io.BytesIO()
    save({"path": Path("x")}, file)
    server.content = file.getvalue()
    with pytest.raises(CheckpointError, match="pathlib"):
        model_zoo.load_url(f"{server.url}/net.pth", tmp_path, progress=False)


def test_the_names_of_every_era_are_one_function() -> None:
    assert hub.load_state_dict_from_url is model_zoo.load_url
    assert utils_model_zoo.load_url is model_zoo.load_url
