"""The libraries that PyTorch may compute with, as programs ask for them; dtorch has its own kernels.

Questions are answered truthfully: there is no cuDNN and no MKL behind dtorch. Flags can be set and
read, as programs do before they know what there is; none changes a result here.

>>> import dtorch
>>> dtorch.backends.cudnn.is_available(), dtorch.backends.cudnn.benchmark
(False, False)
>>> with dtorch.backends.cudnn.flags(enabled=True, benchmark=True):
...     dtorch.backends.cudnn.benchmark
True
"""

from dtorch.backends import (
    cpu,
    cuda,
    cudnn,
    mha,
    mkl,
    mkldnn,
    mps,
    nnpack,
    openmp,
    opt_einsum,
    quantized,
    xnnpack,
)

__all__ = [
    "cpu", "cuda", "cudnn", "mha", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum",
    "quantized", "xnnpack",
]  # fmt: skip
