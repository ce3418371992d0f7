"""Names under which ranks meet."""

import pytest

from dtorch.core.errors import ArgumentError
from dtorch.distributed.rendezvous import meeting_name, name_from


def test_names_of_the_loopback_mean_one_meeting(monkeypatch):
    monkeypatch.delenv("DTORCH_JOB_ID", raising=False)
    assert meeting_name("localhost", 29500) == meeting_name("127.0.0.1", "29500")
    assert meeting_name("localhost", 29500) != meeting_name("localhost", 29501)
    assert name_from("tcp://localhost:29500") == meeting_name("localhost", 29500)


def test_jobs_with_one_port_do_not_meet(monkeypatch):
    monkeypatch.setenv("DTORCH_JOB_ID", "a")
    first = meeting_name("localhost", 29500)
    monkeypatch.setenv("DTORCH_JOB_ID", "b")
    assert meeting_name("localhost", 29500) != first


def test_a_file_names_a_meeting_by_its_real_path(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    assert name_from(f"file://{link}") == name_from(f"file://{tmp_path / 'file'}")


@pytest.mark.parametrize("method", ["tcp://", "tcp://host", "file://", "env", "http://x:1"])
def test_other_methods_are_refused(method):
    with pytest.raises(ArgumentError, match="init_method"):
        name_from(method)
