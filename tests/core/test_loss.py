import numpy as np
import pytest

import dtorch
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so

IGNORED = -100


def case(dtype, weighted, seed=0):
    random = np.random.default_rng(seed)
    logits = (random.standard_normal((7, 5)) * 3).astype(dtype)
    target = random.integers(0, 5, 7)
    target[2] = IGNORED
    weight = random.uniform(0.5, 2, 5).astype(dtype) if weighted else None
    return logits, target, weight


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_gradient_equals_that_of_the_composition(dtype, weighted, reduction):
    logits, target, weight = case(dtype, weighted)
    labels = dtorch.tensor(target)
    weights = None if weight is None else dtorch.tensor(weight)
    results = []
    for composed in (False, True):
        x = dtorch.tensor(logits, requires_grad=True)
        if composed:
            loss = F.nll_loss(
                F.log_softmax(x, 1), labels, weights, ignore_index=IGNORED, reduction=reduction
            )
        else:
            loss = F.cross_entropy(x, labels, weights, ignore_index=IGNORED, reduction=reduction)
        seed = dtorch.arange(loss.numel()).reshape(loss.shape).to(loss.dtype) + 1
        (loss * seed).sum().backward()
        results.append((loss.detach().numpy(), x.grad.numpy()))
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_has_a_second_gradient(weighted):
    logits, target, weight = case(np.float64, weighted)
    weights = None if weight is None else dtorch.tensor(weight)
    x = dtorch.tensor(logits, requires_grad=True)
    assert dtorch.autograd.gradgradcheck(
        lambda x: F.cross_entropy(x, dtorch.tensor(target), weights, reduction="none"), (x,)
    )


@pytest.mark.parametrize("wrong", [5, -1, 2**40])
def test_cross_entropy_names_a_label_out_of_range(wrong):
    with pytest.raises(IndexError, match=rf"target {wrong} is out of range for 5 classes"):
        F.cross_entropy(dtorch.zeros(3, 5), dtorch.tensor([0, wrong, 1]))


def test_cross_entropy_of_labels_that_are_all_ignored_is_nan_as_a_mean_and_0_as_a_sum():
    x = dtorch.zeros(3, 5, requires_grad=True)
    target = dtorch.tensor([IGNORED] * 3)
    assert F.cross_entropy(x, target).isnan().item()
    loss = F.cross_entropy(x, target, reduction="sum")
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_cross_entropy_of_columns_that_are_not_contiguous_equals_that_of_a_copy():
    x = dtorch.randn(5, 7).t()
    target = dtorch.randint(0, 5, (14,))[::2]
    a = F.cross_entropy(x, target)
    b = F.cross_entropy(x.contiguous(), target.contiguous())
    assert a.item() == b.item()


@pytest.mark.parametrize("scores", [(2, 3), (2, 3, 2)])
def test_smoothed_labels_that_are_ignored_have_no_part_however_large_the_scores(scores):
    x = dtorch.zeros(scores)
    x[0, 1] = -float("inf")
    x = x.requires_grad_()
    target = dtorch.zeros((scores[0], *scores[2:]), dtype=dtorch.int64)
    target[0] = -100
    loss = F.cross_entropy(x, target, label_smoothing=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(3), rel=1e-6)
    assert (x.grad[0] == 0).all()
    assert not x.grad.isnan().any()


def test_where_all_smoothed_labels_are_ignored_no_gradient_flows():
    x = dtorch.zeros(1, 3, 2, requires_grad=True)
    loss = F.cross_entropy(x, dtorch.full((1, 2), -100), label_smoothing=0.1)
    loss.backward()
    assert loss.isnan()
    assert (x.grad == 0).all()


def test_margin_losses_take_one_row_of_scores() -> None:
    scores, classes = dtorch.tensor([0.5, 0.25, 1.0]), dtorch.tensor([2])
    for reduction, shape in (("mean", ()), ("none", (1,))):
        loss = F.multi_margin_loss(scores, classes, reduction=reduction)
        assert tuple(loss.shape) == shape
        assert loss.item() == pytest.approx((0.5 + 0.25) / 3)
    assert F.multilabel_margin_loss(scores[0], dtorch.tensor(0)).item() == 0
    with pytest.raises(RuntimeError, match="one of each class"):
        F.multi_margin_loss(scores, classes, weight=dtorch.ones(2))
