"""Train one shared network with several processes that do not wait for each other.

    dtorch-launch --mode hogwild --nproc-per-node 2 examples/hogwild.py
    python examples/hogwild.py --workers 2

The data are scikit-learn's 1,797 handwritten digits; a fifth of them is held out. Every worker
draws its own batches, and its optimizer writes to the shared parameters without any lock.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import dtorch
from dtorch import nn
from dtorch.distributed.hogwild import Hogwild, Worker

try:
    from sklearn.datasets import load_digits
except ImportError as error:
    sys.exit(f"hogwild.py needs {error.name}: install it with  pip install 'dtorch[examples]'")


def digits() -> tuple[dtorch.Tensor, dtorch.Tensor, dtorch.Tensor, dtorch.Tensor]:
    """Images and labels to train on, and those held out; the same ones in every process."""
    data = load_digits()
    images = dtorch.from_numpy((data.data / 16).astype(np.float32))
    labels = dtorch.from_numpy(data.target.astype(np.int64))
    order = dtorch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    held_out, rest = order[: len(order) // 5], order[len(order) // 5 :]
    return images[rest], labels[rest], images[held_out], labels[held_out]


def network() -> nn.Module:
    """Pixels ``(N, 64)`` to scores ``(N, 10)``."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def train(worker: Worker, steps: int, batch_size: int) -> None:
    """What every worker process does."""
    images, labels, _, _ = digits()
    for _ in worker.steps(steps // worker.nprocs):
        batch = dtorch.randint(0, len(labels), (batch_size,))
        loss = nn.functional.cross_entropy(worker.model(images[batch]), labels[batch])
        worker.optimizer.zero_grad()
        loss.backward()
        worker.optimizer.step()
        worker.report(loss=loss.item())


def accuracy(model: nn.Module) -> float:
    """Share of the held-out images whose highest score is that of their label."""
    _, _, images, labels = digits()
    with dtorch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network on digits with Hogwild.")
    parser.add_argument("--workers", type=int, help="default: the launcher's, or one for each core")
    parser.add_argument("--steps", type=int, default=3000, help="of all workers together")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=Path(tempfile.gettempdir()) / f"dtorch-hogwild-{os.getuid()}" / "digits.pth",
        help="where the network is saved now and then (default: %(default)s)",
    )
    args = parser.parse_args()

    dtorch.manual_seed(args.seed)
    model = network()
    optimizer = dtorch.optim.SharedAdam(model.parameters(), lr=args.lr)
    trainer = Hogwild(
        train, model, optimizer, args=(args.steps, args.batch_size), nprocs=args.workers,
        seed=args.seed, on_crash="replace", checkpoint=args.checkpoint,
        checkpoint_every=10,
    )  # fmt: skip
    result = trainer.run()
    print(
        f"{trainer.nprocs} worker(s) did {result.steps:,} steps in {result.seconds:.1f} s: "
        f"{result.steps / result.seconds:,.0f} steps/s"
    )
    print(f"saved {args.checkpoint}")
    print(f"test accuracy {accuracy(model):.3f}", flush=True)


if __name__ == "__main__":
    main()
