"""Neural style: L-BFGS changes the pixels of one picture until its Gram matrices are another's.

    python -m dtorch.compat examples/neural_style.py --quick --pictures /tmp/style

A convolutional network with random weights, which nobody trained, tells textures well enough. The
style loss falls to a hundredth and less, while the content stays; style.png shows content, style
and the outcome side by side.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from pictures import save_picture


def pictures(size):
    """A house on a plain, and waves of paint, ``(1, 3, size, size)`` each."""
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    content = torch.stack([0.6 + 0.2 * y, 0.75 + 0.1 * y, 0.9 + 0.05 * x])  # the sky
    parts = [
        (y > 0.45, (0.35, 0.6, 0.3)),  # the plain
        ((x.abs() < 0.45) & (y > -0.1) & (y < 0.6), (0.85, 0.8, 0.65)),  # walls
        ((x.abs() < 0.6 * (y + 0.75)) & (y < -0.1), (0.65, 0.2, 0.15)),  # a roof
        (((x - 0.15).abs() < 0.1) & (y > 0.2) & (y < 0.6), (0.35, 0.2, 0.1)),  # a door
        ((x + 0.65) ** 2 + (y + 0.65) ** 2 < 0.04, (1.0, 0.85, 0.2)),  # the sun
    ]
    for where, colour in parts:
        content = torch.where(where, torch.tensor(colour).view(3, 1, 1), content)
    phase = 12 * (x + 0.5 * torch.sin(3 * y)) + 4 * torch.cos(5 * x * y)
    turns = torch.tensor([0.0, 1.0, 2.5]).view(3, 1, 1)
    style = 0.5 + 0.45 * torch.sin(phase + turns) * torch.cos(0.5 * phase - turns)
    return content.unsqueeze(0), style.unsqueeze(0)


def gram_matrix(features):
    """How much each two channels have in common, wherever that is."""
    n, channels, height, width = features.shape
    flat = features.view(n * channels, height * width)
    return flat @ flat.t() / (n * channels * height * width)


def total_variation(picture):
    """How much neighbouring pixels differ."""
    return sum(picture.diff(dim=dim).square().mean() for dim in (2, 3))


class StyleTransfer(nn.Module):
    """The picture, and the losses that a fixed network finds in it."""

    def __init__(self, size, width):
        super().__init__()
        self.picture = nn.Parameter(pictures(size)[0])
        self.stages = nn.ModuleList()
        inputs = 3
        for outputs in (width, 2 * width, 4 * width):
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
            nn.init.orthogonal_(conv.weight, nn.init.calculate_gain("relu"))
            self.stages.append(nn.Sequential(conv, nn.ReLU(), nn.AvgPool2d(2)))
            inputs = outputs
        self.stages.requires_grad_(False)

    def features(self, x):
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, content, style):
        with torch.no_grad():
            wanted_content = self.features(content)[-1]
            wanted_style = [gram_matrix(found) for found in self.features(style)]
        found = self.features(self.picture)
        style_loss = sum(
            F.mse_loss(gram_matrix(here), wanted, reduction="sum") / wanted.square().sum()
            for here, wanted in zip(found, wanted_style, strict=True)
        )
        return F.mse_loss(found[-1], wanted_content), style_loss, total_variation(self.picture)


def make_model(args):
    return StyleTransfer(args.size, args.width).to(args.device)


def make_optimizer(model, args):
    return torch.optim.LBFGS([model.picture], max_iter=args.max_iter)


def batches(args):
    for _ in range(args.steps):
        yield pictures(args.size)


def train(model, optimizer, batches, args):
    """All steps; yields the losses of content, style and roughness at the beginning of each."""
    for content, style in batches:
        content, style = content.to(args.device), style.to(args.device)
        begun = []

        def closure(content=content, style=style, begun=begun):
            optimizer.zero_grad()
            losses = model(content, style)
            begun.append([loss.item() for loss in losses])
            weights = args.content_weight, args.style_weight, args.smoothness_weight
            loss = sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            model.picture.clamp_(0, 1)
        yield begun[0]


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small picture, fewer steps")
    parser.add_argument("--steps", type=int, help="of L-BFGS; default: 20")
    parser.add_argument("--max-iter", type=int, default=8, help="evaluations in a step")
    parser.add_argument("--size", type=int, help="of the picture; default: 128")
    parser.add_argument("--width", type=int, default=16, help="channels of the first layer")
    parser.add_argument("--content-weight", type=float, default=1.0)
    parser.add_argument("--style-weight", type=float, default=10.0)
    parser.add_argument("--smoothness-weight", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    args.steps = args.steps if args.steps is not None else 8 if args.quick else 20
    args.size = args.size if args.size is not None else 48 if args.quick else 128
    if min(args.steps, args.max_iter, args.width) < 1 or args.size < 16:
        parser.error("--steps, --max-iter and --width have to be at least 1, --size 16")
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    for step, (content, style, _) in enumerate(train(model, optimizer, batches(args), args), 1):
        print(f"step {step}: content loss {content:.4f}, style loss {style:.5f}")
    if args.pictures:
        shown = torch.cat([*pictures(args.size), model.picture.detach().cpu()])
        save_picture(args.pictures / "style.png", shown.numpy())


if __name__ == "__main__":
    main()
