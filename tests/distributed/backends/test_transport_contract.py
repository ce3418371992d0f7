"""What every transport does: the collectives of NumPy to the bit, and clear words about a rank that is gone.

A new transport is a row of TRANSPORTS.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import loopback
import ml_dtypes
import numpy as np
import pytest

from dtorch.core.errors import DtypeError
from dtorch.distributed.backends.registry import TRANSPORTS as REGISTERED
from dtorch.distributed.backends.shared_memory.transport import SharedMemoryTransport
from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.errors import CollectiveMismatch, CollectiveTimeout, PeerLost
from dtorch.distributed.reduce_op import ReduceOp


class Row(NamedTuple):
    """A transport, and what its tests need.

    Attributes:
        around_start: ``(meeting, world_size)`` -> a context in which the ranks are started.
        set_timeout: ``(transport, seconds)``.
    """

    transport: type[Transport]
    around_start: Callable = lambda meeting, world_size: contextlib.nullcontext()
    set_timeout: Callable = lambda transport, seconds: setattr(transport, "timeout", seconds)


TRANSPORTS = {
    "shm": Row(
        SharedMemoryTransport,
        set_timeout=lambda transport, seconds: setattr(transport._peers, "timeout", seconds),
    ),
    "loopback": Row(loopback.LoopbackTransport, loopback.mesh),
}

DTYPES = [
    np.dtype(name)
    for name in (
        "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
        "complex64", "complex128", ml_dtypes.bfloat16,
    )
]  # fmt: skip
UFUNCS = {
    ReduceOp.SUM: np.add,
    ReduceOp.AVG: np.add,
    ReduceOp.PRODUCT: np.multiply,
    ReduceOp.MIN: np.minimum,
    ReduceOp.MAX: np.maximum,
}
FEW = [0, 1, 13, 1009]  # nothing, one, primes
MANY = [70_001, 700_001]  # more than a message or a slot
WORLDS = [1, 2, 3, 4]


def test_every_transport_of_the_registry_has_a_row():
    assert REGISTERED.items() <= {name: row.transport for name, row in TRANSPORTS.items()}.items()


@pytest.fixture(params=TRANSPORTS)
def row(request):
    return TRANSPORTS[request.param]


@pytest.fixture
def start(row, start_ranks, meeting):
    """``start(world_size, body)`` -> Ranks that each run ``body(transport)``."""

    def start(world_size, body):
        def run(rank):
            transport = row.transport(meeting, rank, world_size, 600.0)
            result = body(transport)
            transport.close()
            return result

        with row.around_start(meeting, world_size):
            return start_ranks(world_size, run)

    return start


def data_of(rank, shape, dtype, seed=0):
    """What a rank contributes: different for each, computable by all."""
    rng = np.random.default_rng([seed, rank, int(np.prod(shape))])
    if dtype.kind in "biu":
        return rng.integers(0, 2 if dtype.kind == "b" else 5, shape).astype(dtype)
    return np.asarray(rng.standard_normal(shape) + (1j if dtype.kind == "c" else 0)).astype(dtype)


def in_rank_order(op, inputs):
    out = inputs[0].copy()
    for other in inputs[1:]:
        out = UFUNCS[op](out, other)
    return np.asarray(np.divide(out, len(inputs)) if op is ReduceOp.AVG else out).astype(out.dtype)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def outcomes(transport, shape, dtype, lay=np.copy):
    """Name, result and NumPy's result of every collective on this rank."""
    rank, world = transport.rank, transport.world_size
    inputs = [data_of(r, shape, dtype) for r in range(world)]
    parts = [[data_of(r, shape, dtype, d + 1) for d in range(world)] for r in range(world)]
    for_me = [parts[r][rank] for r in range(world)]
    total = in_rank_order(ReduceOp.SUM, inputs)
    root = inputs[0].size % world

    def empty():
        return [lay(np.zeros(shape, dtype)) for _ in range(world)]

    array = lay(inputs[rank])
    transport.broadcast(array, root)
    yield "broadcast", array, inputs[root]
    array = lay(inputs[rank])
    transport.all_reduce(array, ReduceOp.SUM)
    yield "all_reduce", array, total
    array = lay(inputs[rank])
    transport.reduce(array, root, ReduceOp.SUM)
    yield "reduce", array, total if rank == root else inputs[rank]
    outs = empty()
    transport.reduce_scatter(outs[0], [lay(part) for part in parts[rank]], ReduceOp.SUM)
    yield "reduce_scatter", outs[0], in_rank_order(ReduceOp.SUM, for_me)
    transport.scatter(outs[0], [lay(p) for p in parts[root]] if rank == root else None, root)
    yield "scatter", outs[0], parts[root][rank]
    outs = empty()
    transport.all_gather(outs, lay(inputs[rank]))
    yield from (("all_gather", *pair) for pair in zip(outs, inputs, strict=True))
    outs = empty()
    transport.gather(outs if rank == root else None, lay(inputs[rank]), root)
    if rank == root:
        yield from (("gather", *pair) for pair in zip(outs, inputs, strict=True))
    outs = empty()
    transport.all_to_all(outs, [lay(part) for part in parts[rank]])
    yield from (("all_to_all", *pair) for pair in zip(outs, for_me, strict=True))
    if world > 1:  # around the ring
        array = lay(np.zeros(shape, dtype))
        if rank == 0:
            transport.send(lay(inputs[0]), 1, tag=3)
        assert transport.recv(array, (rank - 1) % world, tag=3) == (rank - 1) % world
        if rank != 0:
            transport.send(lay(inputs[rank]), (rank + 1) % world, tag=3)
        yield "recv", array, inputs[rank - 1]


def wrong_ones(cases):
    return [
        (name, got.dtype.name, got.shape) for name, got, want in cases if not same_bits(got, want)
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_every_collective_equals_numpy_for_every_dtype_and_size(start, world):
    def body(transport):
        wrong = []
        for dtype in DTYPES:
            for size in FEW:
                wrong += wrong_ones(outcomes(transport, (size,), dtype))
        for size in MANY:
            wrong += wrong_ones(outcomes(transport, (size,), np.dtype(np.float32)))
        return wrong

    assert start(world, body).join().values() == [[]] * world


@pytest.mark.parametrize("world", WORLDS)
def test_reductions_are_those_of_numpy_in_the_order_of_the_ranks(start, world):
    def body(transport):
        wrong, digest = [], 0
        for dtype in DTYPES:
            for op in ReduceOp:
                if (op is ReduceOp.AVG and dtype.kind in "biu") or (
                    dtype.kind == "c" and op in (ReduceOp.MIN, ReduceOp.MAX)
                ):
                    continue
                for size in [*FEW, *(MANY if dtype == np.float32 else ())]:
                    inputs = [data_of(r, size, dtype) for r in range(world)]
                    want = in_rank_order(op, inputs)
                    memory = transport.allocate(want.nbytes)._bytes.view(dtype)
                    for array in (np.empty_like(want), memory):
                        array[:] = inputs[transport.rank]
                        transport.all_reduce(array, op)
                        digest = zlib.crc32(array.tobytes(), digest)
                        if op is ReduceOp.PRODUCT and dtype.kind == "c":
                            right = np.allclose(array, want)  # NumPy itself varies
                        else:
                            right = same_bits(array, want)
                        if not right:
                            wrong.append((dtype.name, op.name, size))
        return wrong, digest

    with np.errstate(all="ignore"):
        results = start(world, body).join().values()
    assert [wrong for wrong, _ in results] == [[]] * world
    assert len({digest for _, digest in results}) == 1  # every rank has the same bits


def every_second(array):
    view = np.zeros([2 * size for size in array.shape], array.dtype)[
        tuple([slice(1, None, 2)] * array.ndim)
    ]
    view[...] = array
    return view


@pytest.mark.parametrize(
    ("shape", "lay"),
    [
        ((), np.copy),
        ((0, 3), np.copy),
        ((5, 7), np.asfortranarray),
        ((5, 7), every_second),
        ((211, 401), lambda array: array[::-1].copy()[::-1]),
    ],
)
def test_arrays_of_every_layout_pass(start, shape, lay):
    def body(transport):
        return wrong_ones(outcomes(transport, shape, np.dtype(np.float32), lay))

    assert start(2, body).join().values() == [[]] * 2


def test_what_lies_between_the_elements_of_a_view_is_left_alone(start):
    def body(transport):
        whole = np.arange(24.0).reshape(4, 6)
        transport.all_reduce(whole[::2, 1::2], ReduceOp.SUM)
        expected = np.arange(24.0).reshape(4, 6)
        expected[::2, 1::2] *= 2
        return same_bits(whole, expected)

    assert start(2, body).join().values() == [True] * 2


def test_many_collectives_in_a_row_do_not_disturb_each_other(start):
    """Mixed sizes and kinds, so that whatever is used in turns is used in every order."""

    def body(transport):
        rng = np.random.default_rng(7)  # the same on all ranks
        for step in range(100):
            size = int(rng.choice([0, 5, 9000, 300_000, 800_000]))
            kind = int(rng.integers(4))
            inputs = [np.full(size, r + step, np.float32) for r in range(3)]
            array = inputs[transport.rank].copy()
            if kind == 3:
                array = transport.allocate(array.nbytes)._bytes.view(np.float32)
                array[:] = inputs[transport.rank]
            if kind == 1:
                transport.broadcast(array, step % 3)
                assert (array == step % 3 + step).all()
            elif kind == 2:
                outs = [np.empty_like(array) for _ in range(3)]
                transport.all_gather(outs, array)
                assert all((outs[r] == r + step).all() for r in range(3))
            else:
                transport.all_reduce(array, ReduceOp.SUM)
                assert (array == 3 + 3 * step).all()

    start(3, body).join().values()


def test_messages_pass_while_another_thread_is_in_a_collective(start):
    def body(transport):
        total, token = np.full(50_000, transport.rank + 1.0), np.full(3, 7.0)
        if transport.rank == 1:
            assert transport.recv(np.empty(3), None, tag=5) == 0
            transport.all_reduce(total, ReduceOp.SUM)
        else:
            thread = threading.Thread(target=transport.all_reduce, args=(total, ReduceOp.SUM))
            thread.start()
            transport.send(token, 1, tag=5)
            thread.join()
        return total[0]

    assert start(2, body).join().values() == [3.0, 3.0]


def test_a_message_of_another_shape_is_refused(start):
    def body(transport):
        array = np.ones(3 + transport.rank, np.float32)
        if transport.rank == 1:
            with pytest.raises(CollectiveMismatch, match=r"sent float32 \(3,\), expected .*\(4,\)"):
                transport.recv(array, 0, tag=0)
        else:
            with contextlib.suppress(CollectiveMismatch):  # where it learns of it
                transport.send(array, 1, tag=0)

    start(2, body).join().values()


def test_ranks_that_disagree_learn_who_called_what(start):
    def body(transport):
        with pytest.raises(CollectiveMismatch) as caught:
            transport.all_reduce(np.zeros(128 if transport.rank else 64), ReduceOp.SUM)
        return str(caught.value)

    for text in start(3, body).join().values():
        assert text.startswith("all_reduce #2: rank 1 ")
        site = "at test_transport_contract.py:"
        assert f"called all_reduce(SUM) of float64 (128,) {site}" in text
        assert f"rank 0 called all_reduce(SUM) of float64 (64,) {site}" in text


DISAGREEMENTS = [
    (lambda t: t.barrier(), lambda t: t.all_reduce(np.zeros(3), ReduceOp.SUM)),
    (
        lambda t: t.all_reduce(np.zeros(0), ReduceOp.SUM),
        lambda t: t.all_reduce(np.zeros(50_000), ReduceOp.SUM),
    ),
    (lambda t: t.broadcast(np.zeros(3), 0), lambda t: t.broadcast(np.zeros(3), 1)),
    (
        lambda t: t.all_reduce(np.zeros(3), ReduceOp.SUM),
        lambda t: t.all_reduce(np.zeros(3), ReduceOp.MAX),
    ),
    (
        lambda t: t.all_reduce(np.zeros(3, np.int64), ReduceOp.SUM),
        lambda t: t.all_reduce(np.zeros(3), ReduceOp.SUM),
    ),
]


def test_every_kind_of_disagreement_is_noticed_and_the_group_stays_usable(start):
    def body(transport):
        for calls in DISAGREEMENTS:
            with pytest.raises(CollectiveMismatch):
                calls[transport.rank](transport)
        array = np.ones(3)
        transport.all_reduce(array, ReduceOp.SUM)
        return array.tolist()

    assert start(2, body).join().values() == [[2.0] * 3] * 2


def test_what_has_no_meaning_is_refused_before_anybody_waits(start):
    def body(transport):
        with pytest.raises(DtypeError, match="int64"):
            transport.all_reduce(np.zeros(3, np.int64), ReduceOp.AVG)
        with pytest.raises(DtypeError, match="complex64"):
            transport.all_reduce(np.zeros(3, np.complex64), ReduceOp.MAX)

    start(1, body).join().values()


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_killed_rank_is_named_long_before_the_time_is_up(start, size):
    def body(transport):
        array = np.ones(size, np.float32)
        while True:
            if transport.rank == 1:
                # With much data: in the middle of it, as the others are.
                threading.Timer(0.02 if size > 10 else 0, os.kill, (os.getpid(), 9)).start()
            transport.all_reduce(array, ReduceOp.SUM)

    ranks = start(3, body).join()
    for rank in (0, 2):
        error = ranks.results[rank]
        assert isinstance(error, PeerLost)
        assert (error.rank, error.pid) == (1, ranks.processes[1].pid)
        assert error.collective.startswith("all_reduce #")
        assert error.reason == "its process has ended"


def test_a_rank_that_was_interrupted_inside_a_collective_tells_the_others(start):
    def body(transport):
        if transport.rank == 0:
            transport.recv(np.empty(1), 1, tag=0)  # which never comes
        begun = transport._calls

        def interrupt(*_):
            if transport._calls > begun:
                raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            transport.all_reduce(np.ones(100_000), ReduceOp.SUM)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    results = start(2, body).join().results
    assert isinstance(results[1], KeyboardInterrupt)
    assert isinstance(results[0], PeerLost)
    assert results[0].rank == 1
    assert "it left all_reduce #2 with KeyboardInterrupt" in str(results[0])


def test_a_rank_that_left_is_reported(start):
    def body(transport):
        if transport.rank == 0:
            transport.barrier()

    error = start(2, body).join().results[0]
    assert isinstance(error, PeerLost)
    assert "has destroyed its process group" in str(error)


def test_a_timeout_names_who_is_missing(start, row):
    def body(transport):
        if transport.rank == 2:
            time.sleep(600)
        row.set_timeout(transport, 0.3)
        transport.all_reduce(np.ones(5), ReduceOp.SUM)

    results = start(3, body).join(ranks=(0, 1)).results
    timeouts = [error for error in results.values() if isinstance(error, CollectiveTimeout)]
    assert timeouts
    assert all(error.ranks == (2,) for error in timeouts)
    others = [error for error in results.values() if error not in timeouts]
    assert all(isinstance(error, PeerLost) and "gave up" in str(error) for error in others)


def test_no_descriptor_is_left_after_close(start_ranks, meeting, row):
    def body(rank):
        before = set(os.listdir("/proc/self/fd"))
        transport = row.transport(meeting, rank, 2, 600.0)
        transport.all_reduce(np.ones(100_000), ReduceOp.SUM)
        transport.close()
        return sorted(set(os.listdir("/proc/self/fd")) - before)

    with row.around_start(meeting, 2):
        ranks = start_ranks(2, body)
    assert ranks.join().values() == [[], []]
