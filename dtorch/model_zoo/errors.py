"""What can go wrong with a download.

::

    DownloadError       (RuntimeError, OSError)
    +-- HashMismatch                   the file is not the one that its name or a checksum promises
"""

from dtorch.core.errors import DtorchError


class DownloadError(DtorchError, RuntimeError, OSError):
    """A file could not be had; the message says where to put it by hand."""


class HashMismatch(DownloadError):
    """A downloaded file does not have the expected hash; nothing was stored."""
