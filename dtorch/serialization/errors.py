"""Exceptions of reading and writing files.

CheckpointError is the standard library's `pickle.UnpicklingError`, which the reference API raises,
and a RuntimeError, which it raises elsewhere.
"""

from __future__ import annotations

import pickle

from dtorch.core.errors import DtorchError


class CheckpointError(DtorchError, pickle.UnpicklingError, RuntimeError):
    """A file is no checkpoint, is damaged, or asks for something that is not allowed."""


class RefusedError(CheckpointError):
    """A file names something that is not on the list of what loading it may make."""


class EmptyFileError(CheckpointError, EOFError):
    """There is nothing in a file, or nothing more."""


class NoFileError(DtorchError, TypeError, AttributeError):
    """Something has not what files have: ``read``, ``seek``, ``tell``, or ``write``."""
