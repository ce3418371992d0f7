"""What two outcomes of one call must have in common."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

# Relative error, and error relative to the largest element (sums may cancel).
TOLERANCE = {
    "float64": (1e-9, 1e-11), "complex128": (1e-9, 1e-11), "float32": (3e-5, 1e-5),
    "complex64": (3e-5, 1e-5), "float16": (4e-3, 2e-3), "bfloat16": (3e-2, 1.6e-2),
}  # fmt: skip


HALF = ("float16", "bfloat16")


def tolerance(dtypes: set[str]) -> tuple[float, float] | None:
    """That of the least exact of some dtypes; None where all are whole numbers."""
    return max((TOLERANCE[d] for d in dtypes if d in TOLERANCE), default=None)


def apart(ours: Any, theirs: Any, allowed: tuple[float, float] | None, least: float = 1e-3) -> Any:
    """Where elements disagree, relative to themselves and to the largest, or to ``least``."""
    if allowed is None or ours.dtype.kind in "iub":
        return ours != theirs
    relative, of_largest = allowed
    with np.errstate(all="ignore"):
        sizes = np.abs(theirs[np.isfinite(theirs)])
        atol = of_largest * float(sizes.max(initial=least))
        return ~np.isclose(ours, theirs, relative, atol, equal_nan=True)


def scales(name: str) -> dict[str, float]:
    """The size of what is added up on the way to a result, which may cancel."""
    of_terms = name.endswith(("_loss", "cross_entropy", "kl_div", "quantile"))
    return {"value": 0.1 if of_terms else 1e-3, "gradient": 10.0}


@dataclass
class Disagreement:
    """A tensor of a result, or a gradient, of which some elements disagree."""

    what: str  # "value" or "gradient"
    number: int
    ours: Any
    theirs: Any
    where: Any

    @property
    def pairs(self) -> tuple[Any, Any]:
        return self.ours[self.where], self.theirs[self.where]


def disagreements(
    call: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> list[Disagreement]:
    """The tensors of equal shape of two outcomes that disagree, and where."""
    found = []
    for what in ("value", "gradients"):
        pairs = zip(tensors_in(ours.get(what)), tensors_in(theirs.get(what)), strict=False)
        for k, (one, other) in enumerate(pairs):
            if one is None or other is None or one[2].shape != other[2].shape:
                continue
            kind = what.rstrip("s")
            mine, other = one[2], other[2].astype(one[2].dtype)
            where = apart(
                mine, other, tolerance({*dtypes_in(call), one[1]}), scales(call["name"])[kind]
            )
            if where.any():
                found.append(Disagreement(kind, k, mine, other, where))
    return found


def tensors_in(result: Any) -> list[Any]:
    if isinstance(result, list):
        return [t for part in result for t in (tensors_in(part) if part else [None])]
    if result is None or result[0] not in ("list", "tensor"):
        return []
    return [result] if result[0] == "tensor" else [t for r in result[1] for t in tensors_in(r)]


def unequal(ours: Any, theirs: Any, what: str, dtypes: set[str], scale: float) -> str | None:
    """How two results differ, or None."""
    if theirs is None or ours is None:
        if ours is theirs:
            return None
        present = ours if theirs is None else theirs  # no gradient is a gradient of zeros
        if what.startswith("gradient") and not np.any(present[2]):
            return None
        return f"{what}: {'none' if ours is None else 'some'} for the opposite"
    if ours[0] != theirs[0]:
        return f"{what}: a {ours[0]} for a {theirs[0]}"
    if ours[0] == "list":
        if len(ours[1]) != len(theirs[1]):
            return f"{what}: {len(ours[1])} results for {len(theirs[1])}"
        for k, (one, other) in enumerate(zip(ours[1], theirs[1], strict=True)):
            if (found := unequal(one, other, f"{what}[{k}]", dtypes, scale)) is not None:
                return found
        return None
    if ours[0] == "tensor":
        if ours[2].shape != theirs[2].shape:
            return f"{what}: shape {ours[2].shape} for {theirs[2].shape}"
        if ours[1] != theirs[1] and "exact" not in dtypes:
            return f"{what}: dtype {ours[1]} for {theirs[1]}"
        allowed = tolerance({*dtypes, ours[1]})
        with np.errstate(over="ignore"):  # a dtype that has no such number has an infinity for it
            converted = theirs[2].astype(ours[2].dtype)
        if apart(ours[2], converted, allowed, scale).any():
            one, other = (np.array2string(v, threshold=12) for v in (ours[2], theirs[2]))
            return f"{what}: {one} for {other}"
        return None
    if ours[0] == "number":
        same = ours[1] == theirs[1] and not np.any(
            apart(np.array(ours[2]), np.array(theirs[2]), tolerance({*dtypes, "float32"}))
        )
        return None if same else f"{what}: {ours[2]!r} for {theirs[2]!r}"
    same = str(ours[1]).replace("dtorch", "torch") == str(theirs[1])
    return None if same else f"{what}: {ours[1]} for {theirs[1]}"


def dtypes_in(value: Any) -> set[str]:
    """The dtypes named in the data of a call."""
    if isinstance(value, dict):
        own = {value[key] for key in ("array", "dtype") if isinstance(value.get(key), str)}
        return own.union(*(dtypes_in(v) for v in value.values()))
    return set().union(*map(dtypes_in, value)) if isinstance(value, list) else set()


def exactly(value: Any) -> Any:
    """The data of a call with float64 in place of float16 and bfloat16, of the same elements."""
    if isinstance(value, list):
        return [exactly(v) for v in value]
    if not isinstance(value, dict):
        return value
    found = {key: exactly(v) for key, v in value.items()}
    if value.get("array") in HALF:
        found["exact"] = True
    return found


GENERAL = {"Exception", "BaseException", "object"}


def difference(
    call: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], exact: bool = False
) -> str | None:
    """What of our outcome PyTorch's outcome of the call does not explain, or None.

    Args:
        exact: the other outcome is of double precision.
    """
    dtypes = dtypes_in(call) | ({"exact"} if exact else set())
    if "error" in ours and "error" in theirs:
        if (set(ours["error"]) & set(theirs["error"])) - GENERAL:
            return None
        return f"{_error(ours)} for {_error(theirs)}"
    if "error" in ours:
        return f"{_error(ours)} for a result"
    if "error" in theirs:
        return f"a result for {_error(theirs)}"
    scale = scales(call["name"])
    found = unequal(ours["value"], theirs["value"], "value", dtypes, scale["value"])
    if found is not None:
        return found
    pairs = zip_longest(ours.get("gradients", []), theirs.get("gradients", []))
    for k, (one, other) in enumerate(pairs):
        found = unequal(one, other, f"gradient {k}", dtypes, scale["gradient"])
        if found is not None:
            return found
    return None


def _error(outcome: dict[str, Any]) -> str:
    return f"{outcome['error'][0]} in {outcome['stage']} ({outcome['message'].splitlines()[0] if outcome['message'] else ''})"
