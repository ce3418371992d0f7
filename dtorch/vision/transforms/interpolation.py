"""How values between pixels are found."""

from __future__ import annotations

import enum
from typing import Any

from dtorch.core.errors import ArgumentError


class InterpolationMode(enum.Enum):
    """Ways to interpolate; the last three for Pillow's images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Numbers that Pillow gives them.
_NUMBERS = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
}
_MODES = {number: mode for mode, number in reversed(_NUMBERS.items())}


def as_mode(value: Any) -> InterpolationMode:
    """The mode, given it, its name, or Pillow's number; False means nearest.

    >>> as_mode(2), as_mode("bicubic")
    (<InterpolationMode.BILINEAR: 'bilinear'>, <InterpolationMode.BICUBIC: 'bicubic'>)
    """
    if isinstance(value, InterpolationMode):
        return value
    if isinstance(value, str) and value in InterpolationMode._value2member_map_:
        return InterpolationMode(value)
    if isinstance(value, int) and int(value) in _MODES:
        return _MODES[int(value)]
    raise ArgumentError(
        f"interpolation is {value!r}, expected an InterpolationMode, its name, or 0 to 5"
    )


def pillow_number(value: Any) -> int:
    """Pillow's number of a mode, however it is given."""
    return _NUMBERS[as_mode(value)]
