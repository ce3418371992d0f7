"""A residual network on CIFAR-10's file format: augmented pictures, one learning-rate cycle, resuming.

    python -m dtorch.compat examples/cifar_resnet.py --quick

The ten classes are shapes in any colours. With --quick most of them are told apart after one short
cycle, and nearly all without it. --checkpoint FILE is written after each epoch, and a run that was
cut off goes on there with --resume.
"""

import argparse
import pickle
from pathlib import Path

import torch
import torch.nn as nn
from generated import FOLDER, cifar10
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


class BasicBlock(nn.Module):
    """Two convolutions around which the input goes on."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class ResNet(nn.Module):
    """Three stages of ``blocks`` blocks each; 6 blocks + 2 layers is what the depth counts."""

    def __init__(self, blocks, width, classes=10):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        stages, inputs = [], width
        for stage in range(3):
            outputs = width << stage
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(BasicBlock(inputs, outputs, stride))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.pool(self.stages(self.stem(x)))
        return self.fc(x.flatten(1))


def read(folder, names):
    """Pictures ``(N, 3, 32, 32)`` around 0, and labels, of some of the pickled batches."""
    data, labels = [], []
    for name in names:
        with open(folder / name, "rb") as file:
            batch = pickle.load(file, encoding="bytes")
        data.append(torch.tensor(batch[b"data"]))
        labels.extend(batch[b"labels"])
    pictures = torch.cat(data).view(-1, 3, 32, 32).float().div_(127.5).sub_(1)
    return TensorDataset(pictures, torch.tensor(labels))


def augment(pictures):
    """Mirror every other picture, and move all by up to 2 pixels."""
    flip = torch.rand(len(pictures)) < 0.5
    pictures = torch.where(flip.view(-1, 1, 1, 1), pictures.flip(3), pictures)
    right, down = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(pictures, shifts=(down, right), dims=(2, 3))


def make_model(args):
    return ResNet(args.blocks, args.width).to(args.device)


def make_optimizer(model, args):
    return torch.optim.SGD(
        model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4, nesterov=True
    )


def batches(args):
    known = read(args.data, [f"data_batch_{i}" for i in range(1, args.parts + 1)])
    for pictures, labels in DataLoader(known, args.batch_size, shuffle=True, drop_last=True):
        yield augment(pictures), labels


def train(model, optimizer, batches, args, scheduler=None):
    """One epoch; yields the loss of each step."""
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    model.train()
    for pictures, labels in batches:
        pictures, labels = pictures.to(args.device), labels.to(args.device)
        loss = criterion(model(pictures), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        yield loss.item()


@torch.no_grad()
def accuracy(model, args):
    """Share of the test pictures whose shape is recognised."""
    model.eval()
    correct = total = 0
    for pictures, labels in DataLoader(read(args.data, ["test_batch"]), batch_size=250):
        predicted = model(pictures.to(args.device)).argmax(1).cpu()
        correct += (predicted == labels).sum().item()
        total += len(labels)
    return correct / total


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a narrow network, 1,000 pictures")
    parser.add_argument("--epochs", type=int, help="default: 6")
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.2, help="the highest of the cycle")
    parser.add_argument("--blocks", type=int, help="of each of three stages; default: 2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "cifar10", help="CIFAR-10's pickles")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 3 if args.quick else 6
    args.blocks = args.blocks if args.blocks is not None else 1 if args.quick else 2
    args.width = 8 if args.quick else 16
    args.parts = 2 if args.quick else 5
    if min(args.epochs, args.blocks) < 1 or not 1 <= args.batch_size <= 500:
        parser.error("--epochs and --blocks have to be at least 1, --batch-size from 1 to 500")
    if args.resume and (args.checkpoint is None or not args.checkpoint.exists()):
        parser.error("--resume needs the --checkpoint of an earlier run")
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cifar10(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    steps = args.epochs * (500 * args.parts // args.batch_size)
    scheduler = OneCycleLR(optimizer, args.lr, total_steps=steps)
    first = 1
    if args.resume:
        saved = torch.load(args.checkpoint, map_location=args.device)
        if saved["epochs"] != args.epochs:
            raise SystemExit(f"the cycle of {args.checkpoint} has {saved['epochs']} epochs")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
        first = saved["epoch"] + 1
    for epoch in range(first, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args, scheduler))
        print(
            f"epoch {epoch}: loss {sum(losses) / len(losses):.3f}, "
            f"learning rate {scheduler.get_last_lr()[0]:.4f}, accuracy {accuracy(model, args):.1%}"
        )
        if args.checkpoint:
            state = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
            state = {name: part.state_dict() for name, part in state.items()}
            torch.save({"epoch": epoch, "epochs": args.epochs, **state}, args.checkpoint)


if __name__ == "__main__":
    main()
