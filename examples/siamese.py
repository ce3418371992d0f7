"""A siamese network: do two pictures show the same digit, even one that it never saw in training?

    python -m dtorch.compat examples/siamese.py --quick

Both pictures go through one and the same encoder, and the loss draws codes of the same digit
together and pushes others apart. It is trained on the digits 0 to 7; the accuracy is that on new
pairs of those, and on pairs of 8 and 9, which it has to tell apart though it never saw either.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from generated import FOLDER, mnist, read_idx
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    """Two pictures and a 1 if they show the same digit, else 0: as many of the one as of the other."""

    def __init__(self, folder, part, digits, count):
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
        self.images = torch.tensor(images).unsqueeze(1).float().div(255)
        labels = torch.tensor(read_idx(folder / f"{part}-labels-idx1-ubyte.gz"))
        self.members = [torch.nonzero(labels == digit).flatten() for digit in digits]
        self.pairs = [self.draw(index % 2) for index in range(count)]

    def draw(self, same):
        first, second = torch.randperm(len(self.members))[:2].tolist()
        places = [self.members[first], self.members[first if same else second]]
        return [int(place[torch.randint(len(place), ())]) for place in places], float(same)

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        (first, second), same = self.pairs[index]
        return self.images[first], self.images[second], same


class SiameseNetwork(nn.Module):
    """Two batches of pictures to the distance of their codes."""

    def __init__(self, code):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 5 * 5, code),
        )

    def forward(self, first, second):
        codes = self.encoder(torch.cat([first, second]))
        return F.pairwise_distance(*codes.chunk(2))


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, distance, same):
        apart = F.relu(self.margin - distance)
        return (same * distance.pow(2) + (1 - same) * apart.pow(2)).mean()


def make_model(args):
    return SiameseNetwork(args.code).to(args.device)


def make_optimizer(model, args):
    return torch.optim.Adam(model.parameters(), lr=args.lr)


def batches(args):
    pairs = Pairs(args.data, "train", range(8), args.pairs)
    return DataLoader(pairs, args.batch_size, shuffle=True)


def train(model, optimizer, batches, args):
    """One epoch; yields the loss of each step."""
    criterion = ContrastiveLoss()
    model.train()
    for first, second, same in batches:
        distance = model(first.to(args.device), second.to(args.device))
        loss = criterion(distance, same.to(args.device).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@torch.no_grad()
def accuracy(model, digits, args):
    """Share of the pairs of those digits that are taken rightly for same or different."""
    model.eval()
    correct = total = 0
    for first, second, same in DataLoader(Pairs(args.data, "t10k", digits, 400), 200):
        distance = model(first.to(args.device), second.to(args.device)).cpu()
        correct += ((distance < 1.0) == same.bool()).sum().item()
        total += len(same)
    return correct / total


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 epochs of 1,200 pairs")
    parser.add_argument("--epochs", type=int, help="default: 10")
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--code", type=int, default=16, help="numbers that stand for a picture")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "mnist", help="MNIST's four files")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 3 if args.quick else 10
    if min(args.epochs, args.batch_size, args.code) < 1:
        parser.error("--epochs, --batch-size and --code have to be at least 1")
    args.pairs = 1200 if args.quick else 4000
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mnist(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    for epoch in range(1, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args))
        known, unknown = accuracy(model, range(8), args), accuracy(model, (8, 9), args)
        print(
            f"epoch {epoch}: loss {sum(losses) / len(losses):.3f}, accuracy {known:.1%}, "
            f"of digits never seen {unknown:.1%}"
        )


if __name__ == "__main__":
    main()
