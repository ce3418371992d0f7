"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.backend import native
from dtorch.core.half import is_half, narrowed, widened
from dtorch.core.ops.linalg import affine, matmul, product_and_row_sums


def plus_row(a: Any, b: Any, row: Any) -> Any:
    """``a @ b + row``."""
    out = native.matmul_plus_row(a, b, row)
    if out is None and is_half(a):
        return narrowed(plus_row(widened(a), widened(b), widened(row)), a.dtype)
    if out is None:
        out = native.matmul(a, b)
        out += row
    return out


def _in_bfloat16(known: dict[str, Any]) -> bool:
    """Whether the processor has an instruction for products of such arrays."""
    arrays = [known[name] for name in ("input", "weight", "bias") if name in known]
    return native.has_bfloat16_products() and all(
        type(a) is np.ndarray and a.dtype.name == "bfloat16" for a in arrays
    )


affine.keeps_half = _in_bfloat16
matmul.kernel("cpu")(native.matmul)
affine.gradient_kernel("input", "weight", "bias")(native.affine_gradients)
product_and_row_sums.kernel("cpu")(native.matmul_and_row_sums)


@affine.kernel("cpu")
def _(input, weight, bias):
    return plus_row(input, weight.T, bias)
