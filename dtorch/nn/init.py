"""Filling tensors with starting values, in place and unrecorded; each function returns its tensor.

The names without underscore are the classic ones.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from dtorch.core.dtype import refuse_dtypes
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.generator import Generator
from dtorch.core.grad_mode import no_grad
from dtorch.core.half import widened
from dtorch.core.inplace import bump, expect_writable, overwrite
from dtorch.core.random import standard_normal as _normal, uniform as _uniform
from dtorch.core.tensor import Tensor

_GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0, "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0), "selu": 3.0 / 4,
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much the deviation of a layer's weights is scaled for the function that follows.

    Args:
        nonlinearity: name of the function, as in `dtorch.nn.functional`.
        param: negative slope of ``leaky_relu``. Default: 0.01.
    Raises:
        ArgumentError: an unknown function.

    Example:
        >>> round(calculate_gain("relu"), 4), calculate_gain("tanh")
        (1.4142, 1.6666666666666667)
    """
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ArgumentError(
            f"calculate_gain: nonlinearity is {nonlinearity!r}, expected leaky_relu or one of "
            f"{', '.join(_GAINS)}"
        )
    if param is None:
        param = 0.01
    if isinstance(param, bool) or not isinstance(param, (int, float)):
        raise ArgumentError(f"calculate_gain: param is {param!r}, expected a negative slope")
    return math.sqrt(2.0 / (1 + param**2))


_left_out: contextvars.ContextVar[bool] = contextvars.ContextVar("_left_out", default=False)


@contextlib.contextmanager
def without_drawing() -> Iterator[None]:
    """Leave out the drawing of random values, for modules whose weights are loaded afterwards.

    Example:
        >>> from dtorch.nn.linear import Linear
        >>> with without_drawing():
        ...     layer = Linear(2, 1, bias=False)  # values are arbitrary
        >>> layer.weight.numel()
        2
    """
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


@entry("_fill")
def _fill(tensor: Tensor, values: Any) -> Tensor:
    if np.ndim(values):
        expect_writable("init", tensor)
        tensor.array[...] = values
    else:
        overwrite("init", tensor, values)
    bump(tensor)
    return tensor


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Numbers uniform in ``[a, b)``.

    Example:
        >>> import dtorch
        >>> w = uniform_(dtorch.empty(100), 2.0, 3.0)
        >>> bool(((w >= 2) & (w < 3)).all())
        True
    """
    if _left_out.get():
        return tensor
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal numbers of this mean and standard deviation.

    Example:
        >>> import dtorch
        >>> tuple(normal_(dtorch.empty(2, 3), std=0.02).shape)
        (2, 3)
    """
    if _left_out.get():
        return tensor
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


@entry("trunc_normal_")
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers, those outside ``[a, b]`` drawn again.

    Raises:
        ArgumentError: hardly any number would fall inside.

    Example:
        >>> import dtorch
        >>> bool((trunc_normal_(dtorch.empty(100)).abs() <= 2).all())
        True
    """
    refuse_dtypes("trunc_normal_", "bi", tensor.dtype)
    low, high = (a - mean) / std, (b - mean) / std
    inside = 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))
    if inside < 1e-3:
        raise ArgumentError(
            f"trunc_normal_: of a normal distribution of mean {mean} and std {std} only {inside:.1e} "
            f"lies between {a} and {b}"
        )
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: mean {mean} is more than 2 std from [{a}, {b}]", stacklevel=2
        )
    if _left_out.get():
        return tensor
    shape, kind = tensor.array.shape, widened(tensor.array).dtype
    values = _normal(shape, kind, generator)
    outside = (values < low) | (values > high)
    while outside.any():
        values[outside] = _normal((int(outside.sum()),), kind, generator)
        outside = (values < low) | (values > high)
    return _fill(tensor, values * kind.type(std) + kind.type(mean))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """``val`` everywhere.

    Example:
        >>> import dtorch
        >>> constant_(dtorch.empty(2), 0.5).tolist()
        [0.5, 0.5]
    """
    return _fill(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere.

    Example:
        >>> import dtorch
        >>> ones_(dtorch.empty(2)).tolist()
        [1.0, 1.0]
    """
    return _fill(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    Example:
        >>> import dtorch
        >>> zeros_(dtorch.empty(2)).tolist()
        [0.0, 0.0]
    """
    return _fill(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, or as much of it as fits.

    Raises:
        ShapeError: not 2 dimensions.

    Example:
        >>> import dtorch
        >>> eye_(dtorch.empty(2, 3)).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: tensor has shape {tuple(tensor.shape)}, expected 2 dimensions")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Kernels of a convolution that hands each input channel on.

    Args:
        tensor: ``(out, in / groups, *kernel)`` of 3 to 5 dims.
        groups: groups of channels, each of which is handed on by itself.

    Raises:
        RuntimeError: other dims.
        ValueError: ``groups`` does not divide ``out``.

    Example:
        >>> import dtorch
        >>> dirac_(dtorch.empty(2, 2, 3)).tolist()
        [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    shape = tuple(tensor.shape)
    if len(shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_: tensor has shape {shape}, expected 3, 4 or 5 dimensions")
    if groups < 1 or shape[0] % groups:
        raise ArgumentError(f"dirac_: groups is {groups}, expected a divisor of {shape[0]}")
    _fill(tensor, 0)
    per_group = shape[0] // groups
    centre = tuple(n // 2 for n in shape[2:])
    for group in range(groups):
        for d in range(min(per_group, shape[1])):
            tensor.array[(group * per_group + d, d, *centre)] = 1
    return tensor


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """Inputs and outputs that one element of a weight connects, kernel included."""
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ShapeError(
            f"{name}: tensor has shape {shape}, expected at least 2 dimensions to count inputs and "
            "outputs"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _fan(name: str, tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{name}: mode is {mode!r}, expected 'fan_in' or 'fan_out'")
    return _fans(name, tensor)[mode == "fan_out"]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """`_fans`, by the name that programs know."""
    return _fans("_calculate_fan_in_and_fan_out", tensor)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """`_fan`, by the name that programs know."""
    return _fan("_calculate_correct_fan", tensor, mode)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform, with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Reference: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks".

    Raises:
        RuntimeError: less than 2 dims.

    Example:
        >>> import dtorch
        >>> bool((xavier_uniform_(dtorch.empty(3, 3)).abs() < 1.001).all())
        True
    """
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal, with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Raises:
        RuntimeError: less than 2 dims.

    Example:
        >>> import dtorch
        >>> tuple(xavier_normal_(dtorch.empty(3, 2)).shape)
        (3, 2)
    """
    std = gain * math.sqrt(2.0 / sum(_fans("xavier_normal_", tensor)))
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if 0 in tensor.shape:
        warnings.warn(f"{name}: the tensor of shape {tuple(tensor.shape)} is empty", stacklevel=3)
        return 0.0
    return calculate_gain(nonlinearity, a) / math.sqrt(_fan(name, tensor, mode))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniform, with standard deviation ``gain / sqrt(fan)``.

    Args:
        a: negative slope of the ``leaky_relu`` that follows.
        mode: ``"fan_in"`` keeps the variance forward, ``"fan_out"`` backward.

    Reference: He et al. 2015, arXiv:1502.01852.

    Raises:
        RuntimeError: less than 2 dims.
        ValueError: an unknown ``mode`` or ``nonlinearity``.

    Example:
        >>> import dtorch
        >>> w = kaiming_uniform_(dtorch.empty(4, 6), nonlinearity="relu")
        >>> bool((w.abs() < 1.001).all())
        True
    """
    std = _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal, with standard deviation ``gain / sqrt(fan)``; see `kaiming_uniform_`.

    Example:
        >>> import dtorch
        >>> tuple(kaiming_normal_(dtorch.empty(4, 6), mode="fan_out").shape)
        (4, 6)
    """
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A (semi-)orthogonal matrix times ``gain``; dims after the first are flattened.

    Reference: Saxe et al. 2013, arXiv:1312.6120.

    Raises:
        RuntimeError: less than 2 dims.

    Example:
        >>> import dtorch
        >>> w = orthogonal_(dtorch.empty(3, 3))
        >>> dtorch.allclose(w @ w.T, dtorch.eye(3), atol=1e-5)
        True
    """
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: tensor has shape {shape}, expected at least 2 dimensions")
    refuse_dtypes("orthogonal_", "bi", tensor.dtype)
    rows, columns = shape[0], math.prod(shape[1:])
    if not rows * columns:
        return tensor
    tall = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(_normal(tall, np.dtype(np.float64), generator))
    q *= np.sign(np.diag(r))  # makes the result uniform over all orthogonal matrices
    return _fill(tensor, ((q if rows >= columns else q.T) * gain).reshape(shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normal numbers, with a share of ``sparsity`` of each column set to zero at random.

    Raises:
        ShapeError: not 2 dimensions.

    Example:
        >>> import dtorch
        >>> (sparse_(dtorch.empty(4, 3), sparsity=0.5) == 0).sum(0).tolist()
        [2, 2, 2]
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: tensor has shape {tuple(tensor.shape)}, expected 2 dimensions")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    normal_(tensor, 0.0, std, generator)
    for column in range(columns):
        order = np.argsort(_uniform((rows,), np.dtype(np.float32), generator))
        tensor.array[order[:zeros], column] = 0
    return tensor


uniform = uniform_
normal = normal_
constant = constant_
xavier_uniform = xavier_uniform_
xavier_normal = xavier_normal_
kaiming_uniform = kaiming_uniform_
kaiming_normal = kaiming_normal_
orthogonal = orthogonal_
sparse = sparse_
