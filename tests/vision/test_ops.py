"""Parts of networks for images."""

from __future__ import annotations

import dtorch
from dtorch.vision import ops


def test_frozen_statistics_normalize_and_are_not_trained() -> None:
    layer = ops.FrozenBatchNorm2d(3)
    free = dtorch.nn.BatchNorm2d(3)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(layer, name).uniform_(0.5, 2)
    free.load_state_dict(layer.state_dict(), strict=False)
    x = dtorch.rand(2, 3, 4, 4)
    assert layer(x).allclose(free.eval()(x), atol=1e-6)
    assert list(layer.parameters()) == []
    assert repr(layer) == "FrozenBatchNorm2d(3, eps=1e-05)"
