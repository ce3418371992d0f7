"""What a loader gives out, with and without workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import threading
import time
import warnings
from itertools import chain

import numpy as np
import pytest

import dtorch
from dtorch.core import backend
from dtorch.core.generator import default_generator
from dtorch.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    TensorDataset,
    dataloader,
    get_worker_info,
)
from dtorch.data.dataloader import DataLoaderIter, pin_memory_batch
from dtorch.data.pool import default_context
from dtorch.data.seeding import draw_seeds

WORKERS = [0, 1, 2, 3]


class Numbers:
    def __init__(self, size=10):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index


class Random(Numbers):
    def __getitem__(self, index):
        return (index, random.random(), np.random.rand(), dtorch.rand(1).item())  # noqa: NPY002


class Pid(Numbers):
    def __getitem__(self, index):
        return os.getpid()


class Large(Numbers):
    def __getitem__(self, index):
        return dtorch.full((100, 100), float(index)), index


class Shards(IterableDataset):
    def __init__(self, size=10):
        self.size = size

    def __iter__(self):
        info = get_worker_info()
        return iter(
            range(self.size) if info is None else range(info.id, self.size, info.num_workers)
        )


def lists(loader):
    return [batch.tolist() for batch in loader]


@pytest.mark.parametrize("workers", WORKERS)
def test_batches_come_in_order(workers):
    assert lists(DataLoader(Numbers(), 4, num_workers=workers)) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]
    assert lists(DataLoader(Numbers(), 4, num_workers=workers, drop_last=True)) == [
        [0, 1, 2, 3], [4, 5, 6, 7]
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_without_a_batch_size_samples_come_one_by_one(workers):
    loader = DataLoader([np.ones(1), "a"], batch_size=None, num_workers=workers)
    first, second = loader
    assert first.tolist() == [1.0]
    assert second == "a"
    assert len(loader) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_sampler_decides(workers):
    loader = DataLoader(Numbers(), batch_sampler=[[5], [1, 2]], num_workers=workers)
    assert lists(loader) == [[5], [1, 2]]
    assert len(loader) == 2


def test_lengths_round_as_batches_do():
    assert len(DataLoader(Numbers(), 4)) == 3
    assert len(DataLoader(Numbers(), 4, drop_last=True)) == 2
    with pytest.raises(TypeError):
        len(DataLoader(Shards()))


def seed_others(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


def seed_all(seed):
    """A generator that is seeded as the others of the process are."""
    seed_others(seed)
    dtorch.manual_seed(seed)
    return dtorch.Generator().manual_seed(seed)


def test_random_order_and_numbers_do_not_depend_on_the_number_of_workers():
    results = []
    for workers in WORKERS:
        generator = seed_all(5)
        loader = DataLoader(Random(), 3, shuffle=True, num_workers=workers, generator=generator)
        results.append([[part.tolist() for part in batch] for _ in range(2) for batch in loader])
    assert all(result == results[0] for result in results)
    assert len({value for batch in results[0] for value in batch[1]}) == 20


def test_an_epoch_takes_one_number_of_each_generator_of_the_program():
    seed_all(0)
    draw_seeds(default_generator)
    expected = (random.random(), np.random.rand(), dtorch.rand(1).item())  # noqa: NPY002
    seed_all(0)
    list(DataLoader(Random(), 3))
    assert (random.random(), np.random.rand(), dtorch.rand(1).item()) == expected  # noqa: NPY002


@pytest.mark.parametrize("workers", [0, 2])
def test_manual_seed_decides_on_the_order(workers):
    orders = []
    for _ in range(2):
        dtorch.manual_seed(9)
        orders.append(lists(DataLoader(Numbers(), 2, shuffle=True, num_workers=workers)))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("workers", WORKERS)
def test_streams_give_every_sample_once(workers):
    batches = lists(DataLoader(Shards(), 2, num_workers=workers))
    assert sorted(chain.from_iterable(batches)) == list(range(10))
    assert lists(DataLoader(Shards(), 2, num_workers=workers)) == batches


def test_streams_drop_short_batches():
    assert lists(DataLoader(Shards(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    both = lists(DataLoader(Shards(5), 2, drop_last=True, num_workers=2))
    assert sorted(chain.from_iterable(both)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_large_batches_lie_in_shared_memory_and_stay_what_they_were(workers):
    kept = list(DataLoader(Large(40), 4, num_workers=workers))
    for number, (x, y) in enumerate(kept):
        assert x.is_shared()
        assert y.tolist() == list(range(4 * number, 4 * number + 4))
        assert x[:, 0, 0].tolist() == [float(i) for i in y.tolist()]
        assert x.sum().item() == 10_000.0 * sum(y.tolist())


def test_memory_is_used_again_once_batches_are_dropped():
    addresses = {x.data_ptr() for x, _ in DataLoader(Large(400), 4, num_workers=2)}
    assert len(addresses) < 20


def own_collate(samples):
    values = np.stack([x.numpy() for x, _ in samples])
    return {
        "array": values,
        "tensor": dtorch.from_numpy(values)[:, 0],
        "texts": ["a"] * len(samples),
    }


def test_what_an_own_collate_fn_makes_arrives():
    for batch in DataLoader(Large(12), 4, num_workers=2, collate_fn=own_collate):
        assert isinstance(batch["array"], np.ndarray)
        assert (batch["array"][:, 0] == batch["tensor"].numpy()).all()
        assert batch["texts"] == ["a"] * 4


def ragged(samples):
    return [dtorch.ones(5000 * (index + 1)) for _, index in samples]


def test_batches_of_changing_sizes_arrive():
    for number, batch in enumerate(DataLoader(Large(12), 2, num_workers=2, collate_fn=ragged)):
        assert [len(t) for t in batch] == [5000 * (2 * number + 1), 5000 * (2 * number + 2)]
        assert all(t.sum().item() == len(t) for t in batch)


@pytest.mark.parametrize("persistent", [False, True])
def test_requests_and_batches_that_fill_the_connection_pass_each_other(persistent):
    loader = DataLoader(
        range(400_000), 50_000, num_workers=2, prefetch_factor=4, persistent_workers=persistent,
        collate_fn=np.array, timeout=100,
    )  # fmt: skip
    for _ in range(2):
        assert np.array_equal(np.concatenate(list(loader)), np.arange(400_000))


def test_each_iteration_is_independent():
    loader = DataLoader(Numbers(6), 2, num_workers=2)
    pairs = list(zip(loader, loader, strict=True))
    assert [a.tolist() for a, _ in pairs] == [b.tolist() for _, b in pairs]


def test_persistent_workers_stay():
    loader = DataLoader(Pid(), 2, num_workers=2, persistent_workers=True)
    first = {pid for batch in loader for pid in batch.tolist()}
    next(iter(loader))  # an epoch that is given up
    third = {pid for batch in loader for pid in batch.tolist()}
    assert first == third
    other = {pid for batch in DataLoader(Pid(), 2, num_workers=2) for pid in batch.tolist()}
    assert not first & other


def test_persistent_workers_serve_two_iterations_at_once():
    loader = DataLoader(Numbers(6), 2, num_workers=1, persistent_workers=True)
    first, second = iter(loader), iter(loader)
    assert next(first).tolist() == next(second).tolist() == [0, 1]
    assert lists(first) == lists(second) == [[2, 3], [4, 5]]


def write_id(worker_id):
    info = get_worker_info()
    assert info.id == worker_id
    assert info.num_workers == 2
    os.environ["TEST_WORKER"] = str(info.seed - worker_id)


class Environment(Numbers):
    def __getitem__(self, index):
        return int(os.environ["TEST_WORKER"])


def test_workers_know_themselves_and_run_their_init_function():
    generator = dtorch.Generator().manual_seed(2)
    loader = DataLoader(Environment(), num_workers=2, worker_init_fn=write_id, generator=generator)
    values = {batch.item() for batch in loader}
    assert len(values) == 1
    assert get_worker_info() is None


def test_prefetch_bounds_what_is_fetched_ahead(tmp_path):
    class Noting(Numbers):
        def __getitem__(self, index):
            (tmp_path / str(index)).touch()
            return index

    iterator = iter(DataLoader(Noting(100), num_workers=2, prefetch_factor=3))
    next(iterator)
    while len(os.listdir(tmp_path)) < 7:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(os.listdir(tmp_path)) == 7


@pytest.mark.parametrize("context", ["forkserver", "spawn"])
def test_other_start_methods_give_the_same(context):
    loader = DataLoader(Large(8), 4, num_workers=1, multiprocessing_context=context,
                        collate_fn=lambda samples: dtorch.stack([x for x, _ in samples]))  # fmt: skip
    assert [batch.shape for batch in loader] == [(4, 100, 100)] * 2


@pytest.mark.parametrize("daemon", [True, False])
def test_other_threads_do_not_change_how_workers_start(daemon):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, daemon=daemon)
    thread.start()
    try:
        assert default_context().get_start_method() == "fork"
        assert len(lists(DataLoader(Numbers(4), 2, num_workers=1))) == 2
    finally:
        stop.set()
        thread.join()


def test_workers_start_as_the_program_has_said():
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        multiprocessing.set_start_method("spawn", force=True)
        assert default_context().get_start_method() == "spawn"
        assert default_context().get_start_method() == "spawn"
        given = DataLoader(Numbers(), num_workers=1, multiprocessing_context="fork")
        assert given._take_pool()._context.get_start_method() == "fork"
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_workers_may_use_locks_that_other_threads_hold_while_they_start():
    """A thread that draws, saves, and shares all the time, through twenty starts."""

    class Using(Numbers):
        def __getitem__(self, index):
            np.random.rand()  # noqa: NPY002
            return dtorch.rand(3).share_memory_()

    stop = threading.Event()

    def work():
        while not stop.is_set():
            np.random.standard_normal(10_000)  # noqa: NPY002
            dtorch.randn(10_000).share_memory_()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            assert len(list(DataLoader(Using(4), 2, num_workers=2, timeout=100))) == 2
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("worth_s", "workers"), [(1e9, 0), (0, len(os.sched_getaffinity(0)))])
def test_auto_takes_workers_for_batches_that_take_longer_than_passing_them_on(
    monkeypatch, worth_s, workers
):
    monkeypatch.setattr(dataloader, "_WORTH_WORKERS_S", worth_s)
    loader = DataLoader(Numbers(), num_workers="auto")
    assert len(lists(loader)) == 10
    assert loader.num_workers == workers


# -- going on in the middle -------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("given", [False, True], ids=["default generator", "own generator"])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_resumed_loader_gives_the_rest(workers, given, done):
    def loader():
        generator = dtorch.Generator().manual_seed(4) if given else None
        return DataLoader(Random(), 3, shuffle=True, num_workers=workers, generator=generator)

    dtorch.manual_seed(1)
    first = loader()
    iterator = iter(first)
    for _ in range(done):
        next(iterator)
    state = first.state_dict()
    rest = [[part.tolist() for part in batch] for batch in iterator]
    seed_others(9)
    following = [[part.tolist() for part in batch] for batch in first] if given else None

    dtorch.manual_seed(77)
    second = loader()
    second.load_state_dict(state)
    assert [[part.tolist() for part in batch] for batch in second] == rest
    if given:
        seed_others(9)
        assert [[part.tolist() for part in batch] for batch in second] == following


def test_the_state_can_be_saved(tmp_path):
    loader = DataLoader(Numbers(), 2, shuffle=True)
    iterator = iter(loader)
    next(iterator)
    dtorch.save(loader.state_dict(), tmp_path / "loader.pt")
    again = DataLoader(Numbers(), 2, shuffle=True)
    again.load_state_dict(dtorch.load(tmp_path / "loader.pt"))
    assert lists(again) == lists(iterator)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_stream_leaves_out_what_was_seen(workers):
    first = DataLoader(Shards(), 2, num_workers=workers)
    iterator = iter(first)
    next(iterator)
    next(iterator)
    second = DataLoader(Shards(), 2, num_workers=workers)
    second.load_state_dict(first.state_dict())
    assert lists(second) == lists(iterator)


def test_a_finished_epoch_is_not_resumed():
    loader = DataLoader(Numbers(4), 2)
    list(loader)
    assert loader.state_dict()["batches"] == 0
    with pytest.raises(ValueError, match="batches"):
        loader.load_state_dict({"generator": None, "sampler_epoch": None})


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"shuffle": True, "sampler": [1]}, "shuffle and sampler"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler excludes"),
        ({"batch_sampler": [[1]], "drop_last": True}, "batch_sampler excludes"),
        ({"batch_size": None, "drop_last": True}, "drop_last needs"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"num_workers": -1}, "num_workers is -1"),
        ({"num_workers": "many"}, "num_workers is 'many'"),
        ({"prefetch_factor": 2}, "prefetch_factor needs num_workers"),
        ({"prefetch_factor": 0, "num_workers": 1}, "prefetch_factor is 0"),
        ({"persistent_workers": True}, "persistent_workers needs"),
        ({"timeout": -1}, "timeout is -1"),
        ({"multiprocessing_context": "magic", "num_workers": 1}, "'magic'"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_go_together_are_named(options, text):
    with pytest.raises(ValueError, match=text):
        DataLoader(Numbers(), **options)


def test_streams_take_no_sampler():
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Shards(), shuffle=True)


def test_pinning_without_cuda_warns_and_does_nothing():
    with pytest.warns(UserWarning, match="pin_memory"):
        loader = DataLoader(Numbers(2), pin_memory=True)
    assert lists(loader) == [[0], [1]]

    class Pinned:
        def pin_memory(self):
            return "pinned"

    assert pin_memory_batch({"a": [Pinned(), 1]}) == {"a": ["pinned", 1]}


def test_iterators_are_made_by_their_class_and_not_pickled():
    iterator = DataLoaderIter(DataLoader(Numbers(4), 2))
    assert len(iterator) == 2
    assert next(iterator).tolist() == [0, 1]
    with pytest.raises(TypeError, match="pickle the loader"):
        pickle.dumps(iterator)


def test_the_classic_package_is_the_same_module():
    import dtorch.utils.data.dataset  # noqa: PLC0415
    from dtorch import data  # noqa: PLC0415

    assert dtorch.utils.data is data
    assert dtorch.utils.data.dataset is data.dataset
    assert dtorch.utils.data.TensorDataset is TensorDataset


def test_no_warning_comes_from_workers_started_by_fork():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(DataLoader(Numbers(4), num_workers=2))) == 4


class CacheLimits:
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return int(backend.native.allocator_stats()["cache_limit"])


@pytest.mark.skipif(backend.native is None, reason="without the native module nothing is kept")
def test_workers_together_keep_no_more_freed_memory_than_the_process_they_serve() -> None:
    own = backend.native.allocator_stats()["cache_limit"]
    limits = [int(limit) for limit in DataLoader(CacheLimits(), batch_size=1, num_workers=4)]
    assert min(limits) > 0
    assert sum(limits) <= own


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (3, {}, "dataset is int, expected a Dataset"),
        (iter([1]), {}, "dataset is list_iterator, .* derive from IterableDataset"),
        ([1], {"collate_fn": 3}, "collate_fn is int, expected a function"),
    ],
)
def test_what_is_no_dataset_or_function_is_refused_by_its_name(dataset, options, message):
    with pytest.raises(TypeError, match=message):
        DataLoader(dataset, **options)


@pytest.mark.parametrize("name", ["batch_size", "sampler", "batch_sampler", "drop_last", "dataset"])
def test_what_a_loader_is_made_from_is_not_set_later(name):
    loader = DataLoader(Numbers(), 4)
    with pytest.raises(ValueError, match=f"{name} attribute should not be set after"):
        setattr(loader, name, 2)
    loader.num_workers = 0  # others are


def test_lists_from_a_sampler_are_indices_where_no_batches_are_made():
    class Several(Numbers):
        def __getitem__(self, index):
            return dtorch.tensor(index)

    batches = BatchSampler(range(5), 2, False)
    loader = DataLoader(Several(), sampler=batches, batch_size=None)
    assert lists(loader) == [[0, 1], [2, 3], [4]]
    assert [len(batch) for batch in DataLoader(Several(), sampler=batches, batch_size=2,
                                               collate_fn=list)] == [2, 1]  # fmt: skip


def _fixed_seed(worker_id):
    assert get_worker_info().seed == dtorch.initial_seed() < 1 << 63
    dtorch.manual_seed(12345)


class OwnSeeds(Numbers):
    def __getitem__(self, index):
        return dtorch.initial_seed()


def test_seeds_fit_into_tensors_and_one_set_by_worker_init_fn_stays():
    assert all(seed < 1 << 63 for batch in lists(DataLoader(OwnSeeds(), 5)) for seed in batch)
    loader = DataLoader(OwnSeeds(), 5, num_workers=1, worker_init_fn=_fixed_seed)
    assert lists(loader) == [[12345] * 5] * 2


def test_pinning_without_a_card_is_warned_of_at_the_users_line() -> None:
    with pytest.warns(UserWarning, match="pin_memory=True without CUDA") as caught:
        DataLoader([1, 2], pin_memory=True)
    assert caught[0].filename == __file__
