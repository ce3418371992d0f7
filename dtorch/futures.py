"""Results that are not there yet.

>>> from dtorch.futures import Future
>>> future = Future()
>>> doubled = future.then(lambda done: 2 * done.value())
>>> future.set_result(21)
>>> doubled.wait()
42
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")
S = TypeVar("S")


class Future(Generic[T]):
    """A result that somebody sets and others wait for, in any thread.

    Args:
        devices: cards on which the result may lie; accepted, and not needed.
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._inner: concurrent.futures.Future[T] = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._inner.done()

    def wait(self) -> T:
        """The result, once it is there.

        Raises: what `set_exception` was given.
        """
        return self._inner.result()

    def value(self) -> T:
        """The result, which is there already.

        Raises:
            RuntimeError: it is not.
        """
        if not self.done():
            raise RuntimeError("Future.value: there is no result yet; wait() for it")
        return self.wait()

    def set_result(self, result: T) -> None:
        """Give the result.

        Raises:
            RuntimeError: there is one.
        """
        if self.done():
            raise RuntimeError("Future: the result is set already")
        self._inner.set_result(result)

    def set_exception(self, result: BaseException) -> None:
        """Let those that wait get an error."""
        if not isinstance(result, BaseException):
            raise AssertionError(f"set_exception: got {result!r}, expected an exception")
        self._inner.set_exception(result)

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """What ``callback(self)`` gives once this is done, as another future."""
        following: Future[S] = Future()

        def run(_: Any) -> None:
            try:
                following.set_result(callback(self))
            except Exception as error:  # noqa: BLE001  # it is told to those that wait
                following.set_exception(error)

        self._inner.add_done_callback(run)
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Call ``callback(self)`` once this is done."""
        self._inner.add_done_callback(lambda _: callback(self))


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future that is done when all are; its result is the list of them."""
    found = list(futures)
    collected: Future[list[Future[Any]]] = Future()
    left = [len(found)]
    if not found:
        collected.set_result(found)

    def count(_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            collected.set_result(found)

    for future in found:
        future.add_done_callback(count)
    return collected


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The results of all, once they are there."""
    return [future.wait() for future in futures]
