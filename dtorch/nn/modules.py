"""Classic path of the layers: ``dtorch.nn.modules.Linear`` is ``dtorch.nn.Linear``.

The reference API has a file here for each kind of layer, from which programs also take base classes
that are not public: ``dtorch.nn.modules.batchnorm._BatchNorm``. Each of those files is this module,
which finds them all.

>>> from dtorch import nn
>>> issubclass(nn.BatchNorm2d, nn.modules.batchnorm._BatchNorm)
True
"""

import sys
from typing import TYPE_CHECKING, Any

from dtorch.nn import (
    activation as _activation,
    attention as _attention,
    container as _container,
    conv as _conv,
    dropout as _dropout,
    hooks as _hooks,
    linear as _linear,
    loss as _loss,
    module as _module,
    normalization as _normalization,
    padding as _padding,
    pooling as _pooling,
    rnn as _rnn,
    sparse as _sparse,
    state_dict as _state_dict,
    synchronized as _synchronized,
    transformer as _transformer,
    tuples as _tuples,
    upsampling as _upsampling,
)

if TYPE_CHECKING:
    from dtorch.nn import *

_FILES = {
    "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance",
    "dropout", "flatten", "fold", "instancenorm", "lazy", "linear", "loss", "module",
    "normalization", "padding", "pixelshuffle", "pooling", "rnn", "sparse", "transformer",
    "upsampling",
}  # fmt: skip
_SOURCES = (
    _module, _activation, _attention, _container, _conv, _dropout, _hooks, _linear, _loss, _normalization, _padding,
    _pooling, _rnn, _sparse, _state_dict, _synchronized, _transformer, _upsampling,
)  # fmt: skip
_OTHER_NAMES = {
    "_AdaptiveAvgPoolNd": "_AdaptiveAvgPool", "_AdaptiveMaxPoolNd": "_AdaptiveMaxPool",
    "_AvgPoolNd": "_AvgPool", "_ConvTransposeNd": "_ConvTranspose", "_DropoutNd": "_Dropout",
    "_IncompatibleKeys": "IncompatibleKeys", "_LPPoolNd": "_LPPool", "_MaxPoolNd": "_MaxPool",
    "_MaxUnpoolNd": "_MaxUnpool",
}  # fmt: skip

if not TYPE_CHECKING:  # checkers know the names above, and that there are no others

    def __getattr__(name: str) -> Any:
        if name in _FILES:
            return sys.modules[__name__]
        if name == "utils":
            return _tuples
        from dtorch import nn  # noqa: PLC0415 - which is being imported when this module is

        if hasattr(nn, name) and not name.startswith("__"):
            return getattr(nn, name)
        name = _OTHER_NAMES.get(name, name)
        for source in _SOURCES:
            if hasattr(source, name):
                return getattr(source, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
