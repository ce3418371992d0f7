"""Downloads from a server that is slow, breaks off, lies, redirects or serves something else."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo import DownloadError, HashMismatch, transfer
from dtorch.model_zoo.download import Expected, fetch

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def serve(server: Any) -> Any:
    server.content = CONTENT
    return server


def get(server: Any, directory: Path, **expected: str) -> Path:
    return fetch(
        f"{server.url}/file.bin", directory / "file.bin", Expected(**expected), progress=False
    )


def only_file(directory: Path) -> bytes:
    """The content of the file, having seen that there is no other."""
    assert [path.name for path in directory.iterdir()] == ["file.bin"]
    return (directory / "file.bin").read_bytes()


def test_a_file_is_downloaded_once(serve: Any, tmp_path: Path) -> None:
    get(serve, tmp_path)
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT
    assert len(serve.headers_seen) == 1


def test_directories_are_made(serve: Any, tmp_path: Path) -> None:
    get(serve, tmp_path / "a" / "b")
    assert only_file(tmp_path / "a" / "b") == CONTENT


def test_a_slow_server_is_waited_for(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("slowly", 0.05)]
    get(serve, tmp_path, sha256_prefix=SHA256)
    assert only_file(tmp_path) == CONTENT


def test_a_server_that_falls_silent_is_asked_again(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", 0.1)
    serve.plan = [("slowly", 0.4)]
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT
    assert serve.headers_seen[1]["Range"] == f"bytes={len(CONTENT) // 5}-"


def test_a_download_that_breaks_off_is_continued_where_it_stood(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("break_after", 1000), ("break_after", 500)]
    get(serve, tmp_path, sha256_prefix=SHA256[:8])
    assert only_file(tmp_path) == CONTENT
    ranges = [headers.get("Range") for headers in serve.headers_seen]
    assert ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_a_broken_download_is_continued_by_the_next_call(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("break_after", 1000), *[("status", 503)] * 5]
    with pytest.raises(DownloadError, match="HTTP 503"):
        get(serve, tmp_path)
    serve.plan = []
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT
    assert serve.headers_seen[-1]["Range"] == "bytes=1000-"


def test_another_version_of_the_file_is_not_appended(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("break_after", 1000), ("status", 500), ("status", 404)]
    with pytest.raises(DownloadError, match="HTTP 404"):
        get(serve, tmp_path)
    serve.content, serve.tag = CONTENT[::-1], '"version 2"'
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT[::-1]


def test_without_ranges_it_starts_over(serve: Any, tmp_path: Path) -> None:
    serve.plan, serve.ranges = [("break_after", 1000)], False
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT


def test_without_a_tag_it_starts_over(serve: Any, tmp_path: Path) -> None:
    serve.plan, serve.tag = [("break_after", 1000)], 'W/"weak"'
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT
    assert "Range" not in serve.headers_seen[1]


def test_a_partial_file_as_long_as_the_whole_is_thrown_away(serve: Any, tmp_path: Path) -> None:
    (tmp_path / ".file.bin.part").write_bytes(CONTENT + b"more")
    (tmp_path / ".file.bin.part.json").write_text(
        f'{{"url": "{serve.url}/file.bin", "validator": "\\"version 1\\""}}'
    )
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT


def test_a_damaged_note_about_a_partial_file_is_ignored(serve: Any, tmp_path: Path) -> None:
    (tmp_path / ".file.bin.part").write_bytes(b"something")
    (tmp_path / ".file.bin.part.json").write_text("{")
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT


def test_an_answer_with_another_range_is_not_appended(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("break_after", 1000), ("wrong_range", None)]
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT


def test_a_length_that_is_too_long_is_noticed(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("claim_length", len(CONTENT) + 7)] * 5
    with pytest.raises(DownloadError, match=r"after 10240 of 10247 bytes|7 bytes early"):
        get(serve, tmp_path)
    assert not (tmp_path / "file.bin").exists()


def test_a_length_that_is_too_short_is_noticed_by_the_hash(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("claim_length", 100)]
    with pytest.raises(HashMismatch, match=SHA256[:8]):
        get(serve, tmp_path, sha256_prefix=SHA256[:8])
    assert list(tmp_path.iterdir()) == []


def test_redirections_are_followed(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("redirect", "/elsewhere"), ("redirect", f"{serve.url}/there")]
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT


def test_a_redirection_in_a_circle_ends(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("redirect", "/file.bin")] * 30
    with pytest.raises(DownloadError, match="302"):
        get(serve, tmp_path)


def test_a_redirection_to_a_local_file_is_refused(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("redirect", "file:///etc/passwd")]
    with pytest.raises(DownloadError, match="302"):
        get(serve, tmp_path)


def test_a_redirection_away_from_encryption_is_refused() -> None:
    request = transfer.urllib.request.Request("https://host/file")
    with pytest.raises(transfer.Refused, match="not encrypted"):
        transfer._Redirects().redirect_request(request, None, 302, "", {}, "http://host/file")


def test_wrong_bytes_are_not_stored(serve: Any, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch, match="expected 0123abcd") as caught:
        get(serve, tmp_path, sha256_prefix="0123abcd")
    assert isinstance(caught.value, RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_md5_is_checked(serve: Any, tmp_path: Path) -> None:
    get(serve, tmp_path, md5=hashlib.md5(CONTENT).hexdigest())
    with pytest.raises(HashMismatch, match="md5"):
        fetch(f"{serve.url}/x", tmp_path / "x", Expected(md5="0" * 32), progress=False)


def test_what_is_missing_is_asked_for_once_only(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("status", 404)]
    with pytest.raises(DownloadError, match="HTTP 404") as caught:
        get(serve, tmp_path)
    assert f"{serve.url}/file.bin" in str(caught.value)
    assert f"put the file at {tmp_path / 'file.bin'}" in str(caught.value)
    assert len(serve.headers_seen) == 1


def test_a_busy_server_is_asked_again(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("status", 503), ("status", 429)]
    get(serve, tmp_path)
    assert only_file(tmp_path) == CONTENT
    assert len(serve.headers_seen) == 3


def test_waits_grow(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    serve.plan = [("status", 503)] * 5
    with pytest.raises(DownloadError, match="given up after 5 attempts"):
        get(serve, tmp_path)
    assert waits == [0.01, 0.02, 0.04, 0.08]


def test_an_unknown_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match=r"http://nowhere\.invalid/file\.bin.*put the file at"):
        fetch("http://nowhere.invalid/file.bin", tmp_path / "file.bin", progress=False)


def test_a_closed_port_is_tried_again_and_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=r"refused, given up after 5 attempts; on a machine"):
        fetch(f"http://127.0.0.1:{port}/file.bin", tmp_path / "file.bin", progress=False)


def test_offline_it_does_not_connect(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTORCH_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"DTORCH_OFFLINE is set.*put the file at"):
        get(serve, tmp_path)
    assert serve.headers_seen == []


def test_proxies_of_the_environment_are_used(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", serve.url)
    fetch("http://behind.invalid/file.bin", tmp_path / "file.bin", progress=False)
    assert serve.headers_seen[0]["Host"] == "behind.invalid"


def test_files_of_this_machine_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "with space.bin"
    source.write_bytes(CONTENT)
    fetch(source.as_uri(), tmp_path / "cache" / "file.bin", progress=False)
    assert only_file(tmp_path / "cache") == CONTENT


def test_a_missing_file_of_this_machine_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="there is no file /nowhere/file"):
        fetch("file:///nowhere/file", tmp_path / "file.bin", progress=False)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="'ftp', expected http, https or file"):
        fetch("ftp://host/file", tmp_path / "file.bin")


def test_a_directory_that_cannot_be_written_is_named(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a directory should be")
    with pytest.raises(DownloadError, match="cannot store"):
        get(serve, tmp_path / "cache")


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EROFS, "pass model_dir= or set TORCH_MODEL_ZOO"), (errno.ENOSPC, "no space left in")],
)
def test_trouble_with_the_disc_is_explained(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(transfer, "_copy", fail)
    with pytest.raises(DownloadError, match=message):
        get(serve, tmp_path)
    assert not (tmp_path / "file.bin").exists()


def _fetch_in_process(url: str, path: str, done: Any) -> None:
    fetch(url, Path(path), progress=False)
    done.put(Path(path).read_bytes() == CONTENT)


def test_processes_that_want_the_same_file_download_it_once(serve: Any, tmp_path: Path) -> None:
    serve.plan = [("slowly", 0.1)]
    context = multiprocessing.get_context("spawn")
    done = context.SimpleQueue()
    arguments = (f"{serve.url}/file.bin", str(tmp_path / "file.bin"), done)
    processes = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [done.get() for _ in processes] == [True] * 3
    done.close()
    assert len(serve.headers_seen) == 1
    assert only_file(tmp_path) == CONTENT


def test_progress_and_trouble_are_told_on_stderr(
    serve: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve.plan = [("status", 503)]
    fetch(f"{serve.url}/file.bin", tmp_path / "file.bin", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f'Downloading: "{serve.url}/file.bin" to {tmp_path}' in captured.err
    assert "HTTP 503" in captured.err
    assert "10.0k/10.0k" in captured.err or "100%" in captured.err
