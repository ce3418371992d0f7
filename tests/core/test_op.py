"""How operations are defined: kernels beside bodies and formulas."""

from __future__ import annotations

import inspect
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core import backend
from dtorch.core.errors import DtypeError, ShapeError
from dtorch.core.op import REGISTRY, Op, structured
from dtorch.nn import functional


@pytest.fixture(autouse=True)
def _forget_operations() -> Iterator[None]:
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


compiled = pytest.mark.skipif(not backend.has_kernels("cpu"), reason="kernels are compiled")


def doubled() -> Op:
    @structured(public=False)
    def doubled(xp: Any, input: Any) -> Any:
        """Twice the element."""
        return input * 2

    @doubled.gradient("input")
    def _(grad, input):
        return grad * 2

    return doubled


def decline(*arrays: Any) -> None:
    assert all(type(array) is np.ndarray for array in arrays)


def leaf(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float32, requires_grad=True)


@compiled
def test_kernel_stands_in_for_the_body_unless_it_declines() -> None:
    op = doubled()

    @op.kernel("cpu")
    def _(input):
        return input + input + 1 if len(input) > 1 else None

    assert op(dtorch.ones(2)).tolist() == [3, 3]
    assert op(dtorch.ones(1)).tolist() == [2]
    assert op(np.ones(1)).tolist() == [2]


@compiled
def test_gradient_kernel_stands_in_for_the_formula_unless_it_declines() -> None:
    op = doubled()

    @op.gradient_kernel("input")
    def _(grad, input):
        return grad * 3 if len(input) > 1 else None

    for x, expected in ((leaf(1, 1), [3, 3]), (leaf(1), [2])):
        op(x).sum().backward()
        assert x.grad.tolist() == expected


def test_gradient_kernel_gets_arrays_alone() -> None:
    op = doubled()
    op.gradient_kernel("input")(lambda grad, input: decline(grad, input))
    x = leaf(1, 2)
    y = (op(x) * x).sum()
    (grad,) = dtorch.autograd.grad(y, x, create_graph=True)
    grad.sum().backward()
    assert x.grad.tolist() == [4, 4]


def test_gradient_kernel_of_several_outputs_gets_zeros_for_those_unused() -> None:
    @structured(outputs=("low", "high"), public=False)
    def around(xp: Any, input: Any) -> Any:
        """One less and one more."""
        return input - 1, input + 1

    @around.gradient("input")
    def _(grads):
        return grads[0] + grads[1]

    around.gradient_kernel("input")(lambda grads: decline(*grads))
    x = leaf(1, 2)
    around(x)[1].sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_gradient_kernel_of_another_device_is_left_alone() -> None:
    op = doubled()
    op.gradient_kernel("input", device="cuda")(lambda grad, input: grad * 3)
    x = leaf(1)
    op(x).backward()
    assert x.grad.tolist() == [2]


def test_gradient_kernel_has_the_parameters_of_its_formula() -> None:
    op = doubled()
    with pytest.raises(ValueError, match=r"gradient kernel takes .*'out'.* expected .*'input'"):
        op.gradient_kernel("input")(lambda grad, out: None)
    with pytest.raises(ValueError, match=r"no formula gives the gradients of .*'other'"):
        op.gradient_kernel("other")(lambda grad, input: None)


@pytest.mark.skipif(backend.has_kernels("cpu"), reason="there is a native module")
def test_without_the_native_module_no_kernel_is_registered() -> None:
    op = doubled()
    op.kernel("cpu")(decline)
    op.gradient_kernel("input")(lambda grad, input: None)
    assert not op.kernels
    assert not op.formulas["input"].kernels


@pytest.mark.parametrize(
    ("function", "block"),
    [
        (dtorch.relu, '@elementwise(loop="relu"'),
        (dtorch.Tensor.relu_, '@elementwise(loop="relu"'),
        (dtorch.Tensor.transpose, "@view("),
        (dtorch.sum, "@structured("),
        (dtorch.dot, "@composite("),
        (dtorch.Tensor.view, "def _view("),
    ],
)
def test_source_of_a_function_is_its_block(function: Any, block: str) -> None:
    assert inspect.getsource(function).startswith(block)


def test_signature_of_a_function_is_that_of_calls() -> None:
    assert str(inspect.signature(dtorch.relu)) == "(input, *, out=None)"
    assert str(inspect.signature(dtorch.Tensor.relu_)) == "(input)"
    assert str(inspect.signature(dtorch.ones(1).transpose)) == "(dim0, dim1)"


@pytest.mark.parametrize("name", ["relu", "transpose", "sum", "dot"])
def test_functions_are_pickled_by_name(name: str) -> None:
    function = getattr(dtorch, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert function.__name__ == name


def test_methods_of_other_names_leave_the_name_of_the_function() -> None:
    assert dtorch.masked_scatter.__name__ == "masked_scatter"
    assert dtorch.Tensor.view.__name__ == "view"


# -- errors -----------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "missing operand": (lambda: dtorch.add(None), TypeError, "add.. misses the argument 'other'"),
    "None": (lambda: dtorch.add(None, dtorch.ones(2)), TypeError, "add: input is None, expected a"),
    "array": (lambda: dtorch.add(dtorch.ones(2), np.ones(2)), TypeError,
              "add: other is a NumPy array, expected a tensor; dtorch.from_numpy"),
    "text": (lambda: dtorch.mul(dtorch.ones(2), "2"), TypeError, "mul: other is str, expected a"),
    "shapes": (lambda: dtorch.ones(2, 3) + dtorch.ones(4), ShapeError, "add: shapes"),
    "in place": (lambda: dtorch.ones(2).add_(dtorch.ones(3)), ShapeError, "add: shapes"),
    "composite": (lambda: functional.conv2d(dtorch.ones(1, 3, 8, 8), dtorch.ones(4, 5, 3, 3)),
                  ShapeError, "conv2d: input of shape"),
    "loss": (lambda: functional.cross_entropy(dtorch.ones(2, 3), dtorch.ones(2)), DtypeError,
             "cross_entropy: target is dtorch.float32 .* expected int64 class numbers"),
    "not several": (lambda: dtorch.cat(dtorch.ones(2), dtorch.ones(2)), TypeError,
                    r"cat: tensors is a single tensor, expected a list or .* cat\(\[a, b\]\)"),
    "sizes": (lambda: dtorch.zeros(-1), ShapeError, "zeros: sizes"),
    "truth": (lambda: bool(dtorch.ones(2)), ShapeError, r"more than one value is ambiguous.*\(2,\)"),
    "format": (lambda: f"{dtorch.ones(2):.2f}", TypeError, "format: '.2f' is for a number"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_the_operation_and_end_soon_below_the_caller(case: str) -> None:
    call, kind, message = WRONG[case]
    with pytest.raises(kind, match=message) as raised:
        call()
    ours = [
        f for f in traceback.extract_tb(raised.value.__traceback__) if "test_op" not in f.filename
    ]
    assert len(ours) <= 2
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_errors_of_others_keep_the_calls_that_led_to_them() -> None:
    @structured(public=False)
    def failing(xp: Any, input: Any) -> Any:
        """Divides by zero."""
        return 1 // 0

    with pytest.raises(ZeroDivisionError) as raised:
        failing(dtorch.ones(1))
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "failing"


def test_an_error_of_a_part_names_the_operation_that_was_called() -> None:
    x = dtorch.ones(3, 4)
    with pytest.raises(ShapeError, match=r"^where: shapes .* cannot be broadcast"):
        dtorch.where(x > 0, x, dtorch.ones(7))
