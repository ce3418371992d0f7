from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtorch.core.creation import from_numpy
from dtorch.vision.transforms import functional

pytest.importorskip("PIL")

EXPECTED = Path(__file__).parents[2] / "data" / "vision" / "transforms.npz"


@pytest.fixture(scope="session")
def expected() -> dict[str, np.ndarray]:
    """What the reference makes of ``image``; see make_transform_outputs.py beside the file."""
    with np.load(EXPECTED) as content:
        return dict(content)


@pytest.fixture
def image(expected: dict[str, np.ndarray]) -> Any:
    """A tensor, uint8 ``(3, 16, 22)``."""
    return from_numpy(expected["image"].copy())


@pytest.fixture
def picture(image: Any) -> Any:
    """The same as Pillow's."""
    return functional.to_pil_image(image)
