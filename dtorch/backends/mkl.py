"""Intel's math library, which dtorch does not use."""

from collections.abc import Iterator
from contextlib import contextmanager

VERBOSE_OFF = 0
VERBOSE_ON = 1


def is_available() -> bool:
    """Whether products are MKL's: no."""
    return False


@contextmanager
def verbose(enable: int) -> Iterator[None]:
    """What MKL would print: nothing."""
    yield
