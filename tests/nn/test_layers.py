"""What is particular to layers and functions: errors, warnings, training and evaluation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups is 2"),
        (lambda: nn.Conv2d(3, 4, 3)(dtorch.zeros(1, 2, 8, 8)), r"2 channels, expected 3"),
        (lambda: nn.Conv2d(3, 4, 9)(dtorch.zeros(1, 3, 8, 8)), "does not fit"),
        (lambda: nn.Conv2d(3, 4, 3)(dtorch.zeros(8, 8)), r"\(8, 8\)"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="odd"), "padding_mode"),
        (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), "stride of 1"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1)(dtorch.zeros(1, 3, 2, 2)), "less"),
        (
            lambda: nn.ConvTranspose2d(3, 4, 3, 2)(dtorch.zeros(1, 3, 2, 2), output_size=(9, 9)),
            r"\(5, 5\) to \(6, 6\)",
        ),
        (lambda: nn.MaxPool2d(2, padding=2)(dtorch.zeros(1, 1, 4, 4)), "half"),
        (lambda: F.max_pool2d(dtorch.zeros(4, 4), 2), r"\(4, 4\).*unsqueeze"),
        (lambda: nn.BatchNorm2d(3)(dtorch.zeros(2, 3)), r"\(2, 3\)"),
        (lambda: nn.BatchNorm1d(3)(dtorch.zeros(1, 3)), "one value per channel"),
        (lambda: nn.BatchNorm1d(4)(dtorch.zeros(2, 3)), r"expected \(3,\)"),
        (lambda: nn.LayerNorm(4)(dtorch.zeros(2, 3)), r"\(4,\)"),
        (lambda: nn.GroupNorm(2, 3), "divisor"),
        (lambda: nn.Dropout(1.5), "p is 1.5"),
        (lambda: nn.Linear(3, 4)(dtorch.zeros(2, 2)), r"\(2, 2\)"),
        (lambda: nn.ReflectionPad1d(4)(dtorch.zeros(1, 3)), "at most 2"),
        (lambda: F.interpolate(dtorch.zeros(1, 1, 4), 2, 2.0), "exactly one"),
        (lambda: F.interpolate(dtorch.zeros(1, 1, 4), 2, mode="bilinear"), "4 dimensions"),
        (lambda: F.cross_entropy(dtorch.zeros(2, 3), dtorch.zeros(3).long()), r"\(3,\)"),
        (lambda: F.mse_loss(dtorch.zeros(2), dtorch.zeros(3)), "broadcast"),
        (lambda: nn.MSELoss(reduction="all"), "none, mean, sum"),
        (lambda: F.binary_cross_entropy(dtorch.ones(2) * 2, dtorch.ones(2)), "from 0 to 1"),
        (lambda: nn.MultiheadAttention(5, 2), "multiple of num_heads"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [3, 2]), "cutoffs"),
        (lambda: F.max_unpool2d(dtorch.zeros(1, 1, 2, 2), dtorch.zeros(1, 1, 2, 2).long(), 2,
                                output_size=(9, 9)), "one stride"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_classes_out_of_range_are_index_errors() -> None:
    with pytest.raises(IndexError, match="target 3"):
        F.nll_loss(dtorch.zeros(2, 3), dtorch.tensor([0, 3]))
    with pytest.raises(IndexError, match="row 7"):
        nn.Embedding(7, 2)(dtorch.tensor([7]))


def test_empty_batches_pass() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    assert tuple(net(dtorch.zeros(0, 1, 6, 6)).shape) == (0, 3)


def test_dropout_scales_in_training_and_rests_in_evaluation() -> None:
    layer = nn.Dropout(0.25)
    x = dtorch.ones(20000)
    out = layer(x)
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float(out.mean()) == pytest.approx(1, abs=0.02)
    assert layer.eval()(x) is x
    whole = nn.Dropout2d(0.5)(dtorch.ones(8, 8, 3, 3)).reshape(64, 9)
    assert all(len(set(row)) == 1 for row in whole.tolist())
    y = dtorch.ones(4)
    nn.Dropout(1.0, inplace=True)(y)
    assert not y.any()


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    out = nn.AlphaDropout(0.3)(dtorch.randn(200000))
    assert float(out.mean()) == pytest.approx(0, abs=0.02)
    assert float(out.var()) == pytest.approx(1, abs=0.03)


def test_batch_norm_keeps_statistics() -> None:
    norm = nn.BatchNorm1d(2, momentum=None)
    batches = [dtorch.randn(6, 2) for _ in range(3)]
    for batch in batches:
        norm(batch)
    means = np.mean([b.numpy().mean(0) for b in batches], 0)
    variances = np.mean([b.numpy().var(0, ddof=1) for b in batches], 0)
    np.testing.assert_allclose(norm.running_mean.numpy(), means, atol=1e-6)
    np.testing.assert_allclose(norm.running_var.numpy(), variances, atol=1e-6)
    assert int(norm.num_batches_tracked) == 3


def test_inplace_activations_change_their_input() -> None:
    for name in ("relu", "elu", "leaky_relu", "hardtanh", "selu", "celu", "relu6", "silu"):
        x = dtorch.tensor([-2.0, 3.0])
        expected = getattr(F, name)(x)
        out = getattr(F, name)(x, inplace=True)
        assert out is x
        assert (x == expected).all()
    x = dtorch.tensor([-2.0, 3.0])
    assert F.threshold(x, 0.0, 9.0, True) is x
    assert x.tolist() == [9.0, 3.0]
    assert F.relu_(dtorch.tensor([-1.0])).item() == 0


def test_softmax_without_dim_warns() -> None:
    with pytest.warns(UserWarning, match="dim 1"):
        F.softmax(dtorch.zeros(2, 3))
    with pytest.warns(UserWarning, match="dim 0"):
        nn.LogSoftmax()(dtorch.zeros(2, 3, 4))


def test_classic_loss_arguments_win() -> None:
    x, y = dtorch.ones(4), dtorch.zeros(4)
    with pytest.warns(UserWarning, match="sum"):
        assert nn.MSELoss(False)(x, y).item() == 4
    with pytest.warns(UserWarning, match="none"):
        assert nn.L1Loss(reduce=False)(x, y).tolist() == [1.0] * 4
    with pytest.warns(UserWarning, match="broadcast"):
        F.mse_loss(dtorch.ones(2, 2), dtorch.ones(2))


def test_embedding_options() -> None:
    layer = nn.Embedding(4, 2, padding_idx=-1, max_norm=1.0)
    assert not layer.weight[3].any()
    layer.weight.data[0] = dtorch.tensor([3.0, 4.0])
    out = layer(dtorch.tensor([0, 3]))
    assert out[0].tolist() == pytest.approx([0.6, 0.8], rel=1e-5)
    out.sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad[3].any()
    frozen = nn.Embedding.from_pretrained(dtorch.ones(3, 2))
    assert not frozen.weight.requires_grad


def test_unpooling_undoes_pooling() -> None:
    x = dtorch.randn(1, 2, 5, 4)
    out, index = nn.MaxPool2d(2, return_indices=True)(x)
    back = nn.MaxUnpool2d(2)(out, index, output_size=x.shape)
    assert back.shape == x.shape
    assert sorted(back[back != 0].tolist()) == sorted(out.reshape(-1).tolist())


def test_max_pool_prefers_nan_and_survives_minus_infinity() -> None:
    x = dtorch.tensor([[[1.0, math.nan, -math.inf, -math.inf]]])
    assert math.isnan(F.max_pool1d(x, 2)[0, 0, 0].item())
    assert F.max_pool1d(x, 2)[0, 0, 1].item() == -math.inf


def test_masks_of_attention() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = dtorch.randn(2, 3, 4)
    padding = dtorch.tensor([[False, False, True], [False, False, False]])
    out, weights = layer(x, x, x, key_padding_mask=padding)
    assert not weights[0, :, 2].any()
    np.testing.assert_allclose(weights.sum(-1).detach().numpy(), 1, rtol=1e-5)
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    _, causal = layer(x, x, x, attn_mask=mask)
    assert not causal[:, 0, 1:].any()
    _, same = layer(x, x, x, is_causal=True)
    assert (same == causal).all()
    nothing, weights = layer(x, x, x, attn_mask=mask, need_weights=False)
    assert weights is None
    assert nothing.shape == out.shape


def test_query_with_all_keys_masked_gets_zeros() -> None:
    q = dtorch.randn(2, 4, requires_grad=True)
    mask = dtorch.tensor([[True, True], [False, False]])
    out = F.scaled_dot_product_attention(q, q, q, mask)
    assert out[1].tolist() == [0.0] * 4
    out.sum().backward()
    assert q.grad is not None
    assert q.grad.isfinite().all()


def test_gumbel_softmax_is_hard_with_a_soft_gradient() -> None:
    logits = dtorch.randn(50, 4, requires_grad=True)
    out = F.gumbel_softmax(logits, hard=True)
    assert (out.sum(1) - 1).abs().max() < 1e-6
    assert (out.max(1).values - 1).abs().max() < 1e-6
    (out * dtorch.arange(4).float()).sum().backward()
    assert logits.grad is not None
    assert logits.grad.any()


def test_rrelu_draws_slopes_in_training() -> None:
    layer = nn.RReLU(0.1, 0.3)
    out = layer(-dtorch.ones(1000))
    assert -0.3 <= float(out.min()) < float(out.max()) <= -0.1
    assert layer.eval()(-dtorch.ones(1)).item() == pytest.approx(-0.2)


def test_adaptive_softmax_agrees_with_its_log_prob() -> None:
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], div_value=2.0)
    x, target = dtorch.randn(6, 8), dtorch.tensor([0, 2, 3, 6, 7, 11])
    output, loss = layer(x, target)
    full = layer.log_prob(x)
    np.testing.assert_allclose(full.exp().sum(1).detach().numpy(), 1, rtol=1e-5)
    picked = full.gather(1, target.unsqueeze(1)).squeeze(1)
    np.testing.assert_allclose(output.detach().numpy(), picked.detach().numpy(), atol=1e-5)
    assert loss.item() == pytest.approx(-float(picked.mean()), rel=1e-5)
    assert layer.predict(x).tolist() == full.argmax(1).tolist()


def test_half_precision_norms_are_computed_wide() -> None:
    x = (dtorch.randn(4, 64) * 100 + 3000).half()
    out = F.layer_norm(x, (64,))
    assert out.dtype is dtorch.float16
    wide = F.layer_norm(x.float(), (64,))
    np.testing.assert_allclose(out.float().numpy(), wide.numpy(), atol=2e-3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.AvgPool1d(3), "AvgPool1d(kernel_size=(3,), stride=(3,), padding=(0,))"),
        (
            lambda: nn.MaxUnpool2d(3, padding=1),
            "MaxUnpool2d(kernel_size=(3, 3), stride=(3, 3), padding=(1, 1))",
        ),
        (nn.ParameterList, "ParameterList()"),
        (
            nn.TripletMarginWithDistanceLoss,
            "TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)",
        ),
    ],
)
def test_printed_form(make: Any, text: str) -> None:
    assert repr(make()) == text


def test_hardtanh_refuses_limits_the_wrong_way_round():
    x = dtorch.ones(2)
    for inplace in (False, True):
        with pytest.raises(ValueError, match="hardtanh: min_val is 2, expected at most max_val 1"):
            F.hardtanh(x, 2, 1, inplace)
    assert x.tolist() == [1, 1]
    assert F.hardtanh(x, 0.5, 0.5).tolist() == [0.5, 0.5]
