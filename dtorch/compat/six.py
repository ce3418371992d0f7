"""``torch._six``: what programs asked when they ran on Python 2 as well."""

import collections.abc as container_abcs
from math import inf, nan

PY2, PY3, PY37 = False, True, True
string_classes = (str, bytes)
int_classes = int
FileNotFoundError = FileNotFoundError

__all__ = [
    "PY2", "PY3", "PY37", "FileNotFoundError", "container_abcs", "inf", "int_classes", "nan",
    "string_classes",
]  # fmt: skip
