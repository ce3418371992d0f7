"""Networks in training: what they give, that gradients arrive, and fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dtorch.autograd.variable import Variable
from dtorch.core import backend
from dtorch.core.creation import tensor, zeros
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import manual_seed
from dtorch.core.random import randn
from dtorch.nn.functional import cross_entropy
from dtorch.nn.init import without_drawing, zeros_
from dtorch.nn.linear import Linear
from dtorch.optim.sgd import SGD
from dtorch.serialization.saving import save
from dtorch.vision import models
from dtorch.vision.models.mobilenet import MobileNetV2
from dtorch.vision.models.resnet import BasicBlock, Bottleneck, ResNet
from dtorch.vision.models.shufflenetv2 import channel_shuffle
from dtorch.vision.models.vgg import VGG, make_layers


@pytest.mark.parametrize(
    "name",
    ["resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v2", "mnasnet0_5"],
)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = getattr(models, name)(num_classes=4)
    cross_entropy(model(randn(2, 3, 64, 64)), tensor([1, 3])).backward()
    missing = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == []


def test_googlenet_gives_three_outputs_in_training() -> None:
    model = models.googlenet(num_classes=4, init_weights=False)
    outputs = model(randn(2, 3, 64, 64))
    assert outputs._fields == ("logits", "aux_logits2", "aux_logits1")
    assert [tuple(output.shape) for output in outputs] == [(2, 4)] * 3
    plain = models.googlenet(num_classes=4, aux_logits=False, init_weights=False)
    assert tuple(plain(randn(2, 3, 64, 64)).shape) == (2, 4)


def test_inception_gives_two_outputs_in_training() -> None:
    model = models.inception_v3(num_classes=4, init_weights=False)
    outputs = model(randn(2, 3, 299, 299))
    assert outputs._fields == ("logits", "aux_logits")
    assert [tuple(output.shape) for output in outputs] == [(2, 4)] * 2


def test_transformed_input_is_that_of_each_channel() -> None:
    from dtorch.vision.models.conv_norm import imagenet_to_symmetric  # noqa: PLC0415

    pixels = tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1)
    mean, std = tensor([0.485, 0.456, 0.406]), tensor([0.229, 0.224, 0.225])
    normalised = (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    found = imagenet_to_symmetric(normalised)
    assert found.flatten().tolist() == pytest.approx([-0.8, 0.0, 0.8], abs=1e-6)


def test_pretrained_googlenet_drops_what_was_not_trained() -> None:
    state = models.googlenet(num_classes=4, init_weights=False).state_dict()
    model = models.googlenet(weights=state, num_classes=4)
    assert model.aux1 is None
    assert model.transform_input
    with pytest.warns(UserWarning, match="were not trained"):
        kept = models.googlenet(weights=state, num_classes=4, aux_logits=True)
    assert kept.aux1 is not None


def test_residuals_can_start_as_the_identity() -> None:
    model = ResNet(BasicBlock, (1, 1, 1, 1), zero_init_residual=True)
    assert float(model.layer1[0].bn2.weight.abs().max()) == 0
    other = ResNet(Bottleneck, (1, 1, 1, 1), zero_init_residual=True)
    assert float(other.layer1[0].bn3.weight.abs().max()) == 0


def test_strides_can_be_replaced_by_dilation() -> None:
    model = ResNet(Bottleneck, (1, 1, 1, 1), replace_stride_with_dilation=(False, True, True))
    found = model.layer4(model.layer3(model.layer2(zeros(1, 256, 16, 16))))
    assert tuple(found.shape) == (1, 2048, 8, 8)


def test_basic_blocks_have_no_groups() -> None:
    with pytest.raises(ArgumentError, match="use Bottleneck"):
        BasicBlock(8, 8, groups=2)


def test_vgg_of_own_layers() -> None:
    with without_drawing():
        model = VGG(make_layers([8, "M", 512], batch_norm=True), num_classes=2)
    for parameter in model.parameters():
        zeros_(parameter)
    assert tuple(model.eval()(zeros(1, 3, 16, 16)).shape) == (1, 2)


def test_mobilenet_of_own_width() -> None:
    model = MobileNetV2(width_mult=0.35, num_classes=2)
    assert model.last_channel == 1280
    assert tuple(model.eval()(zeros(1, 3, 32, 32)).shape) == (1, 2)


def test_shuffled_channels_interleave() -> None:
    assert channel_shuffle(tensor([0, 1, 2, 3]).view(1, 4, 1, 1), 2).flatten().tolist() == [
        0, 2, 1, 3,
    ]  # fmt: skip


@pytest.fixture
def resnet18_from_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("TORCH_MODEL_ZOO", str(tmp_path))
    monkeypatch.setenv("DTORCH_OFFLINE", "1")
    save(models.resnet18().state_dict(), tmp_path / "resnet18-5c106cde.pth")
    manual_seed(3)
    return models.resnet18(pretrained=True)


def test_fine_tuning_trains_the_classifier_only(resnet18_from_cache: Any) -> None:
    model = resnet18_from_cache
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = Linear(512, 10)
    optimizer = SGD(model.fc.parameters(), lr=1e-2, momentum=0.9)
    images, targets = Variable(randn(4, 3, 64, 64)), Variable(tensor([1, 2, 3, 4]))
    frozen = model.conv1.weight.clone()
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    classifier = {id(parameter) for parameter in model.fc.parameters()}
    for parameter in model.parameters():
        # No memory for gradients of what is not trained.
        assert (parameter.grad is not None) == (id(parameter) in classifier)
    assert bool((model.conv1.weight == frozen).all())


def test_the_graph_of_fine_tuning_reaches_the_classifier_only(resnet18_from_cache: Any) -> None:
    model = resnet18_from_cache
    for parameter in model.parameters():
        parameter.requires_grad = False
    features: list[Any] = []
    model.avgpool.register_forward_hook(lambda module, input, output: features.append(output))
    model.fc = Linear(512, 10)
    output = model(randn(2, 3, 64, 64))
    assert output.requires_grad
    assert not features[0].requires_grad
    assert features[0].grad_fn is None


def test_fine_tuning_takes_no_memory_for_what_is_frozen(resnet18_from_cache: Any) -> None:
    if backend.native is None:
        pytest.skip("the allocator that counts is in the native module")
    model = resnet18_from_cache
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = Linear(512, 10)
    optimizer = SGD(model.fc.parameters(), lr=1e-2, momentum=0.9)
    images, targets = Variable(randn(2, 3, 64, 64)), Variable(tensor([1, 2]))
    model.eval()(images)  # layouts that inference prepares once
    weights = sum(parameter.nbytes for parameter in model.parameters())
    before = backend.native.allocator_stats()["bytes_in_use"]
    loss = cross_entropy(model(images), targets)
    during = backend.native.allocator_stats()["bytes_in_use"]
    loss.backward()
    optimizer.step()
    after = backend.native.allocator_stats()["bytes_in_use"]
    assert weights > 40_000_000
    assert during - before < 200_000  # the graph of the classifier, no features of the layers below
    assert after - before < 500_000  # gradients and momentum of the classifier


def test_volatile_inference_keeps_no_graph(resnet18_from_cache: Any) -> None:
    model = resnet18_from_cache.eval()
    images = Variable(randn(1, 3, 64, 64), volatile=True)
    output = model(images)
    assert output.grad_fn is None
    assert not output.requires_grad
    assert output.volatile
