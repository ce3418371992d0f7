"""Optimizers."""

from dtorch.optim import optimizer
from dtorch.optim.adam import Adam, AdamW
from dtorch.optim.optimizer import Optimizer
from dtorch.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "optimizer"]
