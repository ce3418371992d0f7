"""Changes in place: leaves, histories, views, overlaps, failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch import nn
from dtorch.core.errors import DtypeError, GradError, ShapeError, StorageError


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


# -- leaves -------------------------------------------------------------------------------------------


def test_leaf_that_requires_grad_refuses() -> None:
    x = leaf(1.0)
    with pytest.raises(GradError, match=r"add_: .*leaf.*no_grad"):
        x.add_(1)
    assert x.tolist() == [1.0]
    assert x._version == 0


@pytest.mark.parametrize("change", [
    lambda x: x[0].add_(1),
    lambda x: x[0:1].fill_(3),
    lambda x: x.__setitem__(0, 5),
    lambda x: x.__setitem__([0], 5),
    lambda x: x.view(2, 1).zero_(),
    lambda x: x.uniform_(),
])  # fmt: skip
def test_view_of_a_leaf_that_requires_grad_refuses(change) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GradError, match="leaf"):
        change(x)
    assert x.tolist() == [1.0, 2.0]
    assert x._version == 0


def test_plain_leaf_gets_the_history_of_what_is_written_into_it() -> None:
    x = leaf(2.0)
    plain = dtorch.ones(1, dtype=dtorch.float64)
    plain.mul_(x)
    assert plain.requires_grad
    assert not plain.is_leaf
    plain.backward()
    assert x.grad.tolist() == [1.0]


def test_integer_tensor_gets_no_history() -> None:
    counts = dtorch.zeros(2, dtype=dtorch.int64)
    counts.copy_(leaf(1.0, 2.0))
    assert not counts.requires_grad
    assert counts.tolist() == [1, 2]


# -- histories ------------------------------------------------------------------------------------------


def test_chain_of_in_place_operations() -> None:
    x = leaf(2.0)
    y = x * 1
    y.mul_(3).add_(1).pow_(2)
    y.backward()
    assert y.tolist() == [49.0]
    assert x.grad.tolist() == [2 * 7 * 3]


def test_in_place_operation_that_needs_its_own_input() -> None:
    x = leaf(0.5)
    y = x * 1
    y.sin_()
    y.backward()
    assert x.grad.tolist() == pytest.approx([np.cos(0.5)])


def test_operand_and_target_may_be_the_same() -> None:
    x = leaf(3.0)
    y = x * 1
    y.mul_(y)
    y.backward()
    assert y.tolist() == [9.0]
    assert x.grad.tolist() == [6.0]


def test_overwriting_cuts_the_history() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.zero_()
    (y * 2).sum().backward()
    assert x.grad is None or x.grad.tolist() == [0.0, 0.0]


def test_comparison_in_place_cuts_the_gradient() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y[0:1].eq_(3.0)
    assert y.tolist() == [1.0, 6.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 3.0]


# -- views ------------------------------------------------------------------------------------------------


def test_change_through_a_view_reaches_the_base() -> None:
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1
    y[1:].mul_(5)
    assert "CopySlices" in y.grad_fn.name
    y.sum().backward()
    assert y.tolist() == [1.0, 10.0, 15.0]
    assert x.grad.tolist() == [1.0, 5.0, 5.0]


def test_view_follows_a_change_of_the_base() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    view = y[0]
    y.mul_(4)
    assert view.item() == 4.0
    view.backward()
    assert x.grad.tolist() == [4.0, 0.0]


def test_view_of_a_view_follows_a_change_of_another_view() -> None:
    x = leaf(*range(1, 7))
    y = x * 1
    table = y.view(2, 3)
    corner = table[1][2]
    table.t()[2].mul_(10)
    assert corner.item() == 60.0
    corner.backward()
    assert x.grad.tolist() == [0, 0, 0, 0, 0, 10.0]


def test_view_of_a_plain_base_gets_history_by_a_write() -> None:
    x = leaf(2.0)
    base = dtorch.zeros(3, dtype=dtorch.float64)
    view = base[1:2]
    view.copy_(x)
    assert base.requires_grad
    assert view.requires_grad
    (base * 3).sum().backward()
    assert x.grad.tolist() == [3.0]


def test_assignment_by_index_is_differentiable_for_value_and_base() -> None:
    x, v = leaf(1.0, 2.0, 3.0), leaf(10.0)
    y = x * 2
    y[1] = v[0] * 5
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 2.0]
    assert v.grad.tolist() == [5.0]


def test_assignment_by_mask_is_differentiable() -> None:
    x, v = leaf(1.0, 2.0, 3.0), leaf(10.0)
    y = x * 2
    y[x.detach() > 1.5] = v
    y.sum().backward()
    assert y.tolist() == [2.0, 10.0, 10.0]
    assert x.grad.tolist() == [2.0, 0.0, 0.0]
    assert v.grad.tolist() == [2.0]


def test_second_gradient_through_a_change_of_a_view() -> None:
    x = leaf(1.0, 2.0, 3.0)
    y = x * x
    y[1:].mul_(x[:2])
    (g,) = dtorch.autograd.grad(y.sum(), x, create_graph=True)
    # y = [a^2, a b^2, b c^2]
    assert g.tolist() == [2 * 1 + 4, 2 * 2 + 9, 2 * 2 * 3]
    (h,) = dtorch.autograd.grad(g.sum(), x)
    assert h.tolist() == [2 + 2 * 2, 2 * 2 + 2 * 1 + 2 * 3, 2 * 3 + 2 * 2]


@pytest.mark.parametrize("make", [
    lambda t: t.split(1), lambda t: t.chunk(2), lambda t: t.unbind(),
])  # fmt: skip
def test_one_of_several_views_refuses_to_be_recorded(make) -> None:
    y = leaf(1.0, 2.0) * 1
    part = make(y)[0]
    with pytest.raises(GradError, match=r"several views.*narrow"):
        part.mul_(2)
    assert y.tolist() == [1.0, 2.0]
    plain = dtorch.ones(2)
    make(plain)[0].mul_(2)
    assert plain.tolist() == [2.0, 1.0]


def test_unbound_parts_follow_a_change_of_the_base() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    a, b = y.unbind()
    y.mul_(7)
    (a + b * 2).backward()
    assert x.grad.tolist() == [7.0, 14.0]


def test_detached_tensor_shares_memory_without_history() -> None:
    x = leaf(1.0)
    y = x * 1
    d = y.detach()
    assert (d.requires_grad, d.is_leaf) == (False, True)
    d.mul_(5)
    assert y.tolist() == [5.0]
    y.detach_()
    assert not y.requires_grad
    with pytest.raises(GradError, match="view"):
        (x * 1)[0].detach_()


# -- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [
    lambda x: x.add_(1),
    lambda x: x.cos_(),
    lambda x: x.copy_(dtorch.ones(2, 3)),
    lambda x: x.uniform_(),
    lambda x: x.bernoulli_(),
    lambda x: x.random_(),
    lambda x: x.cumsum_(0),
    lambda x: x.fill_(dtorch.tensor(1.0)),
    lambda x: x.apply_(lambda v: v + 1),
    lambda x: x.__setitem__(0, dtorch.ones(3)),
    lambda x: x.index_add_(0, dtorch.tensor([0]), dtorch.ones(1, 3)),
    lambda x: dtorch.add(dtorch.ones(2, 3), 1, out=x),
    lambda x: dtorch.mm(dtorch.ones(2, 3), dtorch.ones(3, 3), out=x),
    lambda x: dtorch.rand(2, 3, out=x),
    lambda x: dtorch.eye(2, 3, out=x),
    lambda x: nn.init.xavier_normal_(x),
    lambda x: nn.init.eye_(x),
])  # fmt: skip
@pytest.mark.parametrize("recording", [True, False])
def test_elements_that_share_their_place_are_not_written_one_by_one(
    change: Any, recording: bool
) -> None:
    base = dtorch.zeros(2, 1)
    with dtorch.set_grad_enabled(recording), pytest.raises(
        RuntimeError, match=r"share memory.*clone\(\)"
    ):  # fmt: skip
        change(base.expand(2, 3))
    assert base.tolist() == [[0], [0]]


@pytest.mark.parametrize("change", [
    lambda x: x.fill_(2),
    lambda x: x.fill_(2).zero_().fill_(2.0),
    lambda x: x.__setitem__(..., 2),
    lambda x: nn.init.constant_(x, 2),
])  # fmt: skip
def test_one_value_is_written_to_places_that_elements_share(change: Any) -> None:
    base = dtorch.zeros(2, 1)
    change(base.expand(2, 3))
    assert base.tolist() == [[2], [2]]
    assert base._version >= 1


def test_one_value_written_to_shared_places_stops_their_gradient() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.reshape(2, 1).expand(2, 3)[1].fill_(5)
    assert y.tolist() == [3, 5]
    y.sum().backward()
    assert x.grad.tolist() == [3, 0]


def test_a_part_without_repetitions_of_an_expanded_tensor_is_written() -> None:
    base = dtorch.zeros(2, 1)
    wide = base.expand(2, 3)
    wide[:, 0] = dtorch.tensor([1.0, 2.0])
    wide[1, 2] = 5
    wide[:, 1].add_(1)
    assert base.tolist() == [[2], [6]]
    assert dtorch.ones(1).expand(1).add_(1).tolist() == [2]
    assert dtorch.ones(1, 0).expand(4, 0).add_(1).shape == (4, 0)


def test_detached_parts_of_expanded_tensors_are_written_like_others() -> None:
    base = dtorch.zeros(2, 1)
    base.expand(2, 3).detach().fill_(4)
    base.expand(2, 3).data[:, 0].add_(1)
    assert base.tolist() == [[5], [5]]


def test_memory_that_numpy_protects_is_not_written() -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    x = dtorch.from_numpy(array)
    y = dtorch.from_numpy(np.broadcast_to(np.zeros(3), (2, 3)))
    with pytest.raises(StorageError, match="read-only"):
        y[0].fill_(1)
    for change in (
        lambda: x.add_(1), lambda: x.fill_(1), lambda: x[1:].zero_(),
        lambda: dtorch.add(dtorch.ones(3), 1, out=x), lambda: x.uniform_(),
    ):  # fmt: skip
        with pytest.raises(StorageError, match=r"read-only.*clone\(\)"):
            change()
    assert not array.any()


def test_out_that_shares_a_part_of_an_operand_is_refused() -> None:
    x = dtorch.arange(5.0)
    for call in (
        lambda: dtorch.add(x[:-1], 1, out=x[1:]),
        lambda: dtorch.cumsum(x[:-1], 0, out=x[1:]),
        lambda: dtorch.cat([x[:2], x[3:]], out=x[:4]),
        lambda: dtorch.addcmul(x[:-1], x[1:], x[1:], out=x[:-1]),
    ):
        with pytest.raises(ShapeError, match="elements in common"):
            call()
    assert x.tolist() == [0, 1, 2, 3, 4]
    assert dtorch.add(x, 1, out=x) is x
    dtorch.mul(x[::2], 2, out=x[1::2].new_empty(3))
    dtorch.mul(x[:4:2], 10, out=x[1:4:2])
    assert x.tolist() == [1, 10, 3, 30, 5]


def test_operands_are_read_before_the_target_is_written() -> None:
    x = dtorch.arange(5.0)
    x[1:].add_(x[:-1])
    assert x.tolist() == [0, 1, 3, 5, 7]
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 3, 5]


def test_data_of_a_tensor_that_requires_grad_stay_floating() -> None:
    for tensor in (nn.Parameter(dtorch.ones(2)), leaf(1.0), leaf(1.0) * 2):
        for dtype in (dtorch.int64, dtorch.bool):
            with pytest.raises(DtypeError, match="data: the tensor requires grad"):
                tensor.data = dtorch.ones(2, dtype=dtype)
        tensor.data = dtorch.ones(3, dtype=dtorch.complex64)
        assert tensor.shape == (3,)
    with pytest.raises(DtypeError, match="requires grad"):
        nn.Linear(2, 2).type(dtorch.int64)
    frozen = nn.Linear(2, 2).requires_grad_(False).type(dtorch.int64)
    assert frozen.weight.dtype is dtorch.int64


def test_result_larger_than_the_target_refuses() -> None:
    x = dtorch.ones(3)
    with pytest.raises(ShapeError, match=r"add_: .*\(2, 3\).*\(3,\)"):
        x.add_(dtorch.ones(2, 3))
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert x._version == 0


def test_floating_result_does_not_fit_an_integer_target() -> None:
    x = dtorch.ones(3, dtype=dtorch.int64)
    with pytest.raises(DtypeError, match=r"add_.*float32.*int64"):
        x.add_(1.5)
    with pytest.raises(RuntimeError, match="div_"):
        x.div_(2)
    assert x.tolist() == [1, 1, 1]
    assert x._version == 0


def test_failed_operation_leaves_value_version_and_history() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    node = y.grad_fn
    for change in (
        lambda: y.add_(dtorch.ones(3)),
        lambda: y.add_(dtorch.ones(2, 2)),
        lambda: y.mul_("text"),
        lambda: y.mul_(2j),
        lambda: y.__setitem__(5, 1.0),
        lambda: y.__setitem__(slice(0, 2), dtorch.ones(3)),
        lambda: y.__setitem__([0, 9], 1.0),
        lambda: y.copy_(dtorch.ones(3)),
    ):
        with pytest.raises((ValueError, TypeError, IndexError)):
            change()
    assert y.tolist() == [2.0, 4.0]
    assert y._version == 0
    assert y.grad_fn is node


def test_overlapping_operand_is_read_before_it_is_written() -> None:
    x = dtorch.arange(5.0)
    x[1:].copy_(x[:-1])
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0]
    x = dtorch.arange(5.0)
    x[1:] += x[:-1]
    assert x.tolist() == [0.0, 1.0, 3.0, 5.0, 7.0]


# -- random programs ----------------------------------------------------------------------------------------------

SIZE = 6


def flat_positions(index: int) -> tuple[object, np.ndarray]:
    """A way to take a view of a vector of 6, and which elements it shows, in order."""
    positions = np.arange(SIZE)
    return [
        (lambda t: t[1:4], positions[1:4]),
        (lambda t: t[::2], positions[::2]),
        (lambda t: t.view(2, 3).t()[1], positions.reshape(2, 3).T[1]),
        (lambda t: t.view(3, 2)[:, 1], positions.reshape(3, 2)[:, 1]),
        (lambda t: t.view(2, 3)[1], positions.reshape(2, 3)[1]),
        (lambda t: t.narrow(0, 2, 3), positions[2:5]),
        (lambda t: t.view(2, 3).diagonal(1), positions.reshape(2, 3).diagonal(1)),
        (lambda t: t.view(1, 6).squeeze(0).unsqueeze(0)[0, 3:], positions[3:]),
        (lambda t: t.view(2, 3).permute(1, 0)[2:, :][0], positions.reshape(2, 3).T[2]),
    ][index]  # type: ignore[return-value]


def with_positions(
    base: list[dtorch.Tensor], positions: np.ndarray, new: list[dtorch.Tensor]
) -> None:
    for place, value in zip(positions.tolist(), new, strict=True):
        base[place] = value


STEP = st.tuples(
    st.sampled_from(["mul", "add", "copy", "sin", "fill", "whole", "self"]),
    st.integers(0, 8),
    st.integers(0, 8),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=5))
def test_programs_of_views_and_changes_equal_programs_without_them(steps: list[tuple]) -> None:
    values = np.linspace(0.4, 1.9, SIZE)
    x = dtorch.tensor(values, requires_grad=True)
    reference = dtorch.tensor(values, requires_grad=True)
    y = x * 1.0
    scalars = [reference[i] * 1.0 for i in range(SIZE)]  # the same program, element by element
    early = [flat_positions(k)[0](y) for k in range(9)]  # views taken before anything changed
    for kind, target, source, fresh in steps:
        take, positions = flat_positions(target)
        view = take(y) if fresh else early[target]
        count = len(positions)
        other_take, other = flat_positions(source)
        operand = (other_take(y) if fresh else early[source])[:1]
        first = scalars[int(other[0])]
        old = [scalars[p] for p in positions.tolist()]
        if kind == "mul":
            view.mul_(operand)
            new = [o * first for o in old]
        elif kind == "add":
            view.add_(operand, alpha=2)
            new = [o + 2 * first for o in old]
        elif kind == "copy":
            view.copy_(operand)
            new = [first * 1.0] * count
        elif kind == "sin":
            view.sin_()
            new = [o.sin() for o in old]
        elif kind == "fill":
            view.fill_(0.5)
            new = [dtorch.tensor(0.5, dtype=dtorch.float64)] * count
        elif kind == "self":
            view.mul_(view)
            new = [o * o for o in old]
        else:
            y.mul_(1.25)
            positions, new = np.arange(SIZE), [s * 1.25 for s in scalars]
        with_positions(scalars, positions, new)
    np.testing.assert_allclose(y.detach().numpy(), [s.item() for s in scalars], rtol=1e-12)
    for view, (_, positions) in zip(early, map(flat_positions, range(9)), strict=True):
        np.testing.assert_allclose(view.detach().numpy(), y.detach().numpy()[positions])
    weights = np.arange(1.0, SIZE + 1).tolist()
    through_base = (y * dtorch.tensor(weights, dtype=dtorch.float64)).sum()
    through_views = sum((view * view).sum() for view in early)
    compare_gradients(
        (through_base, x), (sum(s * w for s, w in zip(scalars, weights, strict=True)), reference)
    )
    squares = [scalars[p] * scalars[p] for k in range(9) for p in flat_positions(k)[1].tolist()]
    compare_gradients((through_views, x), (sum(squares), reference))


def compare_gradients(one: tuple, other: tuple) -> None:
    found = [
        dtorch.autograd.grad(total, leaf, retain_graph=True, allow_unused=True)[0]
        if total.requires_grad else None
        for total, leaf in (one, other)
    ]  # fmt: skip
    arrays = [np.zeros(SIZE) if g is None else g.numpy() for g in found]
    np.testing.assert_allclose(arrays[0], arrays[1], rtol=1e-10, atol=1e-12)


def test_a_result_of_one_number_wraps_in_the_dtype_it_is_written_into() -> None:
    three = dtorch.tensor(3, dtype=dtorch.int16)
    assert dtorch.tensor(-100, dtype=dtorch.int8).mul_(three).item() == -44
    out = dtorch.tensor(0, dtype=dtorch.int8)
    assert dtorch.mul(dtorch.tensor(100, dtype=dtorch.int16), three, out=out).item() == 44
