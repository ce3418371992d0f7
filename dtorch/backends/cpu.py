"""The processor."""

from dtorch.core import backend

# PyTorch's words for the instructions that kernels were compiled for.
_NAMES = {"avx2": "AVX2", "avx512": "AVX512"}


def get_cpu_capability() -> str:
    """Which instructions the kernels use: ``DEFAULT``, ``AVX2`` or ``AVX512``."""
    return _NAMES.get(backend.capabilities()["cpu_capability"], "DEFAULT")
