"""Generated from the registry of operations by ``make stubs``; do not edit."""

import builtins
from collections.abc import Sequence
from typing import Any, TypeAlias, overload

import numpy as np

from dtorch.core.device import Place
from dtorch.core.dtype import DType, dtype
from dtorch.core.ops.failures import (
    CheckedCholesky,
    CheckedFactors,
    CheckedInverse,
    CheckedSolution,
)
from dtorch.core.ops.histogram import Histogram, HistogramOfSeveral
from dtorch.core.ops.lapack import LU, Singular
from dtorch.core.ops.matrix import Eigen, Factors, LeastSquares, QR, SVD, SignLogdet
from dtorch.core.ops.number_parts import Frexp
from dtorch.core.ops.reduction import MinMax
from dtorch.core.ops.selection import ValuesIndices
from dtorch.core.tensor import Tensor

Number: TypeAlias = builtins.complex | np.number[Any]
Operand: TypeAlias = Tensor | Number
Ints: TypeAlias = int | Sequence[int]

def abs(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def abs_(input: Tensor) -> Tensor: ...
def acos(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def acos_(input: Tensor) -> Tensor: ...
def acosh(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def acosh_(input: Tensor) -> Tensor: ...
def adaptive_avg_pool1d(
    input: Tensor, output_size: int | Sequence[int | None], *, out: Tensor | None = None
) -> Tensor: ...
def adaptive_avg_pool2d(
    input: Tensor, output_size: int | Sequence[int | None], *, out: Tensor | None = None
) -> Tensor: ...
def adaptive_avg_pool3d(
    input: Tensor, output_size: int | Sequence[int | None], *, out: Tensor | None = None
) -> Tensor: ...
def adaptive_max_pool1d(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Tensor | Any: ...
def adaptive_max_pool2d(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Tensor | Any: ...
def adaptive_max_pool3d(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Tensor | Any: ...
def add(
    input: Operand, other: Operand, *, alpha: Number = 1, out: Tensor | None = None
) -> Tensor: ...
def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def addcdiv(
    input: Tensor,
    tensor1: Tensor,
    tensor2: Tensor,
    *,
    value: Operand = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def addcmul(
    input: Tensor,
    tensor1: Tensor,
    tensor2: Tensor,
    *,
    value: Operand = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def addmv(
    input: Tensor,
    mat: Tensor,
    vec: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def addmv_(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor: ...
def addr(
    input: Tensor,
    vec1: Tensor,
    vec2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def adjoint(input: Any) -> Tensor: ...
def affine_grid(
    theta: Tensor, size: Ints, align_corners: bool | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def airy_ai(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def all(
    input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool: ...
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor: ...
def amax(
    input: Tensor, dim: Ints = (), keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def amin(
    input: Tensor, dim: Ints = (), keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def aminmax(
    input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: Tensor | None = None
) -> MinMax: ...
def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def any(
    input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def argmax(
    input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def argmin(
    input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def argsort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def argwhere(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def as_strided(
    input: Tensor,
    size: Ints,
    stride: Ints,
    storage_offset: int | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def asin(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def asin_(input: Tensor) -> Tensor: ...
def asinh(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def asinh_(input: Tensor) -> Tensor: ...
def atan(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def atan2(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def atan_(input: Tensor) -> Tensor: ...
def atanh(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def atanh_(input: Tensor) -> Tensor: ...
def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def bessel_j0(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def bessel_j1(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def bessel_y0(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def bessel_y1(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def bilinear(
    input1: Tensor,
    input2: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def bincount(
    input: Tensor, weights: Tensor | None = None, minlength: int = 0, *, out: Tensor | None = None
) -> Tensor: ...
def bitwise_and(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def bitwise_left_shift(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def bitwise_not(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def bitwise_not_(input: Tensor) -> Tensor: ...
def bitwise_or(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def bitwise_right_shift(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def bitwise_xor(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
@overload
def block_diag(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
@overload
def block_diag(*tensors: Tensor, out: Tensor | None = None) -> Tensor: ...
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]: ...
def broadcast_to(input: Tensor, size: Ints, *, out: Tensor | None = None) -> Tensor: ...
def btrifact(
    A: Tensor, info: Any = None, pivot: bool = True, *, out: Tensor | None = None
) -> tuple[Tensor, Tensor]: ...
def btrifact_with_info(
    A: Tensor, pivot: bool = True, *, out: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]: ...
def btrisolve(
    b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None
) -> Tensor: ...
def btriunpack(
    LU_data: Tensor,
    LU_pivots: Tensor,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
    *,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]: ...
def bucketize(
    input: Tensor,
    boundaries: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Tensor | None = None,
) -> Tensor: ...
def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float | str = 2.0,
    compute_mode: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def ceil(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def ceil_(input: Tensor) -> Tensor: ...
def celu(input: Tensor, alpha: float = 1.0, *, out: Tensor | None = None) -> Tensor: ...
def celu_(input: Tensor, alpha: float = 1.0) -> Tensor: ...
@overload
def chain_matmul(matrices: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
@overload
def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor: ...
def channel_shuffle(input: Tensor, groups: int, *, out: Tensor | None = None) -> Tensor: ...
def chebyshev_polynomial_t(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def chebyshev_polynomial_u(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def chebyshev_polynomial_v(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def chebyshev_polynomial_w(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor: ...
def cholesky_inverse(L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor: ...
def cholesky_solve(
    B: Tensor, L: Tensor, upper: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]: ...
def clamp(
    input: Operand,
    min: Operand | None = None,
    max: Operand | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def clamp_(input: Operand, min: Operand | None = None, max: Operand | None = None) -> Tensor: ...
def clamp_max(input: Tensor, max: Operand, *, out: Tensor | None = None) -> Tensor: ...
def clamp_max_(input: Tensor, max: Operand) -> Tensor: ...
def clamp_min(input: Tensor, min: Operand, *, out: Tensor | None = None) -> Tensor: ...
def clamp_min_(input: Tensor, min: Operand) -> Tensor: ...
def clip(
    input: Tensor,
    min: Operand | None = None,
    max: Operand | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def clip_(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor: ...
def clone(input: Tensor, *, memory_format: Any = None, out: Tensor | None = None) -> Tensor: ...
def col2im(
    input: Tensor,
    output_size: int | Sequence[int | None],
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
def combinations(
    input: Tensor, r: int = 2, with_replacement: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def complex(real: Operand, imag: Operand, *, out: Tensor | None = None) -> Tensor: ...
def concat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def concatenate(
    tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None
) -> Tensor: ...
def conj(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def conj_(input: Tensor) -> Tensor: ...
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def conv_tbc(
    input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0, *, out: Tensor | None = None
) -> Tensor: ...
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def copysign(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def corrcoef(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def cos(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def cos_(input: Tensor) -> Tensor: ...
def cosh(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def cosh_(input: Tensor) -> Tensor: ...
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def cosine_similarity(
    x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08, *, out: Tensor | None = None
) -> Tensor: ...
def count_nonzero(
    input: Tensor, dim: Ints | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def cross(
    input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def cummax(
    input: Tensor, dim: int, *, out: tuple[Tensor, Tensor] | None = None
) -> ValuesIndices: ...
def cummin(
    input: Tensor, dim: int, *, out: tuple[Tensor, Tensor] | None = None
) -> ValuesIndices: ...
def cumprod(
    input: Tensor, dim: int, *, dtype: DType | None = None, out: Tensor | None = None
) -> Tensor: ...
def cumsum(
    input: Tensor, dim: int, *, dtype: DType | None = None, out: Tensor | None = None
) -> Tensor: ...
def cumulative_trapezoid(
    y: Tensor,
    x: Tensor | None = None,
    *,
    dx: float | None = None,
    dim: int = -1,
    out: Tensor | None = None,
) -> Tensor: ...
def deg2rad(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def deg2rad_(input: Tensor) -> Tensor: ...
def det(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def detach(self: Any) -> Tensor: ...
def detach_(self: Any) -> Tensor: ...
def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def diag_embed(
    input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1, *, out: Tensor | None = None
) -> Tensor: ...
def diagflat(input: Tensor, offset: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor: ...
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor: ...
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def digamma(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def digamma_(input: Tensor) -> Tensor: ...
def dist(
    input: Tensor, other: Tensor, p: float | str = 2, *, out: Tensor | None = None
) -> Tensor: ...
def div(
    input: Operand, other: Operand, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor: ...
def dot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor: ...
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor: ...
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor: ...
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor: ...
def dsplit(input: Tensor, indices_or_sections: Ints) -> tuple[Tensor, ...]: ...
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
def eig(a: Tensor, eigenvectors: bool = False, *, out: Tensor | None = None) -> Eigen: ...
@overload
def einsum(equation: str, operands: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
@overload
def einsum(equation: str, *operands: Tensor, out: Tensor | None = None) -> Tensor: ...
def elu(input: Tensor, alpha: float = 1.0, *, out: Tensor | None = None) -> Tensor: ...
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor: ...
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor: ...
def entr(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def eq(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def equal(input: Tensor, other: Tensor) -> bool: ...
def erf(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def erf_(input: Tensor) -> Tensor: ...
def erfc(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def erfc_(input: Tensor) -> Tensor: ...
def erfcx(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def erfinv(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def erfinv_(input: Tensor) -> Tensor: ...
def exp(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def exp2(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def exp2_(input: Tensor) -> Tensor: ...
def exp_(input: Tensor) -> Tensor: ...
@overload
def expand(input: Tensor, sizes: Sequence[int]) -> Tensor: ...
@overload
def expand(input: Tensor, *sizes: int) -> Tensor: ...
def expm1(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def expm1_(input: Tensor) -> Tensor: ...
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor: ...
def fft_fft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_fft2(
    input: Tensor,
    s: Any = None,
    dim: Ints = (-2, -1),
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_fftn(
    input: Tensor,
    s: Any = None,
    dim: Ints | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_fftshift(
    input: Tensor, dim: Ints | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def fft_hfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_ifft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_ifft2(
    input: Tensor,
    s: Any = None,
    dim: Ints = (-2, -1),
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_ifftn(
    input: Tensor,
    s: Any = None,
    dim: Ints | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_ifftshift(
    input: Tensor, dim: Ints | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def fft_ihfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_irfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_irfft2(
    input: Tensor,
    s: Any = None,
    dim: Ints = (-2, -1),
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_irfftn(
    input: Tensor,
    s: Any = None,
    dim: Ints | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_rfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_rfft2(
    input: Tensor,
    s: Any = None,
    dim: Ints = (-2, -1),
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fft_rfftn(
    input: Tensor,
    s: Any = None,
    dim: Ints | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def fill_(input: Any, value: Operand) -> Tensor: ...
def flatten(
    input: Tensor, start_dim: int = 0, end_dim: int = -1, *, out: Tensor | None = None
) -> Tensor: ...
@overload
def flip(input: Tensor, dims: Sequence[int], *, out: Tensor | None = None) -> Tensor: ...
@overload
def flip(input: Tensor, *dims: int, out: Tensor | None = None) -> Tensor: ...
def fliplr(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def flipud(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def float_power(
    input: Tensor | builtins.complex,
    exponent: Tensor | builtins.complex,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def floor(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def floor_(input: Tensor) -> Tensor: ...
def floor_divide(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def fmax(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def fmin(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def fmod(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def frac(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def frac_(input: Tensor) -> Tensor: ...
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    output_size: int | Sequence[int | None] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Tensor | Any: ...
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    output_size: int | Sequence[int | None] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Tensor | Any: ...
def frexp(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> Frexp: ...
def frobenius_norm(
    input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def gather(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor,
    full: bool = False,
    eps: float = 1e-06,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def gcd(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def gcd_(input: Operand, other: Operand) -> Tensor: ...
def ge(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def gels(B: Tensor, A: Tensor, *, out: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
def gelu(input: Tensor, approximate: str = "none", *, out: Tensor | None = None) -> Tensor: ...
def geqrf(input: Tensor, *, out: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
def ger(vec1: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def gesv(B: Tensor, A: Tensor, *, out: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
def glu(input: Tensor, dim: int = -1, *, out: Tensor | None = None) -> Tensor: ...
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Ints | None = None, edge_order: int = 1
) -> tuple[Tensor, ...]: ...
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def gt(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor: ...
def hardshrink_(input: Tensor, lambd: float = 0.5) -> Tensor: ...
def hardsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def hardswish(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, *, out: Tensor | None = None
) -> Tensor: ...
def heaviside(input: Operand, values: Operand, *, out: Tensor | None = None) -> Tensor: ...
def hermite_polynomial_h(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def hermite_polynomial_he(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def histc(
    input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None
) -> Tensor: ...
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Tensor | None = None,
) -> Histogram: ...
def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> HistogramOfSeveral: ...
def hsplit(input: Tensor, indices_or_sections: Ints) -> tuple[Tensor, ...]: ...
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def hypot(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def i0(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def i0_(input: Tensor) -> Tensor: ...
def i0e(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def i1(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def i1e(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def ifft(
    input: Tensor, signal_ndim: int, normalized: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def igamma(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def igammac(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def im2col(
    input: Tensor,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def imag(input: Tensor) -> Tensor: ...
def index_add(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    *,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor: ...
def index_copy(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None
) -> Tensor: ...
def index_fill(
    input: Tensor, dim: int, index: Tensor, value: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def index_put(
    input: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def index_put_(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor: ...
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor: ...
def index_select(
    input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None
) -> Tensor: ...
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def interpolate(
    input: Tensor,
    size: Ints | None = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def irfft(
    input: Tensor,
    signal_ndim: int,
    normalized: bool = False,
    onesided: bool = True,
    signal_sizes: Any = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def isfinite(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def isin(
    elements: Tensor, test_elements: Tensor, *, assume_unique: bool = False, invert: bool = False
) -> Tensor: ...
def isinf(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def isnan(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def isneginf(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def isposinf(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def isreal(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def kthvalue(
    input: Tensor,
    k: int,
    dim: int = -1,
    keepdim: bool = False,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> ValuesIndices: ...
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def laguerre_polynomial_l(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def layer_norm(
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def lcm(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def lcm_(input: Operand, other: Operand) -> Tensor: ...
def ldexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def ldexp_(input: Tensor, other: Tensor) -> Tensor: ...
def le(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def leaky_relu(
    input: Tensor, negative_slope: float = 0.01, *, out: Tensor | None = None
) -> Tensor: ...
def legendre_polynomial_p(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def lerp(input: Operand, end: Operand, weight: Operand, *, out: Tensor | None = None) -> Tensor: ...
def lgamma(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def lgamma_(input: Tensor) -> Tensor: ...
def linalg_cholesky(A: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor: ...
def linalg_cholesky_ex(
    A: Tensor, *, upper: bool = False, check_errors: bool = False, out: Tensor | None = None
) -> CheckedCholesky: ...
def linalg_cond(
    A: Tensor, p: float | str | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def linalg_cross(
    input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None
) -> Tensor: ...
def linalg_det(A: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def linalg_diagonal(
    A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1, out: Tensor | None = None
) -> Tensor: ...
def linalg_eig(A: Tensor, *, out: Tensor | None = None) -> Eigen: ...
def linalg_eigh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Eigen: ...
def linalg_eigvals(A: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def linalg_eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor: ...
def linalg_householder_product(A: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def linalg_inv(A: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def linalg_inv_ex(
    A: Tensor, *, check_errors: bool = False, out: Tensor | None = None
) -> CheckedInverse: ...
def linalg_lstsq(
    A: Tensor,
    B: Tensor,
    rcond: float | Tensor | None = None,
    *,
    driver: str | None = None,
    out: Tensor | None = None,
) -> LeastSquares: ...
def linalg_lu(A: Tensor, *, pivot: bool = True, out: Tensor | None = None) -> LU: ...
def linalg_lu_factor(A: Tensor, *, pivot: bool = True, out: Tensor | None = None) -> Factors: ...
def linalg_lu_factor_ex(
    A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Tensor | None = None
) -> CheckedFactors: ...
def linalg_lu_solve(
    LU: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    adjoint: bool = False,
    out: Tensor | None = None,
) -> Tensor: ...
def linalg_matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: Ints = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def linalg_matrix_power(A: Tensor, n: int, *, out: Tensor | None = None) -> Tensor: ...
def linalg_matrix_rank(
    A: Tensor,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
    hermitian: bool = False,
    tol: float | Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def linalg_multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
def linalg_norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def linalg_pinv(
    A: Tensor,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
    hermitian: bool = False,
    rcond: float | Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def linalg_qr(A: Tensor, mode: str = "reduced", *, out: Tensor | None = None) -> QR: ...
def linalg_slogdet(A: Tensor, *, out: Tensor | None = None) -> SignLogdet: ...
def linalg_solve_ex(
    A: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    check_errors: bool = False,
    out: Tensor | None = None,
) -> CheckedSolution: ...
def linalg_svd(
    A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Tensor | None = None
) -> SVD: ...
def linalg_svdvals(
    A: Tensor, *, driver: str | None = None, out: Tensor | None = None
) -> Tensor: ...
def linalg_tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor: ...
def linalg_tensorsolve(
    A: Tensor, B: Tensor, dims: Sequence[int] | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def linalg_vander(x: Tensor, N: int | None = None, *, out: Tensor | None = None) -> Tensor: ...
def linalg_vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor: ...
def linalg_vector_norm(
    x: Tensor,
    ord: float | str = 2,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def local_response_norm(
    input: Tensor,
    size: int,
    alpha: float = 0.0001,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def log(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def log10(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def log10_(input: Tensor) -> Tensor: ...
def log1p(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def log1p_(input: Tensor) -> Tensor: ...
def log2(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def log2_(input: Tensor) -> Tensor: ...
def log_(input: Tensor) -> Tensor: ...
def log_ndtr(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def log_softmax(
    input: Tensor, dim: int, *, dtype: DType | None = None, out: Tensor | None = None
) -> Tensor: ...
def logaddexp(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def logaddexp2(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor: ...
def logdet(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def logical_and(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def logical_not(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def logical_not_(input: Tensor) -> Tensor: ...
def logical_or(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def logical_xor(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def logit(input: Operand, eps: Operand | None = None, *, out: Tensor | None = None) -> Tensor: ...
def logit_(input: Operand, eps: Operand | None = None) -> Tensor: ...
def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def logsumexp(
    input: Tensor, dim: Ints, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def lt(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def lu(
    A: Tensor, pivot: bool = True, get_infos: bool = False, *, out: Tensor | None = None
) -> tuple[Tensor, ...] | Any: ...
def lu_unpack(
    LU_data: Tensor,
    LU_pivots: Tensor,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
    *,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]: ...
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def masked_fill(
    input: Operand, mask: Operand, value: Operand, *, out: Tensor | None = None
) -> Tensor: ...
def masked_scatter(
    input: Tensor, mask: Tensor, source: Tensor, *, out: Tensor | None = None
) -> Tensor: ...
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def matrix_exp(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor: ...
def max(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor | Any: ...
def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | Any: ...
def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | Any: ...
def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | Any: ...
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: int | Sequence[int | None] | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: int | Sequence[int | None] | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: int | Sequence[int | None] | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def maximum(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def mean(
    input: Tensor,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def median(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor | Any: ...
def min(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor | Any: ...
def minimum(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def mish(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def mode(
    input: Tensor, dim: int = -1, keepdim: bool = False, *, out: tuple[Tensor, Tensor] | None = None
) -> ValuesIndices: ...
def modified_bessel_k0(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def modified_bessel_k1(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def movedim(
    input: Tensor, source: Ints, destination: Ints, *, out: Tensor | None = None
) -> Tensor: ...
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def mul(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor: ...
def nan_to_num(
    input: Tensor,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def nan_to_num_(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor: ...
def nanmean(
    input: Tensor,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor | Any: ...
def nanquantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor: ...
def nansum(
    input: Tensor,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor: ...
def ndtr(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def ndtri(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def ne(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def neg(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def neg_(input: Tensor) -> Tensor: ...
def nextafter(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def nonzero(
    input: Tensor, *, as_tuple: bool = False, out: Tensor | None = None
) -> Tensor | Any: ...
def norm(
    input: Tensor,
    p: float | str = 2,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def normalize(
    input: Tensor, p: float = 2.0, dim: Ints = 1, eps: float = 1e-12, *, out: Tensor | None = None
) -> Tensor: ...
def nuclear_norm(
    input: Tensor, dim: Ints = (-2, -1), keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def one_hot(tensor: Tensor, num_classes: int = -1, *, out: Tensor | None = None) -> Tensor: ...
def orgqr(input: Tensor, input2: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def ormqr(
    input: Tensor,
    input2: Tensor,
    input3: Tensor,
    left: bool = True,
    transpose: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: Operand | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def pairwise_distance(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    eps: float = 1e-06,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def pdist(input: Tensor, p: float = 2, *, out: Tensor | None = None) -> Tensor: ...
@overload
def permute(input: Tensor, dims: Sequence[int]) -> Tensor: ...
@overload
def permute(input: Tensor, *dims: int) -> Tensor: ...
def pinverse(input: Tensor, rcond: float = 1e-15, *, out: Tensor | None = None) -> Tensor: ...
def pixel_shuffle(input: Tensor, upscale_factor: int, *, out: Tensor | None = None) -> Tensor: ...
def pixel_unshuffle(
    input: Tensor, downscale_factor: int, *, out: Tensor | None = None
) -> Tensor: ...
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-08,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def positive(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def positive_(input: Tensor) -> Tensor: ...
def potrf(a: Tensor, upper: bool = True, *, out: Tensor | None = None) -> Tensor: ...
def potri(u: Tensor, upper: bool = True, *, out: Tensor | None = None) -> Tensor: ...
def potrs(b: Tensor, u: Tensor, upper: bool = True, *, out: Tensor | None = None) -> Tensor: ...
def pow(input: Operand, exponent: Operand, *, out: Tensor | None = None) -> Tensor: ...
def prelu(input: Tensor, weight: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def prod(
    input: Tensor,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def pstrf(
    a: Tensor, upper: bool = True, tol: float = -1, *, out: Tensor | None = None
) -> tuple[Tensor, Tensor]: ...
def put(
    input: Tensor,
    index: Tensor,
    source: Tensor,
    accumulate: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def qr(input: Tensor, some: bool = True, *, out: Tensor | None = None) -> QR: ...
def quantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor: ...
def rad2deg(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def rad2deg_(input: Tensor) -> Tensor: ...
def ravel(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def real(input: Tensor) -> Tensor: ...
def reciprocal(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def reciprocal_(input: Tensor) -> Tensor: ...
def relu(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def relu6(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def relu_(input: Tensor) -> Tensor: ...
def remainder(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def renorm(
    input: Tensor, p: float | str, dim: int, maxnorm: float, *, out: Tensor | None = None
) -> Tensor: ...
def repeat_interleave(
    input: Tensor,
    repeats: int | Tensor,
    dim: int | None = None,
    *,
    output_size: int | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
@overload
def reshape(input: Tensor, shape: Sequence[int], *, out: Tensor | None = None) -> Tensor: ...
@overload
def reshape(input: Tensor, *shape: int, out: Tensor | None = None) -> Tensor: ...
def resize_as_(input: Any, tensor: Tensor) -> Tensor: ...
def rfft(
    input: Tensor,
    signal_ndim: int,
    normalized: bool = False,
    onesided: bool = True,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def rms_norm(
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None = None,
    eps: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def roll(
    input: Tensor, shifts: Ints, dims: Ints | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def rot90(
    input: Tensor, k: int = 1, dims: Ints = (0, 1), *, out: Tensor | None = None
) -> Tensor: ...
def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor: ...
def round_(input: Tensor, *, decimals: int = 0) -> Tensor: ...
def rrelu(
    input: Tensor,
    lower: float = 0.125,
    upper: float = 0.3333333333333333,
    training: bool = False,
    inplace: bool = False,
) -> Tensor: ...
def rsqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def rsqrt_(input: Tensor) -> Tensor: ...
def rsub(
    input: Tensor, other: Tensor, *, alpha: Number = 1, out: Tensor | None = None
) -> Tensor: ...
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def scaled_modified_bessel_k0(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def scaled_modified_bessel_k1(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | float,
    *,
    reduce: str | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def scatter_add(
    input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None
) -> Tensor: ...
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor: ...
def searchsorted(
    sorted_sequence: Tensor,
    input: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def select(input: Tensor, dim: int, index: int) -> Tensor: ...
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor: ...
def selu(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def selu_(input: Tensor) -> Tensor: ...
def sgn(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sgn_(input: Tensor) -> Tensor: ...
def shifted_chebyshev_polynomial_t(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def shifted_chebyshev_polynomial_u(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def shifted_chebyshev_polynomial_v(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def shifted_chebyshev_polynomial_w(
    input: Tensor, n: Tensor | float, *, out: Tensor | None = None
) -> Tensor: ...
def sigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sigmoid_(input: Tensor) -> Tensor: ...
def sign(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sign_(input: Tensor) -> Tensor: ...
def signbit(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def silu(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sin(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sin_(input: Tensor) -> Tensor: ...
def sinc(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sinc_(input: Tensor) -> Tensor: ...
def sinh(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sinh_(input: Tensor) -> Tensor: ...
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor: ...
def slogdet(input: Tensor, *, out: Tensor | None = None) -> SignLogdet: ...
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def softmax(
    input: Tensor, dim: int, *, dtype: DType | None = None, out: Tensor | None = None
) -> Tensor: ...
def softmin(
    input: Tensor, dim: int, *, dtype: DType | None = None, out: Tensor | None = None
) -> Tensor: ...
def softplus(
    input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, out: Tensor | None = None
) -> Tensor: ...
def softshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor: ...
def softsign(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor: ...
def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor: ...
def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> ValuesIndices: ...
def spherical_bessel_j0(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def split(tensor: Tensor, split_size_or_sections: Ints, dim: int = 0) -> tuple[Tensor, ...]: ...
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]: ...
def sqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def sqrt_(input: Tensor) -> Tensor: ...
def square(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def square_(input: Tensor) -> Tensor: ...
def squeeze(input: Tensor, dim: Ints | None = None) -> Tensor: ...
def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def std(
    input: Tensor,
    dim: Ints | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def std_mean(
    input: Tensor,
    dim: Ints | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]: ...
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def sub(
    input: Operand, other: Operand, *, alpha: Number = 1, out: Tensor | None = None
) -> Tensor: ...
def sum(
    input: Tensor,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def svd(
    input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Tensor | None = None
) -> Singular: ...
def swapaxes(input: Tensor, axis0: int, axis1: int, *, out: Tensor | None = None) -> Tensor: ...
def symeig(
    input: Tensor, eigenvectors: bool = False, upper: bool = True, *, out: Tensor | None = None
) -> Eigen: ...
def t(input: Tensor) -> Tensor: ...
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def take_along_dim(
    input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None
) -> Tensor: ...
def tan(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def tan_(input: Tensor) -> Tensor: ...
def tanh(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def tanh_(input: Tensor) -> Tensor: ...
def tanhshrink(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def tensor_split(input: Tensor, indices_or_sections: Ints, dim: int = 0) -> tuple[Tensor, ...]: ...
def tensordot(a: Tensor, b: Tensor, dims: Ints = 2, *, out: Tensor | None = None) -> Tensor: ...
def threshold(
    input: Tensor, threshold: float, value: float, *, out: Tensor | None = None
) -> Tensor: ...
def threshold_(input: Tensor, threshold: float, value: float) -> Tensor: ...
@overload
def tile(input: Tensor, dims: Sequence[int], *, out: Tensor | None = None) -> Tensor: ...
@overload
def tile(input: Tensor, *dims: int, out: Tensor | None = None) -> Tensor: ...
def topk(
    input: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> ValuesIndices: ...
def trace(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor: ...
def trapezoid(
    y: Tensor,
    x: Tensor | None = None,
    *,
    dx: float | None = None,
    dim: int = -1,
    out: Tensor | None = None,
) -> Tensor: ...
def tril(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def tril_(input: Tensor, diagonal: int = 0) -> Tensor: ...
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    out: Tensor | None = None,
) -> Tensor: ...
def triu(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor: ...
def triu_(input: Tensor, diagonal: int = 0) -> Tensor: ...
def trtrs(
    b: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
    *,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]: ...
def true_divide(input: Tensor, other: Tensor | float, *, out: Tensor | None = None) -> Tensor: ...
def trunc(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def trunc_(input: Tensor) -> Tensor: ...
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]: ...
def unflatten(
    input: Tensor, dim: int, sizes: Sequence[int], *, out: Tensor | None = None
) -> Tensor: ...
def unfold_dim(input: Tensor, dimension: int, size: int, step: int) -> Tensor: ...
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | Any: ...
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Tensor | Any: ...
def unsqueeze(input: Tensor, dim: int) -> Tensor: ...
def vander(
    x: Tensor, N: int | None = None, increasing: bool = False, *, out: Tensor | None = None
) -> Tensor: ...
def var(
    input: Tensor,
    dim: Ints | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Tensor: ...
def var_mean(
    input: Tensor,
    dim: Ints | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]: ...
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor: ...
def view_as_complex(input: Tensor) -> Tensor: ...
def view_as_real(input: Tensor) -> Tensor: ...
def vsplit(input: Tensor, indices_or_sections: Ints) -> tuple[Tensor, ...]: ...
def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor: ...
def where(
    condition: Tensor,
    input: Tensor | builtins.complex | None = None,
    other: Tensor | builtins.complex | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor | Any: ...
def xlog1py(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def xlogy(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
def xlogy_(input: Operand, other: Operand) -> Tensor: ...
def zero_(input: Any) -> Tensor: ...
def zeta(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor: ...
