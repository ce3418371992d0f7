"""How much memory computations hold, in processes of their own: peaks are of a whole process."""

import subprocess
import sys

PREAMBLE = """
import gc
import tracemalloc
import numpy as np
import dtorch
from dtorch.core import backend

def held():
    if backend.native is None:
        arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
        snapshot = tracemalloc.take_snapshot().filter_traces([arrays])
        return sum(trace.size for trace in snapshot.traces)
    return backend.native.allocator_stats()["bytes_in_use"]

def peak():
    if backend.native is None:
        return tracemalloc.get_traced_memory()[1]
    return backend.native.allocator_stats()["peak_bytes"]

if backend.native is None:
    tracemalloc.start()
"""

CHAIN = """
size = 10_000_000
operations = [
    lambda y: y * 1.0001, lambda y: y + x, lambda y: y.tanh(), lambda y: -y, lambda y: y.clamp(-1, 1),
    lambda y: y.view(1000, -1).t().t().reshape(-1), lambda y: dtorch.where(y > 0, y, x),
    lambda y: y.sub(x, alpha=0.5), lambda y: y.abs(), lambda y: y / 3,
]
x = y = dtorch.ones(size)
for i in range(100):
    y = operations[i % len(operations)](y)
print(peak() / (4 * size))
"""

TRAINING = """
from dtorch import nn, optim

dtorch.manual_seed(0)
model = nn.Sequential(nn.Linear(20, 30), nn.LayerNorm(30), nn.GELU(), nn.Dropout(0.1), nn.Linear(30, 4))
optimizer = optim.Adam(model.parameters())
inputs, labels = dtorch.randn(16, 20), dtorch.randint(0, 4, (16,))

def step():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(inputs), labels)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()

for _ in range(20):
    step()
gc.collect()
gc.disable()
before = held(), len(gc.get_objects())
for _ in range(1000):
    step()
after = held(), len(gc.get_objects())
print(*(b - a for a, b in zip(before, after, strict=True)))
"""


def output(script: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def test_a_chain_without_gradients_holds_three_buffers_at_most() -> None:
    (buffers,) = output(CHAIN)
    assert buffers < 3.5  # a byte for each element of where()'s condition; sizes are rounded up


def test_memory_returns_to_the_start_after_training_without_the_collector() -> None:
    held, objects = output(TRAINING)
    assert held < 4096  # NumPy keeps some small blocks
    assert objects < 50
