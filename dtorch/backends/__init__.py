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

from typing import TYPE_CHECKING

from dtorch.on_demand import on_demand

if TYPE_CHECKING:
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

if not TYPE_CHECKING:
    # `nn` needs one of them.
    __getattr__ = on_demand(__name__, {name: name for name in __all__})
