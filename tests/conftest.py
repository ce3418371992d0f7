"""What all tests share: a fixed seed, and Ctrl-C."""

from __future__ import annotations

import signal

import pytest

from dtorch.core.random import manual_seed

# Shells start background jobs with SIGINT ignored, which the programs that tests interrupt inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seed() -> None:
    manual_seed(0)
