"""Layers and functions given integers, and batches of nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.core.errors import DtypeError, ShapeError

sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES

NAMES = {name: getattr(nn, name) for name in nn.__all__} | {"torch": dtorch, "F": nn.functional}
EVERY_CASE = pytest.mark.parametrize(
    ("expression", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)


def made(expression: str) -> Any:
    """The layer or function of a case, in float64."""
    layer = eval(expression, NAMES)
    return layer.double() if isinstance(layer, nn.Module) else layer


def flat(value: Any) -> list[Any]:
    if isinstance(value, dtorch.Tensor):
        return [value]
    return [] if value is None else [t for part in value for t in flat(part)]


def integers(inputs: list[tuple[Any, ...]]) -> list[Any]:
    """Inputs of a case; whole numbers from 0 to 3 in place of the floating ones."""
    rng = np.random.default_rng(0)
    return [
        dtorch.from_numpy(rng.integers(0, i[2] if i[0] == "index" else 4, i[1])) for i in inputs
    ]


def integers_as_floats(inputs: list[tuple[Any, ...]]) -> list[Any]:
    scale = {"fraction": 0.25, "chance": 0.25}
    return [
        given if kind == "index" else given.double() * scale.get(kind, 1.0)
        for (kind, *_), given in zip(inputs, integers(inputs), strict=True)
    ]


@EVERY_CASE
def test_integers_are_refused_by_name_or_give_what_floats_give(
    expression: str, inputs: list[Any]
) -> None:
    if "value=0.5" in expression:
        pytest.skip("what is written between integers becomes an integer")
    layer = made(expression)
    complaint = ""
    try:
        found = flat(layer(*integers(inputs)))
    except DtypeError as error:
        complaint = str(error)
    assert not complaint.startswith(("mul:", "sub:", "matmul:", "mean:"))
    if complaint:
        return
    for one, other in zip(found, flat(layer(*integers_as_floats(inputs))), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), 1e-5)


def batch_dim(expression: str) -> int:
    """Where the samples of a batch lie: behind the steps in sequences, unless told otherwise."""
    sequences = ("RNN(", "LSTM(", "GRU(", "MultiheadAttention(", "Transformer", "ctc_loss")
    return int(any(s in expression for s in sequences) and "batch_first=True" not in expression)


def no_samples(expression: str, inputs: list[tuple[Any, ...]]) -> list[Any]:
    """Inputs of a case with a batch of 0; those of floating type require grad."""
    dim = batch_dim(expression)
    found = []
    for kind, shape, *_ in inputs:
        empty = (*shape[:dim], 0, *shape[dim + 1 :])
        dtype = dtorch.int64 if kind == "index" else dtorch.float64
        found.append(dtorch.zeros(empty, dtype=dtype, requires_grad=kind != "index"))
    return found


# There is no sample to tell a batch of 0 from, or lengths of each are given.
ONE_SAMPLE = {
    "conv2d unbatched",
    "gru unbatched",
    "ctc",
    "ctc zero infinity",
    "pdist",
    "affine grid",
}
BATCHES = [case for case in CASES if case[0] not in ONE_SAMPLE]


@pytest.mark.parametrize(
    ("expression", "inputs"), [c[1:] for c in BATCHES], ids=[c[0] for c in BATCHES]
)
def test_a_batch_of_nothing_goes_forward_and_backward(expression: str, inputs: list[Any]) -> None:
    layer = made(expression)
    given = no_samples(expression, inputs)
    whole = flat(made(expression)(*integers_as_floats(inputs)))
    found = flat(layer(*given))
    for one, other in zip(found, whole, strict=True):
        assert one.dtype is other.dtype
        assert one.ndim == other.ndim
        assert one.ndim == 0 or one.numel() == 0
        if one.ndim == 0:
            assert one == 0 if "'sum'" in expression else one.isnan()
    parts = [one.sum() for one in found if one.requires_grad]
    sum(parts[1:], parts[0]).backward()
    for tensor in given:
        assert tensor.grad is None or tensor.grad.shape == tensor.shape
    if isinstance(layer, nn.Module):
        for parameter in layer.parameters():
            assert parameter.grad is None or not parameter.grad.any()


FUNCTIONS = [
    *((f"lambda x: F.pad(x, (1, 1), '{mode}')", (0, 3, 4)) for mode in ("reflect", "circular")),
    *((f"lambda x: F.pad(x, (1,) * 4, '{mode}')", (0, 3, 4, 4)) for mode in ("reflect", "replicate")),
    *((f"F.max_pool{n}d", (0, 3, *(4,) * n)) for n in (1, 2, 3)),
    *((f"F.adaptive_avg_pool{n}d", (0, 3, *(4,) * n)) for n in (1, 2, 3)),
    *((f"F.adaptive_max_pool{n}d", (0, 3, *(4,) * n)) for n in (1, 2, 3)),
    *((f"F.lp_pool{n}d", (0, 3, *(4,) * n)) for n in (1, 2, 3)),
    ("lambda x: F.adaptive_avg_pool2d(x, (0, 2))", (2, 3, 4, 4)),
    ("lambda x: F.adaptive_max_pool2d(x, (0, 2))", (2, 3, 4, 4)),
    ("lambda x: F.adaptive_avg_pool1d(x, 0)", (2, 3, 4)),
    ("lambda x: F.fractional_max_pool2d(x, 2, 2)", (0, 3, 5, 5)),
    ("lambda x: F.max_unpool1d(x, x.long(), 2)", (0, 3, 4)),
    ("lambda x: F.max_unpool2d(x, x.long(), 2)", (0, 3, 4, 4)),
    ("lambda x: F.max_unpool3d(x, x.long(), 2)", (0, 3, 2, 2, 2)),
    ("lambda x: F.unfold(x, 2)", (0, 3, 4, 4)),
    ("lambda x: F.fold(x, (4, 5), 2)", (0, 12, 12)),
    ("lambda x: F.grid_sample(x, torch.zeros(0, 3, 2, 2).double())", (0, 3, 4, 4)),
    ("lambda x: F.grid_sample(torch.zeros(0, 3, 4, 4).double(), x)", (0, 5, 5, 2)),
    ("lambda x: F.local_response_norm(x, 3)", (2, 0, 3, 3)),
    ("lambda x: F.dropout(x) + F.alpha_dropout(x, training=True)", (0, 3)),
    ("lambda x: F.gumbel_softmax(x, hard=True)", (0, 3)),
    ("lambda x: F.pixel_unshuffle(x, 2)", (0, 3, 4, 4)),
    ("lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)", (0, 2, 4, 3)),
    ("lambda x: F.interpolate(x, (3, 3), mode='area')", (0, 3, 4, 4)),
    ("lambda x: F.affine_grid(x, (0, 1, 2, 2), align_corners=False)", (0, 2, 3)),
    ("lambda x: F.linear(x, torch.zeros(3, 0).double())", (2, 5, 0)),
    ("lambda w: F.embedding_bag(torch.zeros(0, 3).long(), w, mode='max')", (4, 2)),
    ("lambda w: F.linear(torch.zeros(2, 5, 0).double(), w)", (3, 0)),
    ("AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6]).double().head", (0, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "shape"), FUNCTIONS, ids=[str(f) for f in FUNCTIONS])
def test_nothing_goes_through_functions_and_back(expression: str, shape: tuple[int, ...]) -> None:
    function = eval(expression, NAMES)
    x = dtorch.zeros(shape, dtype=dtorch.float64, requires_grad=True)
    size = {"F.a": (2,), "F.m": (2,), "F.l": (2, 2)}.get(expression[:3], ())
    (out,) = flat(function(x, *size))
    assert out.numel() == 0 or not out.any()
    out.sum().backward()
    assert x.grad.shape == shape
    assert not x.grad.any()


def test_a_loss_of_no_samples_is_nan_and_its_gradient_nothing() -> None:
    layer = nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6])
    output, loss = layer(dtorch.zeros(0, 4), dtorch.zeros(0).long())
    assert output.shape == (0,)
    assert loss.isnan()
    loss.backward()


def test_a_batch_of_nothing_leaves_running_statistics_alone() -> None:
    for layer, shape in (
        (nn.BatchNorm2d(3), (0, 3, 2, 2)),
        (nn.BatchNorm1d(3), (2, 3, 0)),
        (nn.InstanceNorm1d(3, track_running_stats=True), (0, 3, 4)),
    ):
        layer(dtorch.zeros(shape))
        assert layer.running_mean.tolist() == [0, 0, 0]
        assert layer.running_var.tolist() == [1, 1, 1]


@pytest.mark.parametrize("mode", ["RNN", "LSTM", "GRU"])
def test_sequences_of_no_steps_are_refused(mode: str) -> None:
    with pytest.raises(ShapeError, match=f"{mode}: .*expected some steps"):
        getattr(nn, mode)(3, 4)(dtorch.zeros(0, 2, 3))


def test_images_without_a_side_are_refused_by_convolutions() -> None:
    for layer in (nn.Conv2d(3, 2, 1, padding=1), nn.ConvTranspose2d(3, 2, 3)):
        with pytest.raises(ShapeError, match="sides of at least 1"):
            layer(dtorch.zeros(2, 3, 0, 4))


SETTINGS = [
    (lambda: nn.Embedding(10, 3, padding_idx=25), AssertionError),
    (lambda: nn.Embedding(3, 2, _weight=dtorch.ones(2, 2)), AssertionError),
    (lambda: nn.Embedding.from_pretrained(dtorch.ones(3)), AssertionError),
    (lambda: nn.Hardtanh(2, 1), AssertionError),
    (lambda: nn.functional.interpolate(dtorch.ones(1, 2), size=2), NotImplementedError),
    (
        lambda: nn.functional.interpolate(dtorch.ones(1, 1, 2), size=2, mode="bilinear"),
        NotImplementedError,
    ),
    (
        lambda: nn.functional.affine_grid(dtorch.ones(1, 2, 3), (1, 1, 2)),
        NotImplementedError,
    ),
    (lambda: nn.functional.pad(dtorch.ones(1, 1, 2), (1, 1), "odd"), NotImplementedError),
]


@pytest.mark.parametrize(("call", "kind"), SETTINGS)
def test_settings_and_modes_that_do_not_exist_raise_what_programs_catch(call, kind) -> None:
    with pytest.raises(kind) as error:
        call()
    assert isinstance(error.value, ValueError)
