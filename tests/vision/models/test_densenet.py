from __future__ import annotations

import re

from dtorch.core.creation import zeros
from dtorch.vision.models.densenet import DenseNet


def small(**options: float) -> DenseNet:
    return DenseNet(
        growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=3, **options
    )  # type: ignore[arg-type]


def test_keys_of_files_of_2017_are_understood() -> None:
    state = small().state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
        for key, value in state.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    model = small()
    assert model.load_state_dict(old).missing_keys == []
    weight = "features.denseblock2.denselayer2.conv2.weight"
    assert model.state_dict()[weight].tolist() == state[weight].tolist()


def test_old_keys_are_understood_below_a_prefix() -> None:
    from dtorch.nn.container import Sequential  # noqa: PLC0415

    state = small().state_dict()
    old = {
        "0." + re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
        for key, value in state.items()
    }
    assert Sequential(small()).load_state_dict(old).unexpected_keys == []


def test_dropout_works_in_training() -> None:
    assert tuple(small(drop_rate=0.5).train()(zeros(2, 3, 32, 32)).shape) == (2, 3)
