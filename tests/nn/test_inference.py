import copy

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.nn import inference


def prepared(*layers: nn.Module) -> nn.Sequential:
    """The layers in evaluation mode, with statistics unlike those they start with."""
    model = nn.Sequential(*layers)
    dtorch.manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.uniform_(0.5, 2) if "var" in name else value.normal_()
    return model.eval()


def one_by_one(layers, input):
    for layer in layers:
        input = layer(input)
    return input


@pytest.fixture
def fused(monkeypatch):
    """The calls of chains computed at once, as they are made."""
    calls: list[str] = []
    for name in ("fused_conv", "fused_norm"):
        function = getattr(inference, name)

        def recorded(*args, name=name, function=function):
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(inference, name, recorded)
    return calls


CHAINS = {
    "conv norm relu": ([nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()], 1),
    "conv norm": ([nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)], 1),
    "conv relu": ([nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(inplace=True)], 1),
    "norm relu": ([nn.BatchNorm2d(3, affine=False), nn.ReLU(inplace=True)], 1),
    "depthwise": ([nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6), nn.ReLU6()], 1),
    "hardtanh": ([nn.Conv2d(3, 4, 3, dilation=2), nn.Hardtanh(-0.5, 0.25)], 1),
    "two": (
        [nn.Conv2d(3, 20, 3), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(2),
         nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 4, 1), nn.Sigmoid()], 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_chains_give_what_their_layers_give(name, fused):
    layers, count = CHAINS[name]
    model = prepared(*copy.deepcopy(layers))
    x = dtorch.randn(2, 3, 13, 11)
    before = x.clone()
    with dtorch.no_grad():
        got = model(x)
    assert len(fused) == count
    np.testing.assert_allclose(got.numpy(), one_by_one(model, x).detach().numpy(), atol=1e-6)
    assert dtorch.equal(x, before)
    assert not got.requires_grad


def test_signals_volumes_and_double_precision(fused):
    for dims in (1, 3):
        conv = getattr(nn, f"Conv{dims}d")(2, 3, 2)
        norm = getattr(nn, f"BatchNorm{dims}d")(3)
        model = prepared(conv, norm, nn.ReLU()).double()
        x = dtorch.randn(2, 2, *(5,) * dims, dtype=dtorch.float64)
        with dtorch.no_grad():
            got = model(x)
        np.testing.assert_allclose(got.numpy(), one_by_one(model, x).detach().numpy(), atol=1e-12)
    assert fused == ["fused_conv"] * 2


def test_relu_keeps_not_a_number():
    model = prepared(nn.Conv2d(1, 1, 1), nn.ReLU())
    with dtorch.no_grad():
        assert model(dtorch.full((1, 1, 2, 2), float("nan"))).isnan().all()


class Doubled(nn.ReLU):
    def forward(self, input):
        return super().forward(input) * 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda model: model[1].train(), id="training"),
        pytest.param(lambda model: setattr(model[1], "running_mean", None), id="no statistics"),
        pytest.param(lambda model: setattr(model, "1", nn.GroupNorm(2, 4)), id="another norm"),
    ],
)
def test_a_norm_without_stored_statistics_is_called_itself(change, fused):
    model = prepared(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    change(model)
    x = dtorch.randn(2, 3, 5, 5)
    with dtorch.no_grad():
        got = model(x)
    np.testing.assert_allclose(got.numpy(), one_by_one(model, x).detach().numpy(), atol=1e-6)
    assert not fused


def test_hooks_and_replaced_layers_are_called():
    model = prepared(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    x = dtorch.randn(2, 3, 5, 5)
    seen = []
    for layer in model:
        layer.register_forward_hook(lambda module, args, out: seen.append(type(module)))
    with dtorch.no_grad():
        expected = model(x)
    assert seen == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]

    model = prepared(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Doubled())
    with dtorch.no_grad():
        assert dtorch.allclose(model(x), 2 * expected)
        model[0].forward = lambda input: dtorch.zeros(2, 4, 1, 1)
        assert tuple(model(x).shape) == (2, 4, 1, 1)


def test_gradients_are_recorded_where_they_are_wanted(fused):
    model = prepared(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    model(dtorch.randn(2, 3, 5, 5)).sum().backward()
    assert model[0].weight.grad is not None
    assert not fused


def test_autocast_casts_as_it_does_without_chains(fused):
    model = prepared(nn.Conv2d(3, 4, 3), nn.ReLU())
    x = dtorch.randn(2, 3, 5, 5)
    with dtorch.no_grad(), dtorch.autocast("cpu"):
        assert model(x).dtype == dtorch.bfloat16
    assert not fused


@pytest.mark.parametrize("shape", [(2, 4, 5, 5), (3, 5, 5, 5, 5), (2, 3, 2, 2)])
def test_errors_are_those_of_the_layers(shape):
    model = prepared(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    x = dtorch.zeros(*shape)
    with pytest.raises(RuntimeError) as expected:
        one_by_one(model, x)
    with dtorch.no_grad(), pytest.raises(RuntimeError) as raised:
        model(x)
    assert str(raised.value) == str(expected.value)


def test_a_branch_is_added_before_the_activation(fused):
    conv, norm, relu = prepared(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(True))
    x, branch = dtorch.randn(2, 3, 6, 6), dtorch.randn(2, 4, 6, 6)
    expected = inference.with_branch(x, conv, norm, relu, branch)
    assert expected.requires_grad
    assert not fused
    with dtorch.no_grad():
        got = inference.with_branch(x, conv, norm, relu, branch)
        with pytest.raises(RuntimeError, match=r"\(2, 4, 5, 5\), expected the result's \(2, 4, 6"):
            inference.with_branch(x, conv, norm, relu, branch[..., 1:, 1:])
    assert fused == ["fused_conv"] * 2
    np.testing.assert_allclose(got.numpy(), expected.detach().numpy(), atol=1e-6)
