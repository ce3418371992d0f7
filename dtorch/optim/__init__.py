"""Optimizers and schedules of the learning rate."""

from typing import TYPE_CHECKING

from dtorch.on_demand import on_demand
from dtorch.optim import optimizer
from dtorch.optim.adadelta import Adadelta
from dtorch.optim.adafactor import Adafactor
from dtorch.optim.adagrad import Adagrad
from dtorch.optim.adam import Adam, AdamW
from dtorch.optim.adaptive import Adamax, NAdam, RAdam
from dtorch.optim.asgd import ASGD
from dtorch.optim.lbfgs import LBFGS
from dtorch.optim.optimizer import Optimizer, revive as _revive
from dtorch.optim.rmsprop import RMSprop
from dtorch.optim.rprop import Rprop
from dtorch.optim.sgd import SGD
from dtorch.optim.shared import SharedAdam, SharedAdamW, SharedRMSprop, SharedSGD
from dtorch.optim.sparse_adam import SparseAdam
from dtorch.serialization.objects import offer_classes as _offer_classes

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

if TYPE_CHECKING:
    from dtorch.optim import lr_scheduler, swa_utils
else:
    __getattr__ = on_demand(__name__, {name: name for name in ("lr_scheduler", "swa_utils")})

_offer_classes(
    "optim",
    {
        name: cls
        for name, cls in dict(globals()).items()
        if isinstance(cls, type) and issubclass(cls, Optimizer)
    },
    _revive,
)
