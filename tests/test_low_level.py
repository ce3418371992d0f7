"""The forms below `dtorch.nn.functional` compute what layers and losses do."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import dtorch
import dtorch.nn.functional as nnf
from dtorch import low_level, nn
from dtorch.nn.utils.rnn import pack_padded_sequence

X = dtorch.linspace(-2, 2, 24).reshape(4, 6)
Y = dtorch.linspace(0.5, 3, 24).reshape(6, 4).t()
SIGNS = dtorch.tensor([1.0, -1, -1, 1])


def equal(found, expected) -> bool:
    return dtorch.allclose(found, expected, atol=1e-6)


def test_names_are_offered_and_loaded_when_asked_for():
    assert set(low_level.__all__) <= set(dtorch.__all__)
    assert all(getattr(dtorch, name) is getattr(low_level, name) for name in low_level.__all__)
    code = "import sys, dtorch; assert 'dtorch.low_level' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("code", "name"), [(0, "none"), (1, "mean"), (2, "sum")])
def test_reduction_is_a_number(code, name):
    for loss, args in {
        "margin_ranking_loss": (X[:, 0], Y[:, 0], SIGNS, 0.5),
        "hinge_embedding_loss": (X[:, 0], SIGNS, 1.0),
        "cosine_embedding_loss": (X, Y, SIGNS, 0.1),
        "triplet_margin_loss": (X, Y, X + 1, 1.0, 2.0, 1e-6, True),
    }.items():
        assert equal(getattr(dtorch, loss)(*args, code), getattr(nnf, loss)(*args, reduction=name))
    target = Y.softmax(1)
    assert equal(
        dtorch.binary_cross_entropy_with_logits(X, target, None, Y[0], code),
        nnf.binary_cross_entropy_with_logits(X, target, pos_weight=Y[0], reduction=name),
    )
    assert equal(
        dtorch.poisson_nll_loss(X, Y, True, True, 1e-8, code),
        nnf.poisson_nll_loss(X, Y, full=True, reduction=name),
    )
    logs = X.reshape(4, 2, 3).log_softmax(2)
    args = (logs, dtorch.ones(2, 2, dtype=dtorch.int64), [4, 4], [2, 1], 0)
    assert equal(dtorch.ctc_loss(*args, code), nnf.ctc_loss(*args, reduction=name))
    parts = nnf.kl_div(X, target, reduction="none")
    expected = parts if code == 0 else getattr(parts, name)()
    assert equal(dtorch.kl_div(X, target, code), expected)


def test_reduction_by_name_or_unknown_number_is_refused():
    with pytest.raises(TypeError, match="kl_div: reduction is 'sum', expected an int"):
        dtorch.kl_div(X, Y, "sum")
    with pytest.raises(ValueError, match=r"reduction is 3, expected one of 0 \(none\)"):
        dtorch.kl_div(X, Y, 3)


def test_normalization_takes_weights_first():
    mean, var = X.mean(0), X.var(0)
    found = dtorch.batch_norm(X, Y[0], Y[1], mean, var, False, 0.1, 1e-5, True)
    assert equal(found, nnf.batch_norm(X, mean, var, Y[0], Y[1]))
    x = X.reshape(2, 4, 3)
    found = dtorch.instance_norm(x, SIGNS, None, None, None, True, 0.1, 1e-5, False)
    assert equal(found, nnf.instance_norm(x, weight=SIGNS))
    assert equal(dtorch.group_norm(x, 2, SIGNS, None, 1e-5, False), nnf.group_norm(x, 2, SIGNS))
    assert equal(dtorch.layer_norm(X, (6,), Y[0], None, 1e-5, False), nnf.layer_norm(X, (6,), Y[0]))
    assert equal(dtorch.norm_except_dim(x, 1, 1), x.abs().sum((0, 2), keepdim=True))


def test_dropout_takes_probability_and_mode_by_position():
    ones = dtorch.ones(3, 4, 5)
    assert dtorch.dropout(ones, p=1.0, train=True).sum() == 0
    assert equal(dtorch.dropout(ones, 0.5, False), ones)
    channels = dtorch.feature_dropout(ones, 0.5, True)
    assert equal(channels, channels[..., :1].expand(3, 4, 5))
    assert set(channels.unique().tolist()) <= {0.0, 2.0}
    for name in ("dropout_", "alpha_dropout_", "feature_dropout_", "feature_alpha_dropout_"):
        x = dtorch.ones(3, 4, 5)
        assert getattr(dtorch, name)(x, 0.5, True) is x
        assert not equal(x, ones)


def test_lookups_take_the_table_first():
    table, numbers = X, dtorch.tensor([1, 2, 0, 3, 3])
    assert equal(dtorch.embedding(table, numbers), table[numbers])
    out, bags, sizes, places = dtorch.embedding_bag(table, numbers, dtorch.tensor([0, 2]), mode=2)
    assert equal(out, nnf.embedding_bag(numbers, table, dtorch.tensor([0, 2]), mode="max"))
    assert (bags.tolist(), sizes.tolist()) == ([0, 0, 1, 1, 1], [2, 3])
    assert places.tolist() == [[2] * 6, [3] * 6]
    shrunk = dtorch.embedding_renorm_(table.clone(), numbers[:2], 0.5, 2.0)
    assert (shrunk.norm(dim=1) < 0.51).tolist() == [False, True, True, False]


def test_sampling_modes_are_numbers():
    image, grid = X.reshape(1, 1, 4, 6), Y.reshape(1, 2, 6, 2) / 3
    for mode, padding in ((0, 2), (1, 1), (2, 0)):
        names = ("bilinear", "nearest", "bicubic")[mode], ("zeros", "border", "reflection")[padding]
        expected = nnf.grid_sample(image, grid, *names, align_corners=False)
        assert equal(dtorch.grid_sampler(image, grid, mode, padding, False), expected)
    assert equal(dtorch.constant_pad_nd(X, (1, 2), 3), nnf.pad(X, (1, 2), value=3))
    theta = dtorch.eye(2, 3).unsqueeze(0)
    assert equal(
        dtorch.affine_grid_generator(theta, (1, 1, 2, 2), True),
        nnf.affine_grid(theta, (1, 1, 2, 2), True),
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("lstm", nn.LSTM(6, 2, 2, bidirectional=True)),
        ("lstm", nn.LSTM(6, 3, proj_size=2, bias=False)),
        ("gru", nn.GRU(6, 2, 2, batch_first=True)),
        ("rnn_tanh", nn.RNN(6, 2, bidirectional=True, bias=False)),
        ("rnn_relu", nn.RNN(6, 2, 2, "relu")),
    ],
)
def test_recurrent_network_takes_weights_as_a_list(name, layer):
    x = dtorch.stack((X, Y, X + Y))
    zeros = dtorch.zeros(layer.num_layers * (1 + layer.bidirectional), 4, 2)
    if layer.batch_first:
        x = x.transpose(0, 1)
    cell = dtorch.zeros(*zeros.shape[:2], layer.hidden_size)
    hx = (zeros, cell) if name == "lstm" else zeros
    how = (layer._flat_weights, layer.bias, layer.num_layers, 0.0, True, layer.bidirectional)
    expected, last = layer(x, hx)
    out, *found = getattr(dtorch, name)(x, hx, *how, layer.batch_first)
    assert equal(out, expected)
    lasts = last if name == "lstm" else [last]
    assert all(equal(*pair) for pair in zip(found, lasts, strict=True))
    packed = pack_padded_sequence(x, [3, 3, 2, 1] if not layer.batch_first else [3, 2, 2, 1],
                                  batch_first=layer.batch_first)  # fmt: skip
    expected, _ = layer(packed, hx)
    out, *_ = getattr(dtorch, name)(packed.data, packed.batch_sizes, hx, *how)
    assert equal(out, expected.data)


def test_recurrent_network_says_what_it_takes():
    with pytest.raises(TypeError, match=r"gru: missing a required argument.*\(input, hx, params"):
        dtorch.gru(X, X)
    with pytest.raises(ValueError, match="gru: got 1 params, expected 2 for each of 1 layers"):
        dtorch.gru(X, X, [X], False, 1, 0.0, False, False, False)
    assert inspect.getdoc(dtorch.gru)


def test_cells_take_their_weights():
    for name, cell in {
        "lstm_cell": nn.LSTMCell(6, 3),
        "gru_cell": nn.GRUCell(6, 3),
        "rnn_tanh_cell": nn.RNNCell(6, 3, bias=False),
        "rnn_relu_cell": nn.RNNCell(6, 3, nonlinearity="relu"),
    }.items():
        h = dtorch.ones(4, 3)
        hx = (h, h) if name == "lstm_cell" else h
        found, expected = getattr(dtorch, name)(X, hx, *cell._weights()), cell(X, hx)
        pairs = zip(found, expected, strict=True) if name == "lstm_cell" else [(found, expected)]
        assert all(equal(*pair) for pair in pairs)
