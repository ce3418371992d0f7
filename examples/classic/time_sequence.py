"""Two LSTM cells learn sine waves by L-BFGS, and go on with them."""

from __future__ import print_function

import argparse
import os

import made
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.autograd import Variable

parser = argparse.ArgumentParser(description="Prediction of time sequences")
parser.add_argument("--steps", type=int, default=8)
parser.add_argument("--future", type=int, default=100, help="values to predict beyond the data")
parser.add_argument("--quick", action="store_true", help="few and short waves, two steps")
args = parser.parse_args()
count, length, hidden = (12, 30, 10) if args.quick else (60, 250, 51)
if args.quick:
    args.steps, args.future = 2, 10


class Sequence(nn.Module):
    def __init__(self):
        super(Sequence, self).__init__()
        self.lstm1 = nn.LSTMCell(1, hidden)
        self.lstm2 = nn.LSTMCell(hidden, 1)

    def forward(self, input, future=0):
        outputs = []
        n = input.size(0)
        h_t = Variable(torch.zeros(n, hidden).double(), requires_grad=False)
        c_t = Variable(torch.zeros(n, hidden).double(), requires_grad=False)
        h_t2 = Variable(torch.zeros(n, 1).double(), requires_grad=False)
        c_t2 = Variable(torch.zeros(n, 1).double(), requires_grad=False)
        for i, input_t in enumerate(input.chunk(input.size(1), dim=1)):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(c_t, (h_t2, c_t2))
            outputs += [c_t2]
        for i in range(future):
            h_t, c_t = self.lstm1(c_t2, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(c_t, (h_t2, c_t2))
            outputs += [c_t2]
        return torch.stack(outputs, 1).squeeze(2)


np.random.seed(0)
torch.manual_seed(0)
path = os.path.join(made.folder(None), "traindata.pt")
torch.save(made.sines(count, length), open(path, "wb"))

data = torch.load(path)
input = Variable(torch.from_numpy(data[3:, :-1]), requires_grad=False)
target = Variable(torch.from_numpy(data[3:, 1:]), requires_grad=False)
test_input = Variable(torch.from_numpy(data[:3, :-1]), requires_grad=False)
test_target = Variable(torch.from_numpy(data[:3, 1:]), requires_grad=False)
seq = Sequence()
seq.double()
criterion = nn.MSELoss()
optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=10)

for step in range(args.steps):
    print("STEP: ", step)

    def closure():
        optimizer.zero_grad()
        out = seq(input)
        loss = criterion(out, target)
        print("Loss:", loss.data.numpy()[0])
        loss.backward()
        return loss

    optimizer.step(closure)
    pred = seq(test_input, future=args.future)
    loss = criterion(pred[:, : -args.future], test_target)
    print("test loss:", loss.data.numpy()[0])
    y = pred.data.numpy()
    print("the first wave goes on with", " ".join("%.2f" % v for v in y[0, -args.future :][:5]))
