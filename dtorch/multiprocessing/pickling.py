"""Messages for other processes: tensors are pickled as handles, functions without a name as code."""

from __future__ import annotations

import io
import pickle
from multiprocessing.reduction import ForkingPickler
from types import FunctionType
from typing import Any, NamedTuple

from dtorch.core.storage import storage_of
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing.delivery import Tickets, noting
from dtorch.multiprocessing.functions import must_travel_as_code, pickle_by_value
from dtorch.multiprocessing.reductions import (
    is_data,
    rebuild_plain_tensor,
    reduce_object,
    reduce_tensor,
)

_SMALL = 64 << 10  # bytes of a private tensor that take no time to move to shared memory
_FEW = 16  # things in a container
_NUMBERS = frozenset((int, float, bool, type(None)))
_SHORT = 256  # characters

_TABLE: dict[type, Any] = {Tensor: reduce_tensor}


class Message(NamedTuple):
    """A pickled object.

    Attributes:
        tickets: of the messages with shared memory that are in it.
    """

    data: bytes | memoryview
    tickets: Tickets


class Portable:
    """What takes all it has along by the pickler of this module, also in a pickle by another one."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pickle.loads, (bytes(pickled(self).data),)


class Pickler(ForkingPickler):
    """The pickler of the standard library's queues, for any kind of tensor and of function."""

    def reducer_override(self, obj: Any) -> Any:
        """How to take an object apart, if not as ever."""
        if isinstance(obj, Tensor):
            return reduce_tensor(obj)
        if obj is rebuild_plain_tensor:
            return NotImplemented
        if isinstance(obj, (FunctionType, type)) and must_travel_as_code(obj):
            return pickle.loads, (pickle_by_value(obj, reduce_object),)
        if isinstance(obj, Portable):
            return object.__reduce_ex__(obj, 2)
        return NotImplemented


def pickled(obj: Any) -> Message:
    """An object as a message.

    Raises:
        Exception: it cannot be pickled; tensors in it were not sent.
    """
    return Message(*noting(_dumps_short if _is_short(obj) else Pickler.dumps, obj))


def _is_short(obj: Any) -> bool:
    """Whether it is some tensors, beside numbers and names."""
    kind = type(obj)
    if kind is Tensor:
        return _is_light(obj)
    if kind is dict:
        values = (*obj, *obj.values())
    elif kind is tuple or kind is list:
        values = obj
    else:
        return False
    return len(values) <= _FEW and all(map(_is_light, values))


def _is_light(value: Any) -> bool:
    kind = type(value)
    if kind is not Tensor:
        return kind in _NUMBERS or (kind is str and len(value) <= _SHORT)
    if not is_data(value):
        return False
    storage = storage_of(value)
    return storage.is_shared() or storage.size() <= _SMALL


def _dumps_short(obj: Any) -> memoryview:
    """What `Pickler.dumps` gives for such a message, without its table of other types."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.dispatch_table = _TABLE
    pickler.dump(obj)
    return file.getbuffer()
