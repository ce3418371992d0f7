"""Forms of operations as `dtorch.nn.functional` has them: with ``inplace``, or an implicit dim."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core import functions
from dtorch.core.base import wrap
from dtorch.core.dtype import refuse_dtypes
from dtorch.core.errors import ArgumentError
from dtorch.core.half import is_half
from dtorch.core.notices import warn
from dtorch.core.op import REGISTRY
from dtorch.core.ops.loss_margin import triplet
from dtorch.core.random import uniform
from dtorch.core.tensor import Tensor

__all__ = [
    "celu", "celu_", "elu", "elu_", "gumbel_softmax", "hardsigmoid", "hardswish", "hardtanh",
    "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "mish", "relu", "relu6", "relu_",
    "rrelu_", "selu", "selu_", "silu", "softmax", "softmin", "threshold", "threshold_",
    "triplet_margin_with_distance_loss", "upsample", "upsample_bilinear", "upsample_nearest",
]  # fmt: skip


def _with_inplace(name: str) -> Callable[..., Any]:
    """An operation that can be told to overwrite its input."""
    op = REGISTRY[name]
    plain, change = op.function, op.inplace_function
    assert change is not None

    def function(input: Tensor, *args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        if len(args) > extra:  # inplace by position
            *args, inplace = args  # type: ignore[assignment]
        return change(input, *args, **kwargs) if inplace else plain(input, *args, **kwargs)

    parameters = [p for p in op.signature.parameters.values() if p.name != "out"]
    extra = len(parameters) - 1
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters.append(inspect.Parameter("inplace", kind, default=False))
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{op.doc}\n\nWith ``inplace`` the input itself is overwritten."
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


relu = _with_inplace("relu")
relu6 = _with_inplace("relu6")
elu = _with_inplace("elu")
selu = _with_inplace("selu")
celu = _with_inplace("celu")
silu = _with_inplace("silu")
mish = _with_inplace("mish")
leaky_relu = _with_inplace("leaky_relu")
threshold = _with_inplace("threshold")
_hardtanh = _with_inplace("hardtanh")
hardswish = _with_inplace("hardswish")
hardsigmoid = _with_inplace("hardsigmoid")


@functools.wraps(_hardtanh)
def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val is {min_val}, expected at most max_val {max_val}")
    return _hardtanh(input, min_val, max_val, inplace=inplace)


relu_ = REGISTRY["relu"].inplace_function
elu_ = REGISTRY["elu"].inplace_function
leaky_relu_ = REGISTRY["leaky_relu"].inplace_function
hardtanh_ = REGISTRY["hardtanh"].inplace_function
threshold_ = REGISTRY["threshold"].inplace_function
celu_ = REGISTRY["celu"].inplace_function
selu_ = REGISTRY["selu"].inplace_function


def implicit_dim(name: str, input: Tensor, dim: int | None) -> int:
    """The dim of a softmax that was given none: classic, with a warning."""
    if dim is not None:
        return dim
    chosen = 0 if input.ndim in (0, 1, 3) else 1
    warn(f"{name}: no dim was given; dim {chosen} is taken for {input.ndim} dimensions, pass it")
    return chosen


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Exponentials along ``dim``, divided by their sum.

    Example:
        >>> import dtorch
        >>> softmax(dtorch.zeros(2), dim=0).tolist()
        [0.5, 0.5]
    """
    return functions.softmax(
        input, implicit_dim("softmax", input, dim), dtype=dtype
    )  # fmt: skip


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Logarithm of `softmax`, without overflow or loss of digits.

    Example:
        >>> import dtorch
        >>> log_softmax(dtorch.zeros(1), dim=0).tolist()
        [0.0]
    """
    return functions.log_softmax(input, implicit_dim("log_softmax", input, dim), dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """`softmax` of the negative input.

    Example:
        >>> import dtorch
        >>> softmin(dtorch.zeros(2), dim=0).tolist()
        [0.5, 0.5]
    """
    return functions.softmin(
        input, implicit_dim("softmin", input, dim), dtype=dtype
    )  # fmt: skip


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Any:
    """Samples from categorical distributions, by a softmax of scores with noise.

    Args:
        tau: temperature: the lower, the nearer to one class alone.
        hard: return 0 and 1, with the gradient of the soft sample.
        eps: accepted; the noise needs none.

    Reference: Jang et al. 2016, arXiv:1611.01144.

    Example:
        >>> import dtorch
        >>> tuple(gumbel_softmax(dtorch.zeros(2, 3), hard=True).shape)
        (2, 3)
    """
    refuse_dtypes("gumbel_softmax", "bic", logits.dtype)
    array = logits.array
    # The negative logarithm of uniform numbers is exponential, that of such is Gumbel noise.
    kind = np.dtype(np.float32) if is_half(array) else array.dtype
    exponential = -np.log1p(-uniform(array.shape, kind, None))
    noise = -np.log(np.maximum(exponential, np.finfo(kind).tiny)).astype(array.dtype, copy=False)
    soft: Any = functions.softmax((logits + wrap(noise)) / tau, dim)
    if not hard:
        return soft
    index = soft.array.argmax(dim, keepdims=True)
    one = np.zeros_like(array)
    np.put_along_axis(one, index, 1, dim)
    return wrap(one) - soft.detach() + soft


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:  # fmt: skip
    """Classic name of `interpolate`.

    Example:
        >>> import dtorch
        >>> upsample(dtorch.tensor([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return functions.interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Any:
    """Classic form of `interpolate` with the nearest element.

    Example:
        >>> import dtorch
        >>> upsample_nearest(dtorch.tensor([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return functions.interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Any:
    """Classic form of `interpolate`: bilinear, with the corners aligned.

    Example:
        >>> import dtorch
        >>> upsample_bilinear(dtorch.tensor([[[[1.0, 2.0]]]]), size=(1, 3)).tolist()
        [[[[1.0, 1.5, 2.0]]]]
    """
    return functions.interpolate(input, size, scale_factor, "bilinear", True)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Any:
    """In-place form of ``rrelu``."""
    return functions.rrelu(input, lower, upper, training, True)


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Any = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``triplet_margin_loss`` with a distance of your own.

    Example:
        >>> import dtorch
        >>> zero = dtorch.zeros(1, 2)
        >>> triplet_margin_with_distance_loss(zero, zero, zero).item()
        1.0
    """
    return triplet(
        "triplet_margin_with_distance_loss", distance_function or functions.pairwise_distance,
        anchor, positive, negative, margin, swap, reduction,
    )  # fmt: skip
