"""The functions behind the layers; names only."""

import dtorch.nn.forms as _forms
from dtorch.core.functions import col2im as fold, im2col as unfold, sigmoid, tanh
from dtorch.core.public import nn as _operations
from dtorch.core.public.nn import *
from dtorch.nn import grad
from dtorch.nn.attention import multi_head_attention_forward
from dtorch.nn.forms import *  # type: ignore[assignment]  # for the plain operations of the name

__all__ = ["fold", "grad", "multi_head_attention_forward", "sigmoid", "tanh", "unfold"]
__all__ += _operations.__all__
__all__ += _forms.__all__
