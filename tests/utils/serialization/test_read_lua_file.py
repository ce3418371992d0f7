"""Files of Torch7, written here byte by byte."""

from __future__ import annotations

import io
import struct

import pytest

import dtorch
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
    legacy = pytest.importorskip("dtorch.legacy.nn")
    data = torch_object(1, "nn.JoinTable", table(2, (string("dimension"), number(2))))
    module = read(data)
    assert isinstance(module, legacy.JoinTable)
    assert module.dimension == 1


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
