"""Fit a polynomial of degree 4 by the gradient, one layer, no optimizer."""

from __future__ import print_function

import argparse
from itertools import count

import torch
import torch.autograd
import torch.nn.functional as F
from torch.autograd import Variable

parser = argparse.ArgumentParser(description="Polynomial regression")
parser.add_argument("--quick", action="store_true", help="stop after 200 batches")
args = parser.parse_args()

torch.manual_seed(1)
DEGREE = 4
W_target = torch.randn(DEGREE, 1) * 5
b_target = torch.randn(1) * 5


def powers(x):
    """A matrix with the columns x, x^2, x^3 and x^4."""
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, DEGREE + 1)], 1)


def described(W, b):
    text = "y = "
    for i, w in enumerate(W):
        text += "{:+.2f} x^{} ".format(w, i + 1)
    return text + "{:+.2f}".format(b[0])


def batch(size=32):
    x = powers(torch.randn(size))
    y = x.mm(W_target) + b_target[0]
    return Variable(x), Variable(y)


fc = torch.nn.Linear(W_target.size(0), 1)

for number in count(1):
    x, y = batch()
    fc.zero_grad()
    output = F.smooth_l1_loss(fc(x), y)
    loss = output.data[0]
    output.backward()
    for param in fc.parameters():
        param.data.add_(-0.1 * param.grad.data)
    if number % 50 == 1:
        print("batch {:4d}\tLoss: {:.6f}".format(number, loss))
    if loss < 1e-3 or (args.quick and number >= 200):
        break

print("Loss: {:.6f} after {} batches".format(loss, number))
print("==> Learned function:\t" + described(fc.weight.data.view(-1), fc.bias.data))
print("==> Actual function:\t" + described(W_target.view(-1), b_target))
