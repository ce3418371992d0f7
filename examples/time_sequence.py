"""Sine waves go on: two LSTM cells stepped by hand, trained by L-BFGS in double precision.

    python -m dtorch.compat examples/time_sequence.py --quick

Each wave starts at a phase of its own. The network learns to name the next value; then it runs on
alone, fed with what it said before. The loss falls by four powers of ten within a few steps, and
the printed picture shows the wave it goes on with (o) over the true one (.).
"""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


class Sequence(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.lstm1 = nn.LSTMCell(1, size)
        self.lstm2 = nn.LSTMCell(size, size)
        self.linear = nn.Linear(size, 1)
        self.size = size

    def forward(self, input, future=0):
        """The value after each of the input ``(N, T)``, and so many more: ``(N, T + future)``."""
        outputs = []
        h1, c1, h2, c2 = torch.zeros(4, len(input), self.size, dtype=torch.double)
        for value in input.split(1, dim=1):
            h1, c1 = self.lstm1(value, (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            outputs.append(self.linear(h2))
        for _ in range(future):
            h1, c1 = self.lstm1(outputs[-1], (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            outputs.append(self.linear(h2))
        return torch.cat(outputs, dim=1)


def waves(count, length, seed):
    """Sine waves ``(count, length)`` of a period of 40, each from another place on."""
    start = np.random.default_rng(seed).integers(-80, 80, (count, 1))
    return torch.from_numpy(np.sin(2 * np.pi * (start + np.arange(length)) / 40).astype("float64"))


def make_model(args):
    return Sequence(args.hidden).double()


def make_optimizer(model, args):
    return optim.LBFGS(model.parameters(), lr=args.lr, max_iter=args.max_iter)


def batches(args):
    data = waves(args.waves, args.length, args.seed)
    yield data[:, :-1], data[:, 1:]


def train(model, optimizer, batches, args):
    """One step on all waves, of several evaluations; yields the loss at its beginning."""
    criterion = nn.MSELoss()
    for input, target in batches:

        def closure(input=input, target=target):
            optimizer.zero_grad()
            loss = criterion(model(input), target)
            loss.backward()
            return loss

        yield optimizer.step(closure).item()


def go_on(model, args, future=80):
    """New waves beyond their end: what the network says alone, and what is true."""
    whole = waves(3, args.length + future, args.seed + 1)
    with torch.no_grad():
        said = model(whole[:, : args.length], future=future)
    return said[:, args.length - 1 : -1], whole[:, args.length :]


def draw(said, true, height=9):
    """Two rows of values from -1 to 1 as lines of text."""
    lines = [[" "] * len(true) for _ in range(height)]
    for row, mark in (true, "."), (said, "o"):
        for column, value in enumerate(row.clamp(-1.1, 1.1).tolist()):
            lines[round((1.1 - value) / 2.2 * (height - 1))][column] = mark
    return "\n".join("".join(line).rstrip() for line in lines)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter waves")
    parser.add_argument("--steps", type=int, help="of L-BFGS; default: 10")
    parser.add_argument("--hidden", type=int, default=24, help="size of the cells")
    parser.add_argument("--max-iter", type=int, default=15, help="evaluations in a step")
    parser.add_argument("--lr", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args(argv)
    args.steps = args.steps if args.steps is not None else 5 if args.quick else 10
    if min(args.steps, args.hidden, args.max_iter) < 1:
        parser.error("--steps, --hidden and --max-iter have to be at least 1")
    args.waves, args.length = (8, 60) if args.quick else (50, 200)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    for step in range(1, args.steps + 1):
        for loss in train(model, optimizer, batches(args), args):
            said, true = go_on(model, args)
            error = nn.functional.mse_loss(said, true).item()
            print(f"step {step}: loss {loss:.6f}, error of going on alone {error:.5f}")
    print(draw(said[0], true[0]))


if __name__ == "__main__":
    main()
