"""OpenMP: dtorch has threads of its own (see `dtorch.set_num_threads`)."""


def is_available() -> bool:
    """Whether threads are OpenMP's: no."""
    return False
