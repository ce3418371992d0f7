"""A variational autoencoder of handwritten digits; pictures of what it restores and makes up.

    python -m dtorch.compat examples/vae.py --quick --pictures /tmp/vae

The loss of a digit falls from the 540 nats of guessing grey to below 200 in an epoch or two;
restored-N.png shows digits above what the code of 10 numbers keeps of them, drawn-N.png digits that
never were, from random codes.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from generated import FOLDER, mnist, read_idx
from pictures import save_picture
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class VAE(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.hidden = nn.Linear(784, 256)
        self.mean = nn.Linear(256, code)
        self.logvar = nn.Linear(256, code)
        self.decoder = nn.Sequential(
            nn.Linear(code, 256), nn.ReLU(), nn.Linear(256, 784), nn.Sigmoid()
        )

    def encode(self, x):
        h = F.relu(self.hidden(x.view(-1, 784)))
        return self.mean(h), self.logvar(h)

    def decode(self, code):
        return self.decoder(code).view(-1, 1, 28, 28)

    def forward(self, x, noise):
        mean, logvar = self.encode(x)
        return self.decode(mean + torch.exp(0.5 * logvar) * noise), mean, logvar


def loss_function(restored, x, mean, logvar):
    """What restoring loses, and how far the codes are from the standard normal distribution."""
    restoring = F.binary_cross_entropy(restored, x, reduction="sum")
    distance = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
    return restoring + distance


def digits(args, part):
    images = read_idx(args.data / f"{part}-images-idx3-ubyte.gz")
    return TensorDataset(torch.tensor(images).unsqueeze(1).float().div(255))


def make_model(args):
    return VAE(args.code).to(args.device)


def make_optimizer(model, args):
    return optim.Adam(model.parameters(), lr=args.lr)


def batches(args):
    for (x,) in DataLoader(digits(args, "train"), args.batch_size, shuffle=True):
        yield x, torch.randn(len(x), args.code)


def train(model, optimizer, batches, args):
    """One epoch; yields the loss of a digit at each step."""
    model.train()
    for x, noise in batches:
        x, noise = x.to(args.device), noise.to(args.device)
        optimizer.zero_grad()
        restored, mean, logvar = model(x, noise)
        loss = loss_function(restored, x, mean, logvar) / len(x)
        loss.backward()
        optimizer.step()
        yield loss.item()


@torch.no_grad()
def test(model, args):
    """Loss of a digit that was not trained on; also returns some of them and their restorations."""
    model.eval()
    (x,) = digits(args, "t10k")[:]
    x = x.to(args.device)
    restored, mean, logvar = model(x, torch.zeros(len(x), args.code, device=args.device))
    loss = loss_function(restored, x, mean, logvar).item() / len(x)
    return loss, torch.cat([x[:8], restored[:8]]).cpu()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="4 epochs")
    parser.add_argument("--epochs", type=int, help="default: 20")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--code", type=int, default=10, help="numbers that stand for a digit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "mnist", help="MNIST's four files")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 4 if args.quick else 20
    if min(args.epochs, args.batch_size, args.code) < 1:
        parser.error("--epochs, --batch-size and --code have to be at least 1")
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mnist(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    codes = torch.randn(64, args.code, device=args.device)
    for epoch in range(1, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args))
        loss, restored = test(model, args)
        print(
            f"epoch {epoch}: first loss {losses[0]:.1f}, mean {sum(losses) / len(losses):.1f}, "
            f"test loss {loss:.1f}"
        )
        if args.pictures:
            with torch.no_grad():
                drawn = model.decode(codes).cpu()
            save_picture(args.pictures / f"restored-{epoch}.png", restored.numpy())
            save_picture(args.pictures / f"drawn-{epoch}.png", drawn.numpy())


if __name__ == "__main__":
    main()
