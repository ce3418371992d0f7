"""Discrete Fourier transforms; with gradients.

>>> import dtorch
>>> dtorch.fft.fft(dtorch.ones(4)).real.tolist()
[4.0, 0.0, 0.0, 0.0]
"""

import sys
import types
from typing import Any

from dtorch.core.creation import fftfreq, rfftfreq
from dtorch.core.ops.spectrogram import classic_fft as _classic_fft
from dtorch.core.public import fft as _operations
from dtorch.core.public.fft import *

__all__ = ["fftfreq", "rfftfreq"]
__all__ += _operations.__all__


class _CallableModule(types.ModuleType):
    """The module, which is also the classic function of its name."""

    __wrapped__ = staticmethod(_classic_fft.function)  # what `inspect.signature` shows

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _classic_fft.function(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
