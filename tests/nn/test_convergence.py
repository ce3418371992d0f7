"""Small networks learn small tasks: loss or accuracy after a fixed number of steps, fixed seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn, optim
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so


def test_cnn_reads_digits_after_five_epochs() -> None:
    data = pytest.importorskip("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = dtorch.from_numpy((data.images[order][:, None] / 16).astype(np.float32))
    y = dtorch.from_numpy(data.target[order].astype(np.int64))
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(5):
        for at in range(0, 1400, 50):
            optimizer.zero_grad()
            F.cross_entropy(net(x[at : at + 50]), y[at : at + 50]).backward()
            optimizer.step()
    net.eval()
    with dtorch.no_grad():
        right = (net(x[1400:]).argmax(1) == y[1400:]).float().mean()
    assert float(right) > 0.96


class Copier(nn.Module):
    """Reads digits, then repeats them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 16)
        self.lstm = nn.LSTM(16, 48)
        self.out = nn.Linear(48, 9)

    def forward(self, tokens: Any) -> Any:
        return self.out(self.lstm(self.embed(tokens))[0])


def test_lstm_learns_to_copy() -> None:
    net = Copier()
    optimizer = optim.Adam(net.parameters(), lr=1e-2)
    loss = None
    for _ in range(250):
        digits = dtorch.randint(1, 9, (3, 64))
        blank = dtorch.zeros(3, 64).long()
        optimizer.zero_grad()
        scores = net(dtorch.cat([digits, blank]))[3:]
        loss = F.cross_entropy(scores.reshape(-1, 9), digits.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    assert loss is not None
    assert loss.item() < 0.15


TEXT = "the quick brown fox jumps over the lazy dog. "


class Speller(nn.Module):
    """Predicts the next character."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, 32)
        self.place = nn.Parameter(dtorch.randn(24, 32) * 0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 1)
        self.out = nn.Linear(32, characters)

    def forward(self, tokens: Any) -> Any:
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        return self.out(self.body(x, is_causal=True))


def test_transformer_learns_a_sentence() -> None:
    characters = sorted(set(TEXT))
    numbers = dtorch.tensor([characters.index(c) for c in TEXT * 2])
    windows = dtorch.stack([numbers[i : i + 25] for i in range(len(TEXT))])
    net = Speller(len(characters))
    optimizer = optim.AdamW(net.parameters(), lr=5e-3)
    loss = None
    for _ in range(60):
        optimizer.zero_grad()
        scores = net(windows[:, :-1])
        loss = F.cross_entropy(scores.reshape(-1, len(characters)), windows[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
    assert loss is not None
    assert loss.item() < 0.25  # the first characters of a window cannot be known
