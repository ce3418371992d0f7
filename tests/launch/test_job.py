"""What each worker is told."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from dtorch.launch.job import Job, Program, free_port, oom_kills, usable_cores


def job(**changes: object) -> Job:
    settings = {
        "program": Program("script", "train.py", ("--lr", "1")),
        "nproc": 2,
        "error_dir": Path("errors"),
        "captured": True,
    }
    return Job(**{**settings, **changes})


def test_workers_get_ranks_and_a_common_meeting_point():
    first, second = (spec.environment for spec in job().workers(restart=1))
    assert (first["RANK"], second["RANK"]) == ("0", "1")
    assert (first["LOCAL_RANK"], second["LOCAL_RANK"]) == ("0", "1")
    assert {first[name] for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")} == {"2"}
    assert first["GROUP_RANK"] == "0"
    assert first["MASTER_ADDR"] == "127.0.0.1"
    assert first["MASTER_PORT"] == second["MASTER_PORT"]
    assert first["DTORCH_JOB_ID"] == second["DTORCH_JOB_ID"] == first["TORCHELASTIC_RUN_ID"]
    assert first["DTORCH_RESTART_COUNT"] == first["TORCHELASTIC_RESTART_COUNT"] == "1"
    assert first["DTORCH_ERROR_FILE"] == str(Path("errors/rank0.error.json").absolute())


def test_given_port_is_kept():
    assert job(master_port=1234).workers(0)[0].environment["MASTER_PORT"] == "1234"


def test_jobs_have_different_names():
    assert job().job_id != job().job_id


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("dtorch.launch.job.usable_cores", lambda: 7)
    assert job(nproc=2).workers(0)[0].environment["OMP_NUM_THREADS"] == "3"
    assert job(nproc=8).workers(0)[0].environment["OMP_NUM_THREADS"] == "1"


def test_number_of_threads_given_by_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert job().workers(0)[0].environment["OMP_NUM_THREADS"] == "5"
    changed = job(variables={"OMP_NUM_THREADS": "6"})
    assert changed.workers(0)[0].environment["OMP_NUM_THREADS"] == "6"


@pytest.mark.parametrize("kind", ["script", "module", "executable"])
def test_program_runs_through_the_bootstrap(kind):
    python, bootstrap, *rest = Program(kind, "train", ("--lr", "1")).command()
    assert python == sys.executable
    assert Path(bootstrap).name == "bootstrap.py"
    assert rest == [kind, "train", "--lr", "1"]


def test_free_port_can_be_listened_at():
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port("127.0.0.1")))


def test_free_port_of_a_foreign_address_is_an_error():
    with pytest.raises(OSError, match="assign"):
        free_port("192.0.2.1")


def test_at_least_one_core_is_usable():
    assert usable_cores() >= 1


def test_kills_for_want_of_memory_are_read_from_the_control_group(tmp_path, monkeypatch):
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    monkeypatch.setattr("dtorch.launch.job._control_group", lambda mount: mount)
    assert oom_kills(tmp_path) == 2
    assert oom_kills(tmp_path / "none") == 0
