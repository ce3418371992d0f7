"""User-defined functions, static and classic."""

from __future__ import annotations

import gc
import weakref

import pytest

import dtorch
from dtorch.autograd import Function, NestedIOFunction, Variable
from dtorch.autograd.function import InplaceFunction, once_differentiable, traceable
from dtorch.core.errors import GradError, ShapeError, VersionError


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x**2


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0]


class OldMul(Function):
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def forward(self, a, b):
        self.save_for_backward(a, b)
        return a * b * self.scale

    def backward(self, grad):
        a, b = self.saved_tensors
        return grad * b * self.scale, grad * a * self.scale


# -- the static style ---------------------------------------------------------------------------------


def test_static_function_has_a_gradient_and_a_second_one() -> None:
    x = leaf(2.0)
    y = Cube.apply(x)
    assert repr(y.grad_fn) == "<CubeBackward>"
    assert type(y.grad_fn).__name__ == "CubeBackward"
    (first,) = dtorch.autograd.grad(y, x, create_graph=True)
    (second,) = dtorch.autograd.grad(first, x, create_graph=True)
    (third,) = dtorch.autograd.grad(second, x)
    assert [t.tolist() for t in (y, first, second, third)] == [[8.0], [12.0], [12.0], [6.0]]


def test_saved_output_keeps_its_history_for_second_gradients() -> None:
    x = leaf(0.5)
    assert dtorch.autograd.gradgradcheck(Exp.apply, (x,))


def test_forward_is_not_recorded_and_backward_only_under_create_graph() -> None:
    modes = []

    class Watch(Function):
        @staticmethod
        def forward(ctx, x):
            modes.append((dtorch.is_grad_enabled(), (x * 2).requires_grad))
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            modes.append(dtorch.is_grad_enabled())
            return grad * 2

    x = leaf(1.0)
    Watch.apply(x).backward()
    Watch.apply(x).backward(create_graph=True)
    assert modes == [(False, False), False, (False, False), True]


def test_other_arguments_pass_through_and_take_none() -> None:
    class Scale(Function):
        @staticmethod
        def forward(ctx, x, factor, name):
            assert name == "n"
            ctx.factor = factor
            ctx.op, ctx.inputs, ctx.saved, ctx.edges = "names", "of", "the", "engine"
            return x * factor

        @staticmethod
        def backward(ctx, grad):
            assert ctx.needs_input_grad == (True, False, False)
            assert (ctx.op, ctx.inputs, ctx.saved, ctx.edges) == ("names", "of", "the", "engine")
            return grad * ctx.factor, None, None

    x = leaf(1.0)
    Scale.apply(x, 3.0, "n").backward()
    assert x.grad.tolist() == [3.0]


def test_gradient_for_what_is_no_tensor_is_refused() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, factor):
            return x * factor

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    with pytest.raises(RuntimeError, match=r"WrongBackward.*argument 1.*None"):
        Wrong.apply(leaf(1.0), 2.0).backward()


def test_surplus_none_is_allowed_and_other_counts_are_refused() -> None:
    class Returns(Function):
        result: tuple = ()

        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, grad):
            return Returns.result

    a, b = leaf(1.0), leaf(1.0)
    one = dtorch.ones(1, dtype=dtorch.float64)
    Returns.result = (one, one, None, None)
    Returns.apply(a, b).backward()
    assert a.grad.tolist() == [1.0]
    for wrong in ((one,), (one, one, one)):
        Returns.result = wrong
        with pytest.raises(RuntimeError, match=r"returned \d gradients, expected 2"):
            Returns.apply(a, b).backward()


def test_gradient_of_a_wrong_shape_or_type_is_refused() -> None:
    class Bad(Function):
        result: object = None

        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return Bad.result

    x = leaf(1.0, 2.0)
    Bad.result = dtorch.ones(3)
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        Bad.apply(x).sum().backward()
    Bad.result = 1.0
    with pytest.raises(TypeError, match=r"float.*tensor"):
        Bad.apply(x).sum().backward()
    Bad.result = dtorch.ones(5, 2)  # broadcast in forward would have made this
    Bad.apply(x).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_none_means_no_gradient() -> None:
    class Stop(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return None

    x = leaf(1.0)
    (Stop.apply(x * 2) + x).backward()
    assert x.grad.tolist() == [1.0]


def two_outputs(materialize: bool) -> tuple[type[Function], list]:
    seen: list = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a, b))
            return a

    return Two, seen


def test_missing_gradients_are_zeros_unless_switched_off() -> None:
    for materialize, expected in ((True, [0.0]), (False, None)):
        two, seen = two_outputs(materialize)
        first, _ = two.apply(leaf(1.0))
        first.backward()
        assert (seen[0][1].tolist() if materialize else seen[0][1]) == expected


def test_outputs_know_their_number() -> None:
    two, _ = two_outputs(True)
    first, second = two.apply(leaf(1.0))
    assert (first.output_nr, second.output_nr) == (0, 1)
    assert first.grad_fn is second.grad_fn


def test_setup_context_form() -> None:
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad * ctx.saved_tensors[0]

    x = leaf(3.0)
    Square.apply(x).backward()
    assert x.grad.tolist() == [6.0]


def test_not_recorded_without_need() -> None:
    assert not Cube.apply(dtorch.ones(1)).requires_grad
    with dtorch.no_grad():
        assert not Cube.apply(leaf(1.0)).requires_grad
    y = Cube.apply(Variable(dtorch.ones(1), volatile=True))
    assert y.volatile


def test_input_returned_unchanged_is_a_new_tensor_over_its_memory() -> None:
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return -grad

    x = leaf(1.0)
    y = Reverse.apply(x)
    assert y is not x
    assert y.data_ptr() == x.data_ptr()
    y.backward()
    assert x.grad.tolist() == [-1.0]
    with pytest.raises(GradError, match=r"custom Function.*clone\(\)"):
        Reverse.apply(x * 1).mul_(2)


def test_non_differentiable_output_requires_no_grad() -> None:
    class Sort(Function):
        @staticmethod
        def forward(ctx, x):
            rounded = x.round()
            ctx.mark_non_differentiable(rounded)
            return x * 2, rounded

        @staticmethod
        def backward(ctx, grad, rounded_grad):
            assert rounded_grad.tolist() == [0.0]
            return grad * 2

    x = leaf(1.0)
    doubled, rounded = Sort.apply(x)
    assert doubled.requires_grad
    assert not rounded.requires_grad
    doubled.backward()
    assert x.grad.tolist() == [2.0]


# -- in place ---------------------------------------------------------------------------------------------


class Double(Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_dirty_input_is_returned_itself_with_a_new_history() -> None:
    x = leaf(3.0)
    y = x * 1
    before = y._version
    z = Double.apply(y)
    assert z is y
    assert y._version > before
    y.backward()
    assert y.tolist() == [6.0]
    assert x.grad.tolist() == [2.0]


def test_dirty_view_rewrites_the_history_of_its_base() -> None:
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1
    Double.apply(y[1:])
    (y * y).sum().backward()
    assert y.tolist() == [1.0, 4.0, 6.0]
    assert x.grad.tolist() == [2.0, 16.0, 24.0]


def test_dirty_leaf_is_refused() -> None:
    with pytest.raises(GradError, match=r"leaf.*in place"):
        Double.apply(leaf(1.0))


def test_dirty_tensor_must_be_an_input_and_be_returned() -> None:
    class Forgets(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad

    with pytest.raises(GradError, match="not returned"):
        Forgets.apply(leaf(1.0) * 1)


# -- saved tensors ------------------------------------------------------------------------------------------


def test_saved_tensor_that_changed_is_reported() -> None:
    x = leaf(1.0)
    y = x * 1
    z = Cube.apply(y)
    y.add_(1)
    with pytest.raises(VersionError, match=r"CubeBackward|Cube: .*version 1, expected 0"):
        z.backward()


def test_saved_tensors_are_freed_by_backward() -> None:
    x = leaf(1.0)
    y = Cube.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(GradError, match="retain_graph=True"):
        y.backward()


def test_saving_an_output_makes_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = Exp.apply(x)
        alive = weakref.ref(y)
        node = weakref.ref(y.grad_fn)
        del y
        assert alive() is None
        assert node() is None
    finally:
        gc.enable()


def test_saving_twice_and_saving_numbers_are_refused() -> None:
    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_backward(x)
            return x

    class Number(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(1.0)
            return x

    with pytest.raises(GradError, match="only once"):
        Twice.apply(leaf(1.0))
    with pytest.raises(TypeError, match=r"float.*attributes"):
        Number.apply(leaf(1.0))


# -- the classic style -----------------------------------------------------------------------------------------


def test_classic_function() -> None:
    a, b = leaf(2.0), leaf(3.0)
    function = OldMul(10.0)
    y = function(a, b)
    assert y.tolist() == [60.0]
    assert y.creator.saved_tensors[0] is a
    assert function.needs_input_grad == (True, True)
    assert (function.num_inputs, function.num_outputs, function.requires_grad) == (2, 1, True)
    assert [leaf for leaf, _ in function.previous_functions] == [a, b]
    y.backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([30.0], [20.0])


def test_classic_instance_serves_one_call() -> None:
    function = OldMul(1.0)
    function(leaf(1.0), leaf(1.0))
    with pytest.raises(RuntimeError, match="one call"):
        function(leaf(1.0), leaf(1.0))


def test_classic_gradient_cannot_be_differentiated() -> None:
    a, b = leaf(2.0), leaf(3.0)
    (g,) = dtorch.autograd.grad(OldMul(1.0)(a, b), a, create_graph=True)
    assert g.tolist() == [3.0]
    with pytest.raises(GradError, match=r"OldMul.*once only"):
        dtorch.autograd.grad(g, b)


def test_styles_cannot_be_mixed() -> None:
    with pytest.raises(RuntimeError, match=r"OldMul.*instance"):
        OldMul.apply(leaf(1.0), leaf(1.0))
    with pytest.raises(RuntimeError, match=r"Cube.apply"):
        Cube()(leaf(1.0))


def test_optional_argument_of_a_classic_function() -> None:
    class Linear(Function):
        def forward(self, input, weight, bias=None):
            self.save_for_backward(input, weight, bias)
            out = input.mm(weight.t())
            return out if bias is None else out + bias.unsqueeze(0).expand_as(out)

        def backward(self, grad):
            input, weight, bias = self.saved_tensors
            grad_input = grad_weight = grad_bias = None
            if self.needs_input_grad[0]:
                grad_input = grad.mm(weight)
            if self.needs_input_grad[1]:
                grad_weight = grad.t().mm(input)
            if bias is not None and self.needs_input_grad[2]:
                grad_bias = grad.sum(0).squeeze(0)
            return grad_input, grad_weight, grad_bias

    x, w, b = dtorch.randn(2, 3), dtorch.randn(4, 3), dtorch.randn(4)
    x, w, b = (t.double().requires_grad_() for t in (x, w, b))
    assert dtorch.autograd.gradcheck(lambda *args: Linear()(*args), (x, w, b))
    assert dtorch.autograd.gradcheck(lambda *args: Linear()(*args, None), (x, w))


def test_in_place_function_keeps_its_option() -> None:
    class Shift(InplaceFunction):
        def forward(self, x):
            if self.inplace:
                self.mark_dirty(x)
                return x.add_(1)
            return x + 1

        def backward(self, grad):
            return grad

    x = leaf(1.0)
    y = x * 1
    assert Shift(inplace=True)(y) is y
    assert y.tolist() == [2.0]
    assert Shift()(y).tolist() == [3.0]


def test_nested_arguments_and_outputs() -> None:
    class Nested(NestedIOFunction):
        def forward_extended(self, pair, rest):
            a, b = pair
            (c, nothing) = rest
            assert nothing is None
            return a * 2, [b * 3, (c * 4,)]

        def backward_extended(self, grad_a, others):
            grad_b, (grad_c,) = others
            return (grad_a * 2, grad_b * 3), [grad_c * 4, None]

    a, b, c = leaf(1.0), leaf(1.0), leaf(1.0)
    x, (y, (z,)) = Nested()((a, b), [c, None])
    (x + y + z).backward()
    assert [t.grad.tolist() for t in (a, b, c)] == [[2.0], [3.0], [4.0]]


def test_once_differentiable_runs_unrecorded_and_refuses_the_second_time() -> None:
    class Sin(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        @once_differentiable
        def backward(ctx, grad):
            assert not dtorch.is_grad_enabled()
            return grad * ctx.saved_tensors[0].cos()

    x = leaf(1.0)
    Sin.apply(x).backward()
    gradient = dtorch.ones(1, dtype=dtorch.float64, requires_grad=True)
    (g,) = dtorch.autograd.grad(Sin.apply(x), x, gradient, create_graph=True)
    with pytest.raises(GradError, match=r"Sin.*once only"):
        g.backward()


def test_old_names_are_accepted() -> None:
    assert traceable(Cube) is Cube
    with pytest.warns(DeprecationWarning, match="not needed"):
        Function().mark_shared_storage()
    x = leaf(1.0)
    with pytest.warns(DeprecationWarning, match="saved_variables"):
        assert Cube.apply(x).grad_fn.saved_variables[0] is x


def test_hooks_of_a_functions_node_run() -> None:
    x = leaf(1.0)
    y = Cube.apply(x)
    y.grad_fn.register_hook(lambda ins, outs: (ins[0] * 10,))
    y.backward()
    assert x.grad.tolist() == [30.0]


def test_iterations_of_functions_leave_no_cycles() -> None:
    x = leaf(1.0)

    def step() -> None:
        y = Exp.apply(Cube.apply(x) * 2)
        OldMul(2.0)(y, x).backward(create_graph=True)
        x.grad = None

    step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(100):
            step()
        after = len(gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 50


# -- what the classic style shows of itself -----------------------------------------------------------


class Both(Function):
    """Classic: a product and a sum."""

    def forward(self, x, y):
        self.save_for_backward(x, y)
        return x * y, x + y

    def backward(self, of_product, of_sum):
        x, y = self.saved_tensors
        return of_product * y + of_sum, of_product * x + of_sum


def test_classic_function_is_the_grad_fn_of_its_outputs_and_takes_hooks_before_its_call() -> None:
    x, y = (dtorch.full((2,), v, requires_grad=True) for v in (2.0, 3.0))
    function, seen = Both(), []
    function.register_hook(lambda inputs, outputs: seen.append((inputs, outputs)))
    product, total = function(x, y)
    assert product.grad_fn is function is product.creator
    assert (product.output_nr, total.output_nr) == (0, 1)
    assert [node for node, _ in function.previous_functions] == [x, y]
    assert [node.name() for node, _ in function.next_functions] == ["AccumulateGrad"] * 2
    deeper = product * 2
    assert deeper.grad_fn.next_functions[0][0] is function
    with pytest.warns(DeprecationWarning, match="saved_variables is deprecated"):
        assert function.saved_variables[0] is x
    product.sum().backward()
    ((inputs, outputs),) = seen
    assert inputs[0].tolist() == [3, 3]
    assert outputs[1] is None


def test_what_forward_returns_twice_is_one_output() -> None:
    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            return y, y

        @staticmethod
        def backward(ctx, a, b):
            return a + b

    x = dtorch.ones(2, requires_grad=True)
    a, b = Twice.apply(x)
    assert a is b
    (a + b).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_gradients_handed_to_functions_can_be_written() -> None:
    class Tripled(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad.mul_(3)

    x = dtorch.ones(2, 2, requires_grad=True)
    Tripled.apply(x).expand(3, 2, 2).sum().backward()
    assert x.grad.tolist() == [[9, 9], [9, 9]]
    x.grad = None
    Tripled.apply(x).sum(0).sum().backward()
    assert x.grad.tolist() == [[3, 3], [3, 3]]


def test_nested_functions_keep_nested_tensors() -> None:
    class Nested(NestedIOFunction):
        def forward_extended(self, pair):
            self.save_for_backward(pair[0], [pair[1]])
            return pair[0] * pair[1]

        def backward_extended(self, grad):
            first, (second,) = self.saved_tensors
            return ((grad * second, grad * first),)

    x, y = (dtorch.full((1,), v, requires_grad=True) for v in (2.0, 3.0))
    Nested()((x, y)).backward()
    assert (x.grad.item(), y.grad.item()) == (3, 2)


def test_leaf_returned_in_place_has_the_function_as_its_grad_fn() -> None:
    class Added(Function):
        def forward(self, x, y):
            self.mark_dirty(x)
            return x.add_(y)

        def backward(self, grad):
            return grad, grad

    x, y = dtorch.ones(2), dtorch.ones(2, requires_grad=True)
    function = Added()
    assert function(x, y) is x
    assert x.grad_fn is function
    x.sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [1, 1]


def test_functions_without_forward_and_gradients_that_are_none_raise_as_documented() -> None:
    class Without(Function):
        @staticmethod
        def backward(ctx, grad):
            return 5

    x = dtorch.ones(1, requires_grad=True)
    with pytest.raises(NotImplementedError, match="forward"):
        Without.apply(x)
    Without.forward = staticmethod(lambda ctx, x: x * 1)
    with pytest.raises(RuntimeError, match="returned int"):
        Without.apply(x).backward()
