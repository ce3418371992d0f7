"""The classic training loop and its plugins."""

from __future__ import annotations

import pytest

import dtorch
from dtorch import nn, optim
from dtorch.utils.trainer import Trainer
from dtorch.utils.trainer.plugins import (
    AccuracyMonitor,
    Logger,
    LossMonitor,
    Plugin,
    ProgressMonitor,
    TimeMonitor,
    monitor,
    plugin,
)


@pytest.fixture
def trainer():
    model = nn.Linear(2, 3)
    x, y = dtorch.randn(8, 2), dtorch.arange(8) % 3
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    return Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.5), batches)


class Noting(Plugin):
    def __init__(self, interval):
        super().__init__(interval)
        self.calls = []

    def register(self, trainer):
        self.trainer = trainer

    def __getattr__(self, name):
        if name in ("batch", "iteration", "update", "epoch"):
            return lambda time, *args: self.calls.append((name, time, len(args)))
        raise AttributeError(name)


def test_plugins_are_called_in_order_and_at_their_intervals(trainer):
    every = Noting([(1, "batch"), (1, "iteration"), (1, "update"), (1, "epoch")])
    second = Noting([(2, "iteration")])
    trainer.register_plugin(every)
    trainer.register_plugin(second)
    trainer.run(2)
    one = [("batch", 1, 2), ("iteration", 1, 4), ("update", 1, 1)]
    assert every.calls[:3] == one
    assert [call[:2] for call in every.calls if call[0] == "epoch"] == [("epoch", 1), ("epoch", 2)]
    assert second.calls == [("iteration", 2, 4), ("iteration", 4, 4)]
    assert trainer.iterations == 4


def test_monitors_measure(trainer):
    for measure in (LossMonitor(), AccuracyMonitor(), TimeMonitor(), ProgressMonitor()):
        trainer.register_plugin(measure)
    trainer.run(20)
    stats = trainer.stats
    assert 0 < stats["loss"]["last"] < 3
    assert stats["loss"]["epoch_mean"] < 1.5
    assert 0 <= stats["accuracy"]["running_avg"] <= 100
    assert stats["time"]["last"] >= 0
    assert stats["progress"]["samples_used"] == 0


def test_a_running_average_fades(trainer):
    class Constant(monitor.Monitor):
        values = iter([1.0, 0.0])

        def _get_value(self, *args):
            return next(self.values)

    trainer.register_plugin(Constant(smoothing=0.5))
    trainer.train()
    assert trainer.stats["value"]["running_avg"] == 0.5


def test_the_logger_prints_what_it_was_asked_for(trainer, capsys):
    trainer.register_plugin(LossMonitor(precision=3))
    trainer.register_plugin(AccuracyMonitor())
    trainer.register_plugin(Logger(["loss.last", "accuracy"], [(1, "iteration"), (1, "epoch")]))
    trainer.run()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("loss: ")
    assert lines[2].startswith("epoch 1: loss: ")
    assert "%" in lines[2]


def test_unknown_events_and_missing_parts_are_named(trainer):
    with pytest.raises(ValueError, match="'week'"):
        trainer.register_plugin(Noting([(1, "week")]))
    with pytest.raises(ValueError, match="no dataset"):
        Trainer().train()
    with pytest.raises(NotImplementedError, match="Plugin"):
        trainer.register_plugin(plugin.Plugin())
