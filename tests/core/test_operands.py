"""One look at the operands finds what a full one finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import every_sample, samples_of

import dtorch
from dtorch.core import backend
from dtorch.core.op import REGISTRY, Op
from dtorch.core.operands import HALVES, settled, type_bits, types_of

pytestmark = pytest.mark.skipif(backend.native is None, reason="the look is compiled")


def looked_at(op: Op, values: list[Any]) -> Any:
    return settled(values, op.tensor_indices, op.rules, op.unsettled)


@every_sample(lambda op, number: op.kind in ("elementwise", "structured"))
def test_what_is_settled_is_what_a_full_look_gives(op: Op, number: int) -> None:
    args, kwargs = samples_of(op, np.float32)[number]
    values = op.bind(args, kwargs)
    found = looked_at(op, values)
    if found is None:
        return
    raw, modes = op.unwrap(list(values))
    expected = op.prepare(list(values), raw)
    assert found[1] == modes
    for one, other in zip(found[0], expected, strict=True):
        if not isinstance(other, np.ndarray):
            assert one is other
            continue
        assert type(one) is np.ndarray
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_most_calls_of_tensors_of_one_dtype_are_settled() -> None:
    x = dtorch.ones(2, 3)
    for name, values in {
        "add": [x, x, 1], "clamp": [x, 0, None], "where": [x > 0, x, 0.5], "softmax": [x, 1, None],
    }.items():  # fmt: skip
        op = REGISTRY[name]
        assert op.kind == "composite" or looked_at(op, values) is not None, name


@pytest.mark.parametrize(
    "other",
    [dtorch.ones(3, dtype=dtorch.float64), dtorch.ones(3, dtype=dtorch.int64), 1e300, 2j, "a"],
    ids=str,
)
def test_operands_that_have_to_be_converted_or_refused_are_left_to_a_full_look(other: Any) -> None:
    assert looked_at(REGISTRY["maximum"], [dtorch.ones(3), other]) is None


def test_dtypes_of_arrays_have_a_bit_each() -> None:
    single, half = np.zeros(1, np.float32), np.zeros(1, np.float16)
    assert types_of([single, 1, None, (2,)]) == 1 << single.dtype.num
    assert types_of([single, half]) & HALVES
    assert types_of([dtorch.ones(1, dtype=dtorch.bfloat16)._array]) & HALVES
    assert not type_bits("bi") & type_bits("fc")
    assert type_bits("f") & HALVES == HALVES
