"""Weights by address: downloaded once, checked, kept."""

from dtorch.model_zoo.cache import checkpoint_directory
from dtorch.model_zoo.errors import DownloadError, HashMismatch
from dtorch.model_zoo.loading import load_url

__all__ = ["DownloadError", "HashMismatch", "checkpoint_directory", "load_url"]
