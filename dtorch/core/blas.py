"""Threads of the libraries behind NumPy's products and factorizations, which know nothing of ours.

A BLAS starts as many threads as the machine has processors, whatever a container allows, and lets
them wait for each other in busy loops: beside other work a product takes many times as long. So it
gets the number that holds for dtorch, through the functions that OpenBLAS and MKL export for that.
"""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any, NamedTuple

_FILE = re.compile(r"/.*/lib(?:(?:scipy_)?openblas|blas|mkl_rt)[^/]*$", re.MULTILINE)
# Builds of OpenBLAS differ in what stands before and after a name.
_FUNCTIONS = (
    *(
        (f"{before}openblas_get_num_threads{after}", f"{before}openblas_set_num_threads{after}")
        for before in ("scipy_", "")
        for after in ("64_", "")
    ),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


class _Library(NamedTuple):
    get: Any
    set: Any
    most: (
        int  # threads it began with; it would start more at once, and end the process if it cannot
    )


_opened: dict[str, _Library | None] = {}


def libraries() -> list[_Library]:
    """Those in this process whose threads can be counted; others, such as that of SciPy, may come later."""
    try:
        with open("/proc/self/maps") as file:
            paths = dict.fromkeys(_FILE.findall(file.read()))
    except OSError:  # not Linux
        return []
    for path in paths:
        if path not in _opened:
            _opened[path] = _open(path)
    return [library for path in paths if (library := _opened[path]) is not None]


def _open(path: str) -> _Library | None:
    try:
        found = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)  # what is loaded already
    except OSError:
        return None
    for getter, setter in _FUNCTIONS:
        if hasattr(found, getter) and hasattr(found, setter):
            get = getattr(found, getter)
            return _Library(get, getattr(found, setter), get())
    return None


def limit_threads(count: int) -> None:
    """Let products and factorizations of NumPy run on ``count`` threads, or on as many as the
    environment, such as ``OPENBLAS_NUM_THREADS``, gave them if that is less."""
    for library in libraries():
        wanted = min(count, library.most)
        if library.get() != wanted:
            library.set(wanted)


def get_num_threads() -> int:
    """On how many threads products of NumPy run, as far as is known."""
    return max((library.get() for library in libraries()), default=1)
