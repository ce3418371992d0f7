"""Pickles drawn from a grammar, put into files of each format and loaded.

Damage to whole files hardly ever gets far; these are well-formed programs for the unpickler, over
the names it knows and some around them, with numbers that files do not have. As a script, it loads
files until one does something it should not::

    python tests/serialization/pickle_grammar.py FIRST ROUNDS NOTE

NOTE is a file that has the number of the file being loaded, should that kill the process.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import random
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

import dtorch
from dtorch.core.coo import CooArray
from dtorch.core.errors import DeviceError
from dtorch.core.storage import storage_of
from dtorch.core.tensor import Tensor
from dtorch.nn import Module
from dtorch.optim import Optimizer
from dtorch.serialization import CheckpointError, names, objects, unpickler

ROOM = 96 << 20  # beyond what the process has already
CPU_SECONDS = 10.0  # for one file of a few kilobytes, without tracing
RUNS_CODE = ("exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork",
             "subprocess.Popen", "ctypes.dlopen", "socket.connect")  # fmt: skip

NUMBERS = (0, 0, 1, 1, 2, 3, 4, 4, 5, 7, 16, 64, -1, -2, 255, 256, 65536, 2**31 - 1, 2**31, 2**32,
           2**32 + 1, 2**40, 2**61 - 1, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30)  # fmt: skip
TEXTS = ("", "a", "0", "1", "storage", "module", "cpu", "cuda:0", "meta", "latin1", "torch.sparse_coo",
         "torch.strided", "FloatStorage", "_array", "__class__", "__dict__", "items", "grad", "é",
         "state", "cpu:0", "per_tensor_affine", "\ud800", "x" * 300, "-1", "99999999999999999999")  # fmt: skip
KNOWN = [*unpickler._METHODS, *unpickler.OBJECTS]
AROUND = [("os", "system"), ("builtins", "eval"), ("builtins", "dict"), ("builtins", "getattr"),
          ("torch", "nn"), ("torch", "load"), ("torch._utils", "_rebuild_nested_tensor"),
          ("torch", "int1_x"), ("torch.nn.modules.linear", "Linear"), ("collections", "deque"),
          ("__torch__", "Net"), ("__torch__.torch.classes.a", "B"), ("torch.jit._pickle", "build_intlist"),
          ("torch.jit._pickle", "restore_type_tag"), ("", ""), ("torch", "FloatTensor.fill_")]  # fmt: skip
OWN = [(f"torch.{package}", name) for package, name in objects._known]
KNOWN += OWN[::10]
ATTRIBUTES = ("training", "_forward_hooks", "forward", "__class__", "__dict__", "padding", "activation",
              "param_groups", "state", "defaults", "_all_weights", "_size", "all_weights", "stride")  # fmt: skip
STORAGES = [name for name in unpickler.OBJECTS if name[1].endswith("Storage")]
BYTES = [
    name for name in STORAGES if unpickler.names.STORAGE_DTYPES.get(name[1], None) is dtorch.uint8
]
DTYPES = [("torch", name) for name in ("float32", "int64", "bool_", "bfloat16", "complex128")]

Piece = bytes


class Grammar:
    """Draws pickles.

    Args:
        source: decides.
        storages: sizes of the storages in the file, in bytes.
    """

    def __init__(self, source: random.Random, storages: list[int]) -> None:
        self._source = source
        self._storages = storages
        self._memo = 0
        self.used: set[int] = set()  # the storages that were named
        self._left = source.choice((5, 30, 200))  # parts that still may be made

    def pickle(self, kinds: list[tuple[str, str]] | None = None) -> bytes:
        """A whole pickle, with storages of these kinds."""
        self._kinds = kinds or STORAGES
        start = self._source.choice((b"\x80\x02", b"\x80\x02", b"\x80\x04\x95" + bytes(8), b""))
        body = self.value(0)
        while self._source.random() < 0.6 and self._left > 0:
            body += b"0" + self.value(0)
        return start + body + b"."

    def value(self, depth: int) -> Piece:
        """Codes that leave one object on the stack."""
        self._left -= 1
        kinds: list[Callable[[int], Piece]] = [self._number, self._text, self._plain, self._get]
        if depth < 12 and self._left > 0:
            kinds += [self._tensor, self._tensor, self._tuple, self._list, self._dict, self._set,
                      self._call, self._call, self._named_call, self._named_call, self._pid,
                      self._state, self._changed, self._global, self._shared, self._object]  # fmt: skip
        made = self._source.choice(kinds)(depth)
        if self._source.random() < 0.25:
            made += self._put()
        return made

    # -- objects without others ---------------------------------------------------------------------

    def _number(self, depth: int = 0, value: int | None = None) -> Piece:
        value = self._source.choice(NUMBERS) if value is None else value
        if 0 <= value < 256:
            return b"K" + bytes((value,))
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes((len(raw),)) + raw

    def _text(self, depth: int = 0, content: str | None = None) -> Piece:
        raw = (self._source.choice(TEXTS) if content is None else content).encode(
            "utf-8", "surrogatepass"
        )
        code = self._source.choice("X\x8cX" if content is not None else "XX\x8cUCBT")
        count = struct.pack("<I", len(raw)) if code in "XBT" else bytes((len(raw) & 255,))
        return code.encode("latin1") + count + raw

    def _plain(self, depth: int) -> Piece:
        number = struct.pack(
            ">d", self._source.choice((0.0, 1.5, float("inf"), float("nan"), 1e300))
        )
        return self._source.choice(
            (b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"G" + number)
        )

    def _global(self, depth: int) -> Piece:
        names = AROUND if self._source.random() < 0.1 else KNOWN
        return self._name(*self._source.choice(names))

    def _name(self, module: str, name: str) -> Piece:
        if self._source.random() < 0.1:
            return self._text(0, module) + self._text(0, name) + b"\x93"
        return f"c{module}\n{name}\n".encode()

    # -- the memo -------------------------------------------------------------------------------------

    def _put(self) -> Piece:
        if self._source.random() < 0.05:
            return b"\x94"
        self._memo += 1
        index = (
            self._memo if self._source.random() < 0.98 else self._source.choice((2**31, 2**32 - 1))
        )
        return (
            b"r" + struct.pack("<I", index) if index > 255 or index % 2 else b"q" + bytes((index,))
        )

    def _get(self, depth: int = 0) -> Piece:
        if not self._memo:
            return b"N"
        index = self._source.randint(1, self._memo)
        return (
            b"j" + struct.pack("<I", index) if index > 255 or index % 3 else b"h" + bytes((index,))
        )

    def _shared(self, depth: int) -> Piece:
        """Containers that have each other twice, again and again."""
        made = self.value(depth + 4)
        for _ in range(self._source.choice((2, 5, 40))):
            again = self._put()
            get = (
                self._get()
                if again == b"\x94"
                else (b"j" if again[:1] == b"r" else b"h") + again[1:]
            )
            wrap = self._source.choice((b"\x86", b"\x86", b"\x86", b"\x87"))
            made += again + b"0" + get * (2 if wrap == b"\x86" else 3) + wrap
        return made

    # -- containers -----------------------------------------------------------------------------------

    def _values(self, depth: int, most: int = 4) -> list[Piece]:
        return [self.value(depth + 1) for _ in range(self._source.randint(0, most))]

    def _tuple(self, depth: int) -> Piece:
        values = self._values(depth)
        if 1 <= len(values) <= 3 and self._source.random() < 0.5:
            return b"".join(values) + bytes((0x84 + len(values),))
        if self._source.random() < 0.03:
            return self.value(depth + 1) + b"\x85" * self._source.choice((50, 5000))
        return b"(" + b"".join(values) + b"t"

    def _list(self, depth: int) -> Piece:
        return b"](" + b"".join(self._values(depth)) + self._source.choice((b"e", b"e", b"e", b"l"))

    def _dict(self, depth: int) -> Piece:
        pairs = [
            self.value(depth + 1) + self.value(depth + 1) for _ in range(self._source.randint(0, 3))
        ]
        if self._source.random() < 0.2:
            return b"(" + b"".join(pairs) + b"d"
        return b"}(" + b"".join(pairs) + b"u"

    def _set(self, depth: int) -> Piece:
        values = b"".join(self._values(depth))
        return self._source.choice((b"\x8f(" + values + b"\x90", b"(" + values + b"\x91"))

    def _changed(self, depth: int) -> Piece:
        """Any object, with something put into it."""
        value, end = self.value(depth + 1), self._source.choice("sueab\x90")
        content = self.value(depth + 1)
        if end in "su":
            content += self.value(depth + 1)
        return value + (b"(" if end in "ue\x90" else b"") + content + end.encode("latin1")

    def _state(self, depth: int) -> Piece:
        pairs = self._text() + self.value(depth + 1)
        state = b"}(" + pairs + b"u"
        if self._source.random() < 0.3:
            state = self._source.choice((b"N", state)) + state + b"\x86"
        return self.value(depth + 1) + state + b"b"

    def _object(self, depth: int) -> Piece:
        """A layer or an optimizer, with attributes as files have them, but for some now and then."""
        draw = self._source.choice
        tables = {
            "_parameters": lambda: (
                self._name(*names.PARAMETER) + self._tensor(depth + 1) + b"\x85R"
            ),
            "_buffers": lambda: self._tensor(depth + 1),
            "_modules": lambda: self._object(depth + 2) if depth < 9 else b"N",
        }
        state = b"}("
        for table, member in tables.items():
            state += (
                self._text(0, table) + b"}" + self._text(0, draw(("weight", "0"))) + member() + b"s"
            )
        for _ in range(self._source.randint(0, 3)):
            state += self._text(0, draw(ATTRIBUTES)) + self.value(depth + 1)
        module, name = draw(OWN)
        if module == "torch.optim":
            group = b"}" + self._text(0, "params") + b"](" + tables["_parameters"]() + b"es"
            state += self._text(0, "param_groups") + b"](" + group + b"e"
            state += self._text(0, "state") + b"}"
        return self._name(module, name) + b")\x81" + state + b"ub"

    # -- calls ------------------------------------------------------------------------------------------

    def _call(self, depth: int) -> Piece:
        function = self._global(depth) if self._source.random() < 0.9 else self.value(depth + 1)
        args = self._tuple(depth) if self._source.random() < 0.95 else self.value(depth + 1)
        return function + args + self._source.choice((b"R", b"R", b"R", b"\x81"))

    def _named_call(self, depth: int) -> Piece:
        """A call as files have it, but for a part now and then."""
        draw = self._source.choice
        module, name = draw(list(unpickler._METHODS))
        tensor, value = self._tensor, lambda: self.value(depth + 1)
        flat = lambda: b"(" + b"".join(self._values(depth)) + b"t"  # noqa: E731
        args = {
            "Size": lambda: [self._sizes()],
            "device": lambda: [self._text(0, draw(("cpu", "cuda", "cuda:1", "meta")))],
            "Parameter": lambda: [tensor(depth + 1), draw((b"\x88", b"\x89"))],
            "Variable": lambda: [tensor(depth + 1)],
            "_rebuild_parameter": lambda: [tensor(depth + 1), draw((b"\x88", b"\x89")), b"}"],
            "_rebuild_parameter_with_state": lambda: [
                tensor(depth + 1), b"\x89", b"}", b"}(" + self._text() + value() + b"u"],
            "_rebuild_from_type_v2": lambda: [
                self._name(*draw(list(unpickler._METHODS))), self._global(depth),
                b"(" + b"".join(self._tensor_args(depth)) + b"t", draw((b"}", b"N", value()))],
            "_get_layout": lambda: [self._text(0, draw(("torch.sparse_coo", "torch.strided", "a")))],
            "_rebuild_sparse_tensor": lambda: [
                self._name("torch.serialization", "_get_layout")
                + self._text(0, "torch.sparse_coo") + b"\x85R",
                b"(" + self._tensor(depth + 1, "LongStorage", 2) + tensor(depth + 1) + self._sizes()
                + draw((b"", b"\x88", b"\x89")) + b"t"],
            "_rebuild_qtensor": lambda: [
                *self._tensor_args(depth, draw(("QInt8Storage", "QUInt8Storage", "QInt32Storage")))[:4],
                b"(" + self._name("torch", "per_tensor_affine") + draw((b"G" + struct.pack(">d", .5),
                tensor(depth + 1), value())) + draw((b"K\1", tensor(depth + 1), value()))
                + draw((b"", self._number())) + b"t", b"\x89", b"}"],
            "_rebuild_tensor_v3": lambda: [
                *self._tensor_args(depth, "UntypedStorage")[:4], b"\x89", b"}",
                self._name(*draw(DTYPES))],
            "_rebuild_tensor": lambda: self._tensor_args(depth)[:4],
            "Tensor": list,
            "bytes": list,
            "encode": lambda: [self._text(), self._text(0, "latin1")],
            "bytearray": lambda: [self._text()],
            "OrderedDict": lambda: [b"](" + b"".join(value() + value() + b"\x86" for _ in range(3)) + b"e"],
        }.get(name, lambda: [draw((flat, value))()] if name in ("set", "frozenset", "Counter")
              else self._tensor_args(depth))()  # fmt: skip
        args = [self.value(depth + 1) if self._source.random() < 0.06 else arg for arg in args]
        return self._name(module, name) + b"(" + b"".join(args) + b"tR"

    def _tensor(self, depth: int, kind: str | None = None, ndim: int | None = None) -> Piece:
        args = self._tensor_args(depth, kind, ndim)
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + b"".join(args) + b"tR"

    def _tensor_args(
        self, depth: int, kind: str | None = None, ndim: int | None = None
    ) -> list[Piece]:
        ndim = self._source.randint(0, 3) if ndim is None else ndim
        size = [self._source.choice((0, 1, 1, 2, 2, 3)) for _ in range(ndim)]
        stride = [math.prod(size[dim + 1 :]) for dim in range(ndim)]
        kind = "odd" if self._source.random() < 0.2 else kind
        if kind == "odd":
            kind, *place = None, self._number(), self._sizes(ndim), self._sizes(ndim)
        else:
            place = [self._number(0, 0), self._sizes(numbers=size), self._sizes(numbers=stride)]
        hooks = self._source.choice((b"}", b"ccollections\nOrderedDict\n)R"))
        grad = b"\x88" if self._source.random() < 0.1 else b"\x89"
        args = [self._pid(depth, kind), *place, grad, hooks]
        if self._source.random() < 0.1:  # whether it is conjugate or negative
            args.append(b"}" + self._text(0, self._source.choice(("conj", "neg"))) + b"\x88s")
        return [self.value(depth + 1) if self._source.random() < 0.01 else arg for arg in args]

    def _sizes(self, ndim: int | None = None, numbers: Any = None) -> Piece:
        if numbers is None:
            ndim = self._source.randint(0, 3) if ndim is None else ndim
            some = (0, 1, 1, 2, 2, 3, 4) if self._source.random() < 0.5 else NUMBERS
            numbers = [self._source.choice(some) for _ in range(ndim)]
        return b"(" + b"".join(self._number(0, n) for n in numbers) + b"t"

    def _pid(self, depth: int, kind: str | None = None) -> Piece:
        if self._source.random() < 0.02:
            return self.value(depth + 1) + b"Q"
        key = self._source.randrange(len(self._storages))
        self.used.add(key)
        wanted = [name for name in self._kinds if name[1] == kind]
        name = self._source.choice(wanted or self._kinds)
        itemsize = unpickler.names.STORAGE_DTYPES[unpickler.OBJECTS[name]].itemsize
        numel = self._storages[key] // itemsize if self._source.random() < 0.95 else None
        parts = [self._text(0, "storage"), self._name(*name), self._text(0, str(key)),
                 self._text(0, "cpu" if self._source.random() < 0.97 else None), self._number(0, numel)]  # fmt: skip
        if self._source.random() < 0.03:
            parts.append(
                self._source.choice((b"N", b"(" + self._text() + self._number() * 2 + b"t"))
            )
        parts = [self.value(depth + 1) if self._source.random() < 0.01 else part for part in parts]
        return b"(" + b"".join(parts) + b"tQ"


# -- files ----------------------------------------------------------------------------------------------


def zip_file(pickled: bytes, storages: list[int], script: bool = False) -> bytes:
    """An archive around a pickle; of TorchScript, if ``script``."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/data.pkl", pickled)
        if script:
            made.writestr("a/constants.pkl", b"\x80\x02).")
        for key, nbytes in enumerate(storages):
            made.writestr(f"a/data/{key}", bytes(nbytes))
    return file.getvalue()


def stream_file(pickled: bytes, storages: dict[int, int]) -> bytes:
    """The stream of 0.1.10 around a pickle."""
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    tail = pickle.dumps([str(key) for key in storages], 2)
    content = [struct.pack("<q", nbytes) + bytes(nbytes) for nbytes in storages.values()]
    return b"".join([*head, pickled, tail, *content])


def tar_file(pickled: bytes, tensors: bytes, storages: bytes) -> bytes:
    """The archive of the first versions around pickles."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, content in (("storages", storages), ("tensors", tensors), ("pickle", pickled)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def drawn_file(number: int) -> bytes:
    """The file of this number."""
    source = random.Random(number)
    storages = [source.choice((0, 4, 64, 512, 512)) for _ in range(source.randint(1, 3))]
    kind = source.randrange(8)
    grammar = Grammar(source, storages)
    # The count of elements stands in a stream again: with bytes there is no other way to see it.
    pickled = grammar.pickle(STORAGES if kind else BYTES)
    if source.random() < 0.1:
        at = source.randrange(len(pickled))
        pickled = pickled[:at] + bytes((source.randrange(256),)) + pickled[at + 1 :]
    if kind == 0:
        return stream_file(pickled, {key: storages[key] for key in sorted(grammar.used)})
    if kind == 1:
        return zip_file(pickled, storages, script=True)
    if kind == 2:
        head = b"\x80\x02K\1.\x80\x02K\7X\3\0\0\0cpuctorch\nFloatStorage\n\x87."
        content = head + struct.pack("<q4f", source.choice((4, 4, 4, 5, -1, 2**40)), 0, 1, 2, 3)
        numbers = [source.choice((0, 1, 2, 4, *NUMBERS[:24])) for _ in range(3)]
        tensor = b"\x80\x02K\1.\x80\x02K\x08K\7ctorch\nFloatTensor\n\x87."
        tensor += struct.pack("<i4x", source.choice((1, 1, 1, 0, 2, -1)))
        tensor += struct.pack("<3q", *(n - 2**64 if n >= 2**63 else n for n in numbers))
        views = source.choice((b"\x80\x02].", Grammar(source, [1]).pickle()))
        inner = source.choice((b"\x80\x02X\1\0\0\x008Q.", pickled))
        return tar_file(inner, tensor, content + views)
    return zip_file(pickled, storages)


# -- what comes of them ---------------------------------------------------------------------------------


def check_tensors(obj: Any) -> int:
    """Look at every tensor: its elements lie in its storage. Returns how many there are."""
    todo, seen, count = [obj], set(), 0
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            todo += [*value.keys(), *value.values(), *getattr(value, "__dict__", {}).values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            todo.extend(value)
        elif isinstance(value, (Module, Optimizer)):
            todo.extend(vars(value).values())
            assert not any(table for name, table in vars(value).items() if "hooks" in name)
        elif isinstance(value, Tensor):
            count += 1
            todo += list(vars(value).values())
            _check(value)
    return count


def _check(tensor: Tensor) -> None:
    array: Any = tensor._array
    if tensor.is_meta:
        assert tensor.stride() is not None
        return  # there are no elements
    if type(array) is CooArray:
        sparse = array.shape[: array.sparse_dim]
        assert ((array.indices >= 0) & (array.indices < np.reshape(sparse, (-1, 1)))).all()
        return
    memory = storage_of(tensor)
    if array.size:
        low, high = np.lib.array_utils.byte_bounds(array)
        assert memory.data_ptr() <= low <= high <= memory.data_ptr() + memory.size()
    if array.size < 4096:
        array.copy()


def is_documented(error: Exception) -> bool:
    """Whether `load` may raise this for a damaged file."""
    if isinstance(error, (CheckpointError, DeviceError)):
        return True
    return type(error) is RuntimeError and "map_location" in str(error)


def main(first: int, rounds: int, note: str) -> None:
    """Load ``rounds`` files; the numbers of files that are refused and read, to stdout."""
    # Once beforehand, so that nothing has to be imported any more.
    sparse, half = dtorch.eye(2).to_sparse(), dtorch.ones(1, dtype=dtorch.bfloat16)
    dtorch.save([sparse, half, dtorch.nn.Parameter(dtorch.ones(1))], warm := io.BytesIO())
    dtorch.load(io.BytesIO(warm.getvalue()))
    seen: list[str] = []
    sys.addaudithook(lambda event, args: seen.append(event) if event in RUNS_CODE else None)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, wherever it hangs
    read = tensors = 0
    with open(note, "wb", buffering=0) as noted, tempfile.NamedTemporaryFile() as mapped:
        for number in range(first, first + rounds):
            data = drawn_file(number)
            os.pwrite(noted.fileno(), f"{number:20}".encode(), 0)
            del seen[:]
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            try:
                if number % 5:
                    obj = dtorch.load(io.BytesIO(data))
                else:
                    mapped.seek(0)
                    mapped.truncate()
                    mapped.write(data)
                    mapped.flush()
                    obj = dtorch.load(mapped.name, mmap=True)
                tensors += check_tensors(obj)
                read += 1
            except Exception as error:
                if not is_documented(error):
                    raise
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            assert not seen, seen
            obj = None
    assert dtorch.float32.itemsize == 4
    print(rounds - read, read, tensors)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
