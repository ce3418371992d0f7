"""One attempt at a download over HTTP: continue what is there, append what comes."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from dtorch.model_zoo.partial import Partial, Source
from dtorch.model_zoo.progress import progress_bar

TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 256 * 1024  # bytes
_HEADERS = {"User-Agent": "dtorch", "Accept-Encoding": "identity"}


class Interrupted(Exception):
    """An attempt that ended early, so that another may go on from there.

    Attributes:
        wait: seconds that the server asks to wait, or None.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Refused(Exception):
    """An answer that another attempt would only repeat."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise Refused(f"it redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def attempt(url: str, partial: Partial, show_progress: bool) -> None:
    """Bring the partial file nearer to completion, at best to it.

    Raises:
        Interrupted: the connection or the server failed in a way that may pass.
        Refused: it failed in a way that will not.
    """
    try:
        with _opened(url, partial) as response:
            _store(url, response, partial, show_progress)
    except urllib.error.HTTPError as error:
        with error:
            _judge(error, partial)
    except urllib.error.URLError as error:
        if _may_pass(error.reason):
            raise Interrupted(str(error.reason)) from error
        raise Refused(str(error.reason)) from error
    except http.client.IncompleteRead as error:
        raise Interrupted(f"the connection ended, {error.expected} bytes early") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise Interrupted(f"{type(error).__name__}: {error}") from error


def _may_pass(reason: Any) -> bool:
    """Whether a failure to connect may be over soon: not bad certificates nor unknown hosts."""
    if isinstance(reason, socket.gaierror):
        return reason.errno == socket.EAI_AGAIN
    return isinstance(reason, OSError) and not isinstance(reason, ssl.SSLError)


def _opened(url: str, partial: Partial) -> Any:
    request = urllib.request.Request(url, headers=_HEADERS)
    source, size = partial.source(), partial.size()
    if size and source is not None and source.url == url:
        request.add_header("Range", f"bytes={size}-")
        request.add_header("If-Range", source.validator)
    else:
        partial.discard()
    opener = urllib.request.build_opener(_Redirects)  # with the proxies of the environment
    return opener.open(request, timeout=TIMEOUT)


def _store(url: str, response: Any, partial: Partial, show_progress: bool) -> None:
    done = partial.size()
    if response.status == 206:
        start, total = _content_range(response.headers.get("Content-Range", ""))
        if start != done:
            partial.discard()
            raise Interrupted(f"asked for bytes from {done} on, got them from {start} on")
    else:
        partial.begin(_source(url, response.headers))
        done = 0
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
    with partial.path.open("ab") as file, progress_bar(total, done, show_progress) as bar:
        _copy(response, file, bar)
    if total is not None and partial.size() < total:
        raise Interrupted(f"the connection ended after {partial.size()} of {total} bytes")


def _copy(response: Any, file: IO[bytes], bar: Any) -> None:
    while chunk := response.read1(_CHUNK):
        file.write(chunk)
        bar.update(len(chunk))


def _source(url: str, headers: Any) -> Source | None:
    tag = headers.get("ETag", "")
    # A weak tag does not promise the same bytes.
    validator = headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
    return Source(url, validator) if validator else None


def _content_range(value: str) -> tuple[int, int | None]:
    """Start and total of ``bytes 10-19/20``; total None where the server does not say it."""
    unit, _, rest = value.partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdigit():
        raise Refused(f"its answer has the header Content-Range: {value!r}")
    return int(start), int(total) if total.isdigit() else None


def _judge(error: urllib.error.HTTPError, partial: Partial) -> None:
    """Raise what an answer that is no success means."""
    if error.code == 416:  # what is there is longer than the file: it is another version
        partial.discard()
        raise Interrupted("the partial file does not fit, starting over") from error
    if error.code in (408, 425, 429) or error.code >= 500:
        wait = error.headers.get("Retry-After", "")
        seconds = float(wait) if wait.isdigit() else None
        raise Interrupted(f"HTTP {error.code} {error.reason}", seconds) from error
    raise Refused(f"HTTP {error.code} {error.reason}") from error


def copy_file(source: Path, partial: Partial, show_progress: bool) -> None:
    """The same for a file of this machine."""
    partial.begin(None)
    with (
        source.open("rb") as file,
        partial.path.open("wb") as part,
        progress_bar(source.stat().st_size, 0, show_progress) as bar,
    ):
        while chunk := file.read(_CHUNK):
            part.write(chunk)
            bar.update(len(chunk))
