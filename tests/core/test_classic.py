"""What classic mode allows, and what an error says where it is off."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.autograd import Variable
from dtorch.core import classic
from dtorch.core.classic import HINT, Classic, ClassicWarning


@pytest.fixture
def classic_mode() -> Iterator[None]:
    classic.switch(True)
    yield
    classic.switch(False)


def ones(*sizes: int, requires_grad: bool = False) -> dtorch.Tensor:
    return dtorch.ones(*sizes, requires_grad=requires_grad)


def numbers(count: int) -> dtorch.Tensor:
    return dtorch.arange(float(count))


def rows() -> dtorch.Tensor:
    return numbers(6).view(2, 3)


def longs(*values: int) -> dtorch.Tensor:
    return dtorch.LongTensor(values)


def mask() -> dtorch.Tensor:
    return numbers(3) > 0


def gradient_of_one_element() -> Any:
    x = ones(3, requires_grad=True)
    x.sum().backward(dtorch.Tensor([2]))
    return x.grad


def changed(t: dtorch.Tensor, change: Callable[[Any], Any]) -> dtorch.Tensor:
    change(t)
    return t


def reinforced() -> list[float]:
    weights = dtorch.tensor([[0.0, 1.0]], requires_grad=True)
    sample = dtorch.multinomial(weights, 1)
    assert sample.data.tolist() == [[1]]
    sample.reinforce(3.0)
    dtorch.autograd.backward([sample], [None])
    return weights.grad.tolist()[0]


# What is allowed, the call, and its result as Python's objects.
CALLS: list[tuple[Classic, Callable[[], Any], Any]] = [
    (Classic.NUMBER, lambda: numbers(3).sum()[0], 3.0),
    (Classic.NUMBER, lambda: numbers(3).sum()[0, 0], 3.0),
    (Classic.NUMBER, lambda: changed(numbers(3).sum(), lambda t: t.__setitem__(0, 5)), 5.0),
    (Classic.ONE_ELEMENT, lambda: len(ones(2).sum()), 1),
    (Classic.ONE_ELEMENT, lambda: ones(2).sum().size(0), 1),
    (Classic.ONE_ELEMENT, lambda: [float(t) for t in ones(2).sum()], [2.0]),
    (Classic.ONE_ELEMENT, lambda: dtorch.cat([ones(2).sum(), ones(1)]), [2.0, 1.0]),
    (Classic.ONE_ELEMENT, lambda: ones(2).sum().unsqueeze(1), [[2.0]]),
    (Classic.ONE_ELEMENT, lambda: ones(2).sum().narrow(0, 0, 1), [2.0]),
    (Classic.ONE_ELEMENT, lambda: ones(2).sum().size()[0], 1),
    (Classic.ONE_ELEMENT, lambda: nn.NLLLoss()(ones(1, 3), longs(1, 2)[0]), -1.0),
    (Classic.ONE_ELEMENT, lambda: nn.CrossEntropyLoss()(ones(3), longs(1)), np.log(3)),
    (Classic.KEPT_DIM, lambda: numbers(4).view(2, 2).sum(1)[1, 0], 5.0),
    (Classic.KEPT_DIM, lambda: numbers(4).view(2, 2).sum(1).squeeze(1), [1.0, 5.0]),
    (Classic.KEPT_DIM, lambda: numbers(6).view(2, 3).sum(1).expand(2, 3)[1], [12.0] * 3),
    (Classic.KEPT_DIM, lambda: rows().gather(1, rows().max(1)[1]), [[2.0], [5.0]]),
    (Classic.KEPT_DIM, lambda: rows().scatter_(1, rows().max(1)[1], 0)[:, 2], [0.0, 0.0]),
    (Classic.KEPT_DIM, lambda: rows().sum(0).mm(ones(3, 1)), [[15.0]]),
    (Classic.KEPT_DIM, lambda: rows().t().mm(rows().sum(1))[0], [36.0]),
    (Classic.KEPT_DIM, lambda: dtorch.cat([rows(), rows().sum(1)], 1)[:, 3], [3.0, 12.0]),
    (Classic.ELEMENT, lambda: round(dtorch.tensor(1.2345), 2), 1.23),
    (Classic.TRUTH, lambda: bool(ones(2) - 1), True),
    (Classic.POINTWISE, lambda: numbers(4).view(2, 2) + numbers(4), [[0.0, 2.0], [4.0, 6.0]]),
    (Classic.POINTWISE, lambda: numbers(4).view(4, 1).mul_(numbers(4)).view(4), [0.0, 1, 4, 9]),
    (Classic.POINTWISE, lambda: ones(2, 2).copy_(numbers(4)), [[0.0, 1.0], [2.0, 3.0]]),
    (Classic.POINTWISE, lambda: ones(2, 2).dot(numbers(4)), 6.0),
    (Classic.POINTWISE, lambda: numbers(4).view(2, 2).eq(numbers(4)).all(), True),
    (Classic.TARGET, lambda: nn.functional.binary_cross_entropy(ones(2, 2), ones(4)), 0.0),
    (Classic.TARGET, lambda: nn.MSELoss()(ones(2, 3), numbers(6)), (1 + 0 + 1 + 4 + 9 + 16) / 6),
    (Classic.GRADIENT, gradient_of_one_element, [2.0, 2.0, 2.0]),
    (Classic.QUOTIENT, lambda: changed(longs(5, -7), lambda t: t.div_(2)), [2, -3]),
    (Classic.MASK, lambda: 1 - mask(), [1, 0, 0]),
    (Classic.MASK, lambda: numbers(3)[1 - mask()], [0.0]),
    (Classic.MASK, lambda: -mask(), [0, 255, 255]),
    (Classic.VIEW, lambda: (numbers(4).view(2, 2).t() * 2).view(-1), [0.0, 4.0, 2.0, 6.0]),
    (Classic.ONE_SAMPLE, lambda: dtorch.tensor([0.0, 1.0]).multinomial(), [1]),
    (Classic.SAMPLE, reinforced, [3.0, 0.0]),
]


@pytest.mark.parametrize(("what", "call", "expected"), CALLS)
def test_classic_mode_allows_and_says_so_once_where_it_was(classic_mode, what, call, expected):
    with pytest.warns(ClassicWarning) as seen:
        result = call()
    result = result.tolist() if isinstance(result, dtorch.Tensor) else result
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    told = [w for w in seen if what.value[0] in str(w.message)]
    assert len(told) == 1
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call()


@pytest.mark.parametrize(("what", "call", "expected"), CALLS)
def test_without_classic_mode_the_error_names_it(what, call, expected):
    with pytest.raises((RuntimeError, TypeError, IndexError)) as error:
        call()
    assert HINT in str(error.value)


def test_results_are_of_the_type_variable_in_classic_mode_alone():
    h = Variable(ones(2)) * 2
    assert type(h) != Variable  # noqa: E721 - as programs wrote it
    assert Variable == Variable
    classic.switch(True)
    try:
        with pytest.warns(ClassicWarning, match="type `Variable`"):
            assert type(h) == Variable  # noqa: E721 - as programs wrote it
        assert type(h) in [Variable]
        assert type((h,)) != Variable  # noqa: E721 - as programs wrote it
        assert type(nn.Parameter(h)) != Variable  # noqa: E721 - as programs wrote it
    finally:
        classic.switch(False)


def test_quotients_of_integers_are_integers_but_of_single_numbers(classic_mode):
    with pytest.warns(ClassicWarning, match="integers"):
        quotient = longs(5, 7, -7) / 2
    assert quotient.tolist() == [2, 3, -3]
    assert quotient.dtype is dtorch.int64
    assert (longs(1, 1).sum() / 4).item() == 0.5
    assert (longs(1, 2) / 2.0).tolist() == [0.5, 1.0]


def test_the_array_of_a_number_has_an_element_in_classic_mode(classic_mode):
    array = ones(2).sum().numpy()
    with pytest.warns(ClassicWarning, match="numpy"):
        assert array[0] == 2
    assert array + 1 == 3
    assert array.shape == ()
    assert f"{array:.2f}" == "2.00"
    assert np.mean([array, 4]) == 3


def test_elements_of_integer_tensors_are_found_as_keys_in_classic_mode(classic_mode):
    names = {3: "three"}
    with pytest.warns(ClassicWarning, match="keys"):
        assert names[longs(3)[0]] == "three"
    assert longs(4)[0] not in names
    ones_of_float = {ones(1)[0], ones(1)[0]}
    assert len(ones_of_float) == 2


def test_resizing_the_data_resizes_the_variable_in_classic_mode(classic_mode):
    storage = dtorch.zeros(4, 3)
    v = Variable(storage)
    part = storage[1:]
    with pytest.warns(ClassicWarning, match="resized"):
        v.data.resize_(2, 3).fill_(7)
    assert v.tolist() == storage.tolist() == [[7.0] * 3] * 2
    assert tuple(part.shape) == (3, 3)


def test_samples_of_all_three_distributions_take_rewards_in_classic_mode(classic_mode):
    p = dtorch.full((2,), 0.5, requires_grad=True)
    with pytest.warns(ClassicWarning, match="reinforce"):
        draws = [
            dtorch.bernoulli(p),
            dtorch.normal(p, 1.0),
            dtorch.normal(0.0, p),
            p.multinomial(1),
        ]
    for draw in draws:
        draw.reinforce(dtorch.tensor(2.0))
        p.grad = None
        dtorch.autograd.backward([draw], [None])
        assert p.grad.abs().sum() > 0
    assert draws[-1].dtype is dtorch.int64


def test_operations_that_are_right_are_left_as_they_are(classic_mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (ones(2, 1) + numbers(2)).tolist() == [[1.0, 2.0], [1.0, 2.0]]
        assert (~mask()).tolist() == [True, False, False]
        with pytest.raises(RuntimeError, match="broadcast"):
            ones(2, 2) + numbers(3)
        with pytest.raises(IndexError):
            numbers(3)[0, 1]


def test_arange_gives_floating_point_numbers_in_classic_mode(classic_mode):
    with pytest.warns(ClassicWarning, match="arange"):
        assert (dtorch.arange(0, 4) / 8).tolist() == [0, 0.125, 0.25, 0.375]
    assert dtorch.arange(3, dtype=dtorch.int64).dtype is dtorch.int64


def test_distances_are_a_column_in_classic_mode(classic_mode):
    with pytest.warns(ClassicWarning, match="column"):
        assert nn.PairwiseDistance(eps=0)(ones(2, 4), 3 * ones(2, 4)).tolist() == [[4.0], [4.0]]


def test_zero_grad_leaves_zeros_in_classic_mode(classic_mode):
    layer = nn.Linear(2, 1)
    for owner in (layer, dtorch.optim.SGD(layer.parameters(), lr=0.1)):
        layer(ones(1, 2)).sum().backward()
        with pytest.warns(ClassicWarning, match="zero_grad") if owner is layer else nullcontext():
            owner.zero_grad()
        assert layer.weight.grad.tolist() == [[0.0, 0.0]]


def test_children_inherit_classic_mode():
    assert not classic.is_on()
    classic.switch(True)
    try:
        assert os.environ["DTORCH_CLASSIC"] == "1"
    finally:
        classic.switch(False)
    assert "DTORCH_CLASSIC" not in os.environ


def test_a_loss_is_summed_where_its_size_average_is_set_to_false():
    loss = nn.MSELoss()
    loss.size_average = False
    assert loss(ones(2, 2), numbers(4).view(2, 2)).item() == 1 + 0 + 1 + 4
    loss.reduce = False
    assert loss(ones(1), numbers(1)).tolist() == [1.0]


def test_the_documentation_lists_all_that_is_allowed():
    text = (Path(__file__).parents[2] / "docs" / "compat.md").read_text()
    for what in Classic:
        then, today = what.value
        assert f"| {then} | {today} |" in text
