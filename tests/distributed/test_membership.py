"""Joining and leaving: arguments, variables, and what goes wrong between processes."""

import contextlib
import datetime
import io
import logging
import multiprocessing
import os
import re
import socket
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import dtorch
from dtorch import distributed as dist
from dtorch.core.errors import ArgumentError
from dtorch.distributed.rendezvous import meet
from dtorch.multiprocessing.memory import create_memory

fork = multiprocessing.get_context("fork")


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
        dist.init_process_group("shm", timeout=600)
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
        dist.init_process_group(timeout=600)
        dist.destroy_process_group()

    run_ranks(2, body)


def test_a_group_can_be_made_again_after_it_was_destroyed(run_ranks, meeting):
    def body(rank):
        for _ in range(5):
            dist.init_process_group(
                init_method=f"file:///{meeting}", rank=rank, world_size=2, timeout=600
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
        (
            {"backend": "horovod"},
            r"'horovod' is not available; expected one of \['shm'\], or of \['gloo', 'mpi', 'nccl'",
        ),
        ({"backend": "cpu:gloo,cuda:magic"}, "'cpu:gloo,cuda:magic' is not available"),
        ({"backend": ""}, "'' is not available"),
        (
            {"rank": 0, "world_size": 1, "init_method": "magic://x"},
            "'magic://x', expected 'env://'",
        ),
        ({"rank": 2, "world_size": 2}, "rank 2 of world_size 2"),
        ({"rank": 0, "world_size": 0}, "rank 0 of world_size 0"),
        ({"rank": 0}, "rank is '0', but WORLD_SIZE is not set"),
        ({"rank": 0, "world_size": 2}, "MASTER_PORT is not set"),
        ({"rank": 0, "world_size": 1, "timeout": 0}, "timeout is 0"),
        ({"rank": 0, "world_size": 1, "timeout": float("nan")}, "timeout is nan"),
        (
            {"rank": 0, "world_size": 1, "store": dist.HashStore(), "init_method": "env://"},
            "exclude",
        ),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ArgumentError, match=message):
        dist.init_process_group(**options)
    assert not dist.is_initialized()


def test_programs_that_ask_for_nccl_first_choose_gloo():
    assert not dist.is_nccl_available()
    assert not dist.is_mpi_available()
    assert dist.is_gloo_available()
    assert [name for name in ("shm", "Gloo", "ucc") if dist.is_backend_available(name)] == [
        "shm",
        "Gloo",
    ]


@pytest.mark.parametrize("backend", ["gloo", "NCCL", "mpi", "tcp", "cpu:gloo,cuda:nccl"])
def test_names_of_other_backends_mean_shared_memory_which_rank_0_says_once(
    run_ranks, meeting, backend
):
    def body(rank):
        heard = io.StringIO()
        logging.getLogger("dtorch.distributed").addHandler(logging.StreamHandler(heard))
        for _ in range(2):
            dist.init_process_group(
                backend, f"file:///{meeting}", rank=rank, world_size=2,
                timeout=datetime.timedelta.max,
            )  # fmt: skip
            assert (
                dist.get_backend()
                == dist.get_backend(dist.new_group(backend=backend))
                == backend.lower()
            )
            dist.destroy_process_group()
        return heard.getvalue().count("becomes 'shm'")

    assert run_ranks(2, body) == [1, 0]


def test_a_second_call_is_refused(run_ranks, meeting):
    def body(rank):
        dist.init_process_group(init_method=f"file:///{meeting}", rank=0, world_size=1)
        with pytest.raises(RuntimeError, match="called twice"):
            dist.init_process_group(rank=0, world_size=1)
        dist.destroy_process_group()

    run_ranks(1, body)


def test_a_rank_that_does_not_come_is_named(start_ranks, meeting):
    coming = fork.Event()

    def body(rank):
        if rank == 0:
            coming.wait()
        if rank == 1:
            coming.set()
        if rank != 2:
            dist.init_process_group(
                init_method=f"file:///{meeting}", rank=rank, world_size=3,
                timeout=600 if rank else 2,
            )  # fmt: skip

    results = start_ranks(3, body).join().results
    for rank in (0, 1):
        assert isinstance(results[rank], dist.RendezvousError)
        assert "ranks [2] of 3 did not come within 2 s" in str(results[rank])


def test_a_missing_rank_0_is_reported():
    with pytest.raises(dist.RendezvousError, match="found no rank 0"):
        dist.init_process_group(init_method="file:///nowhere", rank=1, world_size=2, timeout=0.1)


def test_ranks_that_disagree_about_their_number_learn_it(start_ranks, meeting):
    def body(rank):
        dist.init_process_group(
            init_method=f"file:///{meeting}", rank=rank, world_size=2 + rank,
            timeout=600 if rank else 2,
        )  # fmt: skip

    for result in start_ranks(2, body).join().results.values():
        assert isinstance(result, dist.RendezvousError)
        assert "rank 1 has WORLD_SIZE 3, rank 0 has 2" in str(result)


@pytest.mark.parametrize(
    ("too_many", "reason"),
    [
        (1, "rank 1 came twice"),
        (3, r"rank 3 \(pid \d+\) is none of 1 to 2"),
        (-5, r"rank -5 \(pid \d+\) is none of 1 to 2"),
    ],
)
def test_a_rank_too_many_is_refused_and_the_job_goes_on(run_ranks, meeting, too_many, reason):
    refused = fork.Event()

    def body(number):
        rank = [0, 1, too_many, 2][number]
        if rank == 2:
            refused.wait()
        try:
            found = meet(meeting, rank, 3, lambda: create_memory(1), 600)
        except dist.RendezvousError as error:
            refused.set()
            return str(error)
        os.close(found.fd)
        return len(found.pids)

    told = run_ranks(4, body)
    (refusal,) = [text for text in told if isinstance(text, str)]
    assert re.search(reason, refusal)
    assert told.count(3) == 3


GARBAGE = (
    b"\x80\x04N.", b"[]", b'{"rank": 1}', b"[" * 60_000, b'{"a":' * 10_000, b"\0" * 16,
    b"dtranks2", b"dtranks2" + b"\xff" * 8, b"dtranks2" + struct.pack("<iI", 99, 2),
)  # fmt: skip


def connected(name):
    while True:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            peer.connect("\0" + name)
        except ConnectionRefusedError:
            peer.close()
            time.sleep(0.01)
        else:
            return peer


def test_strangers_at_the_door_do_no_harm_and_cost_no_time(run_ranks, meeting):
    def body(rank):
        if rank:
            # If rank 0 waited for each, it would take longer than the test may.
            strangers = [connected(meeting) for _ in range(600)]
            for number, peer in enumerate(strangers[300:]):
                with contextlib.suppress(OSError):
                    peer.send(GARBAGE[number % len(GARBAGE)])
        found = meet(meeting, rank, 2, lambda: create_memory(1), 600)
        os.close(found.fd)
        return len(found.pids)

    assert run_ranks(2, body) == [2, 2]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_turned_away_before_anything_is_read(run_ranks, meeting):
    turned_away = fork.Event()

    def body(rank):
        if rank == 2:
            os.setuid(65534)
            with connected(meeting) as peer, contextlib.suppress(ConnectionError):
                peer.send(b"dtranks2" + struct.pack("<iI", 1, 2))
                assert peer.recv(100) == b""
            turned_away.set()
            return
        if rank == 1:
            turned_away.wait()
        os.close(meet(meeting, rank, 2, lambda: create_memory(1), 600).fd)

    run_ranks(3, body)


def test_a_rank_that_ends_before_a_new_group_is_made_is_not_waited_for(start_ranks, meeting):
    def body(rank):
        dist.init_process_group(
            init_method=f"file:///{meeting}", rank=rank, world_size=3, timeout=600
        )
        if rank == 2:
            os._exit(0)
        dist.new_group()

    ranks = start_ranks(3, body).join()
    for rank in (0, 1):
        assert isinstance(ranks.results[rank], dist.PeerLost)
        assert f"rank 2 (pid {ranks.processes[2].pid})" in str(ranks.results[rank])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_known_to_have_ended_is_not_waited_for(start_ranks, meeting, rank):
    gone = start_ranks(1, lambda _: None).join().processes[0].pid
    pids = [os.getpid(), gone] if rank == 0 else [gone, os.getpid()]
    with pytest.raises(dist.RendezvousError, match=f"rank {1 - rank} .pid {gone}. ended before"):
        meet(meeting, rank, 2, lambda: create_memory(1), 600, pids)


def test_a_forked_child_of_a_rank_is_no_rank(run_ranks, meeting):
    def body(rank):
        dist.init_process_group(
            init_method=f"file:///{meeting}", rank=rank, world_size=2, timeout=600
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
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "[120000.0, 120000.0]\n", "")
