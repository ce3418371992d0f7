"""Lines from pieces of output, progress bars, log files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtorch.launch.logs import LONGEST_LINE, LogFile, LogPlan, Stream, visible
from dtorch.launch.output import Output


class Recorder(Output):
    """An output that keeps what is printed."""

    def __init__(self) -> None:
        self.fd = -1
        self.is_terminal = True
        self.lines = b""
        self.row = b""

    def write_lines(self, text: bytes) -> None:
        self.lines += text

    def show_unfinished(self, writer: object, line: bytes, is_redrawn: bool = False) -> None:
        self.row = line


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)
    os.close(write)


def feed(stream: Stream, write: int, *pieces: bytes) -> None:
    for piece in pieces:
        os.write(write, piece)
        stream.read()


def test_lines_are_printed_whole_with_a_prefix(pipe):
    output = Recorder()
    stream = Stream(pipe[0], output, b"[rank0] ", False, None)
    feed(stream, pipe[1], b"one\ntw", b"o\nth")
    assert output.lines == b"[rank0] one\n[rank0] two\n"
    stream.read_rest()
    assert output.lines.endswith(b"[rank0] th\n")


def test_without_prefix_lines_stay_byte_for_byte(pipe):
    output = Recorder()
    stream = Stream(pipe[0], output, b"", False, None)
    feed(stream, pipe[1], b"\r1%\r2", b"%\r\n\xff\x00\n")
    assert output.lines == b"\r1%\r2%\r\n\xff\x00\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"\r10%\r20%", b"20%"),
        (b"10%\r20%\r", b"20%"),
        (b"text\r", b"text"),
        (b"\r   \rdone", b"done"),
        (b"", b""),
        (b"\r\r", b""),
    ],
)
def test_last_state_of_a_redrawn_line_is_visible(line, shown):
    assert visible(line) == shown


def test_progress_bar_is_shown_while_it_moves_and_kept_when_it_ends(pipe):
    output = Recorder()
    stream = Stream(pipe[0], output, b"[rank0] ", True, None)
    feed(stream, pipe[1], b"\r10%")
    assert output.row == b"[rank0] 10%"
    feed(stream, pipe[1], b"\r20%", b"\r1", b"00%")
    assert output.row == b"[rank0] 100%"
    assert output.lines == b""
    feed(stream, pipe[1], b"\n")
    assert (output.row, output.lines) == (b"", b"[rank0] 100%\n")


def test_cleared_progress_bar_leaves_nothing(pipe):
    output = Recorder()
    stream = Stream(pipe[0], output, b"[rank0] ", True, None)
    feed(stream, pipe[1], b"\r10%", b"\r   \r")
    assert output.row == b""
    feed(stream, pipe[1], b"epoch 1\n")
    assert output.lines == b"[rank0] epoch 1\n"


def test_line_without_end_is_printed_in_pieces(pipe):
    output = Recorder()
    stream = Stream(pipe[0], output, b"> ", False, None)
    for _ in range(LONGEST_LINE // 4096 + 1):
        feed(stream, pipe[1], b"x" * 4096)
    assert output.lines.count(b"\n") == 1


def test_log_file_holds_the_raw_bytes(pipe, tmp_path):
    file = LogFile(tmp_path / "log", append=False)
    stream = Stream(pipe[0], Recorder(), b"[rank0] ", False, file)
    feed(stream, pipe[1], b"\r1%\r2%", b"\n\xffno end")
    stream.append_to_file("tail\n")
    stream.close()
    assert (tmp_path / "log").read_bytes() == b"\r1%\r2%\n\xffno endtail\n"


def test_log_file_is_replaced_by_a_new_job_and_continued_by_a_restart(tmp_path):
    path = tmp_path / "log"
    for text, append in ((b"old", False), (b"new", False), (b"more", True)):
        file = LogFile(path, append)
        file.write(text)
        file.close()
    assert path.read_bytes() == b"newmore"


def test_full_disk_ends_the_log_file_with_one_message():
    file = LogFile(Path("/dev/full"), append=True)
    assert file.write(b"x") == "/dev/full: No space left on device; this log file ends here"
    assert file.write(b"y") is None


def test_log_file_that_cannot_be_opened_is_told_and_no_reason_to_stop(pipe, tmp_path):
    file = LogFile(tmp_path, append=False)
    output = Recorder()
    stream = Stream(pipe[0], output, b"", False, file)
    problem = f"dtorch-launch: {tmp_path}: Is a directory; this log file is not written\n"
    assert output.lines == problem.encode()
    feed(stream, pipe[1], b"line\n")
    stream.close()
    assert output.lines == problem.encode() + b"line\n"


def test_filtered_ranks_are_not_printed_and_the_lowest_shown_one_is_live(pipe, tmp_path):
    output = Recorder()
    plan = LogPlan({"stdout": output}, True, frozenset({1, 2}), tmp_path)
    for rank in (0, 1, 2):
        stream = plan.streams(rank, {"stdout": pipe[0]}, append=False)["stdout"]
        feed(stream, pipe[1], b"whole\n\r%d" % rank)
        stream.close()
        if rank == 1:
            assert output.row == b"[rank1] 1"
    assert output.lines == b"[rank1] whole\n[rank2] whole\n"
    assert output.row == b"[rank1] 1"
    assert (tmp_path / "rank0.stdout.log").read_bytes() == b"whole\n\r0"
