"""Anomaly mode: where an operation was recorded whose backward fails or gives nan."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.autograd.watched import WatchedNode, after_backward
from dtorch.core import base
from dtorch.core.base import TensorBase
from dtorch.core.dispatch import watch
from dtorch.core.errors import GradError
from dtorch.core.interrupts import completed
from dtorch.core.record import OpNode

_PACKAGE = os.path.dirname(os.path.dirname(base.__file__)) + os.sep


class _State:
    enabled = False
    check_nan = True


_state = _State()


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return _state.enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode looks for nan."""
    return _state.check_nan


def _remember_where(node: Any) -> None:
    frames = traceback.extract_stack()
    while len(frames) > 1 and frames[-1].filename.startswith(_PACKAGE):
        frames.pop()  # the reader's own line comes last
    node._hooks().trace = "".join(traceback.format_list(frames))
    if type(node) is OpNode:
        node.__class__ = WatchedNode


def _look_for_nan(node: Any, grads: Sequence[Any], start: int) -> None:
    if not _state.check_nan:
        return
    for position, grad in enumerate(grads):
        array = grad.array if isinstance(grad, TensorBase) else grad
        if array is not None and array.dtype.kind in "fcV" and np.isnan(array).any():
            where = "" if node.hooks is None else node.hooks.trace
            raise GradError(
                f"{node.name}: gradient {position} has nan values; the operation was recorded "
                f"here:\n{where or '(before anomaly mode was on)'}"
            )


@completed
def _switch(enabled: bool, check_nan: bool) -> None:
    watch(_remember_where, enabled)
    if enabled != (_look_for_nan in after_backward):
        (after_backward.append if enabled else after_backward.remove)(_look_for_nan)
    _state.enabled, _state.check_nan = enabled, check_nan


class set_detect_anomaly:  # noqa: N801 - the public name of the reference API
    """Turn anomaly mode on or off; at once, and for the block if used in a ``with``.

    Args:
        mode: on or off.
        check_nan: stop at nan.

    Example:
        >>> with set_detect_anomaly(True):
        ...     is_anomaly_enabled()
        True
        >>> is_anomaly_enabled()
        False
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = (_state.enabled, _state.check_nan)
        _switch(bool(mode), check_nan)

    def __enter__(self) -> None:
        pass

    @completed
    def __exit__(self, *_: object) -> None:
        _switch(*self.before)


class detect_anomaly:  # noqa: N801 - the public name of the reference API
    """In the block, keep where each operation was recorded, and stop at nan in gradients.

    Exceptions of the backward pass then tell the forward line. Slow: for debugging.

    Args:
        check_nan: stop at nan.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     mode = detect_anomaly()
        >>> with mode:
        ...     is_anomaly_enabled()
        True
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        warnings.warn("anomaly mode is on: operations are slow", stacklevel=2)

    def __enter__(self) -> None:
        self.before = (_state.enabled, _state.check_nan)
        try:
            _switch(True, self.check_nan)
        except BaseException:
            _switch(*self.before)
            raise

    @completed
    def __exit__(self, *_: object) -> None:
        _switch(*self.before)
