"""Layers and criteria with Torch7's protocol: ``forward``, ``backward``, and gradients beside.

>>> import dtorch
>>> from dtorch.legacy import nn
>>> net = nn.Sequential().add(nn.Linear(4, 3)).add(nn.Tanh()).add(nn.Linear(3, 2)).add(nn.LogSoftMax())
>>> criterion = nn.ClassNLLCriterion()
>>> x, y = dtorch.ones(5, 4), dtorch.tensor([0, 1, 1, 0, 1])
>>> loss = criterion.forward(net.forward(x), y)
>>> net.zeroGradParameters()
>>> _ = net.backward(x, criterion.backward(net.output, y))
>>> net.updateParameters(0.1)
>>> criterion.forward(net.forward(x), y) < loss
True
"""

from dtorch.legacy.nn import (
    activation,
    container,
    conv,
    criterion,
    dropout,
    linear,
    loss,
    normalization,
    padding,
    pooling,
    reduction,
    shape,
    table,
    utils,
)
from dtorch.legacy.nn.activation import *
from dtorch.legacy.nn.container import *
from dtorch.legacy.nn.conv import *
from dtorch.legacy.nn.conversion import restore as _restore
from dtorch.legacy.nn.criterion import *
from dtorch.legacy.nn.dropout import *
from dtorch.legacy.nn.linear import *
from dtorch.legacy.nn.loss import *
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.normalization import *
from dtorch.legacy.nn.padding import *
from dtorch.legacy.nn.pooling import *
from dtorch.legacy.nn.reduction import *
from dtorch.legacy.nn.shape import *
from dtorch.legacy.nn.table import *
from dtorch.serialization.objects import offer_classes as _offer_classes

__all__ = ["Module", "utils"]
__all__ += activation.__all__
__all__ += container.__all__
__all__ += conv.__all__
__all__ += criterion.__all__
__all__ += dropout.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += pooling.__all__
__all__ += reduction.__all__
__all__ += shape.__all__
__all__ += table.__all__

_offer_classes(
    "legacy.nn",
    {name: cls for name, cls in globals().items() if isinstance(cls, type) and name in __all__},
    _restore,
)
