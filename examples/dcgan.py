"""A generator and a discriminator, both convolutional, play against each other over digits.

    python -m dtorch.compat examples/dcgan.py --quick --pictures /tmp/dcgan

Loss_D and Loss_G do not fall for ever, as neither side wins: what improves are the pictures. The
last line says how far the drawn ones are from true ones in mean ink and in how much it varies from
pixel to pixel; fake-N.png, one for each epoch, shows how digits come out of the noise.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from generated import FOLDER, mnist, read_idx
from pictures import save_picture
from torch.utils.data import DataLoader, TensorDataset


def weights_init(module):
    """Small normal weights, as the paper has them."""
    name = module.__class__.__name__
    if name.find("Conv") != -1:
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif name.find("BatchNorm") != -1:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Noise ``(N, nz, 1, 1)`` to pictures ``(N, 1, 16, 16)`` from -1 to 1."""

    def __init__(self, nz, ngf):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, 2 * ngf, 4, 1, 0, bias=False),
            nn.BatchNorm2d(2 * ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * ngf, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    """Pictures to the probability that they are true ones."""

    def __init__(self, ndf):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, 2 * ndf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * ndf),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * ndf, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, pictures):
        return self.main(pictures).view(-1)


def real_pictures(args):
    images = read_idx(args.data / "train-images-idx3-ubyte.gz")[: args.images]
    images = torch.tensor(images).unsqueeze(1).float().div(255)
    small = F.interpolate(images, size=(16, 16), mode="bilinear", antialias=True)
    return small * 2 - 1


def make_model(args):
    nets = nn.ModuleDict({"G": Generator(args.nz, args.ngf), "D": Discriminator(args.ndf)})
    return nets.apply(weights_init).to(args.device)


def make_optimizer(model, args):
    return {
        name: optim.Adam(net.parameters(), lr=args.lr, betas=(args.beta1, 0.999))
        for name, net in model.items()
    }


def batches(args):
    loader = DataLoader(TensorDataset(real_pictures(args)), args.batch_size, shuffle=True)
    for (real,) in loader:
        yield real, torch.randn(len(real), args.nz, 1, 1)


def train(model, optimizer, batches, args):
    """One epoch; yields the losses of discriminator and generator at each step."""
    G, D = model["G"], model["D"]
    criterion = nn.BCELoss()
    model.train()
    for real, noise in batches:
        real, noise = real.to(args.device), noise.to(args.device)
        # D learns to tell true pictures from drawn ones ...
        D.zero_grad()
        label = torch.full((len(real),), 1.0, device=args.device)
        errD_real = criterion(D(real), label)
        errD_real.backward()
        fake = G(noise)
        label.fill_(0.0)
        errD_fake = criterion(D(fake.detach()), label)
        errD_fake.backward()
        optimizer["D"].step()
        # ... and G to draw such that D takes them for true.
        G.zero_grad()
        label.fill_(1.0)
        errG = criterion(D(fake), label)
        errG.backward()
        optimizer["G"].step()
        yield (errD_real + errD_fake).item(), errG.item()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 epochs of 1,500 digits")
    parser.add_argument("--epochs", type=int, help="default: 25")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--nz", type=int, default=32, help="numbers of noise for a picture")
    parser.add_argument("--ngf", type=int, default=16, help="width of the generator")
    parser.add_argument("--ndf", type=int, default=16, help="width of the discriminator")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--beta1", type=float, default=0.5, help="of Adam")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "mnist", help="MNIST's four files")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 5 if args.quick else 25
    if min(args.epochs, args.batch_size, args.nz, args.ngf, args.ndf) < 1:
        parser.error("--epochs, --batch-size, --nz, --ngf and --ndf have to be at least 1")
    args.images = 1500 if args.quick else None
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mnist(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    fixed_noise = torch.randn(64, args.nz, 1, 1, device=args.device)
    for epoch in range(1, args.epochs + 1):
        losses = torch.tensor(list(train(model, optimizer, batches(args), args)))
        with torch.no_grad():
            fake = model["G"](fixed_noise).cpu()
            believed = model["D"](fake.to(args.device)).mean().item()
        loss_d, loss_g = losses.mean(0).tolist()
        print(f"epoch {epoch}: Loss_D {loss_d:.3f}, Loss_G {loss_g:.3f}, D(G(z)) {believed:.3f}")
        if args.pictures:
            save_picture(args.pictures / f"fake-{epoch}.png", (fake.numpy() + 1) / 2)
    real = real_pictures(args)
    ink, varies = (
        (fake.mean() - real.mean()).abs() / 2,
        (fake.std(0) - real.std(0)).abs().mean() / 2,
    )
    print(f"mean ink differs by {ink:.3f}, its variation by {varies:.3f}")


if __name__ == "__main__":
    main()
