"""A graph convolutional network on a sparse adjacency matrix: topics of papers from a few labels.

    python -m dtorch.compat examples/gcn.py --quick
    python -m dtorch.compat examples/gcn.py --quick --no-links      what the words alone tell

The files have Cora's format. Neither a paper's words nor its links say much of its topic, but both
together do: with 20 labels for each of seven topics more than 90 of 100 papers are told rightly,
and some 25 without the links.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from generated import FOLDER, cora


def read(folder, links=True):
    """Features ``(N, F)``, sparse normalised adjacency ``(N, N)`` and topics ``(N,)``."""
    content = np.loadtxt(folder / "cora.content", dtype=str)
    names = {name: i for i, name in enumerate(content[:, 0])}
    features = torch.tensor(content[:, 1:-1].astype(np.float32))
    features = F.normalize(features, p=1, dim=1)
    topics = sorted(set(content[:, -1]))
    labels = torch.tensor([topics.index(topic) for topic in content[:, -1]])

    n = len(names)
    edges = [[names[a], names[b]] for a, b in np.loadtxt(folder / "cora.cites", dtype=str)]
    edges = torch.tensor(edges if links else []).view(-1, 2).t().long()
    loops = torch.arange(n).expand(2, n)
    both = torch.cat([edges, edges.flip(0), loops], dim=1).unique(dim=1)
    degree = torch.zeros(n).index_add_(0, both[0], torch.ones(both.shape[1]))
    values = (degree[both[0]] * degree[both[1]]).rsqrt()
    return features, torch.sparse_coo_tensor(both, values, (n, n)).coalesce(), labels


def split(labels, each=20):
    """Places of papers with a label to train on, and of 300 others to test."""
    topics = range(int(labels.max()) + 1)
    known = torch.cat([torch.nonzero(labels == topic).flatten()[:each] for topic in topics])
    rest = torch.ones_like(labels, dtype=torch.bool).index_fill(0, known, False)
    return known, torch.nonzero(rest).flatten()[-300:]


class GraphConvolution(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adjacency):
        return torch.sparse.mm(adjacency, x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, inputs, hidden, classes, dropout):
        super().__init__()
        self.gc1 = GraphConvolution(inputs, hidden)
        self.gc2 = GraphConvolution(hidden, classes)
        self.dropout = dropout

    def forward(self, x, adjacency):
        x = F.relu(self.gc1(x, adjacency))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adjacency), dim=1)


def make_model(args):
    features, _, labels = read(args.data)
    return GCN(features.shape[1], args.hidden, int(labels.max()) + 1, args.dropout)


def make_optimizer(model, args):
    return optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)


def batches(args):
    """The whole graph in every step; the labels are -1 where they are not known."""
    features, adjacency, labels = read(args.data, args.links)
    known, _ = split(labels)
    targets = torch.full_like(labels, -1)
    targets[known] = labels[known]
    for _ in range(args.epochs):
        yield features, adjacency, targets


def train(model, optimizer, batches, args):
    """All steps; yields the loss of each."""
    model.train()
    for features, adjacency, targets in batches:
        optimizer.zero_grad()
        loss = F.nll_loss(model(features, adjacency), targets, ignore_index=-1)
        loss.backward()
        optimizer.step()
        yield loss.item()


@torch.no_grad()
def test(model, args):
    """Accuracy on papers whose topic was not told."""
    features, adjacency, labels = read(args.data, args.links)
    _, unknown = split(labels)
    predicted = model.eval()(features, adjacency).argmax(1)
    return (predicted == labels)[unknown].float().mean().item()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="60 epochs")
    parser.add_argument("--epochs", type=int, help="default: 200")
    parser.add_argument("--no-links", dest="links", action="store_false")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=FOLDER / "cora", help="cora.content, cora.cites"
    )
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 60 if args.quick else 200
    if min(args.epochs, args.hidden) < 1:
        parser.error("--epochs and --hidden have to be at least 1")
    cora(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    for epoch, loss in enumerate(train(model, optimizer, batches(args), args), 1):
        if epoch in (1, args.epochs) or epoch % 20 == 0:
            print(f"epoch {epoch}: loss {loss:.4f}")
    print(f"accuracy {test(model, args):.1%}")


if __name__ == "__main__":
    main()
