"""Files of Torch7, written here byte by byte."""

from __future__ import annotations

import io
import os
import random
import struct
import tracemalloc

import numpy as np
import pytest

import dtorch
from dtorch.legacy import nn
from dtorch.utils.serialization import load_lua
from dtorch.utils.serialization.read_lua_file import T7Reader, T7ReaderException, TorchObject


def number(value):
    return struct.pack("<id", 1, value)


def string(text):
    return struct.pack("<ii", 2, len(text)) + text.encode()


def table(index, *pairs):
    return struct.pack("<iii", 3, index, len(pairs)) + b"".join(k + v for k, v in pairs)


def torch_object(index, name, content):
    text = struct.pack("<i", 3) + b"V 1" + struct.pack("<i", len(name)) + name.encode()
    return struct.pack("<ii", 4, index) + text + content


def storage(index, kind="Double", values=(0.0, 1.0, 2.0, 3.0), code="d", long="q"):
    content = struct.pack(f"<{long}", len(values)) + struct.pack(f"<{len(values)}{code}", *values)
    return torch_object(index, f"torch.{kind}Storage", content)


def tensor(index, inner, kind="Double", size=(2, 2), stride=(2, 1), offset=1, long="q"):
    n = len(size)
    content = struct.pack(f"<i{2 * n + 1}{long}".replace("<i", "<i"), n, *size, *stride, offset)
    return torch_object(index, f"torch.{kind}Tensor", content + inner)


def read(data, **options):
    return T7Reader(io.BytesIO(data), **options).read()


def test_plain_values_are_read():
    assert read(struct.pack("<i", 0)) is None
    assert read(number(2.5)) == 2.5
    assert type(read(number(3.0))) is int
    assert type(read(number(3.0), int_heuristic=False)) is float
    assert read(string("text")) == "text"
    assert read(struct.pack("<ii", 5, 1)) is True


def test_tables_become_lists_or_dicts():
    rows = table(1, (number(1), string("a")), (number(2), string("b")))
    assert read(rows) == ["a", "b"]
    assert read(rows, list_heuristic=False) == {1: "a", 2: "b"}
    assert read(table(1, (string("x"), number(1)), (number(1), number(2)))) == {"x": 1, 1: 2}
    assert read(table(1)) == {}


def test_a_table_read_twice_is_one_object():
    inner = table(2, (string("x"), number(1)))
    again = struct.pack("<ii", 3, 2)
    both = read(table(1, (string("a"), inner), (string("b"), again)))
    assert both["a"] is both["b"]


def test_tensors_are_read_and_share_storages():
    first, second = (
        tensor(1, storage(2)),
        tensor(3, struct.pack("<ii", 4, 2), size=(2,), stride=(2,), offset=2),
    )
    pair = read(table(9, (number(1), first), (number(2), second)))
    assert pair[0].dtype is dtorch.float64
    assert pair[0].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert pair[1].tolist() == [1.0, 3.0]
    pair[0][0, 1] = 9.0
    assert pair[1][0].item() == 9.0


@pytest.mark.parametrize(
    ("kind", "code"), [("Float", "f"), ("Long", "q"), ("Int", "i"), ("Byte", "B")]
)
def test_types_of_tensors(kind, code):
    data = tensor(1, storage(2, kind, (1, 2, 3, 4), code), kind)
    assert read(data).tolist() == [[1, 2], [3, 4]]


def test_files_with_longs_of_four_bytes_are_read():
    data = tensor(1, storage(2, "Long", (1, 2, 3, 4), "i", "i"), "Long", long="i")
    assert read(data, long_size=4).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="long_size is 3"):
        read(data, long_size=3)


def test_empty_tensors_have_no_storage():
    data = tensor(1, struct.pack("<i", 0), size=(), stride=())
    assert read(data).numel() == 0


def test_unknown_classes_are_named_or_wrapped():
    data = torch_object(1, "my.Class", table(2, (string("width"), number(3))))
    with pytest.raises(T7ReaderException, match=r"my\.Class.*unknown_classes"):
        read(data)
    found = read(data, unknown_classes=True)
    assert isinstance(found, TorchObject)
    assert found.torch_typename() == "my.Class"
    assert found.width == 3
    with pytest.raises(AttributeError, match="height"):
        _ = found.height


def test_modules_become_legacy_ones_with_dims_from_zero():
    inner = torch_object(3, "nn.JoinTable", table(4, (string("dimension"), number(2))))
    modules = table(2, (number(1), inner))
    data = torch_object(1, "nn.Sequential", table(5, (string("modules"), modules)))
    net = read(data)
    assert isinstance(net, nn.Sequential)
    assert isinstance(net.get(0), nn.JoinTable)
    one = dtorch.ones(2, 1)
    assert net.forward([one, one]).shape == (2, 2)


def test_storages_know_their_type():
    found = read(storage(1, "Long", (1, 2, 3), "q"))
    assert isinstance(found, dtorch.LongStorage)
    assert found.tolist() == [1, 2, 3]


def test_functions_keep_their_code():
    data = struct.pack("<iii", 8, 1, 3) + b"abc" + number(1)
    assert read(data).code == b"abc"


def test_damaged_files_are_refused():
    data = tensor(1, storage(2))
    for size in range(len(data)):
        with pytest.raises(T7ReaderException):
            read(data[:size])
    with pytest.raises(T7ReaderException, match="no kind"):
        read(struct.pack("<i", 77))
    with pytest.raises(T7ReaderException, match="storage"):
        read(tensor(1, storage(2), size=(3, 3)))


def test_load_lua_reads_a_file(tmp_path):
    (tmp_path / "a.t7").write_bytes(table(1, (string("w"), tensor(2, storage(3)))))
    assert load_lua(tmp_path / "a.t7")["w"].tolist() == [[0.0, 1.0], [2.0, 3.0]]


# -- hostile files ---------------------------------------------------------------------------------


class Grammar:
    """Draws objects of files, with numbers that files do not have."""

    numbers = (0, 1, 2, 4, 8, -1, 5, 2**31 - 1, -(2**31), 100, 1000)
    longs = (0, 1, 2, 3, 4, -1, 2**31, 2**32 + 1, 2**40, 2**62, 2**63 - 1, -(2**63))

    def __init__(self, source):
        self.source, self.index, self.left = source, 0, 40

    def next_index(self):
        if self.index and self.source.random() < 0.2:
            return self.source.randint(1, self.index)
        self.index += 1
        return self.index

    def value(self):
        self.left -= 1
        draw = self.source.choice
        kinds = [lambda: number(draw((0.0, 1.0, 2.0, 1.5, 1e308, float("nan"), -(2.0**62)))),
                 lambda: string(draw(("", "a", "size", "dimension"))), lambda: struct.pack("<i", 0),
                 lambda: struct.pack("<ii", 5, 1), lambda: struct.pack("<i", draw((6, 7, 8, 9)))]  # fmt: skip
        if self.left > 0:
            kinds += [self.table, self.table, self.tensor, self.tensor, self.tensor, self.object]
        return draw(kinds)()

    def table(self):
        count = self.source.randint(0, 4)
        made = table(self.next_index(), *((self.value(), self.value()) for _ in range(count)))
        if self.source.random() < 0.1:
            made = made[:8] + struct.pack("<i", self.source.choice(self.numbers)) + made[12:]
        return made

    def tensor(self):
        inner = storage(self.next_index()) if self.source.random() < 0.9 else self.value()
        ndim = self.source.randint(0, 3)
        numbers = (1, 2, 2) if self.source.random() < 0.4 else self.longs
        size, stride = ([self.source.choice(numbers) for _ in range(ndim)] for _ in range(2))
        offset = self.source.choice((1, 1, 1, *self.longs))
        made = tensor(self.next_index(), inner, size=size, stride=stride, offset=offset)
        if self.source.random() < 0.1:
            at = self.source.randrange(len(made))
            made = made[:at] + struct.pack("<i", self.source.choice(self.numbers)) + made[at + 4 :]
        return made

    def object(self):
        name = self.source.choice(("nn.Linear", "nn.os", "torch.Any", "torch.FloatStorage", "x"))
        return torch_object(self.next_index(), name, self.value())


def test_files_drawn_from_a_grammar_are_read_or_refused():
    rounds = 4 * int(os.environ.get("DTORCH_TEST_FUZZ_ROUNDS", "500"))
    outcomes = {True: 0, False: 0}
    for number_ in range(rounds):
        data = Grammar(random.Random(number_)).value()
        tracemalloc.start()
        try:
            back = read(data, unknown_classes=bool(number_ % 2))
        except T7ReaderException:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
            if isinstance(back, dtorch.Tensor) and back.numel():
                memory = back.untyped_storage()
                low, high = np.lib.array_utils.byte_bounds(back.numpy())
                assert memory.data_ptr() <= low <= high <= memory.data_ptr() + memory.size()
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 1 << 20, number_
    assert min(outcomes.values()) > rounds // 20


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<iii", 3, 1, 2**31 - 1),
        struct.pack("<ii", 2, 2**31 - 1) + b"abc",
        struct.pack("<ii", 2, -1),
        b"".join(struct.pack("<iii", 3, i, 1) for i in range(1, 20_000)),
        tensor(1, storage(2), size=((1 << 32) + 1,), stride=(1 << 29,)),
        tensor(1, storage(2, values=()), size=(1000,), stride=(1,)),
        tensor(1, storage(2), offset=0),
        tensor(1, storage(2), size=(5,), stride=(1,)),
        torch_object(1, "torch.DoubleStorage", struct.pack("<q", 1 << 60)),
        torch_object(1, "torch.DoubleTensor", struct.pack("<i", 2**31 - 1)),
    ],
)
def test_numbers_that_files_do_not_have_are_refused(data):
    with pytest.raises(T7ReaderException):
        read(data)
