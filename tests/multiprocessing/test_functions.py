"""Functions that have no name travel as code; tensors in them are shared."""

import pickle

import dtorch
from dtorch.multiprocessing.functions import must_travel_as_code
from dtorch.multiprocessing.pickling import pickled


def round_trip(obj):
    return pickle.loads(pickled(obj).data)


def named(x):
    return x + 1


class Named:
    def method(self):
        return 7


def test_functions_and_classes_with_a_name_travel_by_name():
    assert not must_travel_as_code(named)
    assert not must_travel_as_code(Named)
    assert not must_travel_as_code(Named.method)
    assert round_trip(named) is named
    assert round_trip(Named) is Named


def test_lambdas_and_inner_functions_travel_as_code():
    offset = 5
    assert round_trip(lambda x: x + offset)(2) == 7

    def inner(x):
        return named(x) * offset

    assert round_trip(inner)(1) == 10


def test_inner_classes_travel_as_code():
    class Inner:
        def __init__(self, value):
            self.value = value

    assert round_trip(Inner(3)).value == 3


def test_a_tensor_that_a_lambda_refers_to_is_shared():
    tensor = dtorch.zeros(2)
    copy = round_trip(lambda: tensor)()
    copy[0] = 3
    assert tensor.tolist() == [3, 0]


SPAWNED = """
    import dtorch
    from dtorch import multiprocessing

    if __name__ == "__main__":
        total = dtorch.zeros(3)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=lambda k: total.add_(k), args=(2,))
        process.start()
        process.join()
        with context.Pool(2) as pool:
            print(total.tolist(), pool.map(lambda x: x * x, range(4)))
"""


def test_processes_and_pools_take_lambdas(run_script):
    assert run_script(SPAWNED) == "[2.0, 2.0, 2.0] [0, 1, 4, 9]\n"
