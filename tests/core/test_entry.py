"""Tensors that cannot be are refused in our own words, whichever function is asked for one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core import backend
from dtorch.core.errors import OutOfMemoryError, ShapeError
from dtorch.nn import functional

HUGE = 10**13
BEYOND = 10**20

TOO_MUCH: dict[str, Callable[[Any], Any]] = {
    "empty": lambda x: dtorch.empty(HUGE),
    "zeros": lambda x: dtorch.zeros(HUGE),
    "ones": lambda x: dtorch.ones(HUGE, 2),
    "full": lambda x: dtorch.full((HUGE,), 7),
    "ones_like": lambda x: dtorch.ones_like(x.expand(HUGE, 3)),
    "arange": lambda x: dtorch.arange(HUGE),
    "linspace": lambda x: dtorch.linspace(0, 1, HUGE),
    "eye": lambda x: dtorch.eye(10**7),
    "rand": lambda x: dtorch.rand(HUGE),
    "randn": lambda x: dtorch.randn(HUGE),
    "randint": lambda x: dtorch.randint(0, 5, (HUGE,)),
    "randperm": lambda x: dtorch.randperm(HUGE),
    "normal": lambda x: dtorch.normal(0.0, 1.0, (HUGE,)),
    "rand_like": lambda x: dtorch.rand_like(x.expand(HUGE, 3)),
    "empty_strided": lambda x: dtorch.empty_strided((HUGE,), (1,)),
    "tril_indices": lambda x: dtorch.tril_indices(10**7, 10**7),
    "Tensor": lambda x: dtorch.Tensor(HUGE),
    "FloatStorage": lambda x: dtorch.FloatStorage(HUGE),
    "UntypedStorage": lambda x: dtorch.UntypedStorage(HUGE),
    "new_zeros": lambda x: x.new_zeros(HUGE),
    "resize_": lambda x: x.clone().resize_(HUGE),
    "repeat": lambda x: x.repeat(HUGE),
    "repeat_interleave": lambda x: dtorch.repeat_interleave(x, HUGE),
    "tile": lambda x: dtorch.tile(x, (HUGE,)),
    "contiguous": lambda x: x.expand(HUGE, 3).contiguous(),
    "clone": lambda x: x.expand(HUGE, 3).reshape(-1),
    "one_hot": lambda x: functional.one_hot(dtorch.tensor([1]), HUGE),
    "pad": lambda x: functional.pad(x, (0, HUGE)),
    "kron": lambda x: dtorch.kron(dtorch.ones(10**7), dtorch.ones(10**7)),
    "outer": lambda x: dtorch.outer(dtorch.ones(10**7), dtorch.ones(10**7)),
    "add": lambda x: dtorch.ones(10**7, 1) + dtorch.ones(1, 10**7),
    "compare": lambda x: dtorch.ones(10**7, 1) < dtorch.ones(1, 10**7),
    "mul": lambda x: dtorch.ones(10**7, 1).mul(dtorch.ones(1, 10**7)),
    "matmul": lambda x: dtorch.ones(10**7, 1) @ dtorch.ones(1, 10**7),
    "cartesian_prod": lambda x: dtorch.cartesian_prod(*[dtorch.ones(1000)] * 5),
    "diag": lambda x: dtorch.diag(dtorch.ones(10**7)),
    "bincount": lambda x: dtorch.bincount(dtorch.tensor([HUGE])),
    "histc": lambda x: dtorch.histc(x, bins=HUGE),
    "interpolate": lambda x: functional.interpolate(x.view(1, 1, 3), size=HUGE),
    "fft": lambda x: dtorch.fft.fft(x, n=HUGE),
    "Linear": lambda x: dtorch.nn.Linear(10**7, 10**7),
    "Embedding": lambda x: dtorch.nn.Embedding(HUGE, 10),
}
IMPOSSIBLE: dict[str, Callable[[Any], Any]] = {
    "empty": lambda x: dtorch.empty(2 * BEYOND),
    "product": lambda x: dtorch.ones(2, 2, 1, 2305843009213693952),
    "bytes": lambda x: dtorch.zeros(2**62),
    "wrapping product": lambda x: dtorch.empty(2**32, 2**32),
    "negative": lambda x: dtorch.zeros(-1),
    "randperm": lambda x: dtorch.randperm(-1),
    "randperm beyond": lambda x: dtorch.randperm(BEYOND),
    "dims": lambda x: dtorch.ones((1,) * 65),
    "full": lambda x: dtorch.full((BEYOND,), 1),
    "arange": lambda x: dtorch.arange(BEYOND),
    "arange of floats": lambda x: dtorch.arange(1e30),
    "arange to infinity": lambda x: dtorch.arange(float("inf")),
    "small steps": lambda x: dtorch.arange(0, 1, 1e-300),
    "linspace": lambda x: dtorch.linspace(0, 1, BEYOND),
    "eye": lambda x: dtorch.eye(BEYOND),
    "randn": lambda x: dtorch.randn(BEYOND),
    "Tensor": lambda x: dtorch.Tensor(BEYOND),
    "UntypedStorage": lambda x: dtorch.UntypedStorage(BEYOND),
    "resize_": lambda x: x.clone().resize_(2**40, 2**40),
    "repeat": lambda x: x.repeat(BEYOND),
    "expand": lambda x: x.expand(2**40, 2**40, 3),
    "view": lambda x: dtorch.ones(12).view(3, 6148914691236517206, 6),
    "reshape": lambda x: dtorch.ones(12).reshape(3, 6148914691236517206, 6),
    "as_strided": lambda x: x.as_strided((2**40, 2**40), (0, 0)),
    "pad": lambda x: functional.pad(x, (0, BEYOND)),
    "unfold": lambda x: x.unfold(0, BEYOND, 1),
}


@pytest.mark.parametrize("ask", TOO_MUCH.values(), ids=TOO_MUCH)
def test_more_than_the_memory_is_refused_with_what_was_asked_for_and_what_there_is(ask) -> None:
    with pytest.raises(
        OutOfMemoryError, match=r"asked for .*B \(\d+ bytes\).*\w are available"
    ) as caught:
        ask(dtorch.ones(3))
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("ask", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_sizes_that_no_tensor_has_are_refused_in_our_own_words(ask) -> None:
    with pytest.raises(RuntimeError) as caught:
        ask(dtorch.ones(3))
    for text in ("dimension exceeded", "arr.size", "ndarray", "C long", "too big"):
        assert text not in str(caught.value)


def test_a_size_of_nothing_may_stand_beside_large_ones() -> None:
    assert dtorch.empty(0, 10**18).shape == (0, 10**18)
    with pytest.raises(ShapeError):
        dtorch.empty(0, 2**62, 2**62)


@pytest.mark.skipif(backend.native is None, reason="NumPy's own allocator asks the system")
def test_arrays_of_numpy_are_refused_too_where_they_cannot_be_had() -> None:
    for make in (np.empty, np.zeros):
        with pytest.raises(MemoryError):
            make(2**42, np.uint8)


@pytest.mark.skipif(backend.native is None, reason="NumPy's own allocator asks the system")
def test_the_largest_array_that_can_be_had_is_no_smaller_than_the_memory() -> None:
    code = """
import numpy as np
from dtorch.core import backend
most = backend.native.largest_allocation()
array = np.empty(most // 2, np.uint8)
array[-1] = 1
try:
    np.empty(most + (1 << 20), np.uint8)
except MemoryError:
    print("refused")
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == "refused\n", result.stderr
