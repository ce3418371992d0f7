"""A server on this machine that serves files as badly as told."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtorch.model_zoo import cache, download


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` for every path; the attributes say how.

    Attributes:
        headers_seen: of each request, in order.
        plan: for each request to come, what `Handler` does; afterwards it serves everything.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.tag = '"version 1"'
        self.ranges = True
        self.plan: list[tuple[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what these tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.headers_seen.append(dict(self.headers))
        kind, value = server.plan.pop(0) if server.plan else ("serve", None)
        getattr(self, f"do_{kind}")(value)

    def _part(self) -> bytes:
        """Send the headers for what was asked for, which is returned."""
        content, start = self.server.content, 0
        asked = self.headers.get("Range")
        if asked and self.server.ranges and self.headers.get("If-Range") == self.server.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content) and start:
            self.send_error(416)
            return b""
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.server.tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        return content[start:]

    def do_serve(self, _: None) -> None:
        self.wfile.write(self._part())

    def do_break_after(self, count: int) -> None:
        self.wfile.write(self._part()[:count])

    def do_slowly(self, pause: float) -> None:
        rest = self._part()
        size = -(-len(rest) // 5)
        for i in range(0, len(rest), size):
            self.wfile.write(rest[i : i + size])
            self.wfile.flush()
            time.sleep(pause)

    def do_claim_length(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(self.server.content)

    def do_status(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()

    def do_redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_wrong_range(self, _: None) -> None:
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 1-9/{len(self.server.content)}")
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(self.server.content[1:10])

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short waits, no proxies, and a home that is nobody's."""
    monkeypatch.setattr(download, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(cache, "_chosen", [])
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("TORCH_HOME", "TORCH_MODEL_ZOO", "XDG_CACHE_HOME", "DTORCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
