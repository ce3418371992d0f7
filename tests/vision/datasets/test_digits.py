from __future__ import annotations

import numpy as np
import pytest

from dtorch.vision.datasets import Digits


def test_digits_are_at_hand() -> None:
    pytest.importorskip("sklearn")
    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1438, 359)
    image, label = train[0]
    assert (image.mode, image.size, label) == ("L", (8, 8), 0)
    assert np.asarray(image).max() == 239  # 15 of 16
    assert set(test.targets.tolist()) == set(range(10))
