"""Schedules of the learning rate.

Call ``scheduler.step()`` after ``optimizer.step()``, once an epoch (or once a batch, as a schedule
says). Most schedules compute the next rate from the present one, so several can be chained.
"""

from dtorch.optim.lr_scheduler.base import LRScheduler
from dtorch.optim.lr_scheduler.chaining import ChainedScheduler, SequentialLR
from dtorch.optim.lr_scheduler.cyclic import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from dtorch.optim.lr_scheduler.decay import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from dtorch.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from dtorch.optim.lr_scheduler.plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # classic name

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
