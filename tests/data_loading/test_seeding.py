"""Random numbers of samples: the same for any number of workers and any batches."""

from __future__ import annotations

import random

import numpy as np
import pytest

import dtorch
from dtorch.core.generator import default_generator
from dtorch.data import DataLoader, IterableDataset, get_worker_info
from dtorch.data.seeding import Seeds, Streams, draw_seeds, generators_kept, seed_sample
from dtorch.vision import transforms

WORKERS = [0, 1, 2, 3]


def draw():
    return (
        random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(),  # noqa: NPY002
        dtorch.rand(1).item(), dtorch.randn(1).item(),
    )  # fmt: skip


class Random:
    """Samples that draw, more or fewer numbers by their index."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        for _ in range(index % 3):
            draw()
        return int(index), *draw()


class Stream(IterableDataset):
    """Every n-th sample to each worker."""

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for index in range(first, 12, step):
            yield index, *draw()


def samples(loader):
    """What each index was given, in the order of indices."""
    rows = [row for batch in loader for row in zip(*(part.tolist() for part in batch), strict=True)]
    return sorted(rows)


def seed_others(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


def loader(dataset, batch_size=4, workers=0, **options):
    """A loader of an epoch that begins with known states, if it begins at once."""
    seed_others(3)
    return DataLoader(
        dataset, batch_size, num_workers=workers, generator=dtorch.Generator().manual_seed(3),
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("dataset", [Random(), Stream()], ids=["map", "stream"])
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_what_a_sample_draws_depends_neither_on_workers_nor_on_batches(
    dataset, workers, batch_size
):
    assert samples(loader(dataset, batch_size, workers)) == samples(loader(dataset))


def test_what_a_sample_draws_does_not_depend_on_the_order():
    assert samples(loader(Random(), shuffle=True)) == samples(loader(Random(), sampler=range(12)))


@pytest.mark.parametrize("dataset", [Random(), Stream()], ids=["map", "stream"])
def test_every_sample_and_every_epoch_draws_other_numbers(dataset):
    numbers = loader(dataset)
    drawn = [value for _ in range(2) for row in samples(numbers) for value in row[1:]]
    assert len(set(drawn)) == len(drawn) == 2 * 12 * 6


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_that_comes_again_draws_other_numbers(workers):
    rows = samples(loader(Random(), 2, workers, sampler=[3, 5, 3, 3, np.int64(5), -9]))
    assert [row[0] for row in rows] == [-9, 3, 3, 3, 5, 5]
    assert len({row[1] for row in rows}) == 6
    assert rows == samples(loader(Random(), 6, sampler=[3, 5, 3, 3, 5, -9]))


@pytest.mark.parametrize("workers", WORKERS)
def test_random_augmentation_of_images_is_the_same(workers):
    augment = transforms.Compose([transforms.RandomCrop(4), transforms.RandomHorizontalFlip()])

    class Images:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return augment(dtorch.arange(index, index + 3 * 8 * 8).reshape(3, 8, 8))

    batches = [b.tolist() for b in loader(Images(), 3, workers, shuffle=True)]
    assert batches == [b.tolist() for b in loader(Images(), 3, shuffle=True)]


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_draws_the_numbers_of_the_rest(workers, done):
    options = {"sampler": [3, 5, 3, 5, 3, 5]}
    first = loader(Random(), 2, workers, **options)
    batches = iter(first)
    for _ in range(done):
        next(batches)
    state = first.state_dict()
    again = loader(Random(), 2, 2 - workers, **options)
    again.load_state_dict(state)
    assert samples(again) == samples(batches)


NAMES = ["random", "numpy", "dtorch"]
SEED = {"random": random.seed, "numpy": np.random.seed, "dtorch": dtorch.manual_seed}
COLUMNS = {"random": (1, 2), "numpy": (3, 4), "dtorch": (5, 6)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", [Random(), Stream()], ids=["map", "stream"])
def test_seeding_one_generator_brings_back_its_numbers_and_no_others(dataset, name):
    def numbers(workers, batch_size, epochs=2):
        SEED[name](3)
        batches = DataLoader(dataset, batch_size, num_workers=workers)
        return [row for _ in range(epochs) for row in samples(batches)]

    runs = [numbers(0, 4), numbers(1, 4), numbers(2, 3)]
    for other in NAMES:
        drawn = {tuple(row[i] for row in run for i in COLUMNS[other]) for run in runs}
        assert len(drawn) == (1 if other == name else 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_others_are_seeded_from_themselves_beside_an_own_generator(workers):
    runs = [samples(loader(Random(), workers=workers)) for _ in range(2)]
    assert runs[0] == runs[1]
    own = DataLoader(Random(), 4, num_workers=workers, generator=dtorch.Generator().manual_seed(3))
    again = samples(own)
    assert [row[5:] for row in again] == [row[5:] for row in runs[0]]
    assert not {row[1] for row in again} & {row[1] for row in runs[0]}


@pytest.mark.parametrize("dataset", [Random(), Stream()], ids=["map", "stream"])
def test_the_numbers_of_the_program_go_on_as_if_one_had_been_drawn(dataset):
    def start():
        seed_others(0)
        dtorch.manual_seed(0)
        draw()  # leaves halves of pairs behind

    start()
    draw_seeds(dtorch.Generator())
    expected = draw()
    batches = loader(dataset)
    start()
    list(batches)
    assert draw() == expected


def test_a_program_may_have_another_engine_for_numpy():
    before = np.random.get_bit_generator()
    try:
        engine = np.random.PCG64(1)
        np.random.set_bit_generator(engine)
        for workers in (0, 1):
            assert len(list(DataLoader(Random(), num_workers=workers))) == 12
            assert np.random.get_bit_generator() is engine
    finally:
        np.random.set_bit_generator(before)


def test_a_dataset_may_seed_for_itself():
    class Seeding(Random):
        def __getitem__(self, index):
            seed_others(int(index))
            return index, random.random(), np.random.rand()  # noqa: NPY002

    for workers in (0, 1):
        drawn = samples(DataLoader(Seeding(), 4, num_workers=workers))
        seed_others(5)
        assert drawn[5][1:] == (random.random(), np.random.rand())  # noqa: NPY002


def test_a_loader_within_a_sample_takes_one_number_of_each():
    class Nested(Random):
        def __getitem__(self, index):
            before = draw()
            list(DataLoader(Random()))
            return index, *before, *draw()

    class Plain(Random):
        def __getitem__(self, index):
            before = draw()
            draw_seeds(default_generator)
            return index, *before, *draw()

    assert samples(loader(Nested())) == samples(loader(Plain()))


def test_places_outside_of_the_dataset_have_streams_of_their_own():
    streams = Streams(3)
    assert streams.of([0, 2, -1]) == [0, 2, 2 + (1 << 56)]
    named = streams.of(["a", 3, [0]])
    assert len({*named, *Streams(0).of([0])}) == 3
    assert streams.of(1) == 1


def test_generators_are_seeded_apart():
    with generators_kept():
        seed_sample(Seeds(0, 0, 0), 0)
        numbers = [random.random(), np.random.rand(), dtorch.rand(1).item()]  # noqa: NPY002
    assert len({round(number, 6) for number in numbers}) == 3


@pytest.mark.parametrize("given", [False, True], ids=["default generator", "own generator"])
def test_choosing_the_number_of_workers_changes_neither_order_nor_numbers(given):
    def batches(workers):
        seed_others(3)
        generator = dtorch.manual_seed(3) if not given else dtorch.Generator().manual_seed(3)
        options = {"generator": generator} if given else {}
        numbers = DataLoader(Random(), 4, shuffle=True, num_workers=workers, **options)
        return [[part.tolist() for part in batch] for batch in numbers]

    assert batches("auto") == batches(0)
