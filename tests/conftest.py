"""What all tests share: a fixed seed, and signals that are not ignored."""

from __future__ import annotations

import signal

import pytest

from dtorch.core.random import manual_seed

# Shells start background jobs with SIGINT ignored, and nohup ignores SIGHUP; the programs that tests
# send signals to would inherit that.
for _signal, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)


@pytest.fixture(autouse=True)
def _seed() -> None:
    manual_seed(0)
