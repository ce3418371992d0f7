"""Other names that operations go by: those of NumPy, and classic ones."""

from __future__ import annotations

from typing import Any

from dtorch.core import ops  # noqa: F401 - fills the registry
from dtorch.core.errors import ShapeError
from dtorch.core.op import REGISTRY, also_method, method, public_ops
from dtorch.core.questions import is_nonzero
from dtorch.core.shapes import as_sizes, broadcast_shapes, sum_to

OTHER_NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "conj_physical": "conj",
    "divide": "div", "fix": "trunc", "greater": "gt", "greater_equal": "ge", "less": "lt",
    "less_equal": "le", "lu_solve": "btrisolve", "matrix_rank": "linalg_matrix_rank",
    "moveaxis": "movedim", "triangular_solve": "trtrs",
    "multiply": "mul", "negative": "neg", "not_equal": "ne", "row_stack": "vstack",
    "split_with_sizes": "split", "subtract": "sub", "swapdims": "swapaxes", "trapz": "trapezoid",
    "unsafe_chunk": "chunk", "unsafe_split": "split",
    "unsafe_split_with_sizes": "split",
}  # fmt: skip

# Functions of `nn.functional` that the package itself offers, too.
ALSO_GENERAL = (
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "avg_pool1d", "bilinear", "celu",
    "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "hardshrink", "max_pool1d",
    "max_pool2d", "max_pool3d", "pairwise_distance", "pdist", "pixel_shuffle",
    "pixel_unshuffle", "prelu", "rms_norm", "rrelu", "selu", "threshold",
)  # fmt: skip
# Operations with other operands whose in-place forms are functions, too.
CHANGING = (
    "addmv", "clamp_max", "clamp_min", "gcd", "index_put", "lcm", "ldexp", "threshold", "xlogy",
)  # fmt: skip
METHODS_OF_NN = ("hardshrink", "prelu")
# Methods that are functions, too.
FROM_METHODS = ("adjoint", "detach", "detach_", "fill_", "resize_as_", "zero_")

for _name, _own in OTHER_NAMES.items():
    _op = REGISTRY[_own]
    if _op.method:
        also_method(_name, _op.function)
    if _op.inplace_function is not None:
        also_method(f"{_name}_", _op.inplace_function)
for _name in METHODS_OF_NN:
    method(_name, REGISTRY[_name].function)


def _polygamma(input: Any, n: int) -> Any:
    """The derivative of order ``n`` of `digamma`."""
    return REGISTRY["polygamma"].function(n, input)


def _divide_by(input: Any, other: Any) -> Any:
    """``other / input``."""
    return other / input


def _is_nonzero(input: Any) -> bool:
    """Whether the one element is not zero."""
    return is_nonzero(input)


def _sum_to_size(input: Any, *size: Any) -> Any:
    """The sum over the dims in which a tensor of these sizes would be broadcast to this one.

    Raises:
        ShapeError: such a tensor cannot be.
    """
    wanted = as_sizes("sum_to_size", size)
    if broadcast_shapes("sum_to_size", wanted, tuple(input.shape)) != tuple(input.shape):
        raise ShapeError(f"sum_to_size: {wanted} is no shape that broadcasts to {input.shape}")
    return sum_to(input, wanted)


def _as_strided_(input: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """Change sizes and steps in place; see `as_strided`."""
    offset = input.storage_offset() if storage_offset is None else storage_offset
    return input.set_(input.untyped_storage(), offset, tuple(size), tuple(stride))


method("as_strided_", _as_strided_)
method("sum_to_size", _sum_to_size)
method("polygamma", _polygamma)
method("is_nonzero", _is_nonzero)
method("__div__", REGISTRY["div"].function)
method("__rdiv__", _divide_by)
method("__idiv__", REGISTRY["div"].inplace_function)


def changing() -> dict[str, str]:
    """In-place forms that are functions, too, and their operations: those of one tensor, and some."""
    return {
        f"{name}_": name
        for name, op in public_ops().items()
        if op.inplace
        and (op.home == "general" or name in ALSO_GENERAL)
        and (op.required == 1 or name in CHANGING)
    }
