"""Activation layers."""

from __future__ import annotations

import warnings
from typing import Any

from dtorch.core import functions
from dtorch.core.creation import full
from dtorch.core.dtype import get_default_dtype
from dtorch.core.errors import SettingError, ShapeError
from dtorch.core.parameter import Parameter
from dtorch.core.tensor import Tensor
from dtorch.nn import forms
from dtorch.nn.module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]  # fmt: skip


class _Inplace(Module):
    """An activation without parameters that may overwrite its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    """``max(x, 0)``.

    Args:
        inplace: write the result over the input.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> ReLU()(dtorch.tensor([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Any:
        return input.relu_() if self.inplace else input.relu()


class ReLU6(_Inplace):
    """``min(max(x, 0), 6)``.

    Args:
        inplace: write the result over the input.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> ReLU6()(dtorch.tensor([-1.0, 3.0, 7.0])).tolist()
        [0.0, 3.0, 6.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.relu6(input, self.inplace)


class SiLU(_Inplace):
    """``x * sigmoid(x)``, also known as swish.

    Args:
        inplace: write the result over the input.

    Reference: Elfwing et al. 2017, arXiv:1702.03118.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> SiLU()(dtorch.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.silu(input, self.inplace)


class Mish(_Inplace):
    """``x * tanh(softplus(x))``.

    Args:
        inplace: write the result over the input.

    Reference: Misra 2019, arXiv:1908.08681.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Mish()(dtorch.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.mish(input, self.inplace)


class SELU(_Inplace):
    """Self-normalising `ELU`.

    Args:
        inplace: write the result over the input.

    Reference: Klambauer et al. 2017, arXiv:1706.02515.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> SELU()(dtorch.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.selu(input, self.inplace)


class Hardswish(_Inplace):
    """``x`` times `Hardsigmoid` of it.

    Args:
        inplace: write the result over the input.

    Reference: Howard et al. 2019, arXiv:1905.02244.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Hardswish()(dtorch.tensor([-3.0, 0.0, 3.0])).tolist()
        [-0.0, 0.0, 3.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.hardswish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """``x / 6 + 1/2``, cut off at 0 and 1.

    Args:
        inplace: write the result over the input.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Hardsigmoid()(dtorch.tensor([-3.0, 0.0, 3.0])).tolist()
        [0.0, 0.5, 1.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.hardsigmoid(input, self.inplace)


class _Alpha(Module):
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_Alpha):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Args:
        alpha: less this is what very negative input approaches.
        inplace: write the result over the input.

    Reference: Clevert et al. 2015, arXiv:1511.07289.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> ELU(alpha=0.5)(dtorch.tensor([-100.0, 0.0, 2.0])).tolist()
        [-0.5, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.elu(input, self.alpha, self.inplace)


class CELU(_Alpha):
    """`ELU` that is continuously differentiable for every ``alpha``.

    Args:
        alpha: less this is what very negative input approaches; not 0.
        inplace: write the result over the input.

    Reference: Barron 2017, arXiv:1704.07483.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> CELU(alpha=0.5)(dtorch.tensor([-100.0, 0.0, 2.0])).tolist()
        [-0.5, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.celu(input, self.alpha, self.inplace)


class LeakyReLU(Module):
    """``x`` where positive, ``negative_slope * x`` elsewhere.

    Args:
        inplace: write the result over the input.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> LeakyReLU(0.5)(dtorch.tensor([-1.0, 0.0, 2.0])).tolist()
        [-0.5, 0.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Any:
        return forms.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Threshold(Module):
    """``x`` where above ``threshold``, ``value`` elsewhere.

    Args:
        inplace: write the result over the input.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Threshold(0.5, 9.0)(dtorch.tensor([0.0, 0.5, 2.0])).tolist()
        [9.0, 9.0, 2.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Any:
        return forms.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}" + (
            ", inplace=True" if self.inplace else ""
        )


class Hardtanh(Module):
    """``x`` cut off at ``min_val`` and ``max_val``.

    Args:
        min_value, max_value: classic names of the bounds.

    Raises:
        ValueError: ``max_val`` is not above ``min_val``.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Hardtanh()(dtorch.tensor([-3.0, 0.5, 2.0])).tolist()
        [-1.0, 0.5, 1.0]
    """

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False,
        min_value: float | None = None, max_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if min_value is not None or max_value is not None:
            warnings.warn(
                "Hardtanh: min_value and max_value are now min_val and max_val",
                FutureWarning, stacklevel=2,
            )  # fmt: skip
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.max_val > self.min_val:
            raise SettingError(
                f"Hardtanh: min_val is {self.min_val}, max_val {self.max_val}; expected a larger "
                "max_val"
            )

    def forward(self, input: Tensor) -> Any:
        return forms.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}" + (
            ", inplace=True" if self.inplace else ""
        )


class RReLU(Module):
    """`LeakyReLU` whose slope is drawn for each element in training, and the mean in evaluation.

    Args:
        lower, upper: bounds of the uniform distribution of the slope.

    Reference: Xu et al. 2015, arXiv:1505.00853.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> RReLU(0.25, 0.75).eval()(dtorch.tensor([-1.0, 0.0, 2.0])).tolist()
        [-0.5, 0.0, 2.0]
    """

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Any:
        return functions.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (
            ", inplace=True" if self.inplace else ""
        )


class PReLU(Module):
    """``x`` where positive, a learned slope times ``x`` elsewhere.

    Args:
        num_parameters: 1, or the number of channels for a slope of each.
        init: slope to begin with.

    Shape of a slope for each channel: channels are the second dim of the input.

    Reference: He et al. 2015, arXiv:1502.01852.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> PReLU()(dtorch.tensor([-1.0, 0.0, 2.0])).tolist()
        [-0.25, 0.0, 2.0]
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(
            full((num_parameters,), init, device=device, dtype=dtype or get_default_dtype())
        )

    def reset_parameters(self) -> None:
        """Set the slopes to ``init`` again."""
        self.weight.array.fill(self.init)

    def forward(self, input: Tensor) -> Any:
        return functions.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class GELU(Module):
    """``x`` times the normal distribution function of it.

    Args:
        approximate: ``"none"``, or ``"tanh"`` for the formula with a hyperbolic tangent.

    Reference: Hendrycks and Gimpel 2016, arXiv:1606.08415.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> GELU()(dtorch.tensor([0.0])).tolist()
        [0.0]
    """

    approximate = "none"  # in files of before 1.12

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Any:
        return functions.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class GLU(Module):
    """The first half along ``dim`` times the sigmoid of the second.

    Shape: the size of ``dim`` must be even and is halved.

    Reference: Dauphin et al. 2016, arXiv:1612.08083.

    Example:
        >>> import dtorch
        >>> GLU()(dtorch.tensor([4.0, 6.0, 0.0, 0.0])).tolist()
        [2.0, 3.0]
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Any:
        return functions.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class _Lambd(Module):
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Lambd):
    """``x`` where ``|x| > lambd``, 0 elsewhere.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Hardshrink()(dtorch.tensor([-1.0, 0.25, 2.0])).tolist()
        [-1.0, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.hardshrink(input, self.lambd)


class Softshrink(_Lambd):
    """``x`` moved toward 0 by ``lambd``.

    Args:
        lambd: at least 0.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Softshrink()(dtorch.tensor([-1.0, 0.25, 2.0])).tolist()
        [-0.5, 0.0, 1.5]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.softshrink(input, self.lambd)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x`` exceeds ``threshold``.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Softplus()(dtorch.tensor([30.0])).tolist()
        [30.0]
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Any:
        return functions.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Sigmoid()(dtorch.tensor([0.0])).tolist()
        [0.5]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Tanh()(dtorch.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.tanh(input)


class LogSigmoid(Module):
    """Logarithm of the sigmoid.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> LogSigmoid()(dtorch.tensor([-100.0])).tolist()
        [-100.0]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.logsigmoid(input)


class Softsign(Module):
    """``x / (1 + |x|)``.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Softsign()(dtorch.tensor([-1.0, 0.0, 3.0])).tolist()
        [-0.5, 0.0, 0.75]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.softsign(input)


class Tanhshrink(Module):
    """``x - tanh(x)``.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Tanhshrink()(dtorch.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Any:
        return functions.tanhshrink(input)


class _AlongDim(Module):
    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """Exponentials along ``dim``, divided by their sum.

    Args:
        dim: whose elements belong together. Without it one is chosen, with a warning.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Softmax(dim=0)(dtorch.tensor([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    dim: int | None = None  # in files of before 0.3

    def forward(self, input: Tensor) -> Any:
        return forms.softmax(input, self.dim, 5)


class LogSoftmax(_AlongDim):
    """Logarithm of `Softmax`.

    Args:
        dim: whose elements belong together. Without it one is chosen, with a warning.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> LogSoftmax(dim=0)(dtorch.tensor([1.0, 1.0])).exp().tolist()
        [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.log_softmax(input, self.dim, 5)


class Softmin(_AlongDim):
    """`Softmax` of the negative input.

    Args:
        dim: whose elements belong together. Without it one is chosen, with a warning.

    Shape: any; the output has that of the input.

    Example:
        >>> import dtorch
        >>> Softmin(dim=0)(dtorch.tensor([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Any:
        return forms.softmin(input, self.dim, 5)


class Softmax2d(Module):
    """`Softmax` over the channels of ``(N, C, H, W)`` or ``(C, H, W)``.

    Raises:
        RuntimeError: input of other than 3 or 4 dims.

    Example:
        >>> import dtorch
        >>> Softmax2d()(dtorch.ones(1, 2, 1, 1)).flatten().tolist()
        [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Any:
        if input.ndim not in (3, 4):
            raise ShapeError(
                f"Softmax2d: input has shape {tuple(input.shape)}, expected (batch, channels, "
                "height, width) or without batch"
            )
        return functions.softmax(input, -3)
