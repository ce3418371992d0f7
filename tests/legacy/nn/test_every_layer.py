"""What is true of each layer and criterion: its output, and gradients of input and parameters."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from legacy_layers import CASES, CRITERIA, PARTICULAR

import dtorch
from dtorch.legacy import nn
from dtorch.legacy.nn.recording import mapped, tensors_of

STEP = 1e-6


def named(rows: Any) -> list[Any]:
    return [pytest.param(*row, id=type(row[0]()).__name__) for row in rows]


def copied(table: Any) -> Any:
    return mapped(lambda tensor: tensor.clone(), table)


def same(found: Any, expected: Any) -> bool:
    found, expected = tensors_of(found), tensors_of(expected)
    return len(found) == len(expected) > 0 and all(
        a.shape == b.shape and dtorch.allclose(a.to(b.dtype), b, atol=1e-7)
        for a, b in zip(found, expected, strict=True)
    )


def along(table: Any) -> list[Any]:
    """A direction in which to move each tensor of numbers."""
    return [dtorch.randn(t.shape).to(t.dtype) for t in tensors_of(table)]


def slope(function: Any, tensors: list[Any], direction: list[Any]) -> float:
    """How fast a function of tensors grows in a direction, by finite differences."""
    values = []
    for sign in (1, -1):
        for tensor, step in zip(tensors, direction, strict=True):
            if tensor.dtype.is_floating_point:
                tensor.add_(step, alpha=sign * STEP)
        values.append(function())
        for tensor, step in zip(tensors, direction, strict=True):
            if tensor.dtype.is_floating_point:
                tensor.add_(step, alpha=-sign * STEP)
    return (values[0] - values[1]) / (2 * STEP)


def product(a: Any, b: Any) -> float:
    pairs = zip(tensors_of(a), tensors_of(b), strict=True)
    return sum(float((x.double() * y.double()).sum()) for x, y in pairs)


@pytest.mark.parametrize(("make", "input", "oracle"), named(CASES))
def test_outputs_are_those_of_the_oracle_and_gradients_those_of_differences(make, input, oracle):
    layer, given = make().double(), input()
    output = copied(layer.forward(copied(given)))
    assert same(output, oracle(given, layer))
    gradient = mapped(lambda t: dtorch.randn_like(t), output)
    layer.zeroGradParameters()
    layer.backward(copied(given), gradient)
    assert [t.shape for t in tensors_of(layer.gradInput)] == [t.shape for t in tensors_of(given)]

    def value() -> float:
        dtorch.manual_seed(3)
        return product(layer.forward(copied(given)), gradient)

    dtorch.manual_seed(3)
    layer.forward(copied(given))
    layer.zeroGradParameters()
    layer.backward(copied(given), gradient)
    grad_input = copied(layer.gradInput)
    direction = along(given)
    wanted = slope(value, tensors_of(given), direction)
    assert product(grad_input, direction) == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    for parameter, grad in zip(*(layer.parameters() or ([], [])), strict=True):
        direction = along(parameter)
        wanted = slope(value, [parameter], direction)
        assert product(grad, direction) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("make", "input", "oracle"), named(CASES))
def test_gradients_of_parameters_add_up_times_their_scale_or_become_a_step(make, input, oracle):
    layer, given = make().double(), input()
    gradient = mapped(lambda t: dtorch.randn_like(t), layer.forward(copied(given)))
    layer.zeroGradParameters()
    layer.backward(copied(given), gradient, 0.5)
    layer.accGradParameters(copied(given), gradient, 1.5)
    parameters, grads = layer.parameters() or ([], [])
    twice, start = copied(grads), copied(parameters)
    layer.accUpdateGradParameters(copied(given), gradient, 0.1)
    assert not grads or same(grads, twice)
    assert not grads or same(parameters, [p - 0.05 * g for p, g in zip(start, twice, strict=True)])


@pytest.mark.parametrize(("make", "input", "oracle"), named(CASES))
def test_copies_converted_to_another_type_compute_in_it(make, input, oracle):
    layer, given = make().double(), input()
    layer.forward(copied(given))
    twin = copy.deepcopy(layer).float()
    twin.evaluate()
    layer.evaluate()
    small = mapped(lambda t: t.float() if t.dtype.is_floating_point else t, given)
    output, expected = twin.forward(copied(small)), layer.forward(copied(given))
    if not isinstance(layer, nn.Copy):
        assert {t.dtype for t in tensors_of(output)} == {dtorch.float32}
    for a, b in zip(tensors_of(output), tensors_of(expected), strict=True):
        assert dtorch.allclose(a.float(), b.float(), rtol=1e-4, atol=1e-5)
    layer.clearState()
    assert layer.output is None or not tensors_of(layer.output) or not layer.output.numel()


def through_file(made: Any) -> Any:
    file = io.BytesIO()
    dtorch.save(made, file)
    file.seek(0)
    return dtorch.load(file)


@pytest.mark.parametrize(("make", "input", "oracle"), named(CASES))
def test_layers_come_out_of_files_whole(make, input, oracle):
    layer, given = make().double(), input()
    layer.forward(copied(given))
    layer.evaluate()
    expected = copied(layer.forward(copied(given)))
    read = through_file(layer)
    assert type(read) is type(layer)
    assert same(read.output, layer.output)
    assert same(read.forward(copied(given)), expected)


@pytest.mark.parametrize(("make", "input", "target", "oracle"), named(CRITERIA))
def test_criteria_are_those_of_the_oracle_and_gradients_those_of_differences(
    make, input, target, oracle
):
    criterion, given, wanted = make().double(), input(), target()
    output = criterion.forward(given, wanted)
    assert type(output) is float
    assert output == pytest.approx(float(oracle(given, wanted, criterion)))
    gradient = copied(criterion.backward(given, wanted))
    direction = along(given)
    expected = slope(lambda: criterion.forward(given, wanted), tensors_of(given), direction)
    assert product(gradient, direction) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert same(criterion.clone().backward(given, wanted), gradient)
    assert same(through_file(criterion).backward(given, wanted), gradient)


def test_every_class_has_a_row():
    tested = {type(row[0]()).__name__ for row in [*CASES, *CRITERIA]} | PARTICULAR
    assert tested == {name for name in nn.__all__ if name != "utils"}
