"""Joining and leaving: arguments, variables, and what goes wrong between processes."""

import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import dtorch
from dtorch import distributed as dist
from dtorch.core.errors import ArgumentError
from dtorch.distributed.rendezvous import meeting_name


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
                 "DTORCH_JOB_ID"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def from_env(rank, world, port):
    os.environ.update(
        MASTER_ADDR="localhost" if rank else "127.0.0.1", MASTER_PORT=str(port),
        RANK=str(rank), WORLD_SIZE=str(world),
    )  # fmt: skip


def port_of(meeting):
    return 20_000 + hash(meeting) % 40_000


def test_ranks_find_each_other_by_the_variables_of_a_launcher(run_ranks, meeting):
    def body(rank):
        from_env(rank, 3, port_of(meeting))
        assert not dist.is_initialized()
        dist.init_process_group("shm", timeout=10)
        assert dist.is_initialized()
        seen = dist.get_rank(), dist.get_world_size(), dist.get_num_processes(), dist.get_backend()
        assert dist.group.WORLD.ranks == (0, 1, 2)
        dist.destroy_process_group()
        assert dist.group.WORLD is None
        return seen

    assert run_ranks(3, body) == [(rank, 3, 3, "shm") for rank in range(3)]


def test_the_old_form_of_the_master_address_works(run_ranks, meeting):
    def body(rank):
        port = port_of(meeting)
        from_env(rank, 2, port)
        if rank:
            del os.environ["MASTER_PORT"]
            os.environ["MASTER_ADDR"] = f"127.0.0.1:{port}"
        dist.init_process_group(timeout=10)
        dist.destroy_process_group()

    run_ranks(2, body)


def test_a_group_can_be_made_again_after_it_was_destroyed(run_ranks, meeting):
    def body(rank):
        for _ in range(5):
            dist.init_process_group(
                init_method=f"file:///{meeting}", rank=rank, world_size=2, timeout=10
            )
            x = dtorch.ones(1)
            dist.all_reduce(x)
            assert x.item() == 2
            dist.destroy_process_group()

    run_ranks(2, body)


def test_everything_needs_an_initialised_group():
    for call in (dist.get_rank, dist.get_world_size, dist.barrier, dist.new_group,
                 dist.destroy_process_group, lambda: dist.all_reduce(dtorch.ones(1))):  # fmt: skip
        with pytest.raises(ValueError, match="init_process_group"):
            call()
    assert dist.is_available()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "nccl"}, r"'nccl' is not available; expected one of \['shm'\]"),
        ({"backend": "gloo"}, "'gloo' is not available"),
        (
            {"rank": 0, "world_size": 1, "init_method": "magic://x"},
            "'magic://x', expected 'env://'",
        ),
        ({"rank": 2, "world_size": 2}, "rank 2 of world_size 2"),
        ({"rank": 0, "world_size": 0}, "rank 0 of world_size 0"),
        ({"rank": 0}, "world_size is not given and WORLD_SIZE is ''"),
        ({"rank": 0, "world_size": 1}, "MASTER_PORT is not set"),
        ({"rank": 0, "world_size": 1, "timeout": 0}, "timeout is 0"),
        ({"rank": 0, "world_size": 1, "store": object()}, "store is not supported"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ArgumentError, match=message):
        dist.init_process_group(**options)
    assert not dist.is_initialized()


def test_ranks_on_other_machines_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ArgumentError, match="only 2 of 4 are here"):
        dist.init_process_group(rank=0)


def test_a_second_call_is_refused(run_ranks, meeting):
    def body(rank):
        dist.init_process_group(init_method=f"file:///{meeting}", rank=0, world_size=1)
        with pytest.raises(RuntimeError, match="called twice"):
            dist.init_process_group(rank=0, world_size=1)
        dist.destroy_process_group()

    run_ranks(1, body)


def test_a_rank_that_does_not_come_is_named(start_ranks, meeting):
    def body(rank):
        if rank != 2:
            dist.init_process_group(
                init_method=f"file:///{meeting}", rank=rank, world_size=3, timeout=0.5
            )

    results = start_ranks(3, body).join().results
    assert isinstance(results[0], dist.RendezvousError)
    assert "ranks [2] of 3 did not come within 0.5 s" in str(results[0])
    assert isinstance(results[1], dist.RendezvousError)


def test_a_missing_rank_0_is_reported():
    with pytest.raises(dist.RendezvousError, match="found no rank 0"):
        dist.init_process_group(init_method="file:///nowhere", rank=1, world_size=2, timeout=0.1)


def test_ranks_that_disagree_about_their_number_learn_it(start_ranks, meeting):
    def body(rank):
        dist.init_process_group(
            init_method=f"file:///{meeting}", rank=rank, world_size=2 + rank, timeout=5
        )

    for result in start_ranks(2, body).join().results.values():
        assert isinstance(result, dist.RendezvousError)
        assert "rank 1 has WORLD_SIZE 3, rank 0 has 2" in str(result)


def test_a_rank_that_comes_twice_is_refused(start_ranks, meeting):
    def body(process):
        dist.init_process_group(
            init_method=f"file:///{meeting}", rank=min(process, 1), world_size=3, timeout=5
        )

    results = start_ranks(3, body).join().results
    assert any("rank 1 came twice" in str(result) for result in results.values())


def test_a_stranger_at_the_door_does_no_harm(run_ranks, meeting):
    def body(rank):
        if rank == 0:
            dist.init_process_group(
                init_method=f"file:///{meeting}", rank=0, world_size=2, timeout=10
            )
        else:
            name = meeting_name("file", os.path.realpath(f"/{meeting}"))
            for message in (b"\x80\x04N.", b"[]", b'{"rank": 1}', b""):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                    while True:
                        try:
                            peer.connect("\0" + name)
                            break
                        except ConnectionRefusedError:
                            time.sleep(0.01)
                    peer.send(message)
            dist.init_process_group(
                init_method=f"file:///{meeting}", rank=1, world_size=2, timeout=10
            )
        dist.barrier()
        dist.destroy_process_group()

    run_ranks(2, body)


def test_a_forked_child_of_a_rank_is_no_rank(run_ranks, meeting):
    def body(rank):
        dist.init_process_group(
            init_method=f"file:///{meeting}", rank=rank, world_size=2, timeout=10
        )
        pid = os.fork()
        if pid == 0:
            os._exit(int(dist.is_initialized()))
        _, status = os.waitpid(pid, 0)
        dist.barrier()
        dist.destroy_process_group()
        return status

    assert run_ranks(2, body) == [0, 0]


SPAWNED = """
    import os
    import dtorch
    from dtorch import distributed, multiprocessing

    def train(rank, result):
        os.environ.update(RANK=str(rank), WORLD_SIZE="2")
        distributed.init_process_group()
        x = dtorch.ones(40_000) * (rank + 1)
        distributed.all_reduce(x)
        result[rank] = x.sum()
        distributed.destroy_process_group()

    if __name__ == "__main__":
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(20_000 + os.getpid() % 40_000))
        result = dtorch.zeros(2)
        multiprocessing.spawn(train, (result,), nprocs=2)
        print(result.tolist())
"""


def test_spawned_processes_can_be_ranks(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SPAWNED))
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "[120000.0, 120000.0]\n", "")
