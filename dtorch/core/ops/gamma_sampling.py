"""Samples of the gamma and Dirichlet distributions that move with their parameters.

Reference: Figurnov et al. 2018, "Implicit reparameterization gradients".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.generator import Generator, source_of
from dtorch.core.op import structured
from dtorch.core.ops.gamma_integral import dirichlet_grad, standard_gamma_grad
from dtorch.core.ops.reduction import sum


@elementwise(public=False, inplace=False, tensors=("concentration",))
def standard_gamma(
    xp: ArrayModule, concentration: Array, generator: Generator | None = None
) -> Array:
    """A sample of the gamma distribution of this shape and of rate 1, for each element."""
    shape = np.asarray(concentration, np.float64)
    valid = shape >= 0
    sample = source_of(generator).standard_gamma(np.where(valid, shape, 1))
    return np.where(valid, sample, np.nan).astype(concentration.dtype, copy=False)


@standard_gamma.gradient("concentration")
def _(grad, concentration, out):
    return grad * standard_gamma_grad(concentration, out)


@structured(public=False, wide=True, tensors=("concentration",))
def sample_dirichlet(
    xp: ArrayModule, concentration: Array, generator: Generator | None = None
) -> Array:
    """A sample of the Dirichlet distribution of these parameters along the last dim.

    Gamma samples over their sum. Those of small parameters are as small as no floating-point number
    is, so that they are drawn as logarithms: ``Gamma(a)`` is ``Gamma(a + 1) U**(1 / a)``.
    """
    source = source_of(generator)
    shape = np.asarray(concentration, np.float64)
    valid = shape > 0
    shape = np.where(valid, shape, 1)
    logs = (
        np.log(source.standard_gamma(shape + 1)) - source.standard_exponential(shape.shape) / shape
    )
    sample = np.exp(logs - logs.max(-1, keepdims=True, initial=-np.inf))
    sample = sample / sample.sum(-1, keepdims=True)
    limits = np.finfo(concentration.dtype)
    sample = np.clip(sample, limits.tiny, 1 - float(limits.epsneg))
    return np.where(valid, sample, np.nan).astype(concentration.dtype, copy=False)


@sample_dirichlet.gradient("concentration")
def _(grad, concentration, out):
    return dirichlet_backward(out, concentration, grad)


def dirichlet_backward(x: Any, concentration: Any, grad_output: Any) -> Any:
    """The gradient of ``concentration`` for that of the sample ``x``."""
    total = sum(concentration, -1, keepdim=True)
    share = sum(x * grad_output, -1, keepdim=True)
    return dirichlet_grad(x, concentration, total) * (grad_output - share)
