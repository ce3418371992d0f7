"""Processes and queues of every start method, as programs use them."""

import threading

import pytest

import dtorch
from dtorch import multiprocessing

fork = multiprocessing.get_context("fork")


def test_a_joinable_queue_waits_until_all_is_done():
    queue = fork.JoinableQueue()
    for number in range(3):
        queue.put((number, dtorch.ones(2)))
    waiting = threading.Thread(target=queue.join)
    waiting.start()
    for _ in range(3):
        assert waiting.is_alive()
        queue.get(timeout=100)
        queue.task_done()
    waiting.join()
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()
    queue.close()


def test_contexts_know_each_other():
    assert fork.get_context("spawn") is multiprocessing.get_context("spawn")
    assert fork.get_context() is fork
    assert isinstance(fork.Queue(), multiprocessing.queues.Queue)
    with pytest.raises(ValueError, match="cannot find context"):
        multiprocessing.get_context("thread")


UNREAD = """
    from dtorch import multiprocessing

    if __name__ == "__main__":
        queue = multiprocessing.get_context("fork").Queue()
        queue.put(bytes(1 << 20))
        queue.cancel_join_thread()
        print("ends")
"""


def test_a_process_need_not_wait_for_what_nobody_reads(run_script):
    assert run_script(UNREAD) == "ends\n"


OWN_PROCESS = """
    import dtorch
    from dtorch import multiprocessing

    class Worker:
        def __init__(self, context):
            self.queue = context.Queue()
            self.total = dtorch.zeros(2)
            self.process = context.Process(target=self.run)

        def run(self):
            self.total += 1
            self.queue.put(lambda x: x + 1)

    class Process(multiprocessing.Process):
        def run(self):
            self.tensor += 2

    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            worker = Worker(multiprocessing.get_context(method))
            worker.total.share_memory_()
            worker.process.start()
            print(worker.queue.get(timeout=100)(1))
            worker.process.join()
            print(worker.total.tolist())
        multiprocessing.set_start_method("spawn", force=True)
        process = Process()
        process.tensor = dtorch.zeros(1).share_memory_()
        process.start()
        process.join()
        print(process.tensor.tolist())
"""


def test_a_process_takes_along_the_object_that_has_it(run_script):
    assert run_script(OWN_PROCESS).split("\n") == ["2", "[1.0, 1.0]"] * 3 + ["[2.0]", ""]
