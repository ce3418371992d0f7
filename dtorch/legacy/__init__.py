"""The packages of Torch7 as PyTorch had them at first: layers without autograd, and optimizers.

Layers have ``forward`` and ``backward`` and keep the gradients of their parameters beside them;
optimizers are functions of a function. New programs use `dtorch.nn` and `dtorch.optim`.
"""

from dtorch.legacy import nn, optim

__all__ = ["nn", "optim"]
