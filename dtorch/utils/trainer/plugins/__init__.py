"""Plugins of the trainer: monitors measure, a logger prints."""

from dtorch.utils.trainer.plugins import logger, monitor, plugin
from dtorch.utils.trainer.plugins.logger import Logger
from dtorch.utils.trainer.plugins.monitor import (
    AccuracyMonitor,
    LossMonitor,
    Monitor,
    ProgressMonitor,
    TimeMonitor,
)
from dtorch.utils.trainer.plugins.plugin import Plugin

__all__ = [
    "AccuracyMonitor",
    "Logger",
    "LossMonitor",
    "Monitor",
    "Plugin",
    "ProgressMonitor",
    "TimeMonitor",
    "logger",
    "monitor",
    "plugin",
]
