"""Extensions in C whose functions take tensors.

A function declared as ``int add(THFloatTensor *a, THFloatTensor *b);`` is called with tensors of
that type. ``TH/TH.h``, which comes with dtorch, has what C needs to know of them; see there.
Compiling needs cffi (``pip install dtorch[ffi]``) and a C compiler.
"""

from dtorch.ffi.extension import create_extension

__all__ = ["create_extension"]
