"""with shared_memory(): tensors that are born in shared memory."""

import gc
import multiprocessing
import threading

import numpy as np
import pytest

import dtorch
from dtorch.core import backend
from dtorch.core.errors import StorageError
from dtorch.multiprocessing import arena, shared_memory

fork = multiprocessing.get_context("fork")
needs_native = pytest.mark.skipif(backend.native is None, reason="needs the native module")


def blocks_in_use():
    gc.collect()
    return arena.usage().blocks


@needs_native
def test_what_is_computed_inside_lies_in_shared_memory():
    before = blocks_in_use()
    with shared_memory():
        one = dtorch.zeros(2, 3)
        other = one + dtorch.tensor([1.0, 2.0, 3.0])
    outside = one + other
    assert one.is_shared()
    assert other.is_shared()
    assert other.t()[1].is_shared()
    assert not outside.is_shared()
    assert other.tolist() == [[1, 2, 3], [1, 2, 3]]
    del one, other
    assert blocks_in_use() == before


@needs_native
def test_sending_such_a_tensor_copies_nothing():
    with shared_memory():
        tensor = dtorch.zeros(1000)
    place = tensor.data_ptr()
    here, there = fork.Pipe()
    process = fork.Process(target=write, args=(there,), daemon=True)
    process.start()
    here.send(tensor)
    here.recv()
    process.join()
    assert tensor.data_ptr() == place
    assert float(tensor[7]) == 5


def write(end):
    end.recv()[7] = 5
    end.send(None)


@needs_native
def test_numpy_arrays_inside_grow_and_go_as_always():
    before = blocks_in_use()
    with shared_memory():
        array = np.arange(10)
        array.resize(10_000, refcheck=False)
        assert (array[:10] == range(10)).all()
        assert not array[10:].any()
        assert np.zeros(1000).sum() == 0
    del array
    assert blocks_in_use() == before


@needs_native
def test_it_holds_for_one_thread_and_nests():
    shared = []

    def elsewhere():
        shared.append(dtorch.zeros(3).is_shared())

    with shared_memory():
        with shared_memory():
            pass
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        shared.append(dtorch.zeros(3).is_shared())
    shared.append(dtorch.zeros(3).is_shared())
    assert shared == [False, True, False]


@needs_native
def test_no_memory_is_told_with_numbers():
    with pytest.raises(MemoryError, match=r"asked for .* MiB, .* MiB left of"), shared_memory():
        dtorch.zeros(1 << 50)


@pytest.mark.skipif(backend.native is not None, reason="the native module is here")
def test_without_the_native_module_it_says_what_to_do():
    with pytest.raises(StorageError, match="share_memory_"), shared_memory():
        pass
