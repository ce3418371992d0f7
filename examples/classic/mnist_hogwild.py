"""Processes that train one model in shared memory, without locks."""

from __future__ import print_function

import argparse
import os

import made
import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torch.utils.data
from torch.autograd import Variable
from torchvision import datasets, transforms

parser = argparse.ArgumentParser(description="MNIST, Hogwild")
parser.add_argument("--data", help="folder with MNIST's files (default: digits are made)")
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--num-processes", type=int, default=2)
parser.add_argument("--spawn", action="store_true", help="begin new interpreters, do not fork")
parser.add_argument("--quick", action="store_true", help="a few batches only")


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv = nn.Conv2d(1, 8, kernel_size=5, stride=2)
        self.fc1 = nn.Linear(288, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv(x), 2))
        x = x.view(-1, 288)
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))))


def loader(root, train):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.13,), (0.31,))])
    dataset = datasets.MNIST(root, train=train, transform=transform)
    return torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=train)


def train(rank, args, root, model):
    torch.manual_seed(1 + rank)
    batches = loader(root, True)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.5)
    for epoch in range(1, args.epochs + 1):
        model.train()
        for batch_idx, (data, target) in enumerate(batches):
            data, target = Variable(data), Variable(target)
            optimizer.zero_grad()
            loss = F.nll_loss(model(data), target)
            loss.backward()
            optimizer.step()
            if batch_idx % 10 == 0:
                print("process {} epoch {}\tloss: {:.4f}".format(os.getpid(), epoch, loss.data[0]))


def test(root, model):
    model.eval()
    test_loss = 0
    correct = 0
    batches = loader(root, False)
    for data, target in batches:
        data, target = Variable(data, volatile=True), Variable(target)
        output = model(data)
        test_loss += F.nll_loss(output, target, size_average=False).data[0]
        correct += output.data.max(1)[1].eq(target.data).cpu().sum()
    count = len(batches.dataset)
    print(
        "Test Loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)".format(
            test_loss / count, correct, count, 100.0 * correct / count
        )
    )


if __name__ == "__main__":
    args = parser.parse_args()
    if args.quick:
        args.epochs = 1
    if args.spawn:
        mp.set_start_method("spawn")
    root = made.mnist(made.folder(args.data), *((480, 100) if args.quick else (6000, 1000)))
    torch.manual_seed(1)
    model = Net()
    model.share_memory()
    test(root, model)
    processes = []
    for rank in range(args.num_processes):
        p = mp.Process(target=train, args=(rank, args, root, model))
        p.start()
        processes.append(p)
    for p in processes:
        p.join()
    test(root, model)
