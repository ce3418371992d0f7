"""Lists and dicts in shared memory."""

from __future__ import annotations

import multiprocessing
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from dtorch.data import DataLoader, SharedDict, SharedList

ITEMS = [("text", 1), None, {"a": [1.5]}, b"bytes"]


def test_a_shared_list_reads_like_a_list():
    shared = SharedList(ITEMS)
    assert list(shared) == ITEMS
    assert shared[-1] == b"bytes"
    assert shared[1:3] == ITEMS[1:3]
    assert len(shared) == 4
    assert None in shared
    with pytest.raises(IndexError, match="index 4 in a list of 4"):
        shared[4]
    assert list(SharedList([])) == []


def test_a_shared_dict_reads_like_a_dict():
    source = {"a": 1, ("b", 2): "tuple", 3: None, "c": [1, 2], "\ud800": 5}
    shared = SharedDict(source)
    assert dict(shared) == source
    assert list(shared) == list(source)
    assert shared.get("missing", 7) == 7
    with pytest.raises(KeyError, match="missing"):
        shared["missing"]
    assert len(SharedDict({})) == 0


def test_many_keys_are_found():
    shared = SharedDict({f"key {i}": i for i in range(2000)})
    assert all(shared[f"key {i}"] == i for i in range(2000))


def read(data, queue):
    shared = pickle.loads(data)
    queue.put((shared["a"], shared["b"]))


def test_another_process_finds_texts_by_key():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    shared = SharedDict({"a": 1, "b": 2})
    process = context.Process(target=read, args=(bytes(ForkingPickler.dumps(shared)), queue))
    process.start()
    assert queue.get(timeout=100) == (1, 2)
    process.join()
    queue.close()


class Growth:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        assert self.items[index][1] == index
        if index % 1000:
            return 0
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


def test_workers_do_not_grow_by_what_they_read():
    data = Growth(SharedList((f"sample {i}", i) for i in range(200_000)))
    sizes = [max(batch.tolist()) for batch in DataLoader(data, 1000, num_workers=1)]
    assert max(sizes) - sizes[0] < 3000  # KiB; a list of Python's grows by more than ten times that
