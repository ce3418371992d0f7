"""The engine: order, accumulation, hooks, freeing, depth, threads."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

import dtorch
from dtorch.core.errors import DtypeError, GradError, ShapeError


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


# -- accumulation ---------------------------------------------------------------------------------


def test_gradients_of_several_passes_add_up() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]


def test_gradients_of_several_uses_add_up() -> None:
    x = leaf(2.0)
    (x * x + x * x * x + x).backward()
    assert x.grad.tolist() == [2 * 2 + 3 * 4 + 1]


def test_accumulation_goes_into_the_same_tensor() -> None:
    x = leaf(1.0)
    x.sum().backward()
    first = x.grad
    x.sum().backward()
    assert x.grad is first
    assert first.tolist() == [2.0]


def test_grads_of_two_leaves_never_share_memory() -> None:
    x, y = leaf(1.0), leaf(1.0)
    (x + y).sum().backward()
    x.grad.fill_(7)
    assert y.grad.tolist() == [1.0]


def test_grads_of_two_leaves_never_share_memory_under_create_graph() -> None:
    x, y = leaf(1.0), leaf(1.0)
    (x + y).sum().backward(create_graph=True)
    with dtorch.no_grad():
        x.grad.fill_(7)
    assert y.grad.tolist() == [1.0]


def test_grad_does_not_share_memory_with_the_gradient_passed_in() -> None:
    x = leaf(1.0, 2.0)
    gradient = dtorch.ones(2, dtype=dtorch.float64)
    x.backward(gradient)
    x.backward(gradient)
    assert gradient.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [2.0, 2.0]


def test_grad_does_not_share_memory_with_a_sparse_gradient_passed_in() -> None:
    x = dtorch.zeros(3, requires_grad=True)
    gradient = dtorch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (3,))
    x.backward(gradient)
    x.backward(gradient)
    assert gradient.to_dense().tolist() == [1.0, 0.0, 2.0]
    assert x.grad.to_dense().tolist() == [2.0, 0.0, 4.0]


def test_grad_does_not_share_memory_with_what_a_hook_kept() -> None:
    x = leaf(1.0)
    kept = []
    y = x * 2
    y.register_hook(kept.append)
    x.register_hook(kept.append)
    y.sum().backward()
    x.sum().backward()
    assert [k.tolist() for k in kept] == [[1.0], [2.0], [1.0]]
    assert x.grad.tolist() == [3.0]


def test_grad_is_plain_unless_create_graph() -> None:
    x = leaf(1.0)
    (x * x).backward()
    assert not x.grad.requires_grad
    y = leaf(1.0)
    (y * y).backward(create_graph=True)
    assert y.grad.requires_grad


def test_what_others_hold_of_a_gradient_stays_when_another_is_added_to_it() -> None:
    x = leaf(1.0, 2.0)
    a, b = x * 2, x * 3
    kept: list[dtorch.Tensor] = []
    b.register_hook(kept.append)
    start = dtorch.ones(2, dtype=dtorch.float64)
    ((a + b) + a * 4).backward(start)
    assert x.grad.tolist() == [13.0, 13.0]
    assert kept[0].tolist() == [1.0, 1.0]
    assert start.tolist() == [1.0, 1.0]


def test_gradient_of_a_product_with_a_number_has_the_type_of_the_tensor() -> None:
    for dtype in (dtorch.float16, dtorch.float32, dtorch.float64, dtorch.complex64):
        x = dtorch.ones(3, dtype=dtype, requires_grad=True)
        for number in (2.5, 2, True):
            x.grad = None
            (x * number).real.sum().backward() if dtype.is_complex else (
                x * number
            ).sum().backward()
            assert x.grad.dtype is dtype
            assert x.grad.tolist() == [number] * 3


def test_assigned_grad_takes_part_in_accumulation() -> None:
    x = leaf(1.0)
    x.grad = dtorch.tensor([10.0], dtype=dtorch.float64)
    x.backward()
    assert x.grad.tolist() == [11.0]
    x.grad = None
    assert x.grad is None


def test_broadcast_operands_get_gradients_of_their_own_shape() -> None:
    x, y = dtorch.ones(3, 1, requires_grad=True), dtorch.ones(4, requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.tolist() == [[4.0]] * 3
    assert y.grad.tolist() == [3.0] * 4


def test_gradient_has_the_dtype_of_its_tensor() -> None:
    x = dtorch.ones(2, dtype=dtorch.float32, requires_grad=True)
    y = dtorch.ones(2, dtype=dtorch.float64, requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (dtorch.float32, dtorch.float64)


# -- roots ----------------------------------------------------------------------------------------


def test_implicit_gradient_needs_one_element() -> None:
    with pytest.raises(GradError, match=r"shape \(2,\).*gradient="):
        (leaf(1.0, 2.0) * 2).backward()


def test_gradient_needs_the_shape_of_the_tensor() -> None:
    with pytest.raises(ShapeError, match=r"\(1,\).*\(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(dtorch.ones(1))


def test_gradient_must_be_a_tensor() -> None:
    with pytest.raises(TypeError, match=r"float.*tensor"):
        leaf(1.0).backward(1.0)


def test_backward_needs_a_history() -> None:
    with pytest.raises(GradError, match="requires_grad=True"):
        dtorch.ones(1).backward()


def test_backward_from_an_inner_tensor_and_from_its_result_at_once() -> None:
    x = leaf(3.0)
    y = x * x
    z = y * 2
    dtorch.autograd.backward([y, z], [None, None])
    assert x.grad.tolist() == [6.0 + 12.0]


def test_backward_twice_from_the_same_root_counts_twice() -> None:
    x = leaf(3.0)
    y = x * 2
    dtorch.autograd.backward([y, y])
    assert x.grad.tolist() == [4.0]


def test_lengths_of_roots_and_gradients_must_agree() -> None:
    x = leaf(1.0)
    with pytest.raises(ValueError, match="got 2 gradients, expected 1"):
        dtorch.autograd.backward([x * 2], [None, None])


# -- freeing --------------------------------------------------------------------------------------


def test_second_pass_names_retain_graph() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"mul.*retain_graph=True"):
        y.backward()


def test_retained_graph_can_be_used_again() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0]


def test_classic_name_of_retain_graph() -> None:
    x = leaf(1.0)
    y = x * x
    y.backward(retain_variables=True)
    y.backward()
    with pytest.raises(ValueError, match="differ"):
        y.backward(retain_graph=True, retain_variables=False)


def test_graph_that_saved_nothing_can_be_used_again() -> None:
    x = leaf(1.0)
    y = (x + x).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [4.0]


def test_saved_tensors_are_freed_while_the_graph_is_walked() -> None:
    x = leaf(1.0)
    inner = x * 2
    y = inner * inner
    alive = weakref.ref(inner)
    del inner
    assert alive() is not None
    y.backward()
    assert alive() is None


# -- higher order ---------------------------------------------------------------------------------


def test_third_derivative() -> None:
    x = leaf(2.0)
    g = x**5
    for _ in range(3):
        (g,) = dtorch.autograd.grad(g.sum(), x, create_graph=True)
    assert g.tolist() == [60 * 4.0]


def test_create_graph_keeps_the_graph() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]


def test_grad_mode_inside_backward_follows_create_graph() -> None:
    seen = []
    x = leaf(1.0)
    x.register_hook(lambda g: seen.append(dtorch.is_grad_enabled()))
    (x * 1).backward(retain_graph=True)
    (x * 1).backward(create_graph=True)
    assert seen == [False, True]
    assert dtorch.is_grad_enabled()


# -- grad() ---------------------------------------------------------------------------------------


def test_grad_leaves_the_fields_alone() -> None:
    x = leaf(2.0)
    (g,) = dtorch.autograd.grad(x * x, x)
    assert g.tolist() == [4.0]
    assert x.grad is None


def test_grad_of_an_inner_tensor() -> None:
    x = leaf(2.0)
    y = x * 3
    assert dtorch.autograd.grad(y * y, [y, x])[0].tolist() == [12.0]


def test_grad_runs_only_nodes_on_the_way() -> None:
    x, y = leaf(2.0), leaf(3.0)
    ran = []
    side = y * 2
    side.register_hook(ran.append)
    dtorch.autograd.grad(x * side, x)
    assert ran == []


def test_grad_of_an_unused_input() -> None:
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(GradError, match=r"input 1.*allow_unused"):
        dtorch.autograd.grad(x * 2, [x, y])
    assert dtorch.autograd.grad(x * 2, [x, y], allow_unused=True)[1] is None


def test_grad_can_make_zeros_of_unused_inputs() -> None:
    x, y = leaf(1.0), leaf(1.0, 2.0)
    found = dtorch.autograd.grad(x * 2, [x, y], allow_unused=True, materialize_grads=True)
    assert found[1].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="materialize_grads"):
        dtorch.autograd.grad(x * 2, [x, y], allow_unused=False, materialize_grads=True)


def test_grad_of_a_batch_of_gradients() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    (rows,) = dtorch.autograd.grad(y, x, dtorch.eye(2, dtype=dtorch.float64), is_grads_batched=True)
    assert rows.tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_input_named_twice_gets_its_gradient_twice() -> None:
    x = leaf(2.0)
    assert [g.tolist() for g in dtorch.autograd.grad(x * x, [x, x])] == [[4.0], [4.0]]


def test_tensors_may_come_out_of_any_iterable() -> None:
    named = {"x": leaf(2.0), "y": leaf(3.0)}
    product = named["x"] * named["y"]
    found = dtorch.autograd.grad([product], named.values(), retain_graph=True)
    assert [g.item() for g in found] == [3, 2]
    product.backward(inputs=(tensor for tensor in named.values()))
    assert named["x"].grad.item() == 3
    for wrong, said in (([3], "number 0 is of type int"), ("xy", "got str"), (3, "got int")):
        with pytest.raises(DtypeError, match=said):
            dtorch.autograd.grad(product, wrong)
    with pytest.raises(DtypeError, match="NoneType"):
        dtorch.autograd.grad(product, [None])


def test_backward_into_chosen_inputs_only() -> None:
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=[x])
    assert x.grad.tolist() == [3.0]
    assert y.grad is None


def test_input_that_does_not_require_grad_is_named() -> None:
    with pytest.raises(GradError, match="input 1"):
        dtorch.autograd.grad(leaf(1.0) * 2, [leaf(1.0), dtorch.ones(1)])


# -- order ----------------------------------------------------------------------------------------


def test_nodes_run_in_reverse_order_of_creation() -> None:
    x = leaf(1.0)
    order = []
    parts = [x * k for k in range(1, 5)]
    for k, part in enumerate(parts):
        part.register_hook(lambda g, k=k: order.append(k))
    (parts[2] + parts[0] + parts[3] + parts[1]).backward()
    assert order == [3, 2, 1, 0]


def test_node_runs_once_with_the_sum_of_its_gradients() -> None:
    x = leaf(1.0)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3 + y * 4).backward()
    assert seen == [[7.0]]


def test_output_that_took_no_part_is_zero() -> None:
    x = dtorch.ones(4, requires_grad=True)
    first, _ = x.split(2)
    first.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0, 0.0]


# -- hooks ----------------------------------------------------------------------------------------


def test_tensor_hooks_run_in_order_and_may_replace_the_gradient() -> None:
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2).backward()
    assert seen == [[2.0], [20.0]]
    assert x.grad.tolist() == [20.0]


def test_tensor_hook_of_an_inner_tensor_changes_what_flows_on() -> None:
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * 5)
    y.backward()
    assert x.grad.tolist() == [10.0]


def test_tensor_hook_sees_the_right_output_of_several() -> None:
    x = leaf(1.0, 2.0, 3.0)
    a, b, c = x.unbind()
    b.register_hook(lambda g: g * 100)
    (a + b + c).backward()
    assert x.grad.tolist() == [1.0, 100.0, 1.0]


def test_hook_must_return_a_tensor_of_the_same_shape() -> None:
    x = leaf(1.0, 2.0)
    with x.register_hook(lambda g: 3), pytest.raises(TypeError, match=r"int.*tensor"):
        x.sum().backward()
    with x.register_hook(lambda g: g.sum()), pytest.raises(ShapeError, match=r"\(\).*\(2,\)"):
        x.sum().backward()


def test_hooks_of_create_graph_are_recorded() -> None:
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (first,) = dtorch.autograd.grad(y, x, create_graph=True)  # 2 x * x
    (second,) = dtorch.autograd.grad(first, x)
    assert (first.tolist(), second.tolist()) == ([18.0], [12.0])


def test_node_hooks_run_before_and_after_the_node() -> None:
    x = leaf(1.0)
    y = x * 2
    calls = []
    y.grad_fn.register_prehook(lambda outs: calls.append(("before", outs[0].tolist())))
    y.grad_fn.register_hook(
        lambda ins, outs: calls.append(("after", ins[0].tolist(), outs[0].tolist()))
    )
    y.backward()
    assert calls == [("before", [1.0]), ("after", [2.0], [1.0])]


def test_node_hooks_may_replace_gradients() -> None:
    x = leaf(1.0)
    y = x * 2
    y.grad_fn.register_prehook(lambda outs: (outs[0] * 10,))
    y.grad_fn.register_hook(lambda ins, outs: tuple(g + 1 for g in ins))
    y.backward()
    assert x.grad.tolist() == [21.0]


def test_node_hook_must_return_as_many_gradients() -> None:
    y = leaf(1.0) * leaf(2.0)
    y.grad_fn.register_hook(lambda ins, outs: ins[:1])
    with pytest.raises(GradError, match="returned 1 gradients, expected 2"):
        y.backward()


def test_post_accumulate_hook_runs_after_the_grad_was_updated() -> None:
    x = leaf(1.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.tolist())))
    (x * 2).backward()
    (x * 2).backward()
    assert seen == [(True, [2.0]), (True, [4.0])]
    with pytest.raises(GradError, match="leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_post_accumulate_hook_runs_for_chosen_inputs() -> None:
    x = leaf(1.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    (x * 2).backward(inputs=[x])
    assert seen == [[2.0]]


def test_retained_grad_is_that_after_the_hooks() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    assert y.retains_grad
    (y * 3).backward()
    assert y.grad.tolist() == [15.0]
    assert x.grad.tolist() == [30.0]


def test_retained_grad_does_not_keep_the_tensor_alive() -> None:
    x = leaf(1.0)
    y = x + 2
    y.retain_grad()
    z = y + 3
    alive = weakref.ref(y)
    del y
    assert alive() is None
    z.backward()


def test_retain_grad_needs_a_tensor_that_requires_grad() -> None:
    with pytest.raises(GradError, match="does not require grad"):
        dtorch.ones(1).retain_grad()
    x = leaf(1.0)
    x.retain_grad()  # leaves keep theirs anyway
    assert not x.retains_grad


def test_error_in_backward_names_the_node() -> None:
    x = leaf(1.0)
    y = x * 2

    def fail(_: object) -> None:
        raise KeyError("from a hook")

    x.register_hook(fail)
    with pytest.raises(KeyError, match="from a hook"):
        y.backward()
    assert dtorch.is_grad_enabled()


# -- depth, cycles, threads -------------------------------------------------------------------------


def chain(x: dtorch.Tensor, length: int) -> dtorch.Tensor:
    y = x
    for _ in range(length):
        y = y * 1.0
    return y


def test_chain_of_100_000_nodes_runs_backward_and_is_freed_without_recursion() -> None:
    x = leaf(1.0)
    y = chain(x, 100_000)
    y.backward()
    assert x.grad.tolist() == [1.0]
    del y


def test_chain_of_100_000_nodes_is_freed_unused() -> None:
    node = weakref.ref(chain(leaf(1.0), 100_000).grad_fn)
    assert node() is None


def test_deep_graph_of_in_place_operations_is_freed() -> None:
    x = leaf(1.0)
    y = x * 1.0
    for _ in range(20_000):
        y.mul_(1.0)
    y.backward()
    assert x.grad.tolist() == [1.0]


def test_iterations_leave_no_reference_cycles() -> None:
    w = dtorch.ones(3, 3, requires_grad=True)

    def step() -> None:
        x = dtorch.ones(2, 3)
        h = (x @ w).exp() * 1
        h[0].mul_(2.0)
        parts = h.split(1)
        y = (parts[0] * parts[1].sigmoid()).sum()
        y.backward(retain_graph=True)
        (g,) = dtorch.autograd.grad(y, w, create_graph=True)
        (g * g).sum().backward()
        w.grad = None

    for _ in range(5):
        step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(1000):
            step()
        after = len(gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 50


@pytest.mark.parametrize(("size", "passes"), [(50, 200), (100_000, 20)])
def test_two_threads_with_shared_leaves_sum_their_gradients(size: int, passes: int) -> None:
    x = dtorch.ones(size, dtype=dtorch.float64, requires_grad=True)
    y = dtorch.full((size,), 2.0, dtype=dtorch.float64, requires_grad=True)
    start = threading.Barrier(2)
    errors = []

    def work() -> None:
        try:
            start.wait()
            for _ in range(passes):
                (x * y + x).sum().backward()
        except RuntimeError as error:  # pragma: no cover - reported below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (x.grad == 2 * passes * 3.0).all()
    assert (y.grad == 2 * passes * 1.0).all()


@pytest.mark.parametrize("rounds", [6])
def test_threads_in_either_engine_sum_their_gradients(rounds: int) -> None:
    """Naming ``inputs`` takes the Python engine; arrays this large are added without the GIL."""
    x = dtorch.ones(1_000_000, requires_grad=True)
    start = threading.Barrier(4)
    missed = []

    def work(engine: dict[str, list[dtorch.Tensor]]) -> None:
        for k in range(rounds):
            if start.wait() == 0:
                x.grad = None  # the first gradients of each round meet, too
            start.wait()
            for _ in range(3):
                x.sum().backward(**engine)
            if start.wait() == 0 and not (x.grad == 12.0).all():
                missed.append(k)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in 2 * [{}, {"inputs": [x]}]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []


def test_backward_inside_a_hook() -> None:
    x, other = leaf(1.0), leaf(2.0)
    y = x * 2

    def nested(_: dtorch.Tensor) -> None:
        with dtorch.enable_grad():
            (other * other).backward()

    y.register_hook(nested)
    y.backward()
    assert other.grad.tolist() == [4.0]
    assert x.grad.tolist() == [2.0]


def test_gradients_can_be_deleted_but_not_be_their_own() -> None:
    x = dtorch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="its own gradient"):
        x.grad = x
    x.grad = dtorch.ones(2)
    del x.grad
    assert x.grad is None


def test_hooks_are_shown_and_must_keep_the_type() -> None:
    x = dtorch.ones(2, requires_grad=True)
    y = x * 2
    assert x._backward_hooks is None is y._backward_hooks
    handle = x.register_hook(lambda grad: grad.double())
    assert list(x._backward_hooks) == [handle.id]
    with pytest.raises(RuntimeError, match="changed the type"):
        y.sum().backward()


@pytest.mark.parametrize("call", [
    lambda y: y.backward(inputs=[]), lambda y: dtorch.autograd.grad(y, []),
    lambda y: dtorch.autograd.grad(y, "x"),
])  # fmt: skip
def test_inputs_that_are_none_are_refused(call) -> None:
    with pytest.raises(RuntimeError, match="inputs"):
        call(dtorch.ones(1, requires_grad=True) * 1)
