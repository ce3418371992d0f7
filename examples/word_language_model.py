"""A language model of words: LSTM, GRU, RNN or transformer, truncated backpropagation, perplexity.

    python -m dtorch.compat examples/word_language_model.py --quick
    python -m dtorch.compat examples/word_language_model.py --quick --model Transformer

The corpus are sentences of a small grammar whose dice leave a perplexity of 3.4 to the best of all
models. At first it is the number of words, then it falls to near that number; the sentences that
the model makes up at the end agree in number, even across "that".
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from generated import FOLDER, sentences


class Dictionary:
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.word2idx[word] = len(self.idx2word)
            self.idx2word.append(word)
        return self.word2idx[word]


class Corpus:
    """train.txt, valid.txt and test.txt of a folder as long rows of word numbers."""

    def __init__(self, folder):
        self.dictionary = Dictionary()
        self.train, self.valid, self.test = (
            self.tokenize(folder / f"{part}.txt") for part in ("train", "valid", "test")
        )

    def tokenize(self, path):
        with open(path, encoding="utf-8") as file:
            words = [word for line in file for word in [*line.split(), "<eos>"]]
        return torch.tensor([self.dictionary.add_word(word) for word in words])


class RNNModel(nn.Module):
    """Embedding, recurrent layers, and scores of the next word by the embedding's own weights."""

    def __init__(self, kind, words, size, layers, dropout):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(words, size)
        inner_dropout = dropout if layers > 1 else 0
        self.rnn = getattr(nn, kind)(size, size, layers, dropout=inner_dropout)
        self.decoder = nn.Linear(size, words)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden=None):
        output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
        return F.log_softmax(self.decoder(self.drop(output)), dim=-1), hidden


class TransformerModel(nn.Module):
    """Words and their places through encoder layers that look back only."""

    def __init__(self, words, size, layers, dropout, heads=4, longest=256):
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(words, size)
        places = torch.arange(longest).unsqueeze(1)
        speeds = torch.exp(torch.arange(0, size, 2) * (-math.log(10000.0) / size))
        table = torch.zeros(longest, 1, size)
        table[:, 0, 0::2] = torch.sin(places * speeds)
        table[:, 0, 1::2] = torch.cos(places * speeds)
        self.register_buffer("places", table)
        self.drop = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(size, heads, 2 * size, dropout)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.decoder = nn.Linear(size, words)

    def forward(self, input, hidden=None):
        mask = nn.Transformer.generate_square_subsequent_mask(len(input), device=input.device)
        x = self.embedding(input) * math.sqrt(self.size) + self.places[: len(input)]
        output = self.encoder(self.drop(x), mask=mask, is_causal=True)
        return F.log_softmax(self.decoder(output), dim=-1), None


def batchify(data, columns):
    """The row of words as ``columns`` columns side by side, each read from top to bottom."""
    rows = len(data) // columns
    return data[: rows * columns].view(columns, rows).t().contiguous()


def windows(data, length):
    """Pieces of that length, and for each word the one that follows."""
    for start in range(0, len(data) - 1, length):
        end = min(start + length, len(data) - 1)
        yield data[start:end], data[start + 1 : end + 1].reshape(-1)


def repackage(hidden):
    """The same numbers, cut off from the steps they came from."""
    if hidden is None or isinstance(hidden, torch.Tensor):
        return hidden if hidden is None else hidden.detach()
    return tuple(repackage(part) for part in hidden)


def make_model(args):
    words = len(Corpus(args.data).dictionary.idx2word)
    if args.model == "Transformer":
        model = TransformerModel(words, args.size, args.layers, args.dropout)
    else:
        model = RNNModel(args.model, words, args.size, args.layers, args.dropout)
    return model.to(args.device)


def make_optimizer(model, args):
    return torch.optim.AdamW(model.parameters(), lr=args.lr)


def batches(args):
    train = Corpus(args.data).train[: 30_000 if args.quick else None]
    return windows(batchify(train, args.batch_size), args.bptt)


def train(model, optimizer, batches, args):
    """One pass over the text; yields the loss of each window."""
    model.train()
    hidden = None
    for data, targets in batches:
        data, targets = data.to(args.device), targets.to(args.device)
        hidden = repackage(hidden)
        output, hidden = model(data, hidden)
        loss = F.nll_loss(output.flatten(0, 1), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        yield loss.item()


@torch.no_grad()
def evaluate(model, text, args):
    """Mean loss of a word."""
    model.eval()
    total, count, hidden = 0.0, 0, None
    for data, targets in windows(batchify(text, 10), args.bptt):
        output, hidden = model(data.to(args.device), hidden)
        loss = F.nll_loss(output.flatten(0, 1), targets.to(args.device))
        total += loss.item() * len(targets)
        count += len(targets)
    return total / count


@torch.no_grad()
def generate(model, dictionary, count, args):
    """So many words, each drawn from the model's guesses after those before it."""
    model.eval()
    text = torch.tensor([[dictionary.word2idx["<eos>"]]], device=args.device)
    for _ in range(count):
        guesses = model(text)[0][-1, 0].exp()
        text = torch.cat([text, torch.multinomial(guesses, 1).view(1, 1)])
    words = " ".join(dictionary.idx2word[word] for word in text[1:, 0].tolist())
    return words.replace(" <eos>", ".")


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=["LSTM", "GRU", "RNN", "Transformer"], default="LSTM")
    parser.add_argument("--quick", action="store_true", help="3 epochs of 30,000 words")
    parser.add_argument("--epochs", type=int, help="default: 6")
    parser.add_argument("--size", type=int, default=64, help="of the embedding and of the layers")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--bptt", type=int, default=20, help="words of a window")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate of AdamW")
    parser.add_argument("--clip", type=float, default=1.0, help="norm at which gradients are cut")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER / "sentences")
    args = parser.parse_args(argv)
    args.epochs = args.epochs if args.epochs is not None else 3 if args.quick else 6
    if min(args.epochs, args.layers, args.batch_size, args.bptt) < 1:
        parser.error("--epochs, --layers, --batch-size and --bptt have to be at least 1")
    if args.size < 4 or args.size % 4:
        parser.error("--size has to be a multiple of 4")
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sentences(args.data)
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    corpus = Corpus(args.data)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for epoch in range(1, args.epochs + 1):
        losses = list(train(model, optimizer, batches(args), args))
        print(
            f"epoch {epoch}: first loss {losses[0]:.2f}, last {losses[-1]:.2f}, "
            f"perplexity of valid.txt {math.exp(evaluate(model, corpus.valid, args)):.2f}"
        )
        scheduler.step()
    print(f"perplexity of test.txt {math.exp(evaluate(model, corpus.test, args)):.2f}")
    print(generate(model, corpus.dictionary, 40, args))


if __name__ == "__main__":
    main()
