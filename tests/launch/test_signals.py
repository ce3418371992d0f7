"""Signals as something to wait for."""

from __future__ import annotations

import os
import signal

from dtorch.launch.signals import SignalRelay


def test_signals_are_collected_in_their_order_and_handlers_put_back():
    before = signal.getsignal(signal.SIGUSR1)
    with SignalRelay() as relay:
        assert relay.read() == []
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGHUP)
        assert sorted(relay.read()) == sorted([signal.SIGUSR1, signal.SIGHUP])
        assert relay.read() == []
    assert signal.getsignal(signal.SIGUSR1) == before


def test_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalRelay() as relay:
            os.kill(os.getpid(), signal.SIGHUP)
            assert relay.read() == []
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
