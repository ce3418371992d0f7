"""The collectives on shared memory, against NumPy, bit for bit; and what happens when a rank dies."""

import os
import signal
import time
import zlib

import ml_dtypes
import numpy as np
import pytest

from dtorch.core.errors import DtypeError
from dtorch.distributed.backends.shm import SharedMemoryTransport
from dtorch.distributed.errors import CollectiveMismatch, CollectiveTimeout, PeerLost
from dtorch.distributed.reduce_op import ReduceOp
from dtorch.multiprocessing import arena

DTYPES = [
    np.dtype(name)
    for name in (
        "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
        "complex64", "complex128", ml_dtypes.bfloat16,
    )
]  # fmt: skip
SIZES = [0, 1, 13, 1009, 70_001, 700_001]  # nothing, primes, more than a slot
WORLDS = [1, 2, 3, 4]


def data_of(rank, size, dtype, seed=0):
    """What a rank contributes: different for each, computable by all."""
    rng = np.random.default_rng([seed, rank, size])
    if dtype.kind in "biu":
        return rng.integers(0, 2 if dtype.kind == "b" else 5, size).astype(dtype)
    return (rng.standard_normal(size) + (1j if dtype.kind == "c" else 0)).astype(dtype)


def expected_of(op, inputs):
    out = inputs[0].copy()
    for other in inputs[1:]:
        out = op.combine(out, other)
    return np.divide(out, len(inputs)).astype(out.dtype) if op is ReduceOp.AVG else out


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def in_arena(array):
    block = arena.allocate(array.nbytes)
    copy = block.array.view(array.dtype)
    copy[:] = array
    return copy


def group_of(rank, meeting, world, timeout=600.0):
    return SharedMemoryTransport(meeting, rank, world, timeout)


@pytest.mark.parametrize("world", WORLDS)
def test_all_reduce_equals_numpy_for_every_dtype_size_and_operation(run_ranks, meeting, world):
    def body(rank):
        group = group_of(rank, meeting, world)
        wrong = []
        digest = 0
        for dtype in DTYPES:
            for op in ReduceOp:
                if (op is ReduceOp.AVG and dtype.kind in "biu") or (
                    dtype.kind == "c" and op in (ReduceOp.MIN, ReduceOp.MAX)
                ):
                    continue
                for size in SIZES if dtype.kind == "f" else SIZES[:4]:
                    inputs = [data_of(r, size, dtype) for r in range(world)]
                    expected = expected_of(op, inputs)
                    for place in (np.copy, in_arena):
                        array = place(inputs[rank])
                        group.all_reduce(array, op)
                        digest = zlib.crc32(array.tobytes(), digest)
                        if op is ReduceOp.PRODUCT and dtype.kind == "c":
                            equal = np.allclose(array, expected)  # NumPy itself varies
                        else:
                            equal = same_bits(array, expected)
                        if not equal:
                            wrong.append((dtype.name, op.name, size, place.__name__))
        group.close()
        return wrong, digest

    with np.errstate(all="ignore"):
        results = run_ranks(world, body)
    assert [wrong for wrong, _ in results] == [[]] * world
    assert len({digest for _, digest in results}) == 1  # every rank has the same bits


@pytest.mark.parametrize("world", WORLDS)
def test_data_movement_equals_numpy(run_ranks, meeting, world):
    def body(rank):
        group = group_of(rank, meeting, world)
        wrong = []

        def check(what, got, expected):
            if not same_bits(got, expected):
                wrong.append((what, got.dtype.name, got.size))

        for dtype in (np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.complex128)):
            for size in SIZES:
                inputs = [data_of(r, size, dtype) for r in range(world)]
                parts = [[data_of(r, size, dtype, seed=d) for d in range(world)]
                         for r in range(world)]  # fmt: skip
                src = size % world
                array = inputs[rank].copy()
                group.broadcast(array, src)
                check("broadcast", array, inputs[src])
                outs = [np.empty_like(array) for _ in range(world)]
                group.all_gather(outs, inputs[rank])
                for out, expected in zip(outs, inputs, strict=True):
                    check("all_gather", out, expected)
                outs = [np.empty_like(array) for _ in range(world)]
                group.gather(outs if rank == src else None, inputs[rank], src)
                if rank == src:
                    for out, expected in zip(outs, inputs, strict=True):
                        check("gather", out, expected)
                group.scatter(array, parts[src] if rank == src else None, src)
                check("scatter", array, parts[src][rank])
                group.all_to_all(outs, parts[rank])
                for r in range(world):
                    check("all_to_all", outs[r], parts[r][rank])
                group.reduce_scatter(array, parts[rank], ReduceOp.SUM)
                mine = [parts[r][rank] for r in range(world)]
                check("reduce_scatter", array, expected_of(ReduceOp.SUM, mine))
                array = inputs[rank].copy()
                group.reduce(array, src, ReduceOp.SUM)
                expected = expected_of(ReduceOp.SUM, inputs)
                check("reduce", array, expected if rank == src else inputs[rank])
        group.close()
        return wrong

    assert run_ranks(world, body) == [[]] * world


def test_views_and_other_strides_are_reduced_in_place(run_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 2)
        whole = np.arange(24.0).reshape(4, 6) * (rank + 1)
        untouched = whole.copy()
        view = whole[::2, 1::2]
        group.all_reduce(view, ReduceOp.SUM)
        expected = untouched.copy()
        expected[::2, 1::2] = np.arange(24.0).reshape(4, 6)[::2, 1::2] * 3
        scalar = np.array(rank + 1.0)
        group.all_reduce(scalar, ReduceOp.SUM)
        group.close()
        return same_bits(whole, expected), float(scalar)

    assert run_ranks(2, body) == [(True, 3.0)] * 2


def test_many_collectives_in_a_row_do_not_disturb_each_other(run_ranks, meeting):
    """Mixed sizes and kinds, so that slots are used in every order."""

    def body(rank):
        group = group_of(rank, meeting, 3)
        rng = np.random.default_rng(7)  # the same on all ranks
        for step in range(200):
            size = int(rng.choice([0, 5, 9000, 300_000, 800_000]))
            kind = int(rng.integers(4))
            inputs = [np.full(size, r + step, np.float32) for r in range(3)]
            array = in_arena(inputs[rank]) if kind == 3 else inputs[rank].copy()
            if kind == 1:
                group.broadcast(array, step % 3)
                assert (array == step % 3 + step).all()
            elif kind == 2:
                outs = [np.empty_like(array) for _ in range(3)]
                group.all_gather(outs, array)
                assert all((outs[r] == r + step).all() for r in range(3))
            else:
                group.all_reduce(array, ReduceOp.SUM)
                assert (array == 3 + 3 * step).all()
        group.close()

    run_ranks(3, body)


def test_eight_ranks_on_fewer_cores(run_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 8)
        array = np.full(100_000, rank, np.int64)
        for _ in range(5):
            group.barrier()
        group.all_reduce(array, ReduceOp.MAX)
        group.close()
        return int(array.min())

    assert run_ranks(8, body) == [7] * 8


def test_the_count_of_exchanges_may_wrap_around(run_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 2)

        def meet_without_counting():
            token = np.zeros(1)
            for sender in (0, 1):
                if rank == sender:
                    group.send(token, 1 - rank, tag=0)
                else:
                    group.recv(token, sender, tag=0)

        meet_without_counting()
        start = 0xFFFFFFFF - 9
        group._peers.sequence = start
        group._region.words[rank * group._region.WORD] = start
        meet_without_counting()
        for step in range(30):
            array = np.full(10, rank + step)
            group.all_reduce(array, ReduceOp.SUM)
            assert (array == 1 + 2 * step).all()
        group.close()

    run_ranks(2, body)


def test_ranks_that_disagree_learn_who_called_what(start_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 3)
        group.all_reduce(np.zeros(64 if rank == 0 else 128, np.float32), ReduceOp.SUM)

    results = start_ranks(3, body).join().results
    for rank in range(3):
        assert isinstance(results[rank], CollectiveMismatch)
        text = str(results[rank])
        assert text.startswith("all_reduce #2: rank ")
        assert "called all_reduce(SUM) of float32 (128,) at test_shm.py:" in text
        assert "rank 0 called all_reduce(SUM) of float32 (64,) at test_shm.py:" in text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda g: g.barrier(), lambda g: g.all_reduce(np.zeros(3), ReduceOp.SUM)),
        (
            lambda g: g.all_reduce(np.zeros(0), ReduceOp.SUM),
            lambda g: g.all_reduce(np.zeros(50_000), ReduceOp.SUM),
        ),
        (lambda g: g.broadcast(np.zeros(3), 0), lambda g: g.broadcast(np.zeros(3), 1)),
        (
            lambda g: g.all_reduce(np.zeros(3), ReduceOp.SUM),
            lambda g: g.all_reduce(np.zeros(3), ReduceOp.MAX),
        ),
        (
            lambda g: g.all_reduce(np.zeros(3, np.int64), ReduceOp.SUM),
            lambda g: g.all_reduce(np.zeros(3), ReduceOp.SUM),
        ),
    ],
)
def test_every_kind_of_disagreement_is_noticed_and_the_group_stays_usable(
    run_ranks, meeting, first, second
):
    def body(rank):
        group = group_of(rank, meeting, 2)
        with pytest.raises(CollectiveMismatch):
            (first, second)[rank](group)
        array = np.ones(3)
        group.all_reduce(array, ReduceOp.SUM)
        group.close()
        return array.tolist()

    assert run_ranks(2, body) == [[2.0] * 3] * 2


def test_what_has_no_meaning_is_refused_before_anybody_waits(run_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 1)
        with pytest.raises(DtypeError, match="int64"):
            group.all_reduce(np.zeros(3, np.int64), ReduceOp.AVG)
        with pytest.raises(DtypeError, match="complex64"):
            group.all_reduce(np.zeros(3, np.complex64), ReduceOp.MAX)
        group.close()

    run_ranks(1, body)


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_killed_rank_is_named_long_before_the_time_is_up(start_ranks, meeting, size):
    def body(rank):
        group = group_of(rank, meeting, 3)
        array = np.ones(size, np.float32)
        while True:
            if rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            group.all_reduce(array, ReduceOp.SUM)

    ranks = start_ranks(3, body)
    ranks.join()
    for rank in (0, 2):
        error = ranks.results[rank]
        assert isinstance(error, PeerLost)
        assert error.rank == 1
        assert error.pid == ranks.processes[1].pid
        assert "all_reduce #2: lost rank 1" in str(error)


def test_random_kills_in_the_middle_of_collectives_never_hang(start_ranks):
    def body(rank, name, seed):
        group = group_of(rank, name, 2)
        array = np.ones(500_000, np.float32)
        while True:
            group.all_reduce(array, ReduceOp.AVG)

    for seed in range(6):
        ranks = start_ranks(2, body, f"kill-{os.getpid()}-{seed}", seed)
        time.sleep(0.05 + 0.011 * seed)
        ranks.processes[seed % 2].kill()
        other = 1 - seed % 2
        assert isinstance(ranks.join().results[other], PeerLost)


def test_a_rank_that_is_interrupted_inside_a_collective_tells_the_others(start_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 2)
        if rank == 0:
            group.recv(np.empty(1), 1, 0)  # it is about to begin
            while not is_in_collective(group, 1):
                time.sleep(0.001)
            os.kill(group.pids[1], signal.SIGINT)
        else:
            group.send(np.zeros(1), 0, 0)
        group.all_reduce(np.ones(100_000), ReduceOp.SUM)

    results = start_ranks(2, body).join().results
    assert isinstance(results[1], KeyboardInterrupt)
    assert isinstance(results[0], PeerLost)
    assert "KeyboardInterrupt" in str(results[0])
    assert results[0].rank == 1


def is_in_collective(group, rank):
    words = group._region.words
    return words[rank * group._region.WORD] == words[group.rank * group._region.WORD] + 1


def test_a_rank_that_left_is_reported(start_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 2)
        if rank == 1:
            group.close()
            time.sleep(0.2)
            return
        time.sleep(0.05)
        group.barrier()

    results = start_ranks(2, body).join().results
    assert isinstance(results[0], PeerLost)
    assert "has destroyed its process group" in str(results[0])


@pytest.mark.parametrize("stopped", [False, True])
def test_a_timeout_names_who_is_missing(start_ranks, meeting, stopped):
    def body(rank):
        group = group_of(rank, meeting, 3)
        if rank == 2:
            if stopped:
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(600)
        group._peers.timeout = 0.3
        group.all_reduce(np.ones(5), ReduceOp.SUM)

    ranks = start_ranks(3, body).join(ranks=(0, 1))
    errors = [ranks.results[rank] for rank in (0, 1)]
    timeouts = [error for error in errors if isinstance(error, CollectiveTimeout)]
    assert timeouts
    assert timeouts[0].ranks == (2,)
    who = f"pid {ranks.processes[2].pid}" + ", stopped by a signal" * stopped
    assert f"all_reduce #2: rank 2 ({who}) did not join" in str(timeouts[0])
    for error in errors:
        assert isinstance(error, (CollectiveTimeout, PeerLost))


def test_nothing_is_left_after_close(run_ranks, meeting):
    def body(rank):
        def descriptors():
            return len(os.listdir("/proc/self/fd"))

        def maps():
            with open("/proc/self/maps") as file:
                return sum("memfd:dtorch" in line for line in file)

        before = descriptors(), maps()
        group = group_of(rank, meeting, 2)
        group.all_reduce(np.ones(100_000), ReduceOp.SUM)
        group.close()
        del group
        return before == (descriptors(), maps())

    assert run_ranks(2, body) == [True, True]
