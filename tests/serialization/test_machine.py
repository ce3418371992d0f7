"""Pickles that ask for far more than they hold."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import tracemalloc
import zipfile

import pytest

import dtorch
from dtorch.serialization import CheckpointError

MARK, TUPLE, SETITEM, SETITEMS, STOP, POP = b"(", b"t", b"s", b"u", b".", b"0"
LIST, DICT, SET, APPENDS, ADD, REDUCE, BUILD = b"]", b"}", b"\x8f", b"e", b"\x90", b"R", b"b"


def text(content: str) -> bytes:
    encoded = content.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes((len(raw),)) + raw


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    return b"j" + struct.pack("<I", index)


def called(function: bytes, *args: bytes) -> bytes:
    return function + MARK + b"".join(args) + TUPLE + REDUCE


def storage(kind: str = "FloatStorage", numel: int = 4) -> bytes:
    parts = text("storage"), name("torch", kind), text("0"), text("cpu"), number(numel)
    return MARK + b"".join(parts) + b"tQ"


def sizes(*numbers: int) -> bytes:
    return MARK + b"".join(map(number, numbers)) + TUPLE


V2 = name("torch._utils", "_rebuild_tensor_v2")
HOOKS = called(name("collections", "OrderedDict"))


def tensor(shape=(4,), stride=(1,), kind="FloatStorage", numel=4) -> bytes:
    place = storage(kind, numel), number(0), sizes(*shape), sizes(*stride), b"\x89", HOOKS
    return called(V2, *place)


EXPANDED = tensor((1 << 40,), (0,))  # legal: all its elements are one
NESTED = b")" + b"".join(put(i) + POP + get(i) + get(i) + b"\x86" for i in range(60))
NESTED_LISTS = LIST + b"".join(
    put(i) + POP + LIST + MARK + get(i) + get(i) + APPENDS for i in range(60)
)
DEEP = b")" + b"\x85" * 20_000
QUANTISED = name("torch._utils", "_rebuild_qtensor")
AFFINE = name("torch", "per_tensor_affine")


def quantised(scheme: bytes, kind: str = "QInt8Storage", shape=(4,), stride=(1,)) -> bytes:
    place = storage(kind, 1), number(0), sizes(*shape), sizes(*stride), scheme, b"\x89", HOOKS
    return called(QUANTISED, *place)


def sparse(indices: bytes, values: bytes, size: bytes) -> bytes:
    layout = called(name("torch.serialization", "_get_layout"), text("torch.sparse_coo"))
    function = name("torch._utils", "_rebuild_sparse_tensor")
    return called(function, layout, MARK + indices + values + size + b"\x88" + TUPLE)


def alike(count: int) -> list[int]:
    """Different numbers that have one hash."""
    return [1 + n * ((1 << 61) - 1) for n in range(count)]


def items(*parts: bytes) -> bytes:
    return DICT + MARK + b"".join(parts) + SETITEMS


HUGE_TENSOR_ARGS = {
    "offset": called(V2, storage(), EXPANDED, sizes(1), sizes(1), b"\x89", HOOKS),
    "size": called(V2, storage(), number(0), EXPANDED, sizes(1), b"\x89", HOOKS),
    "stride": called(V2, storage(), number(0), sizes(1), EXPANDED, b"\x89", HOOKS),
    "requires_grad": called(V2, storage(), number(0), sizes(1), sizes(1), EXPANDED, HOOKS),
    "dtype": called(name("torch._utils", "_rebuild_tensor_v3"), storage(), number(0), sizes(1),
                    sizes(1), b"\x89", HOOKS, EXPANDED),
    "quantiser": quantised(EXPANDED),
    "scale": quantised(MARK + AFFINE + EXPANDED + b"K\0t"),
    "zero point": quantised(MARK + AFFINE + b"K\1" + EXPANDED + TUPLE),
    "axis": quantised(MARK + AFFINE + tensor() + tensor() + EXPANDED + TUPLE),
    "device": called(name("torch", "device"), EXPANDED),
    "layout": called(name("torch.serialization", "_get_layout"), EXPANDED),
    "sparse data": called(name("torch._utils", "_rebuild_sparse_tensor"), AFFINE, EXPANDED),
    "sparse size": sparse(tensor(), tensor(), EXPANDED),
    "sparse indices": sparse(EXPANDED, tensor(), sizes(4)),
    "sparse values": sparse(tensor((1, 4), (4, 1)), EXPANDED, sizes(4)),
    "class": called(name("torch._tensor", "_rebuild_from_type_v2"), V2, EXPANDED, EXPANDED, b"}"),
    "encoding": called(name("_codecs", "encode"), text("a"), EXPANDED),
    "text": called(name("_codecs", "encode"), EXPANDED, text("latin1")),
    "bytes": called(name("__builtin__", "bytearray"), EXPANDED),
    "complex": called(name("__builtin__", "complex"), EXPANDED),
    "items of it": EXPANDED + b"NNs",
    "appended to it": EXPANDED + b"Na",
    "state of it": EXPANDED + EXPANDED + BUILD,
    "persistent id": EXPANDED + b"Q",
    "part of the id": MARK + EXPANDED * 5 + b"tQ",
    "call of it": EXPANDED + b")R",
    "called with it": V2 + EXPANDED + REDUCE,
    "new of it": EXPANDED + b")\x81",
}  # fmt: skip

HOSTILE = {
    "a tensor of any size": called(name("torch", "Tensor"), number(10**9)),
    "a tensor of any sizes": called(
        name("torch", "Tensor"), called(name("torch", "Size"), sizes(10**5, 10**5))
    ),
    "nested tuples as a key": items(NESTED, b"N"),
    "nested tuples in a set": SET + MARK + NESTED + ADD,
    "nested tuples in a frozenset": MARK + NESTED + b"\x91",
    "nested tuples as a key, one by one": DICT + NESTED + b"N" + SETITEM,
    "nested tuples in a dict of marks": MARK + NESTED + b"Nd",
    **{
        f"nested tuples in {cls}": called(name(module, cls), LIST + NESTED + b"a")
        for module, cls in (
            ("__builtin__", "set"),
            ("__builtin__", "frozenset"),
            ("collections", "Counter"),
        )
    },
    "nested tuples as keys of OrderedDict": called(
        name("collections", "OrderedDict"), LIST + NESTED + b"N\x86a"
    ),
    "nested tuples as a type of storage": MARK + text("storage") + NESTED + text("0") + text("cpu")
    + b"K\4tQ",
    "nested tuples as a key of storage": MARK + text("storage") + name("torch", "FloatStorage")
    + NESTED + text("cpu") + b"K\4tQ",
    "nested tuples as a persistent id": NESTED + b"Q",
    "nested tuples as a layout": called(name("torch.serialization", "_get_layout"), NESTED),
    "nested tuples as a device": called(name("torch", "device"), NESTED),
    "nested tuples as a dtype": called(name("torch._utils", "_rebuild_tensor_v3"), storage(),
                                       number(0), sizes(1), sizes(1), b"\x89", HOOKS, NESTED),
    "nested tuples as sizes": called(V2, storage(), number(0), NESTED, NESTED, b"\x89", HOOKS),
    "nested lists as a state": tensor() + NESTED_LISTS + BUILD,
    "nested lists as a global": NESTED_LISTS + NESTED_LISTS + b"\x93",
    "a deep tuple as a key": items(DEEP, b"N"),
    "a deep tuple in a set": SET + MARK + DEEP + ADD,
    "a deep tuple as a device": called(name("torch", "device"), DEEP),
    "a deep tuple as sizes": called(name("torch", "Size"), DEEP),
    "sets in sets": MARK + b"\x91" + MARK + b"\x91" + b"0(N\x91" + b"".join(
        put(i) + POP + MARK + get(i) + b"\x91" for i in range(3)) + put(9) + POP + items(get(9), b"N"),
    "numbers of one hash": items(*(number(n) + b"N" for n in alike(5_000))),
    "complex numbers of one hash": SET + MARK + b"".join(
        called(name("__builtin__", "complex"), number(1_000_003 * n), number(-n))
        for n in range(5000)) + ADD,
    "tuples of numbers of one hash": items(*(number(n) + b"\x85N" for n in alike(5_000))),
    "numbers of one hash one by one": DICT + b"".join(number(n) + b"Ns" for n in alike(5_000)),
    "a list copied again and again": LIST + MARK + b"K\1" * 20_000 + APPENDS + put(1) + POP
    + LIST + MARK + (name("torch", "Size") + get(1) + b"\x85R") * 5_000 + APPENDS,
    "a text encoded again and again": text("a" * 100_000) + put(1) + POP + LIST + MARK
    + (name("_codecs", "encode") + get(1) + b"\x85R") * 5_000 + APPENDS,
    "bytes copied again and again": b"B" + struct.pack("<I", 100_000) + bytes(100_000) + put(1) + POP
    + LIST + MARK + (name("__builtin__", "bytearray") + get(1) + b"\x85R") * 5_000 + APPENDS,
    "a set of a list again and again": LIST + MARK + b"".join(b"M" + struct.pack("<H", i)
        for i in range(20_000)) + APPENDS + put(1) + POP + LIST + MARK
    + (name("__builtin__", "set") + get(1) + b"\x85R") * 3_000 + APPENDS,
    "a size beyond 64 bits": called(name("torch", "Size"), sizes(1 << 63)),
    "a long number": b"\x8b" + struct.pack("<I", 200_000) + b"\x7f" * 200_000,
    "a call within a call": name("torch._tensor", "_rebuild_from_type_v2") + put(1) + POP
    + (get(1) + MARK + get(1) + name("torch", "Tensor")) * 5_000 + sizes()
    + (b"}t" + REDUCE) * 5_000,
    "a name for a slow pattern": name("torch", "int1" + "_a" * 40 + "!"),
    "a method replaced": HOOKS + items(text("items"), b"N") + BUILD,
    "a method of a tensor replaced": tensor() + items(text("tolist"), b"N") + BUILD,
    "memory of a tensor replaced": tensor() + b"N" + items(text("_array"), b"N") + b"\x86b",
    "a dict of more than pairs": DICT + MARK + b"NNN" + SETITEMS,
    "scale that broadcasts": quantised(MARK + AFFINE + tensor((4, 1), (1, 1)) + b"K\0t"),
    "quantised of an expanded byte": quantised(
        MARK + AFFINE + b"K\1K\0t", shape=(1 << 37,), stride=(0,)
    ),
    "quantised of another type": quantised(
        MARK + AFFINE + b"K\1K\0t", kind="ComplexFloatStorage", shape=(1,)
    ),
    "quantised by complex numbers": quantised(
        MARK + AFFINE + tensor((1,), (1,), "ComplexFloatStorage", 1) * 2 + b"K\0t", shape=(1,)
    ),
    "quantised by a huge number": quantised(
        MARK + AFFINE + number(10**400) + b"K\0t", shape=(1,)
    ),
    "sparse beyond its size": sparse(
        tensor((1, 2), (2, 1), "LongStorage", 2), tensor((2,)), sizes(0)
    ),
}  # fmt: skip


def archive(pickled: bytes, data: bytes = bytes(16)) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/data.pkl", b"\x80\x02" + pickled + STOP)
        made.writestr("a/data/0", data)
    file.seek(0)
    return file


def stream(pickled: bytes, data: bytes = struct.pack("<q", 4) + bytes(16)) -> io.BytesIO:
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    tail = pickle.dumps(["0"] if b"storage" in pickled else [], 2)
    return io.BytesIO(b"".join(head) + b"\x80\x02" + pickled + STOP + tail + data)


def test_a_tuple_deeper_than_the_stack_as_a_key_is_refused():
    with pytest.raises(CheckpointError, match="deep"):
        dtorch.load(archive(items(b")" + b"\x85" * 500_000, b"N")))


@pytest.mark.parametrize("make", [archive, stream])
@pytest.mark.parametrize("hostile", [*HOSTILE, *(f"huge {name}" for name in HUGE_TENSOR_ARGS)])
def test_what_a_file_asks_for_is_bounded_by_what_it_holds(hostile, make):
    # A hang fails by the time-out of the whole run, a crash by itself.
    pickled = HOSTILE.get(hostile) or HUGE_TENSOR_ARGS[hostile.removeprefix("huge ")]
    file = make(pickled)
    size = len(file.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            dtorch.load(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80 * size + (6 << 20)


def test_the_parts_these_are_made_of_are_read():
    assert dtorch.load(archive(tensor())).tolist() == [0.0] * 4
    assert dtorch.load(stream(tensor())).tolist() == [0.0] * 4
    assert dtorch.load(archive(EXPANDED)).shape == (1 << 40,)
    assert dtorch.load(archive(items(b"K\1K\2\x86", b"N"))) == {(1, 2): None}
    quantised_ = quantised(MARK + AFFINE + b"G" + struct.pack(">d", 0.5) + b"K\2t", shape=(1,))
    assert dtorch.load(archive(quantised_)).tolist() == [-1.0]
    indices = tensor((1, 2), (2, 1), "LongStorage", 2)
    huge = dtorch.load(archive(sparse(indices, tensor((2,)), sizes(1 << 40))))
    assert huge.shape == (1 << 40,)


def test_storages_by_themselves_are_those_of_this_library_in_tuples_too():
    pair = MARK + storage("FloatStorage", 4) + storage("FloatStorage", 4) + TUPLE
    for made in (pair, LIST + pair + b"a", items(text("a"), LIST + pair + b"a" + b"N\x86")):
        back = dtorch.load(archive(made))
        back = back["a"][0][0] if isinstance(back, dict) else back
        back = back[0] if isinstance(back, list) else back
        assert type(back[0]) is dtorch.FloatStorage
        assert back[0] is back[1]


def test_conjugate_and_negative_tensors_are_what_they_stand_for():
    numbers = struct.pack("<4f", 1, 2, 3, -4)
    place = storage("ComplexFloatStorage", 2), number(0), sizes(2), sizes(1), b"\x89", HOOKS
    for marks, expected in (
        (("conj",), [1 - 2j, 3 + 4j]),
        (("neg",), [-1 - 2j, -3 + 4j]),
        (("conj", "neg"), [-1 + 2j, -3 - 4j]),
    ):
        metadata = items(*(text(mark) + b"\x88" for mark in marks))
        file = archive(called(V2, *place, metadata), numbers)
        assert dtorch.load(file).tolist() == expected
    huge = storage("ComplexFloatStorage", 2), number(0), sizes(1 << 40), sizes(0), b"\x89", HOOKS
    with pytest.raises(CheckpointError, match="far more than"):
        dtorch.load(archive(called(V2, *huge, items(text("conj") + b"\x88")), numbers))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("weights_only", [True, False])
def test_streams_of_every_protocol_are_read(protocol, weights_only):
    parts = (0x1950A86A20F9469CFC6C, 1001, {}, {"a": [1, "text"]}, [])
    file = io.BytesIO(b"".join(pickle.dumps(part, protocol) for part in parts))
    assert dtorch.load(file, weights_only=weights_only) == {"a": [1, "text"]}


def test_a_memo_counts_as_writers_do_and_takes_eight_bytes_for_each_code():
    far = b"K\7" + put(9) + POP
    body = far + b"K\1\x940K\2" + put(1) + b"0K\3" + put(1) + POP + get(9) + get(1)
    # The first one had the index 1, as one was there: that was replaced.
    assert dtorch.load(archive(body + b"\x86")) == (7, 3)
    many = b"N" + b"\x94" * 200_000
    tracemalloc.start()
    dtorch.load(archive(many))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(many)


def test_keys_of_every_kind_come_back():
    keys = ["a", 1, -1, 2**70, 1.5, None, True, (1, ("b", 2.0)), b"bytes", 1 + 2j, frozenset({1, "x"}),
            dtorch.float32, dtorch.Size((1, 2)), dtorch.device("cpu")]  # fmt: skip
    obj = {key: number for number, key in enumerate(keys)}
    obj["set"] = {1, (2, 3), "c"}
    obj["ordered"] = collections.OrderedDict((key, None) for key in keys)
    obj["counter"] = collections.Counter({(1, 2): 3, "a": 1})
    for options in ({}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 5}):
        file = io.BytesIO()
        dtorch.save(obj, file, **options)
        file.seek(0)
        assert dtorch.load(file) == obj


def test_many_keys_that_are_tuples_or_large_are_read():
    obj = {(i, str(i)): i for i in range(5000)}
    obj |= {2**61 + i: i for i in range(5000)} | {i / 7: i for i in range(5000)}
    file = io.BytesIO()
    dtorch.save(obj, file)
    file.seek(0)
    assert dtorch.load(file) == obj


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_gives_what_pickle_gives(protocol):
    itself = [1]
    itself.append((itself, {"a": itself}))
    obj = ["é" * 300, "", b"", b"\xff" * 300, bytearray(b"abc"), 0, 255, 256, 65535, 65536, -1, -(2**31),
           2**31, -(2**70), 1e300, float("inf"), None, True, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4),
           {}, [], [[]], {"k": {"k": {}}}, {1, 2}, frozenset((3,)), 2 + 3j, "\ud800",
           collections.OrderedDict([("b", 1), ("a", 2)]), *range(300)]  # fmt: skip
    file = io.BytesIO()
    dtorch.save([obj, obj[0]], file, pickle_protocol=protocol)
    file.seek(0)
    back = dtorch.load(file)
    assert back == [obj, obj[0]]
    assert list(map(type, back[0])) == list(map(type, obj))
    file = io.BytesIO()
    dtorch.save(itself, file, pickle_protocol=protocol)
    file.seek(0)
    back = dtorch.load(file)
    assert back[1][0] is back
    assert back[1][1]["a"] is back


def test_texts_of_python_2_come_in_the_encoding_asked_for():
    file = archive(b"U\3a\xe9c")
    with pytest.raises(CheckpointError, match="UnicodeDecodeError"):
        dtorch.load(file)
    for options, expected in (
        ({"encoding": "latin1"}, "aéc"),
        ({"encoding": "bytes"}, b"a\xe9c"),
        ({"encoding": "ascii", "errors": "ignore"}, "ac"),
    ):
        file.seek(0)
        assert dtorch.load(file, **options) == expected
    file.seek(0)
    with pytest.raises(TypeError, match="unexpected arguments"):
        dtorch.load(file, buffer=1)


def test_a_pickle_in_a_stream_may_be_longer_than_what_is_read_at_once():
    obj = [["x" * 200_000, "y" * 1000, *range(100_000)], dtorch.ones(3)]
    file = io.BytesIO()
    dtorch.save(obj, file, _use_new_zipfile_serialization=False)
    whole = file.getvalue()
    back = dtorch.load(io.BytesIO(whole + whole))
    assert back[0] == obj[0]
    assert back[1].tolist() == [1.0, 1.0, 1.0]
