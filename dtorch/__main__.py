"""``python -m dtorch``: what is installed and what this machine offers, for a bug report."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator

from dtorch.core import backend
from dtorch.version import __version__


def report() -> Iterator[tuple[str, str]]:
    """Names and values, in the order in which they are printed."""
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


def main() -> None:
    argparse.ArgumentParser(prog="python -m dtorch", description=__doc__).parse_args()
    for name, value in report():
        print(f"{name:14} {value}")


if __name__ == "__main__":
    main()
