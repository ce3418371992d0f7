"""Train a small convolutional network on scikit-learn's handwritten digits.

    dtorch-launch --nproc-per-node 2 examples/digits.py     two processes, data-parallel
    python examples/digits.py                               one process

1,797 real images of 8x8 pixels; a fifth of them is held out as the test set. After every epoch
rank 0 prints loss and accuracy; at the end it saves a checkpoint, reads it back into a fresh
network and prints that network's accuracy on the test set.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import dtorch
from dtorch import distributed, nn
from dtorch.data import DataLoader, DistributedSampler, TensorDataset
from dtorch.nn.parallel import DistributedDataParallel

try:
    from sklearn.datasets import load_digits
    from tqdm import tqdm
except ImportError as error:
    sys.exit(f"digits.py needs {error.name}: install it with  pip install 'dtorch[examples]'")


class Network(nn.Module):
    """Two convolutions and a linear layer: images ``(N, 1, 8, 8)`` to scores ``(N, 10)``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classify = nn.Sequential(nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 4 * 4, 10))

    def forward(self, images: dtorch.Tensor) -> dtorch.Tensor:
        return self.classify(self.features(images))


def digits(seed: int) -> tuple[TensorDataset, TensorDataset]:
    """Training set and test set; the same ones in every process."""
    data = load_digits()
    images = dtorch.from_numpy((data.images / 16).astype(np.float32)[:, None])
    labels = dtorch.from_numpy(data.target.astype(np.int64))
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out = len(labels) // 5
    test, train = dtorch.from_numpy(order[:held_out]), dtorch.from_numpy(order[held_out:])
    return TensorDataset(images[train], labels[train]), TensorDataset(images[test], labels[test])


def accuracy(network: nn.Module, dataset: TensorDataset) -> float:
    """Share of the images whose highest score is that of their label."""
    correct = 0
    network.eval()
    with dtorch.no_grad():
        for images, labels in DataLoader(dataset, batch_size=256):
            correct += (network(images).argmax(1) == labels).sum().item()
    network.train()
    return correct / len(dataset)


def train_epoch(model: nn.Module, loader: DataLoader, optimizer: dtorch.optim.Optimizer) -> float:
    """One pass over this process's share of the images; returns the mean loss over all of them."""
    criterion = nn.CrossEntropyLoss()
    total = dtorch.zeros(2)  # sum of the losses, number of images
    for images, labels in loader:
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += dtorch.tensor([loss.item() * len(labels), float(len(labels))])
    if distributed.is_initialized():
        distributed.all_reduce(total)
    return (total[0] / total[1]).item()


def train(args: argparse.Namespace) -> None:
    """The whole job of one process."""
    rank, world_size = (
        (distributed.get_rank(), distributed.get_world_size())
        if distributed.is_initialized()
        else (0, 1)
    )
    dtorch.manual_seed(args.seed)
    train_set, test_set = digits(args.seed)
    sampler = DistributedSampler(train_set, world_size, rank, seed=args.seed)
    loader = DataLoader(train_set, batch_size=args.batch_size // world_size, sampler=sampler)
    network = Network()
    model = DistributedDataParallel(network) if world_size > 1 else network
    optimizer = dtorch.optim.Adam(model.parameters(), lr=args.lr)
    dtorch.manual_seed(args.seed + rank)  # dropout differs between the processes
    started = time.perf_counter()

    for epoch in tqdm(range(1, args.epochs + 1), desc="training", unit="epoch", disable=rank > 0):
        sampler.set_epoch(epoch)
        loss = train_epoch(model, loader, optimizer)
        if rank == 0:
            reached = accuracy(network, test_set)
            tqdm.write(f"epoch {epoch:2}  loss {loss:.4f}  accuracy {reached:.4f}")

    if rank == 0:
        seconds = time.perf_counter() - started
        print(f"trained in {seconds:.1f} s with {world_size} process(es)")
        args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        dtorch.save({"epoch": args.epochs, "network": network.state_dict()}, args.checkpoint)
        print(f"saved {args.checkpoint}")
        restored = Network()
        restored.load_state_dict(dtorch.load(args.checkpoint)["network"])
        print(f"test accuracy {accuracy(restored, test_set):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64, help="images of a step, all ranks")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate of Adam")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=Path(tempfile.gettempdir()) / f"dtorch-digits-{os.getuid()}" / "digits.pth",
        help="where the trained network is saved (default: %(default)s)",
    )
    args = parser.parse_args()
    if "RANK" in os.environ:  # started by dtorch-launch
        distributed.init_process_group("shm")
    train(args)
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
