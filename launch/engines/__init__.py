"""Engines start a job's workers somewhere and reach them there. One file each, found by its name."""

from .engine import ENGINES, Engine, Exit, Handle, StartError, register
from .local import LocalEngine

__all__ = ["ENGINES", "Engine", "Exit", "Handle", "LocalEngine", "StartError", "register"]
