"""The graph: where edges lead, and hooks."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.core.errors import GradError


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


# -- structure ------------------------------------------------------------------------------------


def test_next_functions_lead_to_the_leaves() -> None:
    x, y = leaf(1.0), leaf(2.0)
    node = (x * y).grad_fn
    assert [(f.name, nr) for f, nr in node.next_functions] == [("AccumulateGrad", 0)] * 2
    assert node.next_functions[0][0].variable is x
    assert node.previous_functions[1][0] is y
    assert repr(node) == "<MulBackward0>"


def test_class_of_a_node_has_its_name() -> None:
    x = leaf(1.0, 2.0)
    whole = (x.log1p() * 2).view(2, 1)
    node = whole.grad_fn
    assert node is whole.grad_fn
    names = []
    while not hasattr(node, "variable"):
        names.append(type(node).__name__)
        node = node.next_functions[0][0]
    assert names == ["ViewBackward0", "MulBackward0", "Log1PBackward0"]
    assert type(node).__name__ == "AccumulateGrad"
    assert type(whole.grad_fn) is type(x.view(1, 2).grad_fn)
    whole.sum().backward()
    assert x.grad.tolist() == pytest.approx([1, 2 / 3])


def test_next_functions_tell_the_output() -> None:
    x = leaf(1.0, 2.0)
    node = (x.unbind()[1] * 2).grad_fn
    assert [(f.name, nr) for f, nr in node.next_functions] == [("UnbindBackward0", 1)]


# -- hooks ----------------------------------------------------------------------------------------


def test_removed_hook_does_not_run() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 10)
    with x.register_hook(lambda g: g * 100):
        (x * 1).backward()
    handle.remove()
    handle.remove()
    (x * 1).backward()
    assert x.grad.tolist() == [1001.0]


def test_hook_may_remove_itself() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: handle.remove())
    (x * 1).backward()
    (x * 1).backward()
    assert x.grad.tolist() == [2.0]


def test_hook_needs_a_tensor_that_requires_grad() -> None:
    with pytest.raises(GradError, match="does not require grad"):
        dtorch.ones(1).register_hook(print)


def test_hook_stays_with_the_graph_when_the_tensor_changes_in_place() -> None:
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(3)
    y.backward()
    assert seen == [[3.0]]
