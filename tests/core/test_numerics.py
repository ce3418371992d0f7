"""What programs ask of precision and repeatability is remembered."""

from __future__ import annotations

import pytest

import dtorch


def test_determinism_is_asked_for_by_switch_and_by_name():
    try:
        dtorch.use_deterministic_algorithms(True, warn_only=True)
        assert dtorch.are_deterministic_algorithms_enabled()
        assert dtorch.is_deterministic_algorithms_warn_only_enabled()
        dtorch.set_deterministic_debug_mode("error")
        assert dtorch.get_deterministic_debug_mode() == 2
        assert not dtorch.is_deterministic_algorithms_warn_only_enabled()
        dtorch.set_deterministic_debug_mode(0)
        assert not dtorch.are_deterministic_algorithms_enabled()
        with pytest.raises(TypeError, match="mode is 1"):
            dtorch.use_deterministic_algorithms(1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="got 'errors'"):
            dtorch.set_deterministic_debug_mode("errors")
    finally:
        dtorch.use_deterministic_algorithms(False)


def test_the_precision_of_products_is_one_of_three_words():
    assert dtorch.get_float32_matmul_precision() == "highest"
    dtorch.set_float32_matmul_precision("medium")
    assert dtorch.get_float32_matmul_precision() == "medium"
    dtorch.set_float32_matmul_precision("highest")
    with pytest.raises(ValueError, match="'low'"):
        dtorch.set_float32_matmul_precision("low")


def test_small_numbers_are_not_flushed():
    assert dtorch.set_flush_denormal(True) is False
    assert (dtorch.tensor(1e-40) / 2).item() > 0
