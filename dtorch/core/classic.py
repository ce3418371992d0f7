"""Classic mode: what PyTorch of 2017 took, and today's semantics forbid.

It is on in processes that are started with ``DTORCH_CLASSIC=1`` in their environment, as
``python -m dtorch.compat --classic`` starts them, and so in their children. Operations ask `allows`
where they would raise an error; what a program is allowed, it is told once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from dtorch.core.notices import warn

VARIABLE = "DTORCH_CLASSIC"

HINT = (
    "; programs of PyTorch's first years may do so in classic mode: "
    "python -m dtorch.compat --classic, or DTORCH_CLASSIC=1"
)


class ClassicWarning(UserWarning):
    """Something was done as in 2017 that today is an error, or has another result."""


class Classic(Enum):
    """What classic mode allows: what it does, and how it is written today."""

    NUMBER = ("`t[0]` of a 0-dim tensor gave its number", "`t.item()`")
    ONE_ELEMENT = (
        "a 0-dim tensor was one of one dim and one element, for whatever asks for a dim",
        "`t.view(1)`",
    )
    KEPT_DIM = (
        "a dim that was reduced stayed, with one element: for indices, squeeze, expand, gather, mm, cat",
        "`keepdim=True`, or `unsqueeze`",
    )
    ARRAY_NUMBER = ("`t.numpy()[0]` of a 0-dim tensor gave its number", "`t.item()`")
    ELEMENT = (
        "elements of tensors were numbers: `round(t[i])` is one, and integers are found as keys of dicts",
        "`t[i].item()`",
    )
    TRUTH = ("every tensor that has elements was true", "`t.numel() > 0`, `t.any()` or `t.all()`")
    TYPE = ("results of operations were of the type `Variable`", "`isinstance(t, torch.Tensor)`")
    POINTWISE = (
        "operands with as many elements were combined in the order of these, whatever their shapes",
        "`other.view_as(t)`",
    )
    TARGET = (
        "targets with as many elements as the input were compared in the order of these",
        "`target.view_as(input)`",
    )
    GRADIENT = ("a gradient of one element was one for every shape of one element", "`backward()`")
    QUOTIENT = (
        "integers divided by integers gave integers, rounded towards zero",
        "`torch.div(a, b, rounding_mode='trunc')`",
    )
    ARANGE = ("`arange` gave floating-point numbers", "`torch.arange(n, dtype=torch.float32)`")
    DISTANCE = (
        "`pairwise_distance` gave a column, `(N, 1)`",
        "`pairwise_distance(x1, x2, keepdim=True)`",
    )
    ZERO_GRAD = ("`zero_grad()` left gradients of zeros", "`zero_grad(set_to_none=False)`")
    MASK = ("masks were of uint8, of which `1 - mask` is one, too", "`~mask`")
    VIEW = (
        "results of operations had their elements in order, so that `view()` could not fail; copied",
        "`reshape()`",
    )
    RESIZE = ("resizing `v.data` resized `v`", "`v.resize_()` under `no_grad()`")
    SAMPLE = (
        "samples drawn with probabilities that require grad took `reinforce(reward)`",
        "`torch.distributions`, and `-log_prob(sample) * reward`",
    )
    ONE_SAMPLE = ("`multinomial()` drew one sample", "`multinomial(1)`")
    FILE = (
        "`torch.load` made whatever objects a file names, and ran code of theirs",
        "`weights_only=False`, for files from those you trust",
    )


_on = os.environ.get(VARIABLE, "0") not in ("", "0")
_said: set[Classic] = set()
_followers: list[Callable[[bool], None]] = []


def is_on() -> bool:
    """Whether classic mode is on in this process."""
    return _on


def switch(on: bool) -> None:
    """Turn classic mode on or off, here and in processes that are started from now on."""
    global _on  # a mode of the process, as the environment is
    _on = bool(on)
    _said.clear()
    if _on:
        os.environ[VARIABLE] = "1"
    else:
        os.environ.pop(VARIABLE, None)
    for follower in _followers:
        follower(_on)


def follow(follower: Callable[[bool], None]) -> None:
    """Tell ``follower`` whether classic mode is on, now and whenever that changes."""
    _followers.append(follower)
    follower(_on)


def allows(what: Classic) -> bool:
    """Whether classic mode is on; if it is, the user is told once what it allows.

    To be asked where something is about to be done that today is an error.
    """
    if _on and what not in _said:
        _said.add(what)
        then, today = what.value
        warn(f"classic mode: {then}; today: {today}", ClassicWarning)
    return _on


def hinted(error: Exception) -> Exception:
    """The error, with a hint at classic mode in its message where that is off."""
    if not _on and error.args and HINT not in str(error.args[0]):
        error.args = (f"{error.args[0]}{HINT}", *error.args[1:])
    return error


class _Number(np.ndarray[Any, Any]):
    """A 0-dim array whose one element can be asked for as that of a list."""

    def __getitem__(self, index: Any) -> Any:
        if self.ndim == 0 and isinstance(index, int) and index in (0, -1):
            allows(Classic.ARRAY_NUMBER)
            index = ()
        return super().__getitem__(index)


def array_of_number(array: np.ndarray[Any, Any]) -> Any:
    """A 0-dim array as programs get it: in classic mode ``array[0]`` is its number."""
    return array.view(_Number) if _on else array
