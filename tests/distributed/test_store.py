"""Values that processes have in common."""

from __future__ import annotations

import threading

import pytest

import dtorch
from dtorch import distributed as dist
from dtorch.core.errors import ArgumentError
from dtorch.distributed.errors import RendezvousError


def _tcp(path):
    master = dist.TCPStore("127.0.0.1", 0, is_master=True)
    return master, dist.TCPStore("127.0.0.1", master.port)


def _file(path):
    return dist.FileStore(path / "store"), dist.FileStore(path / "store", 2)


def _hash(path):
    store = dist.HashStore()
    return store, store


def _prefix(path):
    whole = dist.HashStore()
    return dist.PrefixStore("part", whole), dist.PrefixStore("part", whole)


@pytest.mark.parametrize("make", [_hash, _file, _tcp, _prefix])
def test_stores_do_what_each_says(make, tmp_path):
    one, other = make(tmp_path)
    one.set("text", "value")
    one.set("bytes", bytes(range(256)))
    assert other.get("text") == b"value"
    assert other.get("bytes") == bytes(range(256))
    assert [one.add("count", 2), other.add("count", -5)] == [2, -3]
    assert one.num_keys() == other.num_keys() == 3
    assert other.compare_set("text", "other", "new") == b"value"
    assert other.compare_set("text", "value", "new") == b"new" == one.get("text")
    assert other.compare_set("fresh", "", "begun") == b"begun"
    assert [one.delete_key("text"), one.delete_key("text")] == [True, False]
    assert not other.check(["text"])
    with pytest.raises(RuntimeError, match="text"):
        other.wait(["text"], 0.02)
    later = threading.Timer(0.05, one.set, ("late", "here"))
    later.start()
    assert other.get("late") == b"here"
    later.join()


def test_a_store_that_nobody_keeps_is_named():
    port = dist.TCPStore("127.0.0.1", 0, is_master=True).port
    with pytest.raises(RendezvousError, match=f"127.0.0.1:{port}"):
        dist.TCPStore("127.0.0.1", port, timeout=0.05)


def test_a_client_that_speaks_otherwise_does_no_harm():
    master = dist.TCPStore("127.0.0.1", 0, is_master=True)
    other = dist.TCPStore("127.0.0.1", master.port)
    other._connection.sendall(b"not json\n")
    assert other._answers.readline() == b""
    master.set("still", "here")
    assert master.get("still") == b"here"


def test_ranks_meet_through_a_store(run_ranks, tmp_path):
    def body(rank):
        store = dist.FileStore(tmp_path / "ranks")
        dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
        x = dtorch.ones(1)
        dist.all_reduce(x)
        dist.destroy_process_group()
        return x.item()

    assert run_ranks(2, body) == [2.0, 2.0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_store_is_not_kept_where_other_machines_could_reach_it(host: str) -> None:
    with pytest.raises(ArgumentError, match="loopback"):
        dist.TCPStore(host, 0, is_master=True)
