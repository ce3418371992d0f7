"""How dtorch was built, and what it has found on this machine."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from dtorch.core import backend
from dtorch.version import __version__


def report() -> Iterator[tuple[str, str]]:
    """Names and values that a bug report needs."""
    known = backend.capabilities()
    yield "dtorch", __version__
    yield "Python", f"{known['python']} ({platform.python_implementation()})"
    yield "NumPy", known["numpy"]
    yield "system", f"{platform.system()} {platform.release()}, {known['machine']}"
    if known["native"]:
        besides = " and AVX512_BF16" if known["bfloat16_products"] else ""
        yield "native module", f"loaded, kernels for {known['cpu_capability']}{besides}"
    else:
        yield "native module", "not loaded, NumPy does the work (built without, or DTORCH_NATIVE=0)"
    yield "threads", str(known["num_threads"])
    stats = known["allocator"]
    if stats is None:
        yield "allocator", "NumPy's own"
    else:
        yield "allocator", f"caching, keeps up to {stats['cache_limit'] / 2**20:.0f} MiB"
    yield "devices", "cpu, cuda through CuPy" if known["cupy"] else "cpu (no cuda without CuPy)"


def show() -> str:
    """What ``python -m dtorch`` prints."""
    return "".join(f"{name:14} {value}\n" for name, value in report())


def parallel_info() -> str:
    """On how many threads an operation runs."""
    return f"dtorch.get_num_threads(): {backend.get_num_threads()}\n"
