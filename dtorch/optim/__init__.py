"""Optimizers and schedules of the learning rate."""

from dtorch.optim import lr_scheduler, optimizer, swa_utils
from dtorch.optim.adadelta import Adadelta
from dtorch.optim.adafactor import Adafactor
from dtorch.optim.adagrad import Adagrad
from dtorch.optim.adam import Adam, AdamW
from dtorch.optim.adaptive import Adamax, NAdam, RAdam
from dtorch.optim.asgd import ASGD
from dtorch.optim.lbfgs import LBFGS
from dtorch.optim.optimizer import Optimizer
from dtorch.optim.rmsprop import RMSprop
from dtorch.optim.rprop import Rprop
from dtorch.optim.sgd import SGD
from dtorch.optim.shared import SharedAdam, SharedAdamW, SharedRMSprop, SharedSGD
from dtorch.optim.sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SharedAdam",
    "SharedAdamW",
    "SharedRMSprop",
    "SharedSGD",
    "SparseAdam",
    "lr_scheduler",
    "optimizer",
    "swa_utils",
]
