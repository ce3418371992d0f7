"""The standard library and NumPy stay what they are; its own queues and pipes carry tensors too."""

import gc
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

import dtorch
from dtorch import multiprocessing as ours
from dtorch.multiprocessing import arena
from dtorch.nn import Parameter

standard = multiprocessing.get_context("fork")

UNCHANGED = """
    import concurrent.futures.process, copyreg, importlib, pickle, pkgutil, sys
    import multiprocessing
    import numpy

    for module in pkgutil.iter_modules(multiprocessing.__path__, "multiprocessing."):
        if not module.name.endswith(("win32", "dummy")):
            importlib.import_module(module.name)

    def parts():
        '''Every function and class of theirs, and all that their classes have.'''
        found = {}
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            if top in ("numpy", "__main__") or top in sys.stdlib_module_names and name != "__main__":
                for key, value in list(vars(module).items()):
                    if isinstance(value, type):
                        for attribute, part in list(vars(value).items()):
                            if callable(part) or hasattr(part, "__get__"):  # else it is a state
                                found[name, key, attribute] = part
                    if callable(value) and name != "__main__":
                        found[name, key] = value
        return found

    before, tables = parts(), dict(copyreg.dispatch_table)
    classes = {key[:2] for key in before}
    handlers = numpy.geterr(), numpy.get_printoptions(), sys.excepthook, sys.unraisablehook

    import dtorch
    from dtorch.data import DataLoader

    dtorch.zeros(3).share_memory_()
    from dtorch import multiprocessing as own
    queue, simple, (here, there) = own.Queue(), own.SimpleQueue(), own.Pipe()
    queue.put(dtorch.ones(3)), queue.put(list(range(10_000)))
    simple.put(dtorch.ones(3)), here.send(dtorch.ones(3))
    queue.get(), queue.get(), simple.get(), there.recv()
    process = own.Process(target=simple.put, args=(dtorch.ones(1),))
    process.start(), process.join(), simple.get()
    list(DataLoader(list(range(8)), 2, num_workers=1))
    (dtorch.ones(2) * dtorch.inf - dtorch.inf).tolist()

    after = parts()
    print([key for key in before if key not in after or after[key] is not before[key]])
    print([key for key in after if len(key) == 3 and key not in before and key[:2] in classes])
    print([kind for kind, how in copyreg.dispatch_table.items() if tables.get(kind) is not how])
    print(handlers == (
        numpy.geterr(), numpy.get_printoptions(), sys.excepthook, sys.unraisablehook))
"""


def test_importing_and_sharing_change_nothing_in_the_standard_library_or_numpy(run_script):
    assert run_script(UNCHANGED).splitlines() == ["[]", "[]", "[]", "True"]


def add(receive, send):
    tensor = receive()
    tensor += 1
    send((tensor.is_shared(), type(tensor).__name__))


@pytest.mark.parametrize("make", [dtorch.zeros, lambda n: Parameter(dtorch.zeros(n), False)])
@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue", "JoinableQueue", "Pipe"])
def test_tensors_pass_the_standard_librarys_own_ways(kind, make):
    if kind == "Pipe":
        here, there = standard.Pipe()
        ways = there.recv, there.send
        put, get = here.send, here.recv
    else:
        out, back = getattr(standard, kind)(), getattr(standard, kind)()
        ways = out.get, back.put
        put, get = out.put, back.get
    process = standard.Process(target=add, args=ways, daemon=True)
    process.start()
    try:
        tensor = make(3)
        put(tensor)
        assert get() == (True, type(tensor).__name__)
        assert tensor.tolist() == [1, 1, 1]
    finally:
        process.kill()
        process.join()


def double(tensor):
    return tensor * 2


def test_tensors_pass_pools_and_executors_of_either_kind():
    tensors = [dtorch.full((3,), float(i)) for i in range(4)]
    for context in (standard, ours.get_context("fork")):
        with context.Pool(2) as pool:
            assert [t.tolist() for t in pool.map(double, tensors)] == [
                [2.0 * i] * 3 for i in range(4)
            ]
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            results = list(executor.map(double, tensors))
            assert [float(t[0]) for t in results] == [0, 2, 4, 6]


STARTED = """
    import multiprocessing
    import dtorch

    def add(tensor, weight):
        tensor += 1
        weight += 1

    if __name__ == "__main__":
        import dtorch.multiprocessing
        for method in multiprocessing.get_all_start_methods():
            tensor, weight = dtorch.zeros(2), dtorch.nn.Parameter(dtorch.zeros(2), False)
            tensor.share_memory_(), weight.share_memory_()
            process = multiprocessing.get_context(method).Process(target=add, args=(tensor, weight))
            process.start()
            process.join()
            print(tensor.tolist(), weight.tolist())
"""


def test_arguments_of_standard_processes_are_shared(run_script):
    assert run_script(STARTED).splitlines() == ["[1.0, 1.0] [1.0, 1.0]"] * 3


def lose(kind, done):
    queue = getattr(multiprocessing.get_context("fork"), kind)()
    queue.put(shared)
    while queue.empty():
        time.sleep(0.001)
    done.send(None)


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_what_nobody_takes_out_of_a_standard_queue_comes_back_when_its_sender_has_ended(kind):
    global shared
    gc.collect()
    before = arena.usage().blocks
    shared = dtorch.zeros(3).share_memory_()
    here, there = ours.Pipe(duplex=False)
    process = standard.Process(target=lose, args=(kind, there))
    process.start()
    here.recv()
    del shared
    process.join()
    process.close()
    end = time.monotonic() + 100
    while arena.usage().blocks != before:
        assert time.monotonic() < end
        time.sleep(0.05)
