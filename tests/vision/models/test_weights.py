"""Weights from files, addresses and the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dtorch.core.creation import zeros
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import manual_seed
from dtorch.model_zoo import DownloadError, cache
from dtorch.serialization.saving import save
from dtorch.vision import models
from dtorch.vision.models import squeezenet
from dtorch.vision.models.presets import ModelWeights, Preset


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache directory, and no network."""
    monkeypatch.setattr(cache, "_chosen", [])
    monkeypatch.setenv("TORCH_MODEL_ZOO", str(tmp_path))
    monkeypatch.setenv("DTORCH_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def state() -> Any:
    manual_seed(1)
    return models.squeezenet1_1().state_dict()


def same(first: Any, second: Any) -> bool:
    return all(first[key].tolist() == second[key].tolist() for key in ("features.0.weight",))


@pytest.mark.parametrize(
    "arguments",
    [
        {"pretrained": True},
        {"weights": "DEFAULT"},
        {"weights": "IMAGENET1K_V1"},
        {"weights": "SqueezeNet1_1_Weights.DEFAULT"},
        {"weights": models.SqueezeNet1_1_Weights.DEFAULT},  # type: ignore[attr-defined]
    ],
)
def test_published_weights_come_from_the_cache(
    cached: Path, state: Any, arguments: dict[str, Any]
) -> None:
    save(state, cached / "squeezenet1_1-f364aa15.pth")
    manual_seed(2)
    assert same(models.squeezenet1_1(**arguments).state_dict(), state)


def test_a_file_an_address_or_a_state_will_do(cached: Path, state: Any, tmp_path: Path) -> None:
    save(state, tmp_path / "mine.pth")
    for weights in (str(tmp_path / "mine.pth"), (tmp_path / "mine.pth").as_uri(), state):
        assert same(models.squeezenet1_1(weights=weights, progress=False).state_dict(), state)


def test_without_network_the_error_says_where_to_put_the_file(cached: Path) -> None:
    expected = rf"{squeezenet.model_urls['squeezenet1_1']}.*put the file at {cached}/squeezenet1_1"
    with pytest.raises(DownloadError, match=expected):
        models.squeezenet1_1(pretrained=True)


def test_a_model_without_published_weights_says_so() -> None:
    with pytest.raises(ArgumentError, match="mnasnet1_3: no weights are published"):
        models.mnasnet1_3(pretrained=True)


def test_other_weights_are_refused() -> None:
    with pytest.raises(ArgumentError, match="weights is 'IMAGENET1K_V9', expected 'DEFAULT'"):
        models.squeezenet1_1(weights="IMAGENET1K_V9")


def test_weights_of_another_number_of_classes_do_not_fit(state: Any) -> None:
    with pytest.raises(RuntimeError, match=r"classifier\.1\.weight"):
        models.squeezenet1_1(weights=state, num_classes=10)


def test_enumerations_carry_address_and_transform() -> None:
    weights: Any = models.Inception_V3_Weights
    assert weights.DEFAULT is weights.IMAGENET1K_V1
    assert weights.DEFAULT.url.endswith("inception_v3_google-1a9a5a14.pth")
    assert weights.DEFAULT.transforms() == Preset(crop_size=299, resize_size=342)
    assert weights.verify("Inception_V3_Weights.DEFAULT") is weights.DEFAULT
    assert weights.verify(None) is None
    with pytest.raises(ArgumentError, match="expected one of IMAGENET1K_V1"):
        weights.verify("V9")
    assert issubclass(weights, ModelWeights)


def test_the_transform_prepares_an_image_for_the_network() -> None:
    pytest.importorskip("PIL")
    from PIL import Image  # noqa: PLC0415

    prepared = Preset()(Image.new("RGB", (400, 300), (124, 116, 104)))
    assert tuple(prepared.shape) == (3, 224, 224)
    assert float(prepared.abs().max()) < 0.01


def test_names_in_addresses_promise_a_hash() -> None:
    tables = [
        getattr(models, family).model_urls
        for family in ("resnet", "vgg", "squeezenet", "densenet", "inception")
    ]
    for url in (url for table in tables for url in table.values()):
        assert cache.hash_in_name(url.rpartition("/")[2]) is not None


def test_the_hash_of_pretrained_weights_is_checked(
    cached: Path, state: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source" / "squeezenet1_1-00000000.pth"
    source.parent.mkdir()
    save(state, source)
    monkeypatch.setitem(squeezenet.model_urls, "squeezenet1_1", source.as_uri())
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    with pytest.raises(RuntimeError, match=rf"{found}, expected 00000000"):
        models.squeezenet1_1(pretrained=True, progress=False)


def test_files_from_before_batches_were_counted_load() -> None:
    state = models.resnet18(num_classes=2).state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert same_bn(models.resnet18(weights=old, num_classes=2).state_dict(), state)


def same_bn(first: Any, second: Any) -> bool:
    return bool((first["layer1.0.bn1.weight"] == second["layer1.0.bn1.weight"]).all())


def test_scaled_stems_of_mnasnet_load() -> None:
    model = models.mnasnet0_5(num_classes=2)
    state = model.state_dict()
    for i, layer in enumerate(model._stem(16, 8)):
        for key, value in layer.state_dict().items():
            state[f"layers.{i}.{key}"] = value
    loaded = models.mnasnet0_5(weights=state, num_classes=2)
    assert tuple(loaded.layers[0].weight.shape) == (16, 3, 3, 3)
    assert tuple(loaded.eval()(zeros(1, 3, 64, 64)).shape) == (1, 2)
