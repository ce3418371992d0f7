"""Super-resolution: a network for small pictures whose last layer shuffles channels into pixels.

    python -m dtorch.compat examples/super_resolution.py --quick --pictures /tmp/sr

From digits of half the size it restores them better than bicubic interpolation does: by 2 to 3 dB
with --quick. The picture shows what goes in, what bicubic makes of it, what the network makes of
it, and the truth, one row each.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
from generated import FOLDER, mnist, read_idx
from pictures import save_picture
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    """Pictures ``(N, 1, H, W)`` to such of ``factor`` times the size."""

    def __init__(self, factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 32, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(32, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(factor)
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))


def pictures(args, part, count=None):
    """Pairs of a small picture and the whole one."""
    whole = read_idx(args.data / f"{part}-images-idx3-ubyte.gz")[:count]
    whole = torch.tensor(whole).unsqueeze(1).float().div(255)
    return TensorDataset(F.avg_pool2d(whole, args.upscale_factor), whole)


def make_model(args):
    return Net(args.upscale_factor).to(args.device)


def make_optimizer(model, args):
    return optim.Adam(model.parameters(), lr=args.lr)


def batches(args):
    return DataLoader(pictures(args, "train", args.images), args.batch_size, shuffle=True)


def train(model, optimizer, batches, args):
    """One epoch; yields the loss of each step."""
    criterion = nn.MSELoss()
    for small, whole in batches:
        small, whole = small.to(args.device), whole.to(args.device)
        optimizer.zero_grad()
        loss = criterion(model(small), whole)
        loss.backward()
        optimizer.step()
        yield loss.item()


def psnr(restored, whole):
    """Peak signal-to-noise ratio in dB, for values from 0 to 1."""
    return 10 * math.log10(1 / F.mse_loss(restored, whole).item())


@torch.no_grad()
def test(model, args):
    """Decibels of the network and of bicubic interpolation; also the pictures to look at."""
    small, whole = (part.to(args.device) for part in pictures(args, "t10k")[:])
    restored = model(small)
    bicubic = F.interpolate(small, scale_factor=args.upscale_factor, mode="bicubic")
    nearest = F.interpolate(small[:8], scale_factor=args.upscale_factor, mode="nearest")
    rows = torch.cat([nearest, bicubic[:8], restored[:8], whole[:8]])
    return psnr(restored, whole), psnr(bicubic, whole), rows.cpu()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upscale-factor", type=int, default=2, choices=[2, 4, 7])
    parser.add_argument("--quick", action="store_true", help="2 epochs of 1,500 digits")
    parser.add_argument("--epochs", type=int, help="default: 15")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "mnist", help="MNIST's four files")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 2 if args.quick else 15
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
    for epoch in range(1, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args))
        ours, bicubic, rows = test(model, args)
        print(
            f"epoch {epoch}: loss {sum(losses) / len(losses):.5f}, "
            f"PSNR {ours:.2f} dB, of bicubic interpolation {bicubic:.2f} dB"
        )
    if args.pictures:
        save_picture(args.pictures / "super-resolution.png", rows.numpy())


if __name__ == "__main__":
    main()
