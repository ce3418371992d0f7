"""The version of dtorch."""

__version__ = "0.1.0"
