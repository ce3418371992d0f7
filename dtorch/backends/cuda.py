"""How products on a card are computed: by CuPy's libraries, in full precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

# Flags of PyTorch's that trade precision for speed; they can be set, and the precision stays.
matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)

_attention = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """Whether dtorch was compiled with CUDA: no, it reaches cards through CuPy."""
    return False


def flash_sdp_enabled() -> bool:
    """The flag that `enable_flash_sdp` sets."""
    return _attention["flash"]


def enable_flash_sdp(enabled: bool) -> None:
    """Set a flag; attention is computed in tiles in any case."""
    _attention["flash"] = bool(enabled)


def mem_efficient_sdp_enabled() -> bool:
    """The flag that `enable_mem_efficient_sdp` sets."""
    return _attention["mem_efficient"]


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Set a flag; attention is computed in tiles in any case."""
    _attention["mem_efficient"] = bool(enabled)


def math_sdp_enabled() -> bool:
    """The flag that `enable_math_sdp` sets."""
    return _attention["math"]


def enable_math_sdp(enabled: bool) -> None:
    """Set a flag; attention is computed in tiles in any case."""
    _attention["math"] = bool(enabled)


def cudnn_sdp_enabled() -> bool:
    """The flag that `enable_cudnn_sdp` sets."""
    return _attention["cudnn"]


def enable_cudnn_sdp(enabled: bool) -> None:
    """Set a flag; attention is computed in tiles in any case."""
    _attention["cudnn"] = bool(enabled)


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:  # fmt: skip
    """Set all of these flags until the end of a ``with`` block."""
    before = dict(_attention)
    _attention.update(
        flash=bool(enable_flash), math=bool(enable_math),
        mem_efficient=bool(enable_mem_efficient), cudnn=bool(enable_cudnn),
    )  # fmt: skip
    try:
        yield
    finally:
        _attention.update(before)
