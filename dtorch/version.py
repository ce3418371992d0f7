"""The version of dtorch, and those of what it was built with."""

__version__ = "0.1.0"

cuda = None  # cards are reached through CuPy, which has its own
hip = None
rocm = None
xpu = None
debug = False
git_version = "unknown"  # what is installed carries no history
