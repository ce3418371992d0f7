"""Hooks on the gradients of several tensors."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch.autograd.graph import register_multi_grad_hook
from dtorch.core.errors import ArgumentError, GradError


def leaves() -> list[Any]:
    return [dtorch.tensor([value], requires_grad=True) for value in (1.0, 2.0, 3.0)]


def test_all_gradients_of_each_pass_come_at_once_and_none_for_those_without() -> None:
    a, b, c = leaves()
    seen: list[Any] = []
    handle = register_multi_grad_hook((a, b, c), seen.append)
    (a * b).sum().backward()
    (a * c * b).sum().backward()
    assert dtorch.autograd.grad((a * c).sum(), [c])[0] == 1
    handle.remove()
    (a * b).sum().backward()
    assert seen == [[2, 1, None], [6, 3, 2], [None, None, 1]]


def test_the_first_gradient_of_each_pass_comes_alone() -> None:
    a, b, _ = leaves()
    seen: list[Any] = []
    with register_multi_grad_hook((a, b), seen.append, mode="any"):
        for _ in range(2):
            (a * 5 + b * 5).sum().backward()
    assert seen == [5, 5]


def test_a_pass_that_fails_leaves_nothing_for_the_next() -> None:
    a, b, _ = leaves()
    seen: list[Any] = []

    def fail(_: Any) -> None:
        raise RuntimeError("stop")

    register_multi_grad_hook((a, b), seen.append)
    with a.register_hook(fail), pytest.raises(RuntimeError, match="stop"):
        (b * 1 + a).sum().backward()
    b.sum().backward()
    assert seen == [[None, 1]]


def test_it_needs_a_known_mode_and_tensors_that_require_grad() -> None:
    with pytest.raises(ArgumentError, match="mode is 'some'"):
        register_multi_grad_hook(leaves(), print, mode="some")
    with pytest.raises(GradError, match="does not require grad"):
        register_multi_grad_hook([dtorch.ones(1)], print)
