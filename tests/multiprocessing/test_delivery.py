"""Messages that are sent but never received do not keep their memory for ever."""

import gc
import os
import signal
import socket
import time

import pytest

import dtorch
from dtorch import multiprocessing
from dtorch.multiprocessing import arena, layout
from dtorch.multiprocessing.channels import UNKNOWN, channel_of, open_channels

fork = multiprocessing.get_context("fork")


def blocks_in_use():
    gc.collect()
    return arena.usage().blocks


def wait_until_in_use(count, seconds=100.0):
    end = time.monotonic() + seconds
    while (found := blocks_in_use()) != count:
        assert time.monotonic() < end, f"{found} blocks in use, expected {count}"
        time.sleep(0.05)


def sleep_for_ever(*_):
    signal.pause()


@pytest.mark.parametrize("duplex", [True, False])
def test_what_was_sent_into_a_pipe_is_given_up_when_its_reader_is_gone(duplex):
    before = blocks_in_use()
    there, here = fork.Pipe(duplex)
    process = fork.Process(target=sleep_for_ever, args=(there,), daemon=True)
    process.start()
    there.close()
    for size in (10, 1000, 100_000):
        here.send(dtorch.zeros(size))
    assert blocks_in_use() == before + 3
    time.sleep(0.3)
    assert blocks_in_use() == before + 3  # the reader may still take them
    process.kill()
    process.join()
    process.close()
    wait_until_in_use(before)
    here.close()


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_a_dead_reader_of_a_queue_leaves_its_messages_to_the_next_one(kind):
    before = blocks_in_use()
    queue = getattr(fork, kind)()
    process = fork.Process(target=sleep_for_ever, args=(queue,), daemon=True)
    process.start()
    for number in range(5):
        queue.put(dtorch.full((1000,), float(number)))
    process.kill()
    process.join()
    process.close()
    time.sleep(0.3)
    assert [float(queue.get()[999]) for _ in range(3)] == [0, 1, 2]
    assert blocks_in_use() == before + 2
    queue.close()
    if kind == "Queue":
        queue.join_thread()
    del queue
    wait_until_in_use(before)


def test_a_receiver_killed_while_it_takes_messages_leaves_nothing():
    before = blocks_in_use()

    def take(end):
        while True:
            end.recv()

    for pause in (0.0, 0.002, 0.005):
        there, here = fork.Pipe(duplex=False)
        process = fork.Process(target=take, args=(there,), daemon=True)
        process.start()
        there.close()
        for _ in range(40):
            here.send([dtorch.zeros(100), dtorch.zeros(3000)])
        time.sleep(pause)
        process.kill()
        process.join()
        process.close()
        here.close()
    wait_until_in_use(before)


def test_a_sender_killed_while_it_sends_leaves_nothing_in_our_memory():
    before = blocks_in_use()
    tensor = dtorch.zeros(1000).share_memory_()
    there, here = fork.Pipe(duplex=False)

    def flood(end, same):
        while True:
            end.send(same)

    process = fork.Process(target=flood, args=(here, tensor), daemon=True)
    process.start()
    here.close()
    received = [there.recv() for _ in range(20)]
    assert {t.data_ptr() for t in received} == {tensor.data_ptr()}
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there.close()
    del process, received, tensor  # a process object keeps its arguments
    wait_until_in_use(before)


def test_more_messages_than_there_are_records_arrive():
    before = blocks_in_use()
    block = arena.allocate(64)
    handles = [arena.send(block) for _ in range(layout.MAX_MESSAGES + 10)]
    assert block.arena.ledger.messages.under_way() >= layout.MAX_MESSAGES - 100
    assert all(arena.receive(handle) is block for handle in handles)
    del block
    assert blocks_in_use() == before


def test_a_channel_is_open_as_long_as_somebody_can_read_from_it():
    reader, writer = os.pipe()
    one, other = socket.socketpair()
    pipe, sockets = channel_of(writer), channel_of(one.fileno())
    assert UNKNOWN not in (pipe, sockets)
    assert {pipe, sockets} <= open_channels([os.getpid()])
    os.close(reader)
    other.close()
    assert not {pipe, sockets} & open_channels([os.getpid()])
    os.close(writer)
    one.close()


def test_what_is_no_channel_is_unknown(tmp_path):
    with open(tmp_path / "file", "w") as file:
        assert channel_of(file.fileno()) == UNKNOWN
    assert channel_of(10_000) == UNKNOWN
