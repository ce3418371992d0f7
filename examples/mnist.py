"""Handwritten digits: a convolutional network, MNIST's file format, a learning rate in steps.

    python -m dtorch.compat examples/mnist.py --quick

The loss falls within an epoch, and more than 95 of 100 digits that were never seen are recognised.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from generated import FOLDER, mnist, read_idx
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    """Images ``(1, 28, 28)`` of mean 0 and deviation 1, and their labels."""

    def __init__(self, folder, part, count=None):
        images = read_idx(Path(folder) / f"{part}-images-idx3-ubyte.gz")[:count]
        labels = read_idx(Path(folder) / f"{part}-labels-idx1-ubyte.gz")[:count]
        self.images = torch.tensor(images).unsqueeze(1).float().div(255).sub(0.13).div(0.31)
        self.labels = torch.tensor(labels).long()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Net(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.dropout1 = nn.Dropout(dropout / 2)
        self.dropout2 = nn.Dropout(dropout)
        self.fc1 = nn.Linear(32 * 5 * 5, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(self.dropout1(x), 1)
        x = self.dropout2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


def make_model(args):
    return Net(args.dropout).to(args.device)


def make_optimizer(model, args):
    return optim.Adadelta(model.parameters(), lr=args.lr)


def batches(args):
    digits = Digits(args.data, "train", args.images)
    return DataLoader(digits, batch_size=args.batch_size, shuffle=True)


def train(model, optimizer, batches, args):
    """One epoch; yields the loss of each step."""
    model.train()
    for data, target in batches:
        data, target = data.to(args.device), target.to(args.device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        yield loss.item()


def test(model, args):
    """Mean loss and accuracy on digits that were not trained on."""
    model.eval()
    digits = Digits(args.data, "t10k")
    loss = correct = 0
    with torch.no_grad():
        for data, target in DataLoader(digits, batch_size=1000):
            output = model(data.to(args.device)).cpu()
            loss += F.nll_loss(output, target, reduction="sum").item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    return loss / len(digits), correct / len(digits)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2 epochs of 1,500 digits")
    parser.add_argument("--epochs", type=int, help="default: 8")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.0, help="learning rate of Adadelta")
    parser.add_argument("--gamma", type=float, default=0.7, help="its factor after each epoch")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "mnist", help="MNIST's four files")
    parser.add_argument("--save-model", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    if args.epochs is None:
        args.epochs = 2 if args.quick else 8
    if min(args.epochs, args.batch_size) < 1:
        parser.error("--epochs and --batch-size have to be at least 1")
    args.images = 1500 if args.quick else None
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mnist(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args))
        loss, accuracy = test(model, args)
        print(
            f"epoch {epoch}: train loss {sum(losses) / len(losses):.4f}, "
            f"test loss {loss:.4f}, accuracy {accuracy:.1%}"
        )
        scheduler.step()
    if args.save_model:
        torch.save(model.state_dict(), args.save_model)


if __name__ == "__main__":
    main()
