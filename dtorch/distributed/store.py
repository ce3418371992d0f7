"""Stores: small values by name, which the processes of a job have in common.

Values are bytes; a number that `Store.add` counts is its decimal digits. Every change is one step for
all who look, and `Store.get` waits for a value that is not there yet.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import ipaddress
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.distributed.errors import RendezvousError

_NAP_S = 0.01
_LONGEST_REQUEST = 64 << 20
Table = dict[str, bytes]
Timeout = datetime.timedelta | float | None


def _seconds(timeout: Timeout, default: float) -> float:
    if timeout is None:
        return default
    return timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else float(timeout)


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _apply(table: Table, command: str, key: str, *values: bytes) -> Any:
    """One step on the values of a store."""
    if command == "read":
        return table.get(key)
    if command == "set":
        table[key] = values[0]
    elif command == "add":
        table[key] = b"%d" % (int(table.get(key, b"0")) + int(values[0]))
        return table[key]
    elif command == "delete":
        return b"1" if table.pop(key, None) is not None else b""
    elif command == "count":
        return b"%d" % len(table)
    elif command == "compare":
        expected, desired = values
        if table.get(key, b"") == expected:
            table[key] = desired
        return table.get(key, expected)
    return None


class Store:
    """What all stores can do; a subclass says how one step is done.

    Attributes:
        timeout: how long `get` and `wait` wait, a timedelta.
    """

    def __init__(self, timeout: Timeout = None) -> None:
        self.timeout = datetime.timedelta(seconds=_seconds(timeout, 300))

    def _step(self, command: str, key: str = "", *values: bytes) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no steps")

    def set(self, key: str, value: str | bytes) -> None:
        """Put a value under a name."""
        self._step("set", key, _as_bytes(value))

    def get(self, key: str) -> bytes:
        """The value of a name; waits for it.

        Raises:
            RendezvousError: nobody has set it within the timeout.
        """
        self.wait([key])
        return self._step("read", key)  # type: ignore[no-any-return]

    def add(self, key: str, amount: int) -> int:
        """Add to the number under a name, at first 0; returns the sum."""
        return int(self._step("add", key, b"%d" % amount))

    def compare_set(
        self, key: str, expected_value: str | bytes, desired_value: str | bytes
    ) -> bytes:
        """Put a value where the expected one is, or none; returns what is there then."""
        values = _as_bytes(expected_value), _as_bytes(desired_value)
        return self._step("compare", key, *values)  # type: ignore[no-any-return]

    def check(self, keys: Iterable[str]) -> bool:
        """Whether all names have a value."""
        return all(self._step("read", key) is not None for key in keys)

    def wait(self, keys: Sequence[str], timeout: Timeout = None) -> None:
        """Until all names have a value.

        Raises:
            RendezvousError: one has none within the timeout.
        """
        seconds = _seconds(timeout, self.timeout.total_seconds())
        end = time.monotonic() + seconds
        while not self.check(keys):
            if time.monotonic() > end:
                missing = [key for key in keys if not self.check([key])]
                raise RendezvousError(
                    f"{type(self).__name__}: nobody has set {missing} within {seconds:g} s"
                )
            time.sleep(_NAP_S)

    def delete_key(self, key: str) -> bool:
        """Forget a name; returns whether it had a value."""
        return bool(self._step("delete", key))

    def num_keys(self) -> int:
        """How many names have a value."""
        return int(self._step("count"))

    def set_timeout(self, timeout: Timeout) -> None:
        """Set how long `get` and `wait` wait."""
        self.timeout = datetime.timedelta(seconds=_seconds(timeout, 300))


class HashStore(Store):
    """A store of the threads of one process.

    Example:
        >>> store = HashStore()
        >>> store.set("name", "value")
        >>> store.get("name"), store.add("count", 2), store.num_keys()
        (b'value', 2, 2)
    """

    def __init__(self, timeout: Timeout = None) -> None:
        super().__init__(timeout)
        self._table: Table = {}
        self._lock = threading.Lock()

    def _step(self, command: str, key: str = "", *values: bytes) -> Any:
        with self._lock:
            return _apply(self._table, command, key, *values)


class FileStore(Store):
    """A store in a file that all processes can write; one at a time has its lock.

    Args:
        file_name: its path.
        world_size: of no effect; PyTorch's cleans up by it.
    """

    def __init__(self, file_name: str | os.PathLike[str], world_size: int = -1) -> None:
        super().__init__()
        self.path = os.fspath(file_name)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

    def _step(self, command: str, key: str = "", *values: bytes) -> Any:
        with open(self.path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go with the file
            text = file.read()
            table = {k: v.encode("latin1") for k, v in json.loads(text or b"{}").items()}
            before = dict(table)
            result = _apply(table, command, key, *values)
            if table != before:
                file.seek(0)
                file.write(_encoded(table))
                file.truncate()
        return result


def _encoded(table: Table) -> bytes:
    return json.dumps({key: value.decode("latin1") for key, value in table.items()}).encode()


class _Answering(socketserver.StreamRequestHandler):
    """Answers the requests of one client, a line each."""

    def handle(self) -> None:
        store: HashStore = self.server.store  # type: ignore[attr-defined]  # set by TCPStore
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # it speaks otherwise
            while line := self.rfile.readline(_LONGEST_REQUEST):
                command, key, *values = json.loads(line)
                result = store._step(command, key, *(v.encode("latin1") for v in values))
                answer = None if result is None else result.decode("latin1")
                self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _expect_loopback(host: str) -> None:
    address = socket.getaddrinfo(host, None)[0][4][0]
    if not ipaddress.ip_address(address).is_loopback:
        raise ArgumentError(
            f"TCPStore: host_name is {host!r}, where other machines could reach it, and whoever comes "
            "is answered; expected a loopback address such as '127.0.0.1'. Between machines use a "
            "FileStore in a folder that they share"
        )


class TCPStore(Store):
    """A store that one process keeps, and others of the same machine reach.

    It knows nobody by a key, so it is kept at a loopback address alone.

    Args:
        host_name, port: where it is kept; with port 0 the master chooses one, see ``port``.
        world_size: of no effect: whoever comes is answered.
        is_master: whether this process keeps it.
        timeout: how long to wait for the master, and for values.
        wait_for_workers: of no effect.

    Raises:
        ArgumentError: the master is to keep it where other machines could reach it.

    Example:
        >>> master = TCPStore("127.0.0.1", 0, is_master=True)
        >>> other = TCPStore("127.0.0.1", master.port)
        >>> other.set("name", "value")
        >>> master.get("name")
        b'value'
    """

    def __init__(
        self, host_name: str, port: int, world_size: int | None = None, is_master: bool = False,
        timeout: Timeout = None, wait_for_workers: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(timeout)
        self.host = host_name
        self._server: _Server | None = None
        self._lock = threading.Lock()
        if is_master:
            _expect_loopback(host_name)
            self._server = _Server((host_name, port), _Answering)
            self._server.store = HashStore()  # type: ignore[attr-defined]
            port = self._server.server_address[1]
            serve = self._server.serve_forever
            threading.Thread(target=serve, name="dtorch-store", daemon=True).start()
        self.port = port
        self._connection = self._connect()
        self._answers = self._connection.makefile("rb")

    def _connect(self) -> socket.socket:
        end = time.monotonic() + self.timeout.total_seconds()
        while True:
            try:
                return socket.create_connection((self.host, self.port), timeout=10)
            except OSError as error:
                if time.monotonic() > end:
                    raise RendezvousError(
                        f"TCPStore: nobody keeps a store at {self.host}:{self.port} ({error})"
                    ) from error
                time.sleep(_NAP_S)

    def _step(self, command: str, key: str = "", *values: bytes) -> Any:
        if not isinstance(key, str):
            raise ArgumentError(f"TCPStore: the name is {type(key).__name__}, expected a text")
        request = [command, key, *(value.decode("latin1") for value in values)]
        with self._lock:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            line = self._answers.readline()
        if not line:
            raise RendezvousError(f"TCPStore: the store at {self.host}:{self.port} is gone")
        answer = json.loads(line)
        return None if answer is None else answer.encode("latin1")

    def __del__(self) -> None:
        for attribute, end in (("_answers", "close"), ("_connection", "close"),
                               ("_server", "shutdown"), ("_server", "server_close")):  # fmt: skip
            part: Any = getattr(self, attribute, None)
            if part is not None:
                with contextlib.suppress(OSError):
                    getattr(part, end)()


class PrefixStore(Store):
    """A part of another store: its names have a prefix there.

    Example:
        >>> whole = HashStore()
        >>> PrefixStore("part", whole).set("name", "value")
        >>> whole.get("part/name")
        b'value'
    """

    def __init__(self, prefix: str, store: Store) -> None:
        super().__init__(store.timeout)
        self.prefix = prefix
        self.underlying_store = store

    def _step(self, command: str, key: str = "", *values: bytes) -> Any:
        return self.underlying_store._step(command, f"{self.prefix}/{key}", *values)


def name_by(store: Store, rank: int, make: Callable[[], str]) -> str:
    """A name that rank 0 makes and the others find in the store."""
    key = f"dtorch/meeting/{store.add(f'dtorch/rank/{rank}', 1)}"  # a store serves several groups
    if rank == 0:
        store.set(key, make())
    return store.get(key).decode()
