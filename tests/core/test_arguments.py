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
