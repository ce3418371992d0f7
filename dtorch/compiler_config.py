"""Settings of PyTorch's compilers, which programs set; nothing is compiled, so none has an effect.

>>> from dtorch.compiler import config
>>> config.cache_size_limit = 64
>>> config.cache_size_limit, config.suppress_errors
(64, False)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Those that programs read before they set them.
assume_static_by_default = True
cache_size_limit = 8
capture_scalar_outputs = False
optimize_ddp = True
suppress_errors = False
verbose = False


@contextmanager
def patch(*args: Any, **settings: Any) -> Iterator[None]:
    """Settings for a ``with`` block: as none has an effect, nothing is set."""
    yield
