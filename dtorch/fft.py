"""Discrete Fourier transforms; with gradients.

>>> import dtorch
>>> dtorch.fft.fft(dtorch.ones(4)).real.tolist()
[4.0, 0.0, 0.0, 0.0]
"""

from dtorch.core.creation import fftfreq, rfftfreq
from dtorch.core.public import fft as _operations
from dtorch.core.public.fft import *

__all__ = ["fftfreq", "rfftfreq"]
__all__ += _operations.__all__
