"""Numbers of channels of networks that are made in several widths."""


def round_channels(value: float, multiple: int = 8) -> int:
    """The multiple nearest to ``value``, one more where rounding would take over a tenth away.

    >>> round_channels(24 * 0.75), round_channels(32 * 0.35)
    (24, 16)
    """
    rounded = max(multiple, int(value + multiple / 2) // multiple * multiple)
    return rounded if rounded >= 0.9 * value else rounded + multiple
