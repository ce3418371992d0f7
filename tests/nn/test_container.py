"""Sequential, lists and dicts of modules and parameters."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import dtorch
from dtorch import nn


def test_sequential_takes_names_indices_and_slices() -> None:
    net = nn.Sequential(OrderedDict([("a", nn.Linear(2, 3)), ("b", nn.ReLU())]))
    assert net.a is net[0]
    assert net[-1] is net.b
    assert [name for name, _ in net[:1].named_children()] == ["a"]
    net.append(nn.Tanh())
    assert len(net) == 3
    del net[1]
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh"]
    net.insert(1, nn.ReLU())
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Tanh"]
    with pytest.raises(IndexError, match="out of range"):
        net[3]


def test_module_list_grows_and_registers() -> None:
    modules = nn.ModuleList([nn.Linear(1, 1)])
    modules += [nn.ReLU(), nn.Tanh()]
    modules.insert(1, nn.Sigmoid())
    assert [type(m).__name__ for m in modules] == ["Linear", "Sigmoid", "ReLU", "Tanh"]
    assert [name for name, _ in modules.named_parameters()] == ["0.weight", "0.bias"]
    modules[1] = nn.ELU()
    assert isinstance(modules[1], nn.ELU)
    assert len(modules[1:]) == 3
    assert isinstance(modules.pop(), nn.Tanh)


def test_module_dict_keeps_order() -> None:
    modules = nn.ModuleDict({"a": nn.ReLU()})
    modules["b"] = nn.Tanh()
    modules.update([("c", nn.ELU())])
    assert list(modules) == ["a", "b", "c"]
    assert isinstance(modules.pop("b"), nn.Tanh)
    assert "b" not in modules


def test_parameter_list_converts_tensors() -> None:
    parameters = nn.ParameterList([dtorch.zeros(2)])
    parameters.append(nn.Parameter(dtorch.ones(3)))
    parameters += [dtorch.zeros(1)]
    assert all(isinstance(p, nn.Parameter) for p in parameters)
    assert len(parameters) == 3
    assert tuple(parameters[-1].shape) == (1,)
    assert [name for name, _ in parameters.named_parameters()] == ["0", "1", "2"]
    assert tuple(parameters.pop(0).shape) == (2,)
    assert [tuple(p.shape) for p in parameters] == [(3,), (1,)]


def test_parameter_dict_behaves_as_a_dict() -> None:
    parameters = nn.ParameterDict({"w": dtorch.zeros(2)})
    parameters["b"] = dtorch.ones(1)
    assert list(parameters) == ["w", "b"]
    assert isinstance(parameters["b"], nn.Parameter)
    assert parameters.get("nothing") is None
    parameters.pop("w")
    assert list(parameters.state_dict()) == ["b"]


def test_container_is_the_classic_base() -> None:
    with pytest.warns(DeprecationWarning, match="Container"):
        net = nn.Container(a=nn.ReLU())
    assert isinstance(net.a, nn.ReLU)


def _one() -> nn.Sequential:
    return nn.Sequential(nn.ReLU())


REFUSED = [
    ("insert beyond the end", lambda: _one().insert(5, nn.ReLU()), IndexError),
    ("insert a number", lambda: _one().insert(0, 5), AssertionError),
    ("add a number", lambda: _one() + 5, ValueError),
    ("repeat it no times", lambda: _one() * 0, ValueError),
    ("repeat it half a time", lambda: _one() * 0.5, TypeError),
    ("entries that are no pairs", lambda: nn.ModuleDict().update([5]), TypeError),
    ("entries of three parts", lambda: nn.ModuleDict().update([("a", 1, 2)]), ValueError),
    ("call a list of parameters", lambda: nn.ParameterList()(1), RuntimeError),
    ("call a dict of parameters", lambda: nn.ParameterDict()(1), RuntimeError),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_misuse_of_containers_raises_what_programs_catch(call, kind) -> None:
    with pytest.raises(kind):
        call()


def test_dicts_of_parameters_are_joined() -> None:
    a, b = (nn.ParameterDict({key: dtorch.ones(1)}) for key in "ab")
    assert list((a | b).keys()) == list(({"a": dtorch.ones(1)} | b).keys()) == ["a", "b"]
    a |= {"c": dtorch.zeros(1)}
    assert list(a.keys()) == ["a", "c"]
    assert repr(nn.ParameterList([dtorch.ones(2)])).count("\n") == 0
