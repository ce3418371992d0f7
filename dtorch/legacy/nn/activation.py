"""Functions of each element, and of the elements of a channel dim."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module

__all__ = [
    "ELU", "Abs", "AddConstant", "Clamp", "Exp", "HardShrink", "HardTanh", "LeakyReLU", "Log",
    "LogSigmoid", "LogSoftMax", "MulConstant", "PReLU", "Power", "RReLU", "ReLU", "ReLU6",
    "Sigmoid", "SoftMax", "SoftMin", "SoftPlus", "SoftShrink", "SoftSign", "SpatialSoftMax",
    "Sqrt", "Square", "Tanh", "TanhShrink", "Threshold",
]  # fmt: skip


class Abs(Module):
    """``|x|``."""

    def compute(self, input: Tensor) -> Any:
        return input.abs()


class AddConstant(Module):
    """``x + constant_scalar``; ``inplace`` overwrites the input."""

    def __init__(self, constant_scalar: float, inplace: bool = False) -> None:
        super().__init__()
        self.constant_scalar = constant_scalar
        self.inplace = inplace

    def compute(self, input: Tensor) -> Any:
        return input + self.constant_scalar


class MulConstant(AddConstant):
    """``x * constant_scalar``; ``inplace`` overwrites the input."""

    def compute(self, input: Tensor) -> Any:
        return input * self.constant_scalar


class Exp(Module):
    """``exp(x)``."""

    def compute(self, input: Tensor) -> Any:
        return input.exp()


class Log(Module):
    """``log(x)``."""

    def compute(self, input: Tensor) -> Any:
        return input.log()


class Power(Module):
    """``x ** p``."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.pow = p

    def compute(self, input: Tensor) -> Any:
        return input**self.pow


class Square(Module):
    """``x ** 2``."""

    def compute(self, input: Tensor) -> Any:
        return input * input


class Sqrt(Module):
    """``sqrt(x + b + eps)``; the gradient where that is 0 is 0."""

    def __init__(self, b: float = 0, eps: float = 0) -> None:
        super().__init__()
        self.eps = b + eps

    def compute(self, input: Tensor) -> Any:
        raised = input + self.eps
        zero = raised == 0
        return raised.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


class Threshold(Module):
    """``x`` where it is above ``threshold``, else ``value``; ``inplace`` overwrites the input.

    Raises:
        ValueError: ``inplace`` with a ``value`` above the threshold, which would pass it.
    """

    def __init__(self, threshold: float = 0, value: float = 0, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.val = value
        self.inplace = inplace
        self.validateParameters()

    def validateParameters(self) -> None:
        """Refuse a value that cannot be told from those above the threshold."""
        if self.inplace and self.val > self.threshold:
            raise ArgumentError(
                f"{type(self).__name__}: value is {self.val}, expected at most the threshold, "
                f"{self.threshold}, with inplace"
            )

    def compute(self, input: Tensor) -> Any:
        self.validateParameters()
        return functions.threshold(input, self.threshold, self.val)


class ReLU(Threshold):
    """``max(0, x)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0, 0, inplace)

    def compute(self, input: Tensor) -> Any:
        return functions.relu(input)


class ReLU6(Module):
    """``min(max(0, x), 6)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def compute(self, input: Tensor) -> Any:
        return functions.relu6(input)


class HardTanh(Module):
    """``x``, but at least ``min_value`` and at most ``max_value``."""

    def __init__(self, min_value: float = -1, max_value: float = 1, inplace: bool = False) -> None:
        super().__init__()
        if not max_value > min_value:
            raise ArgumentError(
                f"{type(self).__name__}: max_value is {max_value}, expected above min_value, "
                f"{min_value}"
            )
        self.min_val = min_value
        self.max_val = max_value
        self.inplace = inplace

    def compute(self, input: Tensor) -> Any:
        return functions.hardtanh(input, self.min_val, self.max_val)


class Clamp(HardTanh):
    """`HardTanh` with bounds that have to be given."""

    def __init__(self, min_value: float, max_value: float) -> None:
        super().__init__(min_value, max_value)


class ELU(Module):
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def compute(self, input: Tensor) -> Any:
        return functions.elu(input, self.alpha)


class LeakyReLU(Module):
    """``x`` where positive, else ``negval * x``."""

    def __init__(self, negval: float = 1 / 100, inplace: bool = False) -> None:
        super().__init__()
        self.negval = negval
        self.inplace = inplace

    def compute(self, input: Tensor) -> Any:
        return functions.leaky_relu(input, self.negval)


class RReLU(Module):
    """`LeakyReLU` with a slope for each element, drawn between ``lower`` and ``upper``.

    In use the slope is the mean of both.
    """

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        if not lower <= upper:
            raise ArgumentError(f"RReLU: lower is {lower}, expected at most upper, {upper}")
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def compute(self, input: Tensor) -> Any:
        return functions.rrelu(input, self.lower, self.upper, self.train)


class PReLU(Module):
    """`LeakyReLU` with a slope that is learnt: one, or one for each of ``nOutputPlane`` channels.

    Channels are dim 1 of inputs of 2 or 4 dims, else dim 0.
    """

    def __init__(self, nOutputPlane: int = 0) -> None:
        super().__init__()
        self.nOutputPlane = nOutputPlane
        self._own(weight=(nOutputPlane or 1,))
        self.reset()

    def reset(self, stdv: float | None = None) -> None:
        """Set every slope to 0.25."""
        self.weight.fill_(0.25)

    weight: Tensor

    def compute(self, input: Tensor, weight: Tensor) -> Any:
        if self.nOutputPlane and input.ndim in (1, 3):
            return functions.prelu(input.unsqueeze(0), weight).squeeze(0)
        return functions.prelu(input, weight)


class HardShrink(Module):
    """``x`` where its size is above ``lambd``, else 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def compute(self, input: Tensor) -> Any:
        return functions.hardshrink(input, self.lambd)


class SoftShrink(HardShrink):
    """``x``, ``lambd`` nearer to 0."""

    def compute(self, input: Tensor) -> Any:
        return functions.softshrink(input, self.lambd)


class SoftPlus(Module):
    """``log(1 + exp(beta * x)) / beta``."""

    threshold = 20  # of beta * x, above which the result is x

    def __init__(self, beta: float = 1) -> None:
        super().__init__()
        self.beta = beta

    def compute(self, input: Tensor) -> Any:
        return functions.softplus(input, self.beta, self.threshold)


class SoftSign(Module):
    """``x / (1 + |x|)``."""

    def compute(self, input: Tensor) -> Any:
        return functions.softsign(input)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``."""

    def compute(self, input: Tensor) -> Any:
        return functions.sigmoid(input)


class LogSigmoid(Module):
    """The logarithm of `Sigmoid`."""

    def compute(self, input: Tensor) -> Any:
        return functions.logsigmoid(input)


class Tanh(Module):
    """``tanh(x)``."""

    def compute(self, input: Tensor) -> Any:
        return functions.tanh(input)


class TanhShrink(Module):
    """``x - tanh(x)``."""

    def compute(self, input: Tensor) -> Any:
        return functions.tanhshrink(input)


class SoftMax(Module):
    """Exponentials, divided by their sum over the channels.

    Channels are dim 0 of inputs of 1 or 3 dims, dim 1 of those of 2 or 4.
    """

    def compute(self, input: Tensor) -> Any:
        return functions.softmax(input, self._channels(input))

    def _channels(self, input: Tensor) -> int:
        if not 1 <= input.ndim <= 4:
            raise ArgumentError(
                f"{type(self).__name__}: input has {input.ndim} dims, expected 1 to 4"
            )
        return 1 - input.ndim % 2


class SpatialSoftMax(SoftMax):
    """`SoftMax` at each place of an image."""


class SoftMin(SoftMax):
    """`SoftMax` of the negative input."""

    def compute(self, input: Tensor) -> Any:
        return functions.softmin(input, self._channels(input))


class LogSoftMax(SoftMax):
    """The logarithm of `SoftMax`."""

    def compute(self, input: Tensor) -> Any:
        return functions.log_softmax(input, self._channels(input))
