"""Layers, losses and what belongs to them. A family says itself which layers it offers."""

from dtorch.nn import (
    activation,
    adaptive,
    attention,
    container,
    conv,
    distance,
    dropout,
    flatten,
    functional,
    grad,
    init,
    lazy,
    linear,
    loss,
    modules,
    normalization,
    padding,
    parallel,
    parameter,
    pooling,
    rnn,
    sparse,
    synchronized,
    transformer,
    upsampling,
    utils,
    whole as _whole,
)
from dtorch.nn.activation import *
from dtorch.nn.adaptive import *
from dtorch.nn.attention import *
from dtorch.nn.container import *
from dtorch.nn.conv import *
from dtorch.nn.distance import *
from dtorch.nn.dropout import *
from dtorch.nn.flatten import *
from dtorch.nn.lazy import *
from dtorch.nn.linear import *
from dtorch.nn.loss import *
from dtorch.nn.module import Module
from dtorch.nn.normalization import *
from dtorch.nn.padding import *
from dtorch.nn.parallel.data_parallel import DataParallel
from dtorch.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from dtorch.nn.pooling import *
from dtorch.nn.rnn import *
from dtorch.nn.sparse import *
from dtorch.nn.synchronized import *
from dtorch.nn.transformer import *
from dtorch.nn.upsampling import *

__all__ = [
    "Buffer", "DataParallel", "Module", "Parameter", "UninitializedBuffer",
    "UninitializedParameter", "functional", "grad", "init", "modules", "parallel", "parameter", "utils",
]  # fmt: skip
__all__ += activation.__all__
__all__ += adaptive.__all__
__all__ += attention.__all__
__all__ += container.__all__
__all__ += conv.__all__
__all__ += distance.__all__
__all__ += dropout.__all__
__all__ += flatten.__all__
__all__ += lazy.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += pooling.__all__
__all__ += rnn.__all__
__all__ += sparse.__all__
__all__ += synchronized.__all__
__all__ += transformer.__all__
__all__ += upsampling.__all__

_whole.offer(
    {name: globals()[name] for name in __all__},
    {name: getattr(functional, name) for name in functional.__all__},
)
