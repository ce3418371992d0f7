"""Batch norm over the batches of several ranks is that of the whole batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ranks import meeting, run_ranks, start_ranks

import dtorch
from dtorch import distributed as dist, nn

__all__ = ["meeting", "run_ranks", "start_ranks"]  # fixtures


def normalized(layer: Any, x: np.ndarray, grad: np.ndarray, dtype: Any) -> list[Any]:
    """Result, running statistics and gradients of a layer."""
    input = dtorch.from_numpy(x).to(dtype).requires_grad_()
    out = layer(input)
    out.backward(dtorch.from_numpy(grad).to(dtype))
    found = [out, layer.running_mean, layer.running_var, input.grad, layer.weight.grad]
    return [t.detach().double().numpy() for t in found]


@pytest.mark.parametrize("mean", [0.0, 1e6])
@pytest.mark.parametrize("dtype", [dtorch.float32, dtorch.float16], ids=str)
def test_ranks_together_normalize_the_whole_batch(
    run_ranks: Any, meeting: str, mean: float, dtype: Any
) -> None:
    if dtype is dtorch.float16:
        mean /= 1e4  # at 100 a half has numbers a sixteenth apart
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((60, 3, 50)) + mean).astype(np.float32)
    grad = rng.standard_normal(x.shape).astype(np.float32)
    x, grad = (dtorch.from_numpy(a).to(dtype).float().numpy() for a in (x, grad))

    def body(rank: int) -> list[Any]:
        dist.init_process_group(init_method=f"file:///{meeting}", rank=rank, world_size=2)
        part = slice(0, 20) if rank == 0 else slice(20, 60)
        return normalized(nn.SyncBatchNorm(3), x[part], grad[part], dtype)

    first, second = run_ranks(2, body)
    whole = normalized(nn.BatchNorm1d(3).double(), x, grad, dtorch.float64)
    digits = 2e-5 if dtype is dtorch.float32 else 4e-3
    for k, (one, other, exact) in enumerate(zip(first, second, whole, strict=True)):
        if k in (1, 2):
            np.testing.assert_allclose(one, exact, rtol=1e-5, atol=1e-6)
            assert (one == other).all()
        else:
            joined = one + other if k == 4 else np.concatenate([one, other])
            np.testing.assert_allclose(
                joined, exact, rtol=digits, atol=digits * np.abs(exact).max()
            )
