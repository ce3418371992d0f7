"""Errors are of the types that programs written for PyTorch catch at the same places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import dtorch
from dtorch.core.arguments import misfit
from dtorch.core.errors import ArgumentTypeError
from dtorch.core.op import REGISTRY
from dtorch.nn import functional

WRONG: dict[str, tuple[Callable[[Any], Any], tuple[type[Exception], ...], str]] = {
    "number for a tensor": (lambda x: dtorch.bmm(7, x), (TypeError,), "bmm: input is 7"),
    "None for a tensor": (lambda x: functional.avg_pool2d(None, 2), (TypeError,), "input is None"),
    "list for a tensor": (lambda x: x.index_select(0, [0]), (TypeError,), r"index is \[0\]"),
    "number for an index": (lambda x: x.gather(1, 7), (TypeError,), "gather: index is int"),
    "array for a vector": (lambda x: dtorch.dot(x.numpy()[0], x[0]), (TypeError,), "NumPy array"),
    "text for an int": (lambda x: x.narrow(0, "x", 1), (TypeError,), "narrow: start is 'x'"),
    "bool for a dim": (lambda x: x.topk(1, True), (TypeError,), "dim"),
    "tensor for a bool": (lambda x: dtorch.cholesky(x[:, :2], x), (TypeError,), "upper is a tensor"),
    "text for a dim, in place": (lambda x: x.cumsum_("x"), (TypeError,), "dim is 'x'"),
    "number for a name": (lambda x: functional.mse_loss(x, x, reduction=[7]),
                          (TypeError, ValueError), "reduction"),
    "operands that do not go together": (lambda x: dtorch.take_along_dim(x, x.long()[:, :0, None], 1),
                                         (RuntimeError,), "take_along_dim"),
    "too few dims": (lambda x: functional.avg_pool2d(x[0], 2), (RuntimeError, IndexError), "shape"),
    "index of two dims": (lambda x: x.index_select(0, x.long()), (RuntimeError, IndexError), "1-D"),
    "index of no numbers": (lambda x: x[{}], (IndexError, TypeError), "only integers, slices"),
    "deleted elements": (lambda x: x.__delitem__(0), (TypeError,), "deleting"),
    "element that is no number": (lambda x: "x" in x, (RuntimeError, TypeError), "scalar"),
    "truth of several": (lambda x: bool(x), (RuntimeError,), "more than one value is ambiguous"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_named_in_errors_of_each_familiar_type(case: str) -> None:
    use, types, message = WRONG[case]
    for kind in types:
        with pytest.raises(kind, match=message):
            use(dtorch.arange(6.0).view(2, 3))


def test_errors_of_types_leave_the_tensor_as_it_was() -> None:
    x = dtorch.arange(6.0)
    with pytest.raises(ArgumentTypeError, match="cumsum: dim is 'x', expected an int"):
        x.cumsum_("x")  # type: ignore[arg-type]
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    assert x._version == 0


def test_what_a_parameter_takes_is_what_its_operation_says() -> None:
    x = dtorch.ones(2, 3)
    assert misfit(REGISTRY["topk"], [x, 1, -1, True, True]) is None
    assert misfit(REGISTRY["topk"], [x, dtorch.tensor(1), -1, True, True]) is None
    assert misfit(REGISTRY["topk"], [x, 1, -1, True, 1]) == "sorted is 1, expected a bool"
    assert misfit(REGISTRY["cat"], [[x, 2], 0]) == f"tensors is {[x, 2]!r}, expected tensors"


DISAGREE: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda out: dtorch.zeros(2, dtype=dtorch.float, out=out),
    "arange": lambda out: dtorch.arange(2, dtype=dtorch.float, out=out),
    "linspace": lambda out: dtorch.linspace(0, 1, 5, dtype=dtorch.float, out=out),
    "eye": lambda out: dtorch.eye(2, dtype=dtorch.float, out=out),
    "rand": lambda out: dtorch.rand(2, dtype=dtorch.float, out=out),
    "sum": lambda out: dtorch.sum(dtorch.ones(2, 3), 1, dtype=dtorch.float, out=out),
    "cumsum": lambda out: dtorch.cumsum(dtorch.ones(2, 3), 1, dtype=dtorch.float, out=out),
    "sort": lambda out: dtorch.sort(dtorch.ones(3), out=(out, dtorch.empty(0).long())),
    "qr": lambda out: dtorch.qr(dtorch.ones(3, 2), out=(out, out.clone())),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREE)
def test_a_dtype_that_is_not_that_of_out_is_refused(name: str) -> None:
    out = dtorch.zeros(1, dtype=dtorch.double)
    with pytest.raises(RuntimeError, match=r"float32.*out.*float64|float32, that of out"):
        DISAGREE[name](out)
    assert out.tolist() == [0]


REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "negative tolerance": (lambda x: dtorch.isclose(x, x, rtol=-1), RuntimeError),
    "size that is no int": (lambda x: dtorch.Tensor(2.5), TypeError),
    "index that is no int": (lambda x: x.select(0, 1.0), TypeError),
    "probabilities that are ints": (lambda x: dtorch.bernoulli(x.long()), RuntimeError),
    "several values of a fill": (lambda x: x.masked_fill(x > 2, x[0, :1]), RuntimeError),
    "condition that is no mask": (lambda x: dtorch.where(x.long(), x, x), RuntimeError),
    "function of two dtypes": (lambda x: x.map_(x.long(), max), TypeError),
    "surplus positions": (lambda x: x.add(0, x, 1), TypeError),
    "format that is none": (lambda x: x.contiguous(memory_format="x"), TypeError),
    "sizes of no tensor": (lambda x: x.view_as(None), TypeError),
    "grid of no tensors": (lambda x: dtorch.meshgrid(None), TypeError),
    "number beyond int64": (lambda x: dtorch.tensor(2**63), ValueError),
    "element of no kind": (lambda x: dtorch.tensor(None), RuntimeError),
    "no such type": (lambda x: x.type("dtorch.FooTensor"), ValueError),
    "state that is none": (lambda x: dtorch.set_rng_state([1]), TypeError),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_pytorch_refuses_is_refused_with_its_type(case: str) -> None:
    use, kind = REFUSED[case]
    with pytest.raises(kind):
        use(dtorch.arange(6.0).view(2, 3))


def test_the_tensor_type_stands_for_the_default_dtype() -> None:
    assert dtorch.ones(1).double().type(dtorch.Tensor).dtype is dtorch.float32
