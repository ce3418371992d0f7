"""Hogwild: processes train one network in shared memory, and none waits for another.

    python -m dtorch.compat examples/mnist_hogwild.py --quick --num-processes 2

Every process prints the loss of its own steps on the parameters that all of them write; afterwards
the parent finds more than 95 of 100 digits recognised that none of them saw.
"""

import argparse
from pathlib import Path

import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from generated import FOLDER, mnist, read_idx
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.fc1(x.view(-1, 320)))
        return F.log_softmax(self.fc2(x), dim=1)


def digits(args, part, count=None):
    images = torch.tensor(read_idx(args.data / f"{part}-images-idx3-ubyte.gz")[:count])
    labels = torch.tensor(read_idx(args.data / f"{part}-labels-idx1-ubyte.gz")[:count])
    return TensorDataset(images.unsqueeze(1).float().div(255).sub(0.13).div(0.31), labels.long())


def make_model(args):
    return Net()


def make_optimizer(model, args):
    return optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)


def batches(args):
    return DataLoader(digits(args, "train", args.images), args.batch_size, shuffle=True)


def train(model, optimizer, batches, args):
    """One epoch; yields the loss of each step."""
    model.train()
    for data, target in batches:
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        yield loss.item()


def work(rank, model, args):
    """What each process does: an optimizer of its own, and gradients, on shared parameters."""
    torch.manual_seed(args.seed + rank)
    optimizer = make_optimizer(model, args)
    for epoch in range(1, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args))
        print(
            f"process {rank}, epoch {epoch}: first loss {losses[0]:.3f}, "
            f"mean {sum(losses) / len(losses):.3f}",
            flush=True,
        )


@torch.no_grad()
def test(model, args):
    """Mean loss and accuracy on digits that were not trained on."""
    model.eval()
    images, labels = digits(args, "t10k")[:]
    output = model(images)
    return F.nll_loss(output, labels).item(), (output.argmax(1) == labels).float().mean().item()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 epochs of 1,500 digits")
    parser.add_argument("--epochs", type=int, help="of each process; default: 6")
    parser.add_argument("--num-processes", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--momentum", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "mnist", help="MNIST's four files")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 3 if args.quick else 6
    if min(args.epochs, args.num_processes, args.batch_size) < 1:
        parser.error("--epochs, --num-processes and --batch-size have to be at least 1")
    args.images = 1500 if args.quick else None
    mnist(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    mp.set_start_method("spawn")
    model = make_model(args)
    model.share_memory()  # gradients are still None, so each process has its own
    processes = []
    for rank in range(args.num_processes):
        process = mp.Process(target=work, args=(rank, model, args))
        process.start()
        processes.append(process)
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a process failed")
    loss, accuracy = test(model, args)
    print(f"test loss {loss:.4f}, accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
