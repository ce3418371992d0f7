"""Probability distributions: samples, densities, entropies, divergences and transforms.

>>> import dtorch
>>> from dtorch.distributions import Normal, kl_divergence
>>> p, q = Normal(0.0, 1.0), Normal(1.0, 1.0)
>>> kl_divergence(p, q)
tensor(0.5000)

A gradient passes through samples where a distribution has ``rsample`` (the pathwise derivative)::

    loss = cost(Normal(mean, std).rsample())

and else through the logarithm of their probability (the score function)::

    action = policy.sample()
    loss = -policy.log_prob(action) * reward(action)
"""

import sys

from dtorch.distributions import (
    bernoulli,
    categorical,
    constraint_registry,
    constraints,
    counts,
    distribution,
    exp_family,
    gamma,
    independent,
    kl,
    location_scale,
    mixture_same_family,
    multivariate_normal,
    normal,
    power_law,
    random_matrices,
    transformed_distribution,
    transforms,
    utils,
    von_mises,
)
from dtorch.distributions.bernoulli import *
from dtorch.distributions.categorical import *
from dtorch.distributions.constraint_registry import biject_to, transform_to
from dtorch.distributions.counts import *
from dtorch.distributions.distribution import *
from dtorch.distributions.exp_family import *
from dtorch.distributions.gamma import *
from dtorch.distributions.independent import *
from dtorch.distributions.kl import *
from dtorch.distributions.location_scale import *
from dtorch.distributions.mixture_same_family import *
from dtorch.distributions.multivariate_normal import *
from dtorch.distributions.normal import *
from dtorch.distributions.power_law import *
from dtorch.distributions.random_matrices import *
from dtorch.distributions.transformed_distribution import *
from dtorch.distributions.transforms import *
from dtorch.distributions.von_mises import *

__all__ = ["biject_to", "transform_to"]
__all__ += bernoulli.__all__
__all__ += categorical.__all__
__all__ += counts.__all__
__all__ += distribution.__all__
__all__ += exp_family.__all__
__all__ += gamma.__all__
__all__ += independent.__all__
__all__ += kl.__all__
__all__ += location_scale.__all__
__all__ += mixture_same_family.__all__
__all__ += multivariate_normal.__all__
__all__ += normal.__all__
__all__ += power_law.__all__
__all__ += random_matrices.__all__
__all__ += transformed_distribution.__all__
__all__ += transforms.__all__
__all__ += von_mises.__all__

# The reference API has a module for each distribution: these are the families they stand in.
for _name, _module in {
    "beta": gamma,
    "binomial": counts,
    "cauchy": location_scale,
    "chi2": gamma,
    "continuous_bernoulli": bernoulli,
    "dirichlet": gamma,
    "exponential": gamma,
    "fishersnedecor": gamma,
    "generalized_pareto": power_law,
    "geometric": counts,
    "gumbel": location_scale,
    "half_cauchy": location_scale,
    "half_normal": normal,
    "inverse_gamma": gamma,
    "kumaraswamy": power_law,
    "laplace": location_scale,
    "lkj_cholesky": random_matrices,
    "log_normal": normal,
    "logistic_normal": normal,
    "lowrank_multivariate_normal": multivariate_normal,
    "multinomial": categorical,
    "negative_binomial": counts,
    "one_hot_categorical": categorical,
    "pareto": power_law,
    "poisson": counts,
    "relaxed_bernoulli": bernoulli,
    "relaxed_categorical": categorical,
    "studentT": gamma,
    "uniform": location_scale,
    "weibull": power_law,
    "wishart": random_matrices,
}.items():
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module
