"""Optimizers in Torch7's manner: functions of a function, a point, settings and a state.

>>> import dtorch
>>> from dtorch.legacy import optim
>>> x, settings = dtorch.tensor([3.0, -2.0]), {"learningRate": 0.1, "momentum": 0.5}
>>> for _ in range(100):
...     x, value = optim.sgd(lambda x: ((x**2).sum(), 2 * x), x, settings)
>>> float(value) < 1e-5
True
"""

from dtorch.legacy.optim.adaptive import adadelta, adagrad, adam, adamax, rmsprop, rprop
from dtorch.legacy.optim.conjugate_gradient import cg
from dtorch.legacy.optim.descent import asgd, nag, sgd
from dtorch.legacy.optim.quasi_newton import lbfgs

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "asgd", "cg", "lbfgs", "nag", "rmsprop", "rprop",
    "sgd",
]  # fmt: skip
