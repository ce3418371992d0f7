"""Decorators of programs that have their functions compiled or scripted."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import dtorch
from dtorch import nn


def double(x: Any) -> Any:
    return 2 * x


def test_compiled_things_are_those_that_were_given():
    model = nn.Linear(2, 2)
    assert dtorch.compile(double) is double
    assert dtorch.compile(model, mode="max-autotune", fullgraph=True) is model
    assert dtorch.compile(dynamic=True, backend="inductor")(double) is double
    assert dtorch.compiler.disable(double) is dtorch.compiler.disable()(double) is double
    assert dtorch.compiler.is_compiling() is False
    with dtorch.compiler.set_stance("force_eager"):
        pass


def test_what_pytorch_does_not_know_is_refused_by_name():
    with pytest.raises(TypeError, match="'modes'"):
        dtorch.compile(double, modes="x")
    with pytest.raises(TypeError, match="model is int"):
        dtorch.compile(3)


def test_it_is_said_once_that_nothing_is_compiled(caplog):
    dtorch.compiler._say.cache_clear()
    with caplog.at_level(logging.DEBUG, "dtorch.compiler"):
        dtorch.compile(double)
        dtorch.compile(double)
    assert [record.getMessage() for record in caplog.records] == [
        "compile: functions run as they are, uncompiled"
    ]


def test_scripted_things_are_those_that_were_given():
    jit = dtorch.jit

    class Net(jit.ScriptModule):
        __constants__ = ("scale",)
        scale: jit.Final[int] = 3

        @jit.script_method
        def forward(self, x):
            return x * self.scale

        @jit.ignore
        def one(self):
            return 1

        @jit.ignore(drop=True)
        def two(self):
            return 2

        @jit.unused
        def three(self):
            return 3

    net = jit.script(Net())
    assert isinstance(net, nn.Module)
    assert net(dtorch.ones(2)).tolist() == [3.0, 3.0]
    assert (net.one(), net.two(), net.three()) == (1, 2, 3)
    assert jit.trace(net, dtorch.ones(1)) is net
    assert jit.wait(jit.fork(double, 4)) == 8
    assert jit.isinstance([1], list[int])
    assert not jit.isinstance((1,), list)
    assert jit.annotate(list[int], [1]) == [1]
    assert not jit.is_scripting()


def test_programs_of_torchscript_are_refused_with_what_to_do_instead(tmp_path):
    with pytest.raises(NotImplementedError, match=r"module\.state_dict\(\)"):
        dtorch.jit.save(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(NotImplementedError, match=r"dtorch\.load\(f\) reads the tensors"):
        dtorch.jit.load(tmp_path / "model.pt")
