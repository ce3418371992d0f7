"""A transformer that reads characters: causal attention, warm-up, sampling; it learns the clock.

    python -m dtorch.compat examples/char_transformer.py --quick

Its text is lines such as "after nine comes ten" and "opposite two comes eight". The loss falls first
to that of spelling, at about 0.32: with --quick four of five lines that it makes up have words and
order right. It then finds out what the words mean: after 1,000 steps nearly all hours are right.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from generated import FOLDER, hours


class CausalSelfAttention(nn.Module):
    def __init__(self, size, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.proj = nn.Linear(size, size, bias=False)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(C, dim=2)
        )
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        return self.proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, size, heads, dropout):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = CausalSelfAttention(size, heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size), nn.Dropout(dropout)
        )

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class CharTransformer(nn.Module):
    """Characters ``(B, T)`` to scores of the one that follows each ``(B, T, characters)``."""

    def __init__(self, characters, block_size, size, layers, heads, dropout):
        super().__init__()
        self.block_size = block_size
        self.wte = nn.Embedding(characters, size)
        self.wpe = nn.Embedding(block_size, size)
        self.blocks = nn.Sequential(*(Block(size, heads, dropout) for _ in range(layers)))
        self.ln = nn.LayerNorm(size)
        self.head = nn.Linear(size, characters, bias=False)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.1)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx):
        places = torch.arange(idx.size(1), device=idx.device)
        return self.head(self.ln(self.blocks(self.wte(idx) + self.wpe(places))))

    @torch.no_grad()
    def generate(self, idx, count, temperature=1.0, top_k=5):
        """``idx`` and ``count`` characters more, each drawn from the likeliest ``top_k``."""
        for _ in range(count):
            scores = self(idx[:, -self.block_size :])[:, -1] / temperature
            least = torch.topk(scores, top_k).values[:, [-1]]
            scores[scores < least] = -float("inf")
            idx = torch.cat((idx, torch.multinomial(F.softmax(scores, dim=-1), 1)), dim=1)
        return idx


class Text:
    """input.txt as numbers, and what they stand for."""

    def __init__(self, folder):
        text = (folder / "input.txt").read_text()
        self.characters = sorted(set(text))
        self.number = {character: i for i, character in enumerate(self.characters)}
        self.lines = sorted(set(text.splitlines()))
        self.words = set(text.split())
        self.data = self.encode(text)

    def encode(self, string):
        return torch.tensor([self.number[character] for character in string])

    def decode(self, numbers):
        return "".join(self.characters[i] for i in numbers)


def make_model(args):
    characters = len(Text(args.data).characters)
    return CharTransformer(
        characters, args.block_size, args.size, args.layers, args.heads, args.dropout
    ).to(args.device)


def make_optimizer(model, args):
    decay = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95))


def batches(args):
    data = Text(args.data).data
    for _ in range(args.steps):
        starts = torch.randint(len(data) - args.block_size, (args.batch_size,))
        x = torch.stack([data[i : i + args.block_size] for i in starts])
        y = torch.stack([data[i + 1 : i + 1 + args.block_size] for i in starts])
        yield x, y


def train(model, optimizer, batches, args):
    """All steps, with a learning rate that rises at first and then falls; yields each loss."""
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / 20, 0.5 + 0.5 * math.cos(math.pi * step / args.steps)),
    )
    model.train()
    for x, y in batches:
        x, y = x.to(args.device), y.to(args.device)
        scores = model(x)
        loss = F.cross_entropy(scores.view(-1, scores.size(-1)), y.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        yield loss.item()


@torch.no_grad()
def right_hours(model, text, args):
    """Share of the lines whose last word follows from the rest, letter by letter."""
    model.eval()
    rows = [text.encode(f"\n{line}\n") for line in text.lines]
    rows = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(args.device)
    guesses = model(rows[:, :-1]).argmax(2)
    right = 0
    for line, row, guess in zip(text.lines, rows, guesses, strict=True):
        answer = slice(line.index(" comes ") + 8, len(line) + 2)
        right += torch.equal(row[answer], guess[answer.start - 1 : answer.stop - 1])
    return right / len(rows)


def make_up(model, text, args):
    """Lines that the model writes; of each row the first, and none that is cut off."""
    starts = text.encode("\n" * 30).view(30, 1).to(args.device)
    rows = model.eval().generate(starts, 40).tolist()
    return [text.decode(row).split("\n")[1] for row in rows]


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--steps", type=int, help="default: 1000")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--block-size", type=int, default=32, help="characters that it looks at")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "hours", help="folder of input.txt")
    args = parser.parse_args(argv)
    args.steps = args.steps if args.steps is not None else 200 if args.quick else 1000
    if min(args.steps, args.batch_size, args.layers, args.heads) < 1:
        parser.error("--steps, --batch-size, --layers and --heads have to be at least 1")
    if args.size < 1 or args.size % args.heads:
        parser.error("--size has to be a multiple of --heads")
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    hours(args.data)
    if args.block_size < 32:
        parser.error("--block-size has to be at least 32, for the longest line")
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    text = Text(args.data)
    model = make_model(args)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    optimizer = make_optimizer(model, args)
    for step, loss in enumerate(train(model, optimizer, batches(args), args)):
        if step % max(args.steps // 5, 1) == 0 or step == args.steps - 1:
            print(f"step {step}: loss {loss:.3f}")
    print(f"right hours {right_hours(model, text, args):.1%}")
    lines = make_up(model, text, args)
    spelt = [line.split()[2:3] == ["comes"] and set(line.split()) <= text.words for line in lines]
    print(f"well spelt lines {sum(spelt) / len(lines):.1%}, such as", *lines[:3], sep="\n  ")


if __name__ == "__main__":
    main()
