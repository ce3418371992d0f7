"""``torch.torch_version``: a version that compares with numbers and texts as versions do."""

from __future__ import annotations

import functools
import re
from typing import Any

_FORM = re.compile(
    r"v?(?P<release>\d+(\.\d+)*)[-_.]?(?:(?P<before>a|alpha|b|beta|c|rc|pre|preview|dev)[-_.]?(?P<which>\d*))?"
    r"[^+]*(?:\+(?P<local>.*))?",
    re.IGNORECASE,
)
_STAGES = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2}  # other words: -1, releases: 0


@functools.total_ordering
class TorchVersion(str):
    """A text that is a version: ``"2.13.0"`` is above ``"2.9"``, and above ``(2, 9)``.

    >>> TorchVersion("2.13.0+dtorch0.1") > "2.9", TorchVersion("2.13.0") >= (2, 13)
    (True, True)
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        key = _key(other)
        return str.__eq__(self, str(other)) if key is None else _key(self) == key

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: object) -> bool:
        ours, theirs = _key(self), _key(other)
        if ours is None or theirs is None:
            return NotImplemented
        return bool(ours < theirs)

    # A text has these; only from its own `<` and `==` do they follow here.
    def __gt__(self, other: object) -> bool:
        return not (self < other or self == other)

    def __le__(self, other: object) -> bool:
        return self < other or self == other

    def __ge__(self, other: object) -> bool:
        return not self < other

    __hash__ = str.__hash__


def _key(version: Any) -> tuple[Any, ...] | None:
    """What versions are ordered by; None for what is none."""
    if isinstance(version, (tuple, list)):
        version = ".".join(map(str, version))
    elif not isinstance(version, str):
        version = str(version)  # packaging's
    form = _FORM.fullmatch(version.strip())
    if form is None:
        return None
    release = [int(part) for part in form["release"].split(".")]
    while len(release) > 1 and not release[-1]:
        release.pop()
    stage = 0 if form["before"] is None else _STAGES.get(form["before"].lower(), -1)
    return tuple(release), stage, int(form["which"] or 0), form["local"] or ""
