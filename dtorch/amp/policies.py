"""Which operations autocast gives operands of another dtype: the one place that says so.

Operations that are not named run as they are: on what they are given, and if they are made of
others, these are cast. Inside an operation that is named nothing is cast any more.

Reference: https://pytorch.org/docs/stable/amp.html, the lists for the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtorch.core import functions  # noqa: F401 - fills the registry
from dtorch.core.dtype import dtype, float32
from dtorch.core.op import REGISTRY, Op
from dtorch.core.ops import recurrent

# Sums of products: in bfloat16 or float16, which processors multiply faster.
LOWER = (
    "matmul", "mm", "bmm", "addmm", "addbmm", "baddbmm", "linear", "linalg_vecdot", "prelu",
    "scaled_dot_product_attention", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d",
)  # fmt: skip

# What loses digits or overflows: in float32.
SINGLE = (
    "prod", "trace", "quantile", "cdist", "polar", "view_as_complex", "grid_sample",
    "max_pool3d", "avg_pool3d", "adaptive_max_pool3d", "adaptive_avg_pool3d", "lp_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d", "fractional_max_pool2d", "fractional_max_pool3d",
    "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "nll_loss", "cross_entropy",
    "ctc_loss", "kl_div", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "poisson_nll_loss", "hinge_embedding_loss", "margin_ranking_loss", "cosine_embedding_loss",
    "soft_margin_loss", "multi_margin_loss", "multilabel_margin_loss", "triplet_margin_loss",
    "inverse", "pinverse", "cholesky", "cholesky_solve", "cholesky_inverse", "linalg_lu_solve", "qr",
    "geqrf", "orgqr", "ormqr", "svd", "linalg_cholesky", "linalg_cond", "linalg_eig",
    "linalg_eigh", "linalg_eigvals", "linalg_eigvalsh", "linalg_inv", "linalg_lstsq",
    "linalg_matrix_rank", "linalg_qr", "linalg_svd", "linalg_svdvals", "fft_fft", "fft_ifft",
    "fft_rfft", "fft_irfft", "fft_hfft", "fft_ihfft", "fft_fft2", "fft_ifft2", "fft_rfft2",
    "fft_irfft2", "fft_fftn", "fft_ifftn", "fft_rfftn", "fft_irfftn",
)  # fmt: skip

# Made of products that are to stay as they are.
UNCHANGED = (
    "mv", "dot", "vdot", "addmv", "bilinear",
)  # fmt: skip


def _mirrored(values: list[Any]) -> bool:
    return values[2] in ("reflect", "replicate")


_ONLY_WHERE: dict[str, Callable[[list[Any]], bool]] = {"pad": _mirrored}

_LOWER, _SINGLE, _UNCHANGED = "lower", "single", "unchanged"

POLICIES: dict[Op, str] = {
    **{REGISTRY[name]: _LOWER for name in LOWER},
    **{REGISTRY[name]: _SINGLE for name in (*SINGLE, *_ONLY_WHERE)},
    **{REGISTRY[name]: _UNCHANGED for name in UNCHANGED},
    recurrent.lstm: _LOWER,
    recurrent.rnn: _LOWER,
    recurrent.lstm_cell: _UNCHANGED,
}


# Compiled functions, whose calls come by their operation only if they are told so.
_COMPILED = tuple(op.function for op in POLICIES if hasattr(op.function, "shortcut"))


def install(call: Any) -> None:
    """Put ``call`` between the operations named here and their callers; None removes it."""
    for op in POLICIES:
        op.policy = call
    for function in _COMPILED:
        function.shortcut = call is None


def target_of(op: Op, values: list[Any], lower: dtype) -> dtype | None:
    """The dtype for the operands of a call; None to leave them."""
    policy = POLICIES[op]
    if policy == _LOWER:
        return lower
    applies = _ONLY_WHERE.get(op.name)
    return float32 if policy == _SINGLE and (applies is None or applies(values)) else None
