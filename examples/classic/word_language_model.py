"""A recurrent network that tells the next word, and then writes some."""

from __future__ import print_function

import argparse
import math
import os

import made
import torch
import torch.nn as nn
from torch.autograd import Variable

parser = argparse.ArgumentParser(description="Language model")
parser.add_argument("--data", help="folder with train.txt, valid.txt and test.txt")
parser.add_argument("--model", default="LSTM", help="LSTM, GRU, RNN_TANH or RNN_RELU")
parser.add_argument("--emsize", type=int, default=24)
parser.add_argument("--nhid", type=int, default=32)
parser.add_argument("--nlayers", type=int, default=2)
parser.add_argument("--lr", type=float, default=10)
parser.add_argument("--clip", type=float, default=0.25)
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--batch_size", type=int, default=10)
parser.add_argument("--bptt", type=int, default=12)
parser.add_argument("--tied", action="store_true")
parser.add_argument("--quick", action="store_true", help="little text, two epochs")
args = parser.parse_args()
if args.quick:
    args.epochs, args.nlayers = 2, 1


class Dictionary(object):
    def __init__(self):
        self.word2idx = {}
        self.idx2word = {}

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word[len(self.word2idx)] = word
            self.word2idx[word] = len(self.word2idx)
        return self.word2idx[word]

    def __len__(self):
        return len(self.word2idx)


class Corpus(object):
    def __init__(self, path):
        self.dictionary = Dictionary()
        self.train = self.tokenize(os.path.join(path, "train.txt"))
        self.valid = self.tokenize(os.path.join(path, "valid.txt"))
        self.test = self.tokenize(os.path.join(path, "test.txt"))

    def tokenize(self, path):
        with open(path, "r") as f:
            lines = [line.split() + ["<eos>"] for line in f]
        ids = torch.LongTensor(sum(len(words) for words in lines))
        token = 0
        for words in lines:
            for word in words:
                ids[token] = self.dictionary.add_word(word)
                token += 1
        return ids


class RNNModel(nn.Module):
    """An encoder of words, a recurrent network, and a decoder."""

    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, tie_weights=False):
        super(RNNModel, self).__init__()
        self.encoder = nn.Embedding(ntoken, ninp)
        if rnn_type in ["LSTM", "GRU"]:
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers)
        else:
            nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[rnn_type]
            self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity=nonlinearity)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        self.encoder.weight.data.uniform_(-0.1, 0.1)
        self.decoder.bias.data.fill_(0)
        self.decoder.weight.data.uniform_(-0.1, 0.1)
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        decoded = self.decoder(output.view(output.size(0) * output.size(1), output.size(2)))
        return decoded.view(output.size(0), output.size(1), decoded.size(1)), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters()).data
        if self.rnn_type == "LSTM":
            return (
                Variable(weight.new(self.nlayers, bsz, self.nhid).zero_()),
                Variable(weight.new(self.nlayers, bsz, self.nhid).zero_()),
            )
        return Variable(weight.new(self.nlayers, bsz, self.nhid).zero_())


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


torch.manual_seed(1111)
corpus = Corpus(args.data or made.text(made.folder(None), 250 if args.quick else 2000))
train_data = batchify(corpus.train, args.batch_size)
val_data = batchify(corpus.valid, 10)
test_data = batchify(corpus.test, 10)
ntokens = len(corpus.dictionary)
model = RNNModel(args.model, ntokens, args.emsize, args.nhid, args.nlayers, args.tied)
criterion = nn.CrossEntropyLoss()


def repackage_hidden(h):
    """The same numbers in new Variables, without what led to them."""
    if type(h) == Variable:
        return Variable(h.data)
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, evaluation=False):
    seq_len = min(args.bptt, len(source) - 1 - i)
    data = Variable(source[i : i + seq_len], volatile=evaluation)
    target = Variable(source[i + 1 : i + 1 + seq_len].view(-1))
    return data, target


def evaluate(data_source):
    model.eval()
    total_loss = 0
    hidden = model.init_hidden(10)
    for i in range(0, data_source.size(0) - 1, args.bptt):
        data, targets = get_batch(data_source, i, evaluation=True)
        output, hidden = model(data, hidden)
        total_loss += len(data) * criterion(output.view(-1, ntokens), targets).data
        hidden = repackage_hidden(hidden)
    return total_loss[0] / len(data_source)


def train():
    model.train()
    total_loss, interval = 0, 5
    hidden = model.init_hidden(args.batch_size)
    for batch, i in enumerate(range(0, train_data.size(0) - 1, args.bptt)):
        data, targets = get_batch(train_data, i)
        hidden = repackage_hidden(hidden)
        model.zero_grad()
        output, hidden = model(data, hidden)
        loss = criterion(output.view(-1, ntokens), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm(model.parameters(), args.clip)
        for p in model.parameters():
            p.data.add_(-lr, p.grad.data)
        total_loss += loss.data
        if batch % interval == interval - 1:
            cur_loss = total_loss[0] / interval
            print(
                "| epoch {:2d} | {:3d} batches | lr {:02.2f} | Loss: {:5.2f} | ppl {:8.2f}".format(
                    epoch, batch + 1, lr, cur_loss, math.exp(cur_loss)
                )
            )
            total_loss = 0


save = os.path.join(made.folder(None), "model.pt")
lr = args.lr
best_val_loss = None
for epoch in range(1, args.epochs + 1):
    train()
    val_loss = evaluate(val_data)
    print("| end of epoch {:2d} | valid loss {:5.2f}".format(epoch, val_loss))
    if not best_val_loss or val_loss < best_val_loss:
        with open(save, "wb") as f:
            torch.save(model, f)
        best_val_loss = val_loss
    else:
        lr /= 4.0

with open(save, "rb") as f:
    model = torch.load(f)
print("| end of training | test loss {:5.2f}".format(evaluate(test_data)))

hidden = model.init_hidden(1)
input = Variable(torch.rand(1, 1).mul(ntokens).long(), volatile=True)
words = []
for i in range(20):
    output, hidden = model(input, hidden)
    word_weights = output.squeeze().data.div(0.8).exp().cpu()
    word_idx = torch.multinomial(word_weights, 1)[0]
    input.data.fill_(word_idx)
    words.append(corpus.dictionary.idx2word[word_idx])
print(" ".join(words))
