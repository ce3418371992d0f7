"""Executes pickles that nobody vouches for.

A pickle is a program for a machine with a stack and a memo. The standard library's machine trusts
it: it hashes what it is told to hash, calls what it is told to call, and takes the numbers in it as
sizes. This one knows the codes that checkpoints need and no others, and keeps time and memory to a
small multiple of the size of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.room import Keys, Room, shown
from dtorch.serialization.safe_globals import is_safe_type

More = Callable[[int, int], bytes | memoryview]

_AHEAD = 1 << 10  # bytes that lie ready for the next codes
_PIECE = 1 << 16
_LONGEST_LINE = 1 << 12
_LONGEST_INT = 255
_SET_NBYTES = 200
_FLOAT = struct.Struct(">d")
_NUMBER = struct.Struct("<i")
_COUNT = struct.Struct("<I")
_NEWEST_PROTOCOL = 5


class PickleMachine:
    """Executes one pickle.

    Args:
        data: the pickle, or its beginning.
        more: gives ``(offset, nbytes)`` of it, where ``data`` is not all; fewer bytes at the end.
        room: what the objects made may take.
        encoding, errors: of texts that Python 2 wrote; with the encoding "bytes" they stay bytes.
    """

    def __init__(
        self, data: bytes, room: Room, more: More | None = None, encoding: str = "ASCII",
        errors: str = "strict",
    ) -> None:  # fmt: skip
        self._data = data
        self._base = 0  # offset of the first byte of data
        self._more = more
        self._room = room
        self._keys = Keys(room)
        self._encoding, self._errors = encoding, errors
        self.end = 0  # after `load`: where the pickle ends

    # What a program may ask for; the classes below say what is known.

    def find_class(self, module: str, name: str) -> Any:
        """What a global stands for."""
        raise NotImplementedError

    def persistent_load(self, pid: Any) -> Any:
        """What a persistent id stands for."""
        raise NotImplementedError

    def load(self) -> Any:
        """The object that the pickle makes.

        All codes are in one loop, because a call for each takes twice as long.

        Raises:
            CheckpointError: a code that no checkpoint needs, or more than there is room for.
            Exception: what damage makes go wrong; see `telling_damage`.
        """
        data, at = self._data, 0
        memo: list[Any] = []  # by index, as all writers count; the others stand apart
        far: dict[int, Any] = {}
        ready = self._ready(data)
        marks: list[list[Any]] = []
        stack: list[Any] = []
        push = stack.append
        while True:
            if at > ready:
                data, at = self._refill(at, _AHEAD)
                ready = self._ready(data)
            code = data[at]
            at += 1
            # The codes in the order of how often checkpoints have them.
            if code in _PUTS:
                if code == 0x71:
                    index = data[at]
                    at += 1
                elif code == 0x72:
                    index = _COUNT.unpack_from(data, at)[0]
                    at += 4
                else:
                    index = len(memo) + len(far)
                if index == len(memo):
                    memo.append(stack[-1])
                elif index < len(memo):
                    memo[index] = stack[-1]
                else:
                    far[index] = stack[-1]
            elif code == 0x68 or code == 0x6A:
                if code == 0x68:
                    index = data[at]
                    at += 1
                else:
                    index = _COUNT.unpack_from(data, at)[0]
                    at += 4
                push(memo[index] if index < len(memo) else far[index])
            elif code == 0x4B:  # numbers of one byte, two, four
                push(data[at])
                at += 1
            elif code == 0x28:  # mark
                marks.append(stack)
                stack = []
                push = stack.append
            elif code == 0x58:  # text
                nbytes = _COUNT.unpack_from(data, at)[0]
                at += 4
                if nbytes > len(data) - at:
                    data, at = self._fetch(at, nbytes)
                    ready = self._ready(data)
                push(str(data[at : at + nbytes], "utf-8", "surrogatepass"))
                at += nbytes
            elif code == 0x74:  # tuples
                items = stack
                stack = marks.pop()
                push = stack.append
                push(tuple(items))
            elif code == 0x52:  # call
                args = stack.pop()
                stack[-1] = self._call(stack[-1], args)
            elif code == 0x85:
                stack[-1] = (stack[-1],)
            elif code == 0x89:
                push(False)
            elif code == 0x51:  # persistent id
                stack[-1] = self.persistent_load(stack[-1])
            elif code == 0x29:
                push(())
            elif code == 0x86:
                last = stack.pop()
                stack[-1] = (stack[-1], last)
            elif code == 0x87:
                last, middle = stack.pop(), stack.pop()
                stack[-1] = (stack[-1], middle, last)
            elif code == 0x4D:
                push(data[at] | data[at + 1] << 8)
                at += 2
            elif code == 0x4A:
                push(_NUMBER.unpack_from(data, at)[0])
                at += 4
            elif code == 0x47:
                push(_FLOAT.unpack_from(data, at)[0])
                at += 8
            elif code == 0x4E:
                push(None)
            elif code == 0x88:
                push(True)
            elif code in (0x75, 0x73):  # items into a dict
                if code == 0x75:
                    items = stack
                    stack = marks.pop()
                    push = stack.append
                else:
                    items = stack[-2:]
                    del stack[-2:]
                self._set_items(stack[-1], items)
            elif code in (0x65, 0x61):  # items into a list
                if code == 0x65:
                    items = stack
                    stack = marks.pop()
                    push = stack.append
                else:
                    items = [stack.pop()]
                self._extend(stack[-1], items)
            elif code == 0x7D:
                push({})
            elif code == 0x5D:
                push([])
            elif code == 0x62:  # state
                state = stack.pop()
                self._build(stack[-1], state)
            elif code == 0x63:  # global
                data, at, module = self._line(data, at)
                data, at, name = self._line(data, at)
                ready = self._ready(data)
                push(self.find_class(module, name))
            elif code == 0x2E:  # stop
                self.end = self._base + at
                return stack.pop()
            elif code in _COUNTED:
                width = _COUNTED[code]
                nbytes = int.from_bytes(data[at : at + width], "little")
                at += width
                if nbytes > len(data) - at:
                    data, at = self._fetch(at, nbytes)
                    ready = self._ready(data)
                push(self._value(code, data[at : at + nbytes]))
                at += nbytes
            elif code == 0x93:  # global, its names on the stack
                name, module = stack.pop(), stack.pop()
                if type(name) is not str or type(module) is not str:
                    raise CheckpointError(f"pickle: a global named by {shown(name)}")
                push(self.find_class(module, name))
            elif code == 0x81:  # new object
                args = stack.pop()
                stack[-1] = self._new(stack[-1], args, {})
            elif code == 0x92:
                named, args = stack.pop(), stack.pop()
                stack[-1] = self._new(stack[-1], args, named)
            elif code == 0x30:
                if stack:
                    stack.pop()
                else:
                    stack = marks.pop()
                    push = stack.append
            elif code in (0x31, 0x6C, 0x64, 0x91, 0x90):
                items = stack
                stack = marks.pop()
                push = stack.append
                if code == 0x90:
                    self._add(stack[-1], items)
                elif code != 0x31:
                    push(self._container(code, items))
            elif code == 0x8F:
                self._room.charge(_SET_NBYTES)
                push(set())
            elif code == 0x95:  # the size of a frame, which nothing depends on
                at += 8
            elif code == 0x80:
                if data[at] > _NEWEST_PROTOCOL:
                    raise CheckpointError(f"pickle: its protocol is {data[at]}, which is not known")
                at += 1
            else:
                raise CheckpointError(
                    f"pickle: code {bytes((code,))!r} at byte {self._base + at - 1} is not one that "
                    "a checkpoint needs; the file is damaged or hostile"
                )

    # -- input -----------------------------------------------------------------------------------

    def _ready(self, data: bytes) -> int:
        """Up to where codes can be read without asking for more."""
        return len(data) if self._more is None else len(data) - _AHEAD

    def _refill(self, at: int, nbytes: int) -> tuple[bytes, int]:
        """Data with ``nbytes`` beyond ``at``, and where that is now; fewer at the end of the file."""
        if self._more is not None:
            self._base += at
            wanted, at = max(nbytes, _PIECE), 0
            self._data = bytes(self._more(self._base, wanted))
            if len(self._data) < wanted:
                self._more = None
        return self._data, at

    def _fetch(self, at: int, nbytes: int) -> tuple[bytes, int]:
        """As `_refill`; raises where there are fewer."""
        data, at = self._refill(at, nbytes)
        if nbytes > len(data) - at:
            raise CheckpointError(
                f"pickle: {nbytes} bytes from {self._base + at} on are beyond its end; the file is "
                "cut off, or damaged"
            )
        return data, at

    def _line(self, data: bytes, at: int) -> tuple[bytes, int, str]:
        end = data.find(b"\n", at, at + _LONGEST_LINE)
        if end < 0:
            data, at = self._refill(at, _LONGEST_LINE)
            end = data.find(b"\n", at, at + _LONGEST_LINE)
        if end < 0:
            raise CheckpointError(
                "pickle: a global without an end; the file is cut off, or damaged"
            )
        return data, end + 1, str(data[at:end], "utf-8")

    def _value(self, code: int, content: bytes) -> Any:
        if code in _TEXTS:
            return str(content, "utf-8", "surrogatepass")
        if code in _LONGS:
            if len(content) > _LONGEST_INT:
                raise CheckpointError(f"pickle: a number of {len(content)} bytes")
            return int.from_bytes(content, "little", signed=True)
        if code in _TEXTS_2 and self._encoding != "bytes":
            return str(content, self._encoding, self._errors)
        return bytearray(content) if code == 0x96 else content

    # -- objects ---------------------------------------------------------------------------------

    def _call(self, function: Any, args: Any) -> Any:
        if type(args) is not tuple:
            raise CheckpointError(f"pickle: a call with {shown(args)}, expected a tuple")
        return function(*args)

    def _new(self, cls: Any, args: Any, named: Any) -> Any:
        if not isinstance(cls, type) or type(args) is not tuple or type(named) is not dict:
            raise CheckpointError(f"pickle: a new object of {shown(cls)}")
        return cls.__new__(cls, *args, **named)

    def _build(self, obj: Any, state: Any) -> None:
        is_safe = is_safe_type(type(obj))
        if hasattr(type(obj), "__setstate__") and (is_safe or not isinstance(obj, Tensor)):
            obj.__setstate__(state)
        elif is_safe or isinstance(obj, (dict, Tensor)):
            set_state(obj, state)
        else:
            raise CheckpointError(f"pickle: it gives a state to {shown(obj)}")

    def _set_items(self, obj: Any, items: list[Any]) -> None:
        if not (isinstance(obj, dict) or is_safe_type(type(obj))) or len(items) % 2:
            raise CheckpointError(f"pickle: it puts items into {shown(obj)}")
        keys, values = items[::2], items[1::2]
        self._keys.check(obj, keys)
        if type(obj) is dict:
            obj.update(zip(keys, values, strict=True))
        else:
            for key, value in zip(keys, values, strict=True):
                obj[key] = value

    def _extend(self, obj: Any, items: list[Any]) -> None:
        if isinstance(obj, list):
            obj.extend(items)
        elif is_safe_type(type(obj)):
            for item in items:
                obj.append(item)
        else:
            raise CheckpointError(f"pickle: it appends to {shown(obj)}")

    def _add(self, obj: Any, items: list[Any]) -> None:
        if not (isinstance(obj, set) or is_safe_type(type(obj))):
            raise CheckpointError(f"pickle: it adds to {shown(obj)}")
        self._keys.check(obj, items)
        for item in items:
            obj.add(item)

    def _container(self, code: int, items: list[Any]) -> Any:
        if code == 0x6C:
            return items
        if code == 0x91:
            self._room.charge(_SET_NBYTES)
            self._keys.check(None, items)
            return frozenset(items)
        made: dict[Any, Any] = {}
        self._set_items(made, items)
        return made


_PUTS = frozenset((0x71, 0x72, 0x94))
# Codes with a length -> the bytes that it has.
_TEXTS = {0x8C: 1, 0x8D: 8}
_TEXTS_2 = {0x55: 1, 0x54: 4}  # of Python 2
_LONGS = {0x8A: 1, 0x8B: 4}
_BYTES = {0x42: 4, 0x43: 1, 0x8E: 8, 0x96: 8}
_COUNTED = {**_TEXTS, **_TEXTS_2, **_LONGS, **_BYTES}


def set_state(obj: Any, state: Any) -> None:
    """Set attributes; of objects of our own none that their class has, too.

    Raises:
        CheckpointError: the state is no dict of attributes.
    """
    slots = {}
    if type(state) is tuple and len(state) == 2:  # attributes, and values of slots
        state, slots = ({} if part is None else part for part in state)
    if type(state) is not dict or type(slots) is not dict:
        raise CheckpointError(f"pickle: the state of {shown(obj)} is {shown(state)}")
    if is_safe_type(type(obj)):
        if state:
            vars(obj).update(state)
        for name, value in slots.items():
            setattr(obj, name, value)
        return
    for name in (*state, *slots):
        if type(name) is not str or hasattr(type(obj), name):
            raise CheckpointError(f"pickle: it sets {shown(name)} of {shown(obj)}")
    vars(obj).update(state)
    vars(obj).update(slots)
