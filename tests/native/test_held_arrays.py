"""Arrays live as long as somebody computes with them, whatever other threads do to their tensor."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

import dtorch
from dtorch.nn import functional

SIDE = 256
ONES = np.ones((SIDE, SIDE), np.float32)

COMPUTATIONS = {
    "unary": lambda x: x.sqrt(),
    "binary": lambda x: x * x,
    "broadcast": lambda x: x * dtorch.ones(SIDE),
    "number": lambda x: x * 1.0,
    "number first": lambda x: 1.0 / x,
    "comparison": lambda x: x == 1,
    "operator": lambda x: dtorch.mul(x, x),
    "in place": lambda x: x.mul_(x),
    "number in place": lambda x: x.mul_(1.0),
    "unary in place": lambda x: x.sqrt_(),
    "sum": lambda x: x.sum() / SIDE**2,
    "sum of a dim": lambda x: x.sum(1) / SIDE,
    "product": lambda x: (x @ x) / SIDE,
    "softmax": lambda x: functional.softmax(x, 1) * SIDE,
    "copy": lambda x: x.t().contiguous(),
    "view": lambda x: x[1:].view(-1) * 1.0,
    "float16": lambda x: x.half() * 1.0,
    "leaky_relu": lambda x: functional.leaky_relu(x),
    "layer_norm": lambda x: functional.layer_norm(x, (SIDE,)) + 1,
    "pool": lambda x: functional.max_pool2d(x[None, None], 2),
    "attention": lambda x: functional.scaled_dot_product_attention(x[None], x[None], x[None]),
    "gather": lambda x: x.gather(1, dtorch.zeros(SIDE, SIDE, dtype=dtorch.int64)),
    "cumsum": lambda x: x.cumprod(1),
}
CHANGES = {
    "data": lambda x, fresh: setattr(x, "data", fresh),
    "set_": lambda x, fresh: x.set_(fresh),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("computation", COMPUTATIONS.values(), ids=COMPUTATIONS)
def test_an_array_that_another_thread_replaces_is_kept_until_the_result_is_there(
    computation, change
):
    x = dtorch.from_numpy(ONES.copy())
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            change(x, dtorch.from_numpy(ONES.copy()))
            # Takes the memory of the array that was replaced, if it was let go.
            np.full((SIDE, SIDE), np.nan, np.float32)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        end = time.monotonic() + 0.1
        rounds = 0
        while rounds < 20 or time.monotonic() < end:
            result = computation(x)
            assert bool((result == 1).all())
            rounds += 1
    finally:
        stop.set()
        thread.join()


def test_a_finalizer_that_replaces_the_array_of_a_tensor_does_not_mix_the_bounds_of_the_two() -> (
    None
):
    x = dtorch.zeros(1)

    class Replaces:
        def __init__(self) -> None:
            self.me = self  # a cycle, so that the collector ends it while some object is made

        def __del__(self) -> None:
            x.data = dtorch.zeros(1)

    thresholds = gc.get_threshold()
    try:
        for objects in range(1, 30):
            gc.collect()
            x.data = dtorch.ones(4096)
            Replaces()
            gc.set_threshold(objects)
            view = x[4000:]
            gc.set_threshold(*thresholds)
            assert view.tolist() in ([1.0] * 96, [])
    finally:
        gc.set_threshold(*thresholds)
