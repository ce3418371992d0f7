"""``torch.version``: the release of PyTorch whose API dtorch follows."""

from dtorch.compat.names import TORCH_VERSION
from dtorch.version import cuda, debug, git_version, hip, rocm, xpu

__version__ = TORCH_VERSION

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "rocm", "xpu"]
