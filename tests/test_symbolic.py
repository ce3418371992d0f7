"""All numbers are known, and conditions are checked at once."""

from __future__ import annotations

import pytest

import dtorch


def test_numbers_are_those_of_python() -> None:
    assert (dtorch.sym_int(3.7), dtorch.sym_float(3), dtorch.sym_not(True)) == (3, 3.0, False)
    assert (dtorch.sym_max(2, 3), dtorch.sym_min(2, 3), dtorch.sym_ite(True, 1, 2)) == (3, 2, 1)
    assert (dtorch.sym_sum([1, 2]), dtorch.sym_sqrt(4)) == (3, 2)
    assert not isinstance(3, (dtorch.SymInt, dtorch.SymFloat, dtorch.SymBool))


@pytest.mark.parametrize(
    ("check", "error"),
    [("_check", RuntimeError), ("_check_value", ValueError), ("_check_type", TypeError),
     ("_check_index", IndexError)],
)  # fmt: skip
def test_conditions_raise_what_their_name_says(check, error) -> None:
    getattr(dtorch, check)(True)
    with pytest.raises(error, match="mine"):
        getattr(dtorch, check)(False, lambda: "mine")


def test_sizes_and_assertions() -> None:
    dtorch._check_is_size(3)
    with pytest.raises(RuntimeError, match="expected"):
        dtorch._check_is_size(-1)
    dtorch._assert(dtorch.ones(1) > 0, "mine")
    with pytest.raises(AssertionError, match="mine"):
        dtorch._assert(False, "mine")
    with pytest.raises(RuntimeError, match="mine"):
        dtorch._assert_async(dtorch.zeros(1), "mine")


def test_libraries_make_subclasses_of_tensors() -> None:
    class Own(dtorch.Tensor):
        pass

    x = dtorch.zeros(2)
    own = dtorch.Tensor._make_subclass(Own, x, True)
    assert isinstance(own, Own)
    assert own.requires_grad
    x.fill_(1)
    assert own.tolist() == [1, 1]
