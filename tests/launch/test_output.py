"""Printing to terminals, pipes and readers that are slow or gone."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest

from dtorch.launch.output import CHUNK, Output


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Output]]:
    monkeypatch.setenv("TERM", "xterm")
    screen, fd = pty.openpty()
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    yield screen, Output(fd)
    os.close(screen)
    os.close(fd)


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        os.close(fd)


def test_unfinished_line_stays_below_whole_lines(terminal):
    screen, output = terminal
    output.show_unfinished("bar", b"10%")
    output.flush()
    output.write_lines(b"a line\n")
    output.flush()
    output.show_unfinished("bar", b"20%")
    output.flush()
    erase = b"\r\x1b[K"
    expected = b"10%" + erase + b"a line\r\n10%" + erase + b"20%"
    shown = b""
    while len(shown) < len(expected):  # a terminal hands its bytes on when it likes
        shown += os.read(screen, 1000)
    assert shown == expected


def test_progress_bar_has_precedence_over_a_line_being_written(terminal):
    screen, output = terminal
    output.show_unfinished("bar", b"10%", is_redrawn=True)
    output.show_unfinished("print", b"loss =")
    output.flush()
    assert os.read(screen, 1000) == b"10%"


def test_unfinished_line_is_cut_to_the_width_of_the_terminal(terminal):
    screen, output = terminal
    output.show_unfinished("bar", "█".encode() * 100)
    output.flush()
    assert os.read(screen, 1000).decode() == "█" * 39


def test_unfinished_line_is_not_written_to_a_pipe(pipe):
    output = Output(pipe[1])
    output.show_unfinished("bar", b"10%")
    output.write_lines(b"line\n")
    output.drain()
    assert os.read(pipe[0], 1000) == b"line\n"


def test_slow_reader_does_not_stop_the_writer(pipe):
    output = Output(pipe[1])
    line = b"x" * (CHUNK - 1) + b"\n"
    for _ in range(100):
        output.write_lines(line)
        output.flush()
    assert output.is_blocked
    assert output.is_full
    received = 0
    while output.is_blocked:
        received += len(os.read(pipe[0], 1 << 16))
        output.flush()
    assert not output.is_full
    assert received + len(os.read(pipe[0], 1 << 20)) == 100 * CHUNK


def test_reader_that_left_is_noticed():
    read, write = os.pipe()
    output = Output(write)
    os.close(read)
    output.write_lines(b"line\n")
    output.drain()
    assert output.reader_gone
    assert not output.is_blocked
    os.close(write)


def test_full_disk_drops_output_and_is_no_reason_to_stop():
    with open("/dev/full", "wb") as file:
        output = Output(file.fileno())
        output.write_lines(b"line\n")
        output.drain()
        assert not output.reader_gone
        assert not output.is_blocked
