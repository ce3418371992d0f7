"""Lists and dicts that worker processes read without growing.

Reading an object of Python changes its reference count, so after a fork every page of a large list
is copied into every worker that reads it. Here the items lie pickled in shared memory.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import DimensionError
from dtorch.core.tensor import Tensor

T = TypeVar("T")


class SharedList(Sequence[T]):
    """A list that cannot be changed, in shared memory; an item is made anew each time.

    Args:
        items: anything that can be pickled.
    Example:
        >>> paths = SharedList(f"image {i}.png" for i in range(3))
        >>> paths[-1], len(paths)
        ('image 2.png', 3)
    """

    def __init__(self, items: Iterable[T]) -> None:
        content, ends = bytearray(), []
        for item in items:
            content += pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
            ends.append(len(content))
        self._content = _shared(np.frombuffer(content, np.uint8))
        self._ends = _shared(np.array(ends, np.int64))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        ends = self._ends.array
        place = index + len(ends) if index < 0 else index
        if not 0 <= place < len(ends):
            raise DimensionError(f"SharedList: index {index} in a list of {len(ends)}")
        start = ends[place - 1] if place else 0
        item: T = pickle.loads(self._content.array[start : ends[place]].data)
        return item

    def __repr__(self) -> str:
        return f"<SharedList of {len(self)} items in {self._content.nbytes} bytes>"


class SharedDict(Mapping[Any, T]):
    """A dict that cannot be changed, in shared memory; a value is made anew each time.

    Args:
        items: a mapping. Keys are texts, bytes, numbers, or tuples of such, and found by what they
            print as, so 1 and 1.0 are different ones.
    Example:
        >>> ages = SharedDict({"Ada": 36, "Kurt": 71})
        >>> ages["Kurt"], "Alan" in ages
        (71, False)
    """

    def __init__(self, items: Mapping[Any, T]) -> None:
        codes = np.array([_code(key) for key in items], np.uint64)
        order = np.argsort(codes, kind="stable")
        keys = list(items)
        self._codes = _shared(codes[order].view(np.int64))  # in the order of unsigned numbers
        self._places = _shared(order.astype(np.int64))
        self._keys: SharedList[Any] = SharedList(keys)
        self._values: SharedList[T] = SharedList(items[key] for key in keys)

    def __getitem__(self, key: Any) -> T:
        code = _code(key)
        codes = self._codes.array.view(np.uint64)
        at = int(np.searchsorted(codes, np.uint64(code)))
        while at < len(codes) and int(codes[at]) == code:
            place = int(self._places.array[at])
            if self._keys[place] == key:
                return self._values[place]
            at += 1
        raise KeyError(key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys)

    def __repr__(self) -> str:
        return f"<SharedDict of {len(self)} items>"


def _shared(array: np.ndarray) -> Tensor:
    tensor = from_numpy(array.copy())
    return tensor.share_memory_() if array.size else tensor


def _code(key: Any) -> int:
    # Not hash(): that of a text differs between processes that are not forked.
    text = repr(key).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
