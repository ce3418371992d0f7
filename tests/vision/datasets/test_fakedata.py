from __future__ import annotations

import numpy as np
import pytest

from dtorch.core.generator import get_rng_state
from dtorch.vision.datasets import FakeData


def test_the_same_index_gives_the_same_sample() -> None:
    before = get_rng_state().tolist()
    dataset = FakeData(size=4, image_size=(3, 5, 7), num_classes=3)
    image, label = dataset[1]
    assert (image.mode, image.size) == ("RGB", (7, 5))
    assert 0 <= label < 3
    assert np.array_equal(np.asarray(image), np.asarray(dataset[-3][0]))
    assert not np.array_equal(np.asarray(image), np.asarray(dataset[2][0]))
    assert get_rng_state().tolist() == before


def test_an_offset_gives_other_samples() -> None:
    first, moved = FakeData(4, (1, 5, 7)), FakeData(4, (1, 5, 7), random_offset=1)
    assert np.array_equal(np.asarray(first[1][0]), np.asarray(moved[0][0]))
    assert first[0][0].mode == "L"


def test_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="out of range for 4 images"):
        FakeData(size=4)[4]
    assert len(list(FakeData(3, (1, 2, 2)))) == 3
