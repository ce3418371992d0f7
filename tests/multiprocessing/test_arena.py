"""Shared memory at the level of bytes: what is counted, what is given back, and when."""

import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import time

import numpy as np
import pytest

from dtorch.core.errors import StorageError
from dtorch.multiprocessing import arena, broker, layout
from dtorch.multiprocessing.allocator import KEEP_WARM, size_class
from dtorch.multiprocessing.atomics import atomic_load, atomic_store
from dtorch.multiprocessing.budget import check_available
from dtorch.multiprocessing.memory import Mapping, check_sealed, create_memory

fork = multiprocessing.get_context("fork")


def blocks_in_use():
    gc.collect()
    return arena.usage().blocks


def wait_until(condition, seconds=100.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "condition did not come true"
        time.sleep(0.005)


@contextlib.contextmanager
def child(function, *args):
    """A forked process that ends with the block, whatever happens."""
    process = fork.Process(target=function, args=args, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 4095, 100_000, 3 << 20])
def test_a_block_has_exactly_the_bytes_asked_for_aligned_to_64(nbytes):
    block = arena.allocate(nbytes)
    assert block.array.shape == (nbytes,)
    assert block.array.dtype == np.uint8
    assert block.array.ctypes.data % 64 == 0 or nbytes == 0


def test_size_classes_waste_at_most_an_eighth_and_map_to_themselves():
    for nbytes in [*range(1, 70_000, 37), 1 << 20, (1 << 20) + 1, 123_456_789]:
        size = size_class(nbytes)
        assert nbytes <= size <= max(nbytes * 9 / 8 + 64, nbytes + 64)
        assert size_class(size) == size


def test_blocks_do_not_overlap():
    blocks = [arena.allocate(nbytes) for nbytes in (1, 100, 64, 5000, 1 << 20, 64, 3)]
    for number, block in enumerate(blocks):
        block.array[:] = number
    assert all((block.array == number).all() for number, block in enumerate(blocks))


def test_a_freed_block_is_used_again_before_new_memory():
    block = arena.allocate(123_456)
    place = block.arena.id, block.offset
    del block
    again = arena.allocate(125_000)
    assert (again.arena.id, again.offset) == place


def test_an_array_over_a_block_keeps_it():
    before = blocks_in_use()
    array = arena.allocate(1000).array[10:20].view(np.int16)
    assert blocks_in_use() == before + 1
    assert arena.block_of(array) is not None
    del array
    assert blocks_in_use() == before


def test_private_memory_has_no_block():
    assert arena.block_of(np.zeros(3)[1:]) is None


def test_pages_of_much_free_memory_are_given_back():
    nbytes = KEEP_WARM // 2 + (1 << 20)
    blocks = [arena.allocate(nbytes) for _ in range(2)]
    used = sum(block.nbytes for block in blocks)
    blocks.clear()
    assert arena.usage().free_bytes < used
    assert arena.allocate(nbytes).nbytes == nbytes


def test_asking_for_more_than_the_machine_has_names_the_numbers():
    with pytest.raises(MemoryError, match=r"asked for .* MiB, .* MiB left of"):
        arena.allocate(1 << 50)
    with pytest.raises(MemoryError):
        check_available(1 << 50)


def test_a_message_to_oneself_gives_the_same_block():
    block = arena.allocate(100)
    assert arena.receive(arena.send(block)) is block


def test_a_message_keeps_the_block_and_receiving_it_lets_go():
    before = blocks_in_use()
    block = arena.allocate(100)
    block.array[:] = 7
    handle = arena.send(block)
    del block
    assert blocks_in_use() == before + 1
    received = arena.receive(handle)
    assert (received.array == 7).all()
    del received
    assert blocks_in_use() == before


def test_a_block_that_came_back_by_message_is_given_out_once():
    for _ in range(3):
        arena.receive(arena.send(arena.allocate(777_777)))
    blocks = [arena.allocate(777_777) for _ in range(4)]
    assert len({(block.arena.id, block.offset) for block in blocks}) == 4


def test_a_message_received_twice_is_refused():
    handle = arena.send(arena.allocate(100))
    block = arena.receive(handle)
    with pytest.raises(StorageError, match="received before"):
        arena.receive(handle)
    del block
    with pytest.raises(StorageError, match="once"):
        arena.receive(handle)
    arena.allocate(100)
    with pytest.raises(StorageError, match="once"):
        arena.receive(handle)


def test_unknown_memory_is_reported():
    address = arena.send(arena.allocate(1))[-1]
    with pytest.raises(StorageError, match="given up already"):
        broker.fetch(address, 12345)
    with pytest.raises(StorageError, match="had ended"):
        broker.fetch("dtorch-no-such-broker", 12345)


def test_both_sides_see_writes_and_the_memory_is_freed_when_both_let_go():
    def answer(end):
        block = arena.receive(end.recv())
        block.array[:] += 1
        end.send(None)
        end.recv()

    before = blocks_in_use()
    block = arena.allocate(1000)
    block.array[:] = 5
    here, there = fork.Pipe()
    with child(answer, there):
        here.send(arena.send(block))
        here.recv()
        assert (block.array == 6).all()
        del block
        assert blocks_in_use() == before + 1
        here.send(None)
        wait_until(lambda: blocks_in_use() == before)


def test_a_forked_child_holds_what_it_inherited():
    block = arena.allocate(200_000)
    block.array[:] = 3
    here, there = fork.Pipe()

    inherited = [block]
    offset = block.offset
    del block

    def check(end):
        end.recv()
        end.send(bool((inherited[0].array == 3).all()))
        end.recv()

    with child(check, there) as process:
        inherited.clear()
        other = arena.allocate(200_000)
        assert other.offset != offset
        other.array[:] = 9
        here.send(None)
        assert here.recv() is True
        process.kill()
        process.join()
        assert arena.allocate(200_000).offset == offset  # reclaimed from the dead


def test_a_forked_child_allocates_in_an_arena_of_its_own():
    mine = arena.allocate(64)
    here, there = fork.Pipe()
    with child(lambda: there.send(arena.allocate(64).arena.id)):
        assert here.recv() != mine.arena.id


def test_what_a_killed_process_held_is_given_up():
    before = blocks_in_use()
    here, there = fork.Pipe()

    def hold():
        blocks = [arena.receive(handle) for handle in there.recv()]
        there.send(len(blocks))
        signal.pause()

    with child(hold) as process:
        here.send([arena.send(arena.allocate(1000 * k)) for k in range(1, 20)])
        assert here.recv() == 19
        assert blocks_in_use() == before + 19
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert blocks_in_use() == before


def test_messages_arrive_after_their_sender_exited():
    here, there = fork.Pipe()

    def produce():
        for k in range(10):
            block = arena.allocate(500)
            block.array[:] = k
            there.send(arena.send(block))

    with child(produce) as process:
        process.join()
        blocks = [arena.receive(here.recv()) for _ in range(10)]
        assert [int(block.array[-1]) for block in blocks] == list(range(10))


def test_the_memory_of_an_exited_process_goes_with_its_last_block():
    here, there = fork.Pipe()
    with child(lambda: there.send(arena.send(arena.allocate(10)))) as process:
        process.join()
        attached = arena.usage().attached
        block = arena.receive(here.recv())
        assert arena.usage().attached == attached + 1
        number = block.arena.id
        del block
        assert arena.usage().attached == attached
        address = arena.send(arena.allocate(1))[-1]

        def gone():
            try:
                os.close(broker.fetch(address, number))
            except StorageError:
                return True
            return False

        wait_until(gone)


def test_one_descriptor_for_any_number_of_blocks():
    here, there = fork.Pipe()

    def receive_all():
        before = len(os.listdir("/proc/self/fd"))
        blocks = [arena.receive(there.recv()) for _ in range(2000)]
        there.send((len(blocks), len(os.listdir("/proc/self/fd")) - before))

    with child(receive_all):
        blocks = [arena.allocate(1024) for _ in range(2000)]
        for block in blocks:
            here.send(arena.send(block))
        received, descriptors = here.recv()
    assert received == 2000
    assert descriptors <= 2


def test_random_kills_leave_nothing_in_use():
    """Three processes receive, keep, forget and forward; each is killed at a random moment."""
    before = blocks_in_use()
    rng = np.random.default_rng(0)

    def churn(end, seed):
        random = np.random.default_rng(seed)
        kept = []
        while True:
            kept.append(arena.allocate(int(random.integers(1, 200_000))))
            while end.poll():
                kept.append(arena.receive(end.recv()))
            if len(kept) > 20:
                del kept[int(random.integers(len(kept)))]

    for round_ in range(4):
        ends = [fork.Pipe() for _ in range(3)]
        with contextlib.ExitStack() as stack:
            workers = [
                stack.enter_context(child(churn, there, 10 * round_ + k))
                for k, (_, there) in enumerate(ends)
            ]
            sent = 0
            for _ in range(30):
                block = arena.allocate(int(rng.integers(1, 100_000)))
                for here, _ in ends:
                    here.send(arena.send(block))
                    sent += 1
            wait_until(lambda: not any(there.poll() for _, there in ends))  # noqa: B023
            time.sleep(float(rng.uniform(0.005, 0.03)))
            del block
            for worker in workers:
                worker.kill()
                worker.join()
        for pair in ends:
            for end in pair:
                end.close()
        assert blocks_in_use() == before


def test_layout_parts_do_not_overlap():
    for data in (64 << 20, 128 << 20, (64 << 20) + 4096):
        plan = layout.layout_of(data)
        assert layout.GENERATIONS_AT + 4 * plan.max_blocks <= plan.cells_at
        assert plan.cells_at + 8 * layout.MAX_SLOTS * plan.max_blocks <= plan.data_at
        assert plan.nbytes == plan.data_at + data


def test_counts_survive_the_wrap_around_of_their_fields():
    block = arena.allocate(64)
    ledger, index = block.arena.ledger, block.index
    cell = ledger._mine + 8 * index
    atomic_store(cell, layout.TAKEN_MASK | layout.SENT_MASK | 1)  # both at their largest
    assert not ledger.is_free(index)
    arena.receive(arena.send(block))
    assert atomic_load(cell) == 1


def test_pages_mapped_at_once_keep_what_they_hold_and_others_stay_unused():
    fd = create_memory(1 << 20)
    try:
        Mapping(fd, 1 << 20).array[5000:9000] = 7
        used = os.fstat(fd).st_blocks
        mapping = Mapping(fd, 1 << 20)
        mapping.map_pages(5000, 4000)
        assert os.fstat(fd).st_blocks == used
        assert (mapping.array[5000:9000] == 7).all()
        mapping.array[:] = 1
    finally:
        os.close(fd)


def test_without_memfd_the_memory_has_no_name_either(monkeypatch):
    before = os.listdir("/dev/shm")
    monkeypatch.delattr(os, "memfd_create")
    fd = create_memory(100_000)
    try:
        assert os.fstat(fd).st_size == 100_000
        assert os.listdir("/dev/shm") == before
        Mapping(fd, 100_000).array[:] = 1
        assert os.pread(fd, 2, 99_998) == b"\1\1"
    finally:
        os.close(fd)


def test_memory_that_could_be_shrunk_is_refused():
    fd = os.memfd_create("unsealed")
    try:
        with pytest.raises(StorageError, match="not sealed"):
            check_sealed(fd)
    finally:
        os.close(fd)


def test_strangers_at_the_broker_do_no_harm_and_cost_no_time():
    block = arena.allocate(1)
    address = arena.send(block)[-1]
    strangers = []
    for number in range(300):
        # If the broker waited for each, this would take longer than a test may.
        strangers.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        strangers[-1].connect("\0" + address)
        if number % 2:
            garbage = (b"[" * 60_000, b"D", broker.REQUEST.pack(b"D", 7, 1 << 63))[number % 3]
            socket.send_fds(strangers[-1], [garbage], [0])
    os.close(broker.fetch(address, block.arena.id))
    with pytest.raises(StorageError, match="given up already"):
        broker.fetch(address, 7)
    for peer in strangers:
        peer.close()
