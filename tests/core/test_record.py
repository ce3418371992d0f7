"""What is recorded of a call: modes, saved values and their versions, views."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.autograd import Variable
from dtorch.core.definition import MOST_TENSORS
from dtorch.core.errors import GradError, VersionError
from dtorch.core.op import REGISTRY, Op, structured


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


# -- flags ------------------------------------------------------------------------------------------


def test_result_requires_grad_if_any_operand_does() -> None:
    plain = dtorch.ones(1)
    assert (leaf(1.0) * plain).requires_grad
    assert (plain * leaf(1.0)).requires_grad
    result = plain * plain
    assert not result.requires_grad
    assert result.is_leaf


def test_leaf_is_what_no_operation_recorded() -> None:
    x = leaf(1.0)
    assert x.is_leaf
    assert x.grad_fn is None
    assert x.creator is None
    y = x * 2
    assert not y.is_leaf
    assert y.creator is y.grad_fn
    assert y.output_nr == 0
    assert (x.unbind()[0].output_nr, dtorch.ones(2, requires_grad=True).unbind()[1].output_nr) == (
        0,
        1,
    )


def test_comparisons_and_indices_are_not_recorded() -> None:
    x = leaf(1.0, 2.0)
    assert not (x > 1).requires_grad
    assert not x.argmax().requires_grad
    values, indices = x.max(0)
    assert values.requires_grad
    assert not indices.requires_grad


def test_rounding_has_zero_gradient() -> None:
    x = leaf(1.5)
    (x.floor() + x.ceil() + x.round() + x.trunc() + x.sign()).backward()
    assert x.grad.tolist() == [0.0]


def test_only_leaves_change_requires_grad() -> None:
    y = leaf(1.0) * 2
    with pytest.raises(GradError, match=r"leaf.*detach\(\)"):
        y.requires_grad = False
    y.requires_grad_()
    x = dtorch.ones(1)
    assert x.requires_grad_() is x
    assert x.requires_grad


@pytest.mark.parametrize("dtype", [dtorch.int64, dtorch.bool, dtorch.uint8])
def test_whole_numbers_cannot_require_grad(dtype: dtorch.dtype) -> None:
    with pytest.raises(GradError, match=r"floating-point.*" + dtype.name):
        dtorch.ones(1, dtype=dtype).requires_grad_()


# -- volatile -----------------------------------------------------------------------------------------


def test_one_volatile_operand_makes_the_result_volatile() -> None:
    v = Variable(dtorch.ones(2), volatile=True)
    w = Variable(dtorch.ones(2), requires_grad=True)
    y = (w * 2) * v
    assert y.volatile
    assert not y.requires_grad
    assert y.creator is None
    assert y.sum().volatile
    assert y[0].volatile
    assert y.view(2, 1).volatile
    assert y.detach().volatile
    assert y.double().volatile
    assert not y.data.volatile
    assert not (w * 2).volatile


def test_volatile_refuses_backward_and_hooks() -> None:
    v = Variable(dtorch.ones(1), volatile=True)
    with pytest.raises(RuntimeError, match="volatile"):
        (v * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        v.register_hook(print)


def test_volatile_excludes_requires_grad() -> None:
    with pytest.raises(ValueError, match="exclude"):
        Variable(dtorch.ones(1), requires_grad=True, volatile=True)
    x = leaf(1.0)
    x.volatile = True
    assert not x.requires_grad
    x.volatile = False
    assert not x.requires_grad
    with pytest.raises(GradError, match="leaf"):
        (leaf(1.0) * 2).volatile = True


def test_no_grad_results_are_plain() -> None:
    with dtorch.no_grad():
        assert not (leaf(1.0) * 2).volatile


def test_volatile_operand_of_an_in_place_operation_makes_the_family_volatile() -> None:
    y = leaf(1.0, 2.0) * 2
    part = y[:1]
    part.add_(Variable(dtorch.ones(1, dtype=dtorch.float64), volatile=True))
    assert part.volatile
    assert y.volatile
    assert y.grad_fn is None
    with pytest.raises(GradError, match="leaf"):
        leaf(1.0).add_(Variable(dtorch.ones(1), volatile=True))


# -- saved values ---------------------------------------------------------------------------------------


def test_changed_operand_is_reported_with_operation_and_both_versions() -> None:
    x = leaf(1.0)
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(VersionError, match=r"mul: .*version 1, expected 0"):
        z.backward()


def test_changed_result_is_reported() -> None:
    x = leaf(1.0)
    y = x.exp()
    y.add_(1)
    with pytest.raises(VersionError, match=r"exp: out.*version 1, expected 0"):
        y.backward()


def test_change_through_a_view_is_reported() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y * y
    y[0].mul_(3)
    with pytest.raises(VersionError, match="mul"):
        z.sum().backward()


def test_change_through_detach_is_reported_and_through_data_is_not() -> None:
    w = leaf(2.0)
    product = w * w
    w.detach().mul_(3)
    with pytest.raises(VersionError):
        product.backward()
    w = leaf(2.0)
    product = w * w
    w.data.mul_(3)
    product.backward()
    assert w.grad.tolist() == [12.0]  # computed from the new value, unnoticed


def test_changed_tensor_that_is_not_needed_is_not_reported() -> None:
    x = leaf(1.0)
    y = x * 2
    z = y + y
    y.add_(1)
    z.backward()
    assert x.grad.tolist() == [4.0]


def test_only_what_an_operand_needs_is_saved() -> None:
    x, plain = leaf(1.0), dtorch.ones(1, dtype=dtorch.float64)
    z = x * plain  # the gradient of x needs `plain` alone
    with dtorch.no_grad():
        x.add_(1)
    z.backward()
    assert x.grad.tolist() == [1.0]


def test_change_counts_under_no_grad_too() -> None:
    x = leaf(3.0)
    z = x * x
    with dtorch.no_grad():
        x.add_(1)
    with pytest.raises(VersionError, match="version 1, expected 0"):
        z.backward()


def test_version_counts_in_place_changes_of_the_whole_family() -> None:
    x = dtorch.zeros(4)
    assert x._version == 0
    x.add_(1)
    assert x._version == 1
    view = x[:2]
    view.mul_(2)
    x[3] = 5
    x.copy_(dtorch.ones(4))
    dtorch.add(x, x, out=x)
    assert (x._version, view._version, x.detach()._version) == (5, 5, 5)
    assert x.data._version == 0
    assert Variable(x)._version == 0


# -- views ------------------------------------------------------------------------------------------------


def test_view_of_a_leaf_has_a_history() -> None:
    x = leaf(1.0, 2.0)
    view = x.view(2, 1)
    assert view.grad_fn is not None
    view.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_views_know_their_base() -> None:
    x = dtorch.zeros(4)
    view = x[1:][:2]
    assert view._is_view()
    assert view._base is x
    assert not x._is_view()
    assert x._base is None


def test_saved_output_under_create_graph_keeps_its_history() -> None:
    x = leaf(0.5)
    y = x.exp()
    (first,) = dtorch.autograd.grad(y, x, create_graph=True)
    (second,) = dtorch.autograd.grad(first, x, create_graph=True)
    (third,) = dtorch.autograd.grad(second, x)
    assert third.tolist() == pytest.approx([2.718281828459045**0.5])


# -- operations of many operands --------------------------------------------------------------------


def operation_of(count: int) -> Op:
    """The sum of ``count`` tensors, each times its number, with one formula of all of them."""
    names = [f"t{i}" for i in range(count)]
    scope: dict[str, Op] = {}
    exec(
        f"def sum_of_{count}(xp, {', '.join(names)}):\n"
        f"    return {' + '.join(f'{i + 1} * {name}' for i, name in enumerate(names))}\n"
        f"def formula(grad, needs, {', '.join(names)}):\n"
        f"    return [{', '.join(f'grad * {i + 1} + 0 * {name}' for i, name in enumerate(names))}]",
        scope,
    )
    op = structured(public=False)(scope[f"sum_of_{count}"])
    op.gradient(*names)(scope["formula"])
    del REGISTRY[op.name]  # it is no operation of dtorch
    return op


@pytest.mark.parametrize("count", [16, 17, 33, MOST_TENSORS])
def test_every_one_of_many_operands_gets_its_gradient(count: int) -> None:
    op = operation_of(count)
    operands = [leaf(1.0) for _ in range(count)]
    op(*operands).backward()
    assert [x.grad.item() for x in operands] == [i + 1 for i in range(count)]
    last = leaf(1.0)
    op(*[x.detach() for x in operands[1:]], last).backward()
    assert last.grad.item() == count


def test_more_operands_than_a_record_can_tell_apart_are_refused_when_the_operation_is_made() -> (
    None
):
    with pytest.raises(ValueError, match=f"{MOST_TENSORS + 1} parameters take tensors"):
        operation_of(MOST_TENSORS + 1)
