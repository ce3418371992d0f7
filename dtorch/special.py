"""Special functions, by the names of the reference API; most are operations with gradients.

>>> import dtorch
>>> dtorch.special.ndtr(dtorch.zeros(2))
tensor([0.5000, 0.5000])
"""

from dtorch.core.functions import (
    digamma,
    digamma as psi,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    i0 as modified_bessel_i0,
    igamma as gammainc,
    igammac as gammaincc,
    lgamma as gammaln,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    mvlgamma as multigammaln,
    polygamma,
    round,
    sigmoid as expit,
    sinc,
    softmax,
    xlogy,
)
from dtorch.core.public import special as _operations
from dtorch.core.public.special import *

modified_bessel_i1 = i1

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc",
    "gammaln", "i0", "log1p", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
    "modified_bessel_i1", "multigammaln", "polygamma", "psi", "round", "sinc", "softmax", "xlogy",
]  # fmt: skip
__all__ += _operations.__all__
