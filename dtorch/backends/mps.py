"""Apple's graphics processors, which dtorch does not use."""


def is_available() -> bool:
    """Whether tensors can lie there: no."""
    return False


def is_built() -> bool:
    """Whether dtorch was compiled for them: no."""
    return False
