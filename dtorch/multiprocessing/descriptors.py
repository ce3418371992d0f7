"""What to say when a process has no descriptors left: who has them. Tensors need few."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
from collections import Counter
from collections.abc import Iterator


@contextlib.contextmanager
def descriptors_counted() -> Iterator[None]:
    """Have errors for want of descriptors tell what kinds of them are open.

    Raises:
        OSError: with the same number, and that text.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise OSError(
            errno.EMFILE,
            f"shared memory: all {limit} descriptors of this process are in use ({_census()}); "
            "close some, or raise the limit (ulimit -n); shared memory needs one for an arena",
        ) from error


def _census() -> str:
    kinds: Counter[str] = Counter()
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:  # which takes one, too
        names = [str(number) for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]
    for name in names:
        with contextlib.suppress(OSError):
            kinds[_kind(os.readlink(f"/proc/self/fd/{name}"))] += 1
    counted = (f"{count} {kind}" for kind, count in kinds.most_common())
    return ", ".join(counted) or "of unknown kinds"


def _kind(link: str) -> str:
    if match := re.match(r"(pipe|socket):", link):
        return match[1] + "s"
    if link.startswith("anon_inode:"):
        return link.removeprefix("anon_inode:").strip("[]")
    return "shared memory" if link.startswith("/memfd:") else "files"
