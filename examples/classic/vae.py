"""Auto-encoding variational Bayes (Kingma and Welling 2013) on digits."""

from __future__ import print_function

import argparse
import os

import made
import torch
import torch.utils.data
from torch import nn, optim
from torch.autograd import Variable
from torchvision import datasets, transforms
from torchvision.utils import save_image

parser = argparse.ArgumentParser(description="VAE")
parser.add_argument("--data", help="folder with MNIST's files (default: digits are made)")
parser.add_argument("--results", help="folder for pictures (default: none are kept)")
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--quick", action="store_true", help="a few batches only")
args = parser.parse_args()

torch.manual_seed(1)
root = made.mnist(made.folder(args.data), *((512, 64) if args.quick else (6000, 1000)))
results = made.folder(args.results)
train_loader = torch.utils.data.DataLoader(
    datasets.MNIST(root, train=True, transform=transforms.ToTensor()),
    batch_size=args.batch_size,
    shuffle=True,
)
test_loader = torch.utils.data.DataLoader(
    datasets.MNIST(root, train=False, transform=transforms.ToTensor()), batch_size=args.batch_size
)


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(784, 100)
        self.fc21 = nn.Linear(100, 10)
        self.fc22 = nn.Linear(100, 10)
        self.fc3 = nn.Linear(10, 100)
        self.fc4 = nn.Linear(100, 784)
        self.relu = nn.ReLU()
        self.sigmoid = nn.Sigmoid()

    def encode(self, x):
        h = self.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def reparametrize(self, mu, logvar):
        std = logvar.mul(0.5).exp_()
        eps = torch.FloatTensor(std.size()).normal_()
        return Variable(eps).mul(std).add_(mu)

    def decode(self, z):
        return self.sigmoid(self.fc4(self.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 784))
        return self.decode(self.reparametrize(mu, logvar)), mu, logvar


model = VAE()
reconstruction = nn.BCELoss()
reconstruction.size_average = False
optimizer = optim.Adam(model.parameters(), lr=1e-3)


def loss_function(recon_x, x, mu, logvar):
    BCE = reconstruction(recon_x, x)  # of (N, 784) and (N, 1, 28, 28)
    KLD_element = mu.pow(2).add_(logvar.exp()).mul_(-1).add_(1).add_(logvar)
    KLD = torch.sum(KLD_element).mul_(-0.5)
    return BCE + KLD


def train(epoch):
    model.train()
    train_loss = 0
    for batch_idx, (data, _) in enumerate(train_loader):
        data = Variable(data)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.data[0]
        optimizer.step()
        if batch_idx % 8 == 0:
            print("Train Epoch: {}\tLoss: {:.6f}".format(epoch, loss.data[0] / len(data)))
    average = train_loss / len(train_loader.dataset)
    print("====> Epoch: {} Average Loss: {:.4f}".format(epoch, average))


def test(epoch):
    model.eval()
    test_loss = 0
    for i, (data, _) in enumerate(test_loader):
        data = Variable(data, volatile=True)
        recon_batch, mu, logvar = model(data)
        test_loss += loss_function(recon_batch, data, mu, logvar).data[0]
        if i == 0:
            comparison = torch.cat([data[:8], recon_batch.view(-1, 1, 28, 28)[:8]])
            name = "reconstruction_{}.png".format(epoch)
            save_image(comparison.data.cpu(), os.path.join(results, name), nrow=8)
    print("====> Test set Loss: {:.4f}".format(test_loss / len(test_loader.dataset)))


for epoch in range(1, (1 if args.quick else args.epochs) + 1):
    train(epoch)
    test(epoch)
    sample = model.decode(Variable(torch.randn(16, 10)))
    save_image(
        sample.data.view(16, 1, 28, 28), os.path.join(results, "sample_{}.png".format(epoch))
    )
