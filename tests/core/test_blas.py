"""Threads of NumPy's BLAS: as many as set, and none for our own products where those are compiled."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import dtorch
from dtorch.core import backend, blas

# Nanoseconds of the threads that were there when NumPy had been imported, but for the main one.
BEFORE = """
import os, time
import numpy as np

def spent():
    found = {}
    for task in blas_threads:
        with open(f"/proc/self/task/{task}/schedstat") as file:
            found[task] = int(file.read().split()[0])
    return found

def settled():
    now, then = spent(), None  # they look for work for a while before they sleep
    while now != then:
        time.sleep(0.1)
        now, then = spent(), now
    return now

blas_threads = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
import dtorch
from dtorch.core import backend
from dtorch.nn import functional
x = np.ones((700, 700), np.float32)
"""


def run(code: str, **environment: str) -> list[str]:
    """What a new interpreter prints, with four threads for whoever asks the environment."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE + code],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


needs_threads = pytest.mark.skipif(
    not blas.libraries() or not os.path.exists("/proc/self/schedstat"),
    reason="NumPy has no BLAS here whose threads are known",
)


@needs_threads
def test_products_of_numpy_run_on_as_many_threads_as_were_set() -> None:
    code = """
for count in (1, 4):
    dtorch.set_num_threads(count)
    before = settled()
    for _ in range(3):
        x @ x, x @ x[0], np.linalg.inv(x + np.eye(700))
    print(sum(settled().values()) > sum(before.values()))
"""
    assert run(code) == ["False", "True"]


@needs_threads
def test_a_blas_gets_no_more_threads_than_it_began_with() -> None:
    code = """
def now(): return len(os.listdir("/proc/self/task")), dtorch.core.blas.get_num_threads()
before = now()
dtorch.set_num_threads(64)
print(now() == before)
"""
    assert run(code) == ["True"]
    assert run(code, OPENBLAS_NUM_THREADS="1") == ["True"]


@needs_threads
@pytest.mark.skipif(backend.native is None, reason="without the native module NumPy decides")
def test_the_default_is_what_this_process_may_use() -> None:
    assert run("print(dtorch.core.blas.get_num_threads())", OMP_NUM_THREADS="1") == ["1"]


def test_without_the_native_module_the_number_is_that_of_the_blas() -> None:
    code = "dtorch.set_num_threads(1); print(dtorch.get_num_threads())"
    assert run(code, DTORCH_NATIVE="0") == ["1"]


@needs_threads
@pytest.mark.skipif(backend.native is None, reason="without the native module NumPy decides")
def test_no_product_of_ours_runs_on_threads_of_the_blas() -> None:
    code = """
dtorch.set_num_threads(2)
seen = settled()

def check(name, function):
    global seen
    function()
    now = spent()
    if now != seen:
        print(name, sum(now.values()) - sum(seen.values()))
        seen = settled()

def trains(module, *inputs):
    def step():
        out = module(*inputs)
        out = out[0] if isinstance(out, tuple) else out
        out.sum().backward()
    return step

m = dtorch.randn(300, 300)
v = dtorch.randn(300)
stack = dtorch.randn(4, 1, 200, 300)
for kind in (dtorch.float32, dtorch.float64):
    a, b, s = m.to(kind), v.to(kind), stack.to(kind)
    check("mm", lambda: a @ a)
    check("transposed", lambda: a.t() @ a.t())
    check("strided", lambda: a[:, ::2] @ a[::2])
    check("mv", lambda: a @ b)
    check("vm", lambda: b @ a)
    check("row", lambda: b[None] @ a)
    check("column", lambda: a @ b[:, None])
    check("dot", lambda: a.view(-1) @ a.view(-1))
    check("strided vector", lambda: a.view(-1)[::2] @ a.view(-1)[::2])
    check("stack", lambda: s @ a)
    check("broadcast", lambda: s @ s.expand(4, 3, 200, 300).transpose(-1, -2))
    check("stack of vectors", lambda: s @ b)
    check("addmm", lambda: dtorch.addmm(a, a, a))
    check("addmv", lambda: dtorch.addmv(b, a, b))
    check("baddbmm", lambda: dtorch.baddbmm(s[0], s[0], a[None]))
    check("outer", lambda: dtorch.outer(b, b))
    check("einsum", lambda: dtorch.einsum("ij,jk,k->i", a, a, b))
    check("tensordot", lambda: dtorch.tensordot(s, s, dims=([3, 2], [3, 2])))
    check("multi_dot", lambda: dtorch.linalg.multi_dot([a, a, a, b]))
    check("cdist", lambda: dtorch.cdist(a, a))
    check("cov", lambda: dtorch.cov(a))
    check("matrix_power", lambda: dtorch.linalg.matrix_power(a, 3))
    check("matrix_exp", lambda: dtorch.matrix_exp(a / 300))
    check("norm", lambda: a.norm())
    held = a.clone()
    held.grad = a.clone()
    check("clip_grad_norm_", lambda: dtorch.nn.utils.clip_grad_norm_([held], 1.0))
    check("linear", trains(dtorch.nn.Linear(300, 200, dtype=kind), a))
    check("linear of one row", trains(dtorch.nn.Linear(300, 200, dtype=kind), a[:1]))
    check("bilinear", trains(dtorch.nn.Bilinear(300, 300, 20, dtype=kind), a, a))
    rows = dtorch.randn(20, 35, 128, dtype=kind)
    for recurrent in (dtorch.nn.RNN, dtorch.nn.GRU, dtorch.nn.LSTM):
        check(recurrent.__name__, trains(recurrent(128, 128, dtype=kind), rows))
        check(f"{recurrent.__name__} of one", trains(recurrent(128, 128, dtype=kind), rows[:, :1]))
    check("LSTM with projection", trains(dtorch.nn.LSTM(128, 128, proj_size=64, dtype=kind), rows))
    check("GRUCell", trains(dtorch.nn.GRUCell(128, 128, dtype=kind), rows[0]))
    check("attention", trains(dtorch.nn.MultiheadAttention(128, 4, dtype=kind), rows, rows, rows))
    mask = dtorch.zeros(20, 20, dtype=kind)
    check("attention with a mask", lambda: functional.scaled_dot_product_attention(
        rows.transpose(0, 1), rows.transpose(0, 1), rows.transpose(0, 1), attn_mask=mask))
    images = dtorch.randn(4, 8, 24, 24, dtype=kind)
    check("conv2d", trains(dtorch.nn.Conv2d(8, 16, 3, dtype=kind), images))
    check("conv1d", trains(dtorch.nn.Conv1d(24, 16, 3, dtype=kind), images[0]))
    check("conv3d", trains(dtorch.nn.Conv3d(4, 8, 3, dtype=kind), images[None]))
    check("conv_transpose2d", trains(dtorch.nn.ConvTranspose2d(8, 16, 3, dtype=kind), images))
    check("interpolate", trains(
        lambda x: functional.interpolate(x, size=9, mode="bilinear", antialias=True),
        images.clone().requires_grad_()))
    check("grid_sample", lambda: functional.affine_grid(dtorch.randn(4, 2, 3, dtype=kind), (4, 8, 64, 64)))
"""
    assert run(code) == []


def test_a_product_has_the_same_value_whatever_the_number_of_threads() -> None:
    before = dtorch.get_num_threads()
    tall, wide = dtorch.randn(50_000, 3), dtorch.randn(3, 50_000)
    results = []
    try:
        for count in (1, 2, 5):
            dtorch.set_num_threads(count)
            results.append((tall @ wide[:, 0], tall.t() @ wide[0], wide @ tall[:, 0]))
    finally:
        dtorch.set_num_threads(before)
    if backend.native is not None:
        for other in results[1:]:
            assert all(bool((a == b).all()) for a, b in zip(results[0], other, strict=True))
