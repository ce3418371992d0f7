"""Queues write short messages with tensors at once; otherwise they are as ever."""

import gc
import queue as standard
import sys
import threading
import time
from multiprocessing.reduction import ForkingPickler

import pytest

import dtorch
from dtorch import multiprocessing
from dtorch.core.storage import Storage
from dtorch.multiprocessing import arena

fork = multiprocessing.get_context("fork")


@pytest.fixture
def queue():
    made = fork.Queue()
    yield made
    made.close()
    made.join_thread()


def blocks_in_use():
    gc.collect()
    return arena.usage().blocks


@pytest.mark.parametrize(
    "message",
    [
        dtorch.ones(3),
        dtorch.zeros(1 << 20).share_memory_(),
        (dtorch.ones(3), 5, None),
        [dtorch.ones(3), "name"],
        {"x": dtorch.ones(3), "y": 1.5},
        [dtorch.ones(1)] * 5,
        {1: object},
        b"bytes",
    ],
)
def test_a_short_message_needs_no_thread(queue, message):
    queue.put(message)
    assert queue._feeder is None
    back = queue.get(timeout=100)
    assert str(back) == str(message)
    assert queue.qsize() == 0


def test_a_long_message_is_left_to_a_thread(queue):
    message = list(range(10_000))
    queue.put(message)
    assert queue._feeder is not None
    assert queue.get(timeout=100) == message


def test_put_does_not_wait_for_a_full_pipe_and_keeps_the_order(queue):
    before = blocks_in_use()
    for number in range(600):  # about twice what the pipe holds
        queue.put(number if number % 7 == 0 else (number, dtorch.full((2,), number)))
    found = [queue.get(timeout=100) for _ in range(600)]
    assert [x if isinstance(x, int) else x[0] for x in found] == list(range(600))
    assert all(int(x[1][1]) == x[0] for x in found if not isinstance(x, int))
    del found
    assert blocks_in_use() == before


def test_a_thread_that_has_done_its_work_is_passed_by(queue):
    with queue._wlock:  # nobody may write, so the thread gets it
        queue.put(dtorch.ones(2))
        queue.put(dtorch.zeros(2))
        assert not queue._feeder.is_idle()
    assert [int(queue.get(timeout=100)[0]) for _ in range(2)] == [1, 0]
    end = time.monotonic() + 100
    while not queue._feeder.is_idle():
        assert time.monotonic() < end
        time.sleep(0.001)
    queue.put(dtorch.ones(2))
    assert queue._feeder.is_idle()
    assert not queue.empty()
    queue.get(timeout=100)


def test_a_message_left_to_the_thread_is_given_up_when_nobody_can_read_it():
    before = blocks_in_use()
    made = fork.Queue()
    with made._wlock:
        made.put(dtorch.ones(2))
    end = time.monotonic() + 100
    while made.empty():
        assert time.monotonic() < end
        time.sleep(0.001)
    assert blocks_in_use() == before + 1
    made.close()
    made.join_thread()
    del made
    end = time.monotonic() + 100
    while blocks_in_use() != before:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_closed_queue_has_closed_its_ends_and_takes_nothing():
    made = fork.Queue()
    made.put(dtorch.ones(2))
    made.close()
    made.join_thread()
    assert made._reader.closed
    assert made._writer.closed
    with pytest.raises(ValueError, match="closed"):
        made.put(dtorch.ones(2))


def test_a_full_queue_says_so():
    made = fork.Queue(2)
    made.put(dtorch.ones(2))
    made.put(dtorch.ones(2))
    with pytest.raises(standard.Full):
        made.put(dtorch.ones(2), timeout=0.01)
    with pytest.raises(standard.Full):
        made.put_nowait(dtorch.ones(2))
    made.get(timeout=100)
    made.put_nowait(dtorch.ones(2))
    assert made.qsize() == 2
    made.close()


def test_what_cannot_be_pickled_is_an_error_of_put_and_takes_no_place(monkeypatch):
    made = fork.Queue(1)

    def fail(storage):
        raise MemoryError("no shared memory left")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "share_memory_", fail)
        with pytest.raises(MemoryError, match="no shared memory left"):
            made.put(dtorch.ones(2))
    for _ in range(2):
        with pytest.raises(TypeError, match="lock") as caught:
            made.put({"weights": dtorch.ones(2), "guard": threading.Lock()})
        assert "dict was put into a queue: {'weights'" in caught.value.__notes__[0]
    made.put(dtorch.ones(2), timeout=100)
    assert made.get(timeout=100).tolist() == [1, 1]
    made.close()


def test_tensors_beside_what_cannot_be_pickled_are_given_up(queue):
    before = blocks_in_use()
    with pytest.raises(TypeError):
        queue.put([dtorch.ones(2), threading.Lock()])
    end = time.monotonic() + 60
    while blocks_in_use() > before:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_message_is_what_it_was_when_it_was_put(queue):
    numbers = list(range(1000))
    queue.put(numbers)
    numbers.clear()
    assert queue.get(timeout=60) == list(range(1000))


def _send(queue, name, count):
    for number in range(count):
        queue.put((name, number, dtorch.full((1,), number)))


def test_threads_and_processes_that_write_at_once_keep_each_their_order(queue):
    count = 200
    senders = [threading.Thread(target=_send, args=(queue, f"thread {i}", count)) for i in (0, 1)]
    senders += [fork.Process(target=_send, args=(queue, f"process {i}", count)) for i in (0, 1)]
    for sender in reversed(senders):  # fork before there are threads
        sender.start()
    found = {}
    for _ in range(4 * count):
        name, number, tensor = queue.get(timeout=100)
        assert int(tensor) == number
        found.setdefault(name, []).append(number)
    assert list(found.values()) == [list(range(count))] * 4
    for sender in senders:
        sender.join()
    for process in senders[2:]:
        process.close()


def test_threads_whose_messages_are_the_first_to_be_left_have_one_thread_write():
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            made = fork.Queue()
            with made._wlock:
                senders = [threading.Thread(target=_send, args=(made, i, 5)) for i in range(4)]
                for sender in senders:
                    sender.start()
                for sender in senders:
                    sender.join()
            found = {}
            for _ in range(20):
                name, number, _ = made.get(timeout=100)
                found.setdefault(name, []).append(number)
            assert list(found.values()) == [list(range(5))] * 4
            made.close()
            made.join_thread()
    finally:
        sys.setswitchinterval(switch)


def test_what_was_put_arrives_although_its_process_has_exited(queue):
    process = fork.Process(target=_send, args=(queue, "gone", 400))  # more than the pipe holds
    process.start()
    assert [queue.get(timeout=100)[1] for _ in range(400)] == list(range(400))
    process.join()
    assert process.exitcode == 0
    process.close()


def test_what_was_pickled_for_something_else_outlives_the_queue():
    other = ForkingPickler.dumps(dtorch.ones(3))
    made = fork.Queue()
    made.put(dtorch.ones(2))
    made.close()
    del made
    time.sleep(0.5)
    arena.usage()
    time.sleep(0.3)
    arena.usage()  # gives up what is lost for longer than a quarter of a second
    assert ForkingPickler.loads(other).tolist() == [1, 1, 1]
