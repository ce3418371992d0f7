"""Clipping, vectors, norms of weights, parametrizations, pruning, fusing."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.nn import utils
from dtorch.nn.utils import parametrizations, parametrize, prune


def with_gradients(*values: list[float]) -> list[nn.Parameter]:
    parameters = [nn.Parameter(dtorch.zeros(len(v))) for v in values]
    for p, v in zip(parameters, values, strict=True):
        p.grad = dtorch.tensor(v)
    return parameters


def test_clip_grad_norm_scales_all_gradients_together() -> None:
    parameters = with_gradients([3.0], [4.0, 0.0])
    assert utils.clip_grad_norm_(parameters, 1.0).item() == pytest.approx(5.0)
    assert parameters[0].grad.tolist() == pytest.approx([0.6], rel=1e-5)
    assert parameters[1].grad.tolist() == pytest.approx([0.8, 0.0], rel=1e-5)
    assert utils.clip_grad_norm_(parameters, 10.0, math.inf).item() == pytest.approx(0.8, rel=1e-5)
    assert parameters[0].grad.tolist() == pytest.approx([0.6], rel=1e-5)


def test_clip_grad_norm_complains_about_nan_if_asked() -> None:
    parameters = with_gradients([math.nan])
    with pytest.raises(RuntimeError, match="nan"):
        utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("norm_type", [2, 1, 3, 0.5, 0, math.inf, -math.inf])
def test_clipping_of_special_gradients_is_quiet_and_says_what_pytorch_says(
    norm_type: float,
) -> None:
    for values in ([math.inf, 1.0], [1.0, math.nan], [-math.inf, math.nan], [3e38, 3e38]):
        for dtype in (dtorch.float32, dtorch.bfloat16, dtorch.float16, dtorch.complex64):
            p, q = (nn.Parameter(dtorch.zeros(n, dtype=dtype)) for n in (2, 1))
            p.grad, q.grad = dtorch.tensor(values).to(dtype), dtorch.ones(1).to(dtype)
            norm = utils.clip_grad_norm_([p, q], 1.0, norm_type)
            if norm_type in (1, 2, 3, math.inf) and not math.isfinite(sum(values)):
                assert not math.isfinite(norm.item())
            utils.clip_grads_with_norm_([p], 1.0, dtorch.tensor(0.0))
    parameters = with_gradients([1.0, math.nan], [math.inf])
    assert math.isnan(utils.clip_grad_norm_(parameters, 1.0, math.inf).item())
    parameters = with_gradients([1.0], [math.inf])
    utils.clip_grad_norm_(parameters, 1.0)
    assert parameters[0].grad.tolist() == [0.0]
    assert math.isnan(parameters[1].grad.item())


def test_the_norm_of_finite_gradients_is_finite_and_real() -> None:
    assert utils.get_total_norm([dtorch.tensor([1e30, 1e30])]).item() == pytest.approx(
        2**0.5 * 1e30
    )
    halves = dtorch.full((100_000,), 0.1, dtype=dtorch.float16)
    assert utils.get_total_norm([halves]).item() == pytest.approx(31.6, rel=1e-3)
    norm = utils.get_total_norm([dtorch.tensor([3 + 4j]), dtorch.tensor([12.0])])
    assert (norm.dtype, norm.item()) == (dtorch.float32, 13.0)
    mixed = [halves[:1], dtorch.ones(1, dtype=dtorch.bfloat16)]
    assert utils.get_total_norm(mixed).dtype is dtorch.float32


def test_gradients_of_half_precision_are_scaled_once() -> None:
    for dtype in (dtorch.bfloat16, dtorch.float16):
        p = nn.Parameter(dtorch.zeros(3, dtype=dtype))
        p.grad = dtorch.tensor([7.0, 0.1, 3.0], dtype=dtype)
        exact = p.grad.float()
        utils.clip_grads_with_norm_([p], 0.99, dtorch.tensor(1.0))
        assert p.grad.equal((exact * (0.99 / (1 + 1e-6))).to(dtype))


def test_sparse_gradients_are_clipped_as_the_dense_ones_they_stand_for() -> None:
    table, dense = nn.Embedding(4, 2, sparse=True), nn.Embedding(4, 2)
    for layer in (table, dense):
        (layer(dtorch.tensor([1, 1, 2])) * dtorch.tensor([3.0, -4.0])).sum().backward()
    for norm_type in (2, 1, math.inf):
        norms = [utils.clip_grad_norm_(m.parameters(), 1.0, norm_type) for m in (table, dense)]
        assert norms[0].item() == pytest.approx(norms[1].item())
        assert table.weight.grad.is_sparse
        assert dtorch.allclose(table.weight.grad.to_dense(), dense.weight.grad)


def test_clip_grad_value_cuts_off() -> None:
    parameters = with_gradients([3.0, -0.5])
    utils.clip_grad_value_(parameters, 1.0)
    assert parameters[0].grad.tolist() == [1.0, -0.5]


def test_parameters_become_a_vector_and_back() -> None:
    net = nn.Linear(2, 3)
    vector = utils.parameters_to_vector(net.parameters())
    assert tuple(vector.shape) == (9,)
    utils.vector_to_parameters(dtorch.arange(9).float(), net.parameters())
    assert net.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    with pytest.raises(ValueError, match=r"\(9,\)"):
        utils.vector_to_parameters(dtorch.zeros(8), net.parameters())


def test_classic_norms_can_be_removed() -> None:
    x = dtorch.randn(2, 3)
    net = nn.Linear(3, 4)
    expected = net(x)
    utils.weight_norm(net)
    np.testing.assert_allclose(net(x).detach().numpy(), expected.detach().numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="already"):
        utils.weight_norm(net)
    net(x).sum().backward()
    assert net.weight_g.grad is not None
    utils.remove_weight_norm(net)
    assert sorted(net.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(net(x).detach().numpy(), expected.detach().numpy(), atol=1e-6)
    utils.spectral_norm(net)
    net(x)
    net.eval()
    net(x)
    values = np.linalg.svd(net.weight.detach().numpy(), compute_uv=False)
    assert values[0] == pytest.approx(1, rel=1e-2)
    utils.remove_spectral_norm(net)
    assert sorted(net.state_dict()) == ["bias", "weight"]


class Symmetric(nn.Module):
    def forward(self, x: dtorch.Tensor) -> dtorch.Tensor:
        return x.triu() + x.triu(1).transpose(-1, -2)


class Doubled(nn.Module):
    def forward(self, x: dtorch.Tensor) -> dtorch.Tensor:
        return x * 2

    def right_inverse(self, x: dtorch.Tensor) -> dtorch.Tensor:
        return x / 2


def test_parametrized_tensor_is_computed_and_trained_through() -> None:
    net = nn.Linear(3, 3)
    parametrize.register_parametrization(net, "weight", Symmetric())
    assert type(net).__name__ == "ParametrizedLinear"
    assert (net.weight == net.weight.t()).all()
    net(dtorch.ones(1, 3)).sum().backward()
    assert net.parametrizations.weight.original.grad is not None
    assert [name for name, _ in net.named_parameters()] == [
        "bias", "parametrizations.weight.original",
    ]  # fmt: skip
    with parametrize.cached():
        assert net.weight is net.weight
    twin = copy.deepcopy(net)
    assert (twin.weight == net.weight).all()
    value = net.weight.detach().clone()
    parametrize.remove_parametrizations(net, "weight")
    assert type(net) is nn.Linear
    assert (net.weight == value).all()
    assert not parametrize.is_parametrized(net)


def test_parametrized_tensor_can_be_set() -> None:
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    parametrize.register_parametrization(net, "weight", Doubled())
    assert (net.weight == before).all()
    net.weight = dtorch.full((2, 2), 6.0)
    assert net.parametrizations.weight.original.tolist() == [[3.0, 3.0]] * 2
    parametrize.remove_parametrizations(net, "weight", leave_parametrized=False)
    assert net.weight.tolist() == [[3.0, 3.0]] * 2


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (2, 4)])
def test_orthogonal_weights_stay_orthogonal(kind: str, shape: tuple[int, int]) -> None:
    net = nn.Linear(shape[1], shape[0], bias=False).double()
    parametrizations.orthogonal(net, orthogonal_map=kind)
    optimizer = dtorch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (net(dtorch.randn(4, shape[1], dtype=dtorch.float64)) ** 2).sum().backward()
        optimizer.step()
    w = net.weight.detach().numpy()
    small = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-9)


def test_pruning_masks_and_can_be_made_permanent() -> None:
    net = nn.Linear(4, 2)
    net.weight.data[...] = dtorch.arange(8).float().reshape(2, 4)
    prune.l1_unstructured(net, "weight", 3)
    assert net.weight.tolist() == [[0.0, 0.0, 0.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    assert sorted(net.state_dict()) == ["bias", "weight_mask", "weight_orig"]
    prune.ln_structured(net, "weight", 1, 2, dim=0)
    net(dtorch.ones(1, 4))
    assert net.weight.tolist()[0] == [0.0] * 4
    assert prune.is_pruned(net)
    prune.remove(net, "weight")
    assert sorted(net.state_dict()) == ["bias", "weight"]
    other = nn.Linear(4, 2)
    prune.global_unstructured(
        [(net, "weight"), (other, "weight")], prune.l1_unstructured, amount=0.5
    )
    left = sum(float((m.weight_mask != 0).sum()) for m in (net, other))
    assert left == 8


def test_least_scores_are_pruned_first() -> None:
    layer = nn.Linear(2, 1)
    scores = {(layer, "weight"): dtorch.tensor([[2.0, 1.0]])}
    prune.global_unstructured(list(scores), prune.l1_unstructured, scores, amount=1)
    assert layer.weight_mask.tolist() == [[1.0, 0.0]]


def test_fused_batch_norm_computes_the_same() -> None:
    conv, norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
    norm(conv(dtorch.randn(4, 2, 5, 5)))
    with pytest.raises(ValueError, match="eval"):
        utils.fuse_conv_bn_eval(conv, norm)
    conv.eval()
    norm.eval()
    x = dtorch.randn(1, 2, 5, 5)
    fused = utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(conv(x)).detach().numpy(), atol=1e-5)


def test_skip_init_leaves_parameters_undrawn() -> None:
    net = utils.skip_init(nn.Linear, 2, 3)
    assert tuple(net.weight.shape) == (3, 2)
    with pytest.raises(TypeError, match="Module class"):
        utils.skip_init(dict)  # type: ignore[arg-type]


def test_state_dicts_have_the_version_of_the_spectral_norm_and_older_ones_are_completed() -> None:
    layer = utils.spectral_norm(nn.Linear(3, 2))
    layer(dtorch.ones(1, 3))
    layer.eval()
    expected, state = layer(dtorch.ones(1, 3)), layer.state_dict()
    assert state._metadata[""]["spectral_norm"] == {"weight.version": 1}
    old = OrderedDict(state)  # of before 1.0: no metadata, the weight itself, one vector
    del old["weight_v"]
    old["weight"] = layer.weight.detach().clone()
    again = utils.spectral_norm(nn.Linear(3, 2)).eval()
    again.load_state_dict(old)
    assert dtorch.allclose(again(dtorch.ones(1, 3)), expected, atol=1e-6)
    utils.remove_spectral_norm(layer)
    assert "spectral_norm" not in layer.state_dict()._metadata[""]
