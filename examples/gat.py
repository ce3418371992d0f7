"""A graph attention network: each paper decides how much to hear from each that it is linked to.

    python -m dtorch.compat examples/gat.py --quick

The graph is that of gcn.py, here as lists of edges: scores of edges are gathered from their ends,
normalised over what arrives at a paper, and summed up there. More than 90 of 100 papers are told
rightly.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from gcn import read, split
from generated import FOLDER, cora


class GraphAttention(nn.Module):
    """Features ``(N, inputs)`` of papers to ``(N, heads * outputs)``, over edges ``(2, E)``."""

    def __init__(self, inputs, outputs, heads, dropout):
        super().__init__()
        self.heads, self.outputs, self.dropout = heads, outputs, dropout
        self.linear = nn.Linear(inputs, heads * outputs, bias=False)
        self.from_here = nn.Parameter(torch.empty(heads, outputs))
        self.to_here = nn.Parameter(torch.empty(heads, outputs))
        self.bias = nn.Parameter(torch.zeros(heads * outputs))
        for weight in (self.linear.weight, self.from_here, self.to_here):
            nn.init.xavier_uniform_(weight)

    def attention(self, h, edges):
        """What share of what arrives at a paper comes along each edge, ``(E, heads)``."""
        source, target = edges
        score = (h * self.from_here).sum(-1)[source] + (h * self.to_here).sum(-1)[target]
        score = F.leaky_relu(score, 0.2)
        index = target.unsqueeze(1).expand_as(score)
        highest = score.new_full((len(h), self.heads), -torch.inf)
        highest = highest.scatter_reduce(0, index, score.detach(), "amax")
        weight = torch.exp(score - highest[target])
        total = torch.zeros_like(highest).index_add(0, target, weight)
        return weight / total[target]

    def forward(self, x, edges):
        h = self.linear(x).view(-1, self.heads, self.outputs)
        share = F.dropout(self.attention(h, edges), self.dropout, self.training)
        arriving = h[edges[0]] * share.unsqueeze(-1)
        out = torch.zeros_like(h).index_add(0, edges[1], arriving)
        return out.flatten(1) + self.bias


class GAT(nn.Module):
    def __init__(self, inputs, hidden, classes, heads, dropout):
        super().__init__()
        self.dropout = dropout
        self.attention1 = GraphAttention(inputs, hidden, heads, dropout)
        self.attention2 = GraphAttention(heads * hidden, classes, 1, dropout)

    def forward(self, x, edges):
        x = F.dropout(x, self.dropout, self.training)
        x = F.elu(self.attention1(x, edges))
        x = F.dropout(x, self.dropout, self.training)
        return F.log_softmax(self.attention2(x, edges), dim=1)


def graph(args):
    features, adjacency, labels = read(args.data)
    return features, adjacency.indices(), labels


def make_model(args):
    features, _, labels = graph(args)
    classes = int(labels.max()) + 1
    return GAT(features.shape[1], args.hidden, classes, args.heads, args.dropout)


def make_optimizer(model, args):
    return torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)


def batches(args):
    """The whole graph in every step; the labels are -1 where they are not known."""
    features, edges, labels = graph(args)
    known, _ = split(labels)
    targets = torch.full_like(labels, -1)
    targets[known] = labels[known]
    for _ in range(args.epochs):
        yield features, edges, targets


def train(model, optimizer, batches, args):
    """All steps; yields the loss of each."""
    model.train()
    for features, edges, targets in batches:
        optimizer.zero_grad()
        loss = F.nll_loss(model(features, edges), targets, ignore_index=-1)
        loss.backward()
        optimizer.step()
        yield loss.item()


@torch.no_grad()
def test(model, args):
    """Accuracy on papers whose topic was not told."""
    features, edges, labels = graph(args)
    _, unknown = split(labels)
    predicted = model.eval()(features, edges).argmax(1)
    return (predicted == labels)[unknown].float().mean().item()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="50 epochs")
    parser.add_argument("--epochs", type=int, help="default: 200")
    parser.add_argument("--hidden", type=int, default=8, help="features of each head")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=FOLDER / "cora", help="cora.content, cora.cites"
    )
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 50 if args.quick else 200
    if min(args.epochs, args.hidden, args.heads) < 1:
        parser.error("--epochs, --hidden and --heads have to be at least 1")
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
