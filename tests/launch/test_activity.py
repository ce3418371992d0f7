"""Idle and busy sessions are told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from dtorch.launch.activity import Activity, session_activity, session_is_alive

PATIENCE = 120.0


def comes_to_be_busy(source: str, expected: bool = True) -> bool:
    """Whether it is found busy, or idle, once it has started."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"print(flush=True)\n{source}"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        process.stdout.read(1)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            before = session_activity(process.pid)
            time.sleep(0.5)
            if session_activity(process.pid).is_busy_since(before) == expected:
                return True
        return False
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_sleeping_is_idle():
    assert comes_to_be_busy("import time\nwhile True: time.sleep(0.2)", False)


def test_waiting_for_a_lock_is_idle():
    source = "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"
    assert comes_to_be_busy(source, False)


def test_computing_is_busy():
    assert comes_to_be_busy("while True: pass")


def test_a_computing_child_is_busy():
    assert comes_to_be_busy(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'while True: pass'])"
    )


def test_traffic_on_a_socket_is_busy():
    assert comes_to_be_busy(
        "import socket, threading, time\n"
        "a, b = socket.socketpair()\n"
        "threading.Thread(target=lambda: [a.recv(9) for _ in iter(int, 1)], daemon=True).start()\n"
        "while True: b.send(b'x'), time.sleep(0.005)"
    )


def make(**changes: float) -> Activity:
    settings = {"at": 0.0, "cpu": 0.0, "nbytes": 0, "switches": 0, "in_disk_wait": False}
    return Activity(**{**settings, **changes})


@pytest.mark.parametrize(
    "change", [{"cpu": 0.1}, {"nbytes": 1 << 20}, {"switches": 30}, {"in_disk_wait": True}]
)
def test_each_kind_of_work_counts(change):
    assert make(at=1.0, **change).is_busy_since(make())
    assert not make(at=1.0).is_busy_since(make())


def test_session_of_zombies_is_not_alive():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, start_new_session=True)
    assert session_is_alive(process.pid)
    process.stdin.close()
    wait_until_zombie(process.pid)
    assert not session_is_alive(process.pid)
    process.wait()


def wait_until_zombie(pid: int) -> None:
    state = ""
    while state != "Z":
        time.sleep(0.01)
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
