"""Maps between sets of values, with their inverses and the logarithm of the size of their Jacobian.

>>> import dtorch
>>> to_positive = ExpTransform()
>>> x = dtorch.zeros(2)
>>> to_positive(x), to_positive.log_abs_det_jacobian(x, to_positive(x))
(tensor([1., 1.]), tensor([0., 0.]))
"""

from dtorch.distributions.transforms import base, elementwise, events, parts
from dtorch.distributions.transforms.base import *
from dtorch.distributions.transforms.base import _InverseTransform
from dtorch.distributions.transforms.elementwise import *
from dtorch.distributions.transforms.events import *
from dtorch.distributions.transforms.parts import *

__all__ = [*base.__all__, *elementwise.__all__, *events.__all__, *parts.__all__]
