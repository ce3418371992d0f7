"""Files of other versions, places of storages, damaged and hostile files."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import pickletools
import re
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import pytest

import dtorch
from dtorch.core import classic
from dtorch.serialization import CheckpointError, location, location_tag, register_package


def saved(obj) -> bytes:
    file = io.BytesIO()
    dtorch.save(obj, file)
    return file.getvalue()


def loaded(data: bytes, **options):
    return dtorch.load(io.BytesIO(data), **options)


def with_pickle(pickled: bytes) -> bytes:
    """A checkpoint archive around any pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/version", "3\n")
        archive.writestr("a/data/0", bytes(16))
    return file.getvalue()


def edited(data: bytes, change) -> bytes:
    """An archive whose members went through ``change(name, content)``."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            new.writestr(info, change(info.filename, old.read(info)))
    return file.getvalue()


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", ["zip.pth", "training.pth"])
def test_files_of_the_reference_implementation_are_read_exactly(checkpoints, described, name, mmap):
    described(dtorch.load(checkpoints / name, mmap=mmap), name)


def test_sharing_is_kept_from_the_reference_implementation(checkpoints):
    back = dtorch.load(checkpoints / "zip.pth")
    assert back["view"].storage() is back["base"].storage()
    back["base"][0, 0] = 7.0
    assert back["transposed"][0, 0].item() == 7.0


def test_mapped_tensors_change_in_this_process_only(tmp_path):
    path = tmp_path / "a.pt"
    dtorch.save(dtorch.zeros(5000), path)
    tensor = dtorch.load(path, mmap=True)
    tensor += 1
    assert tensor.sum().item() == 5000.0
    assert dtorch.load(path).sum().item() == 0.0


def test_mapped_elements_are_aligned_even_if_those_in_the_file_are_not(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(edited(saved([dtorch.ones(3), dtorch.ones(5)]), lambda name, c: c))
    for tensor in dtorch.load(path, mmap=True):
        assert tensor.numpy().flags.aligned
        assert tensor.sum().item() == tensor.numel()


def test_big_endian_files_are_read():
    def turned(name, content):
        if name.endswith("byteorder"):
            return b"big"
        if "/data/" in name:
            count = len(content) // 4
            return struct.pack(f">{count}I", *struct.unpack(f"<{count}I", content))
        return content

    back = loaded(edited(saved([dtorch.ones(3), dtorch.ones(2).to(dtorch.complex64)]), turned))
    assert back[0].tolist() == [1.0, 1.0, 1.0]
    assert back[1].tolist() == [1 + 0j, 1 + 0j]


# -- where to ------------------------------------------------------------------------------------


def stored_on(place: str) -> bytes:
    tag = b"X" + len(place).to_bytes(4, "little") + place.encode()
    return edited(saved(dtorch.ones(3)), lambda name, c: c.replace(b"X\x03\0\0\0cpu", tag))


def test_map_location_takes_names_devices_dicts_and_functions():
    data, asked = saved([dtorch.ones(2)]), []

    def place(storage, tag):
        asked.append(tag)

    for where in (None, "cpu", dtorch.device("cpu"), {"cuda:0": "cpu"}, place):
        assert loaded(data, map_location=where)[0].tolist() == [1.0, 1.0]
    assert asked == ["cpu"]


def test_map_location_is_applied_once_to_a_storage_that_two_tensors_share():
    base, asked = dtorch.ones(4), []

    def place(storage, tag):
        asked.append(tag)
        return storage

    loaded(saved([base, base[1:]]), map_location=place)
    assert asked == ["cpu"]


def test_an_unknown_place_names_map_location():
    with pytest.raises(RuntimeError, match=r"'gpu'.*map_location='cpu'"):
        loaded(stored_on("gpu"))
    assert loaded(stored_on("gpu"), map_location="cpu").tolist() == [1.0, 1.0, 1.0]
    assert loaded(stored_on("gpu"), map_location={"gpu": "cpu"}).tolist() == [1.0, 1.0, 1.0]


def test_a_missing_card_names_map_location():
    with pytest.raises(RuntimeError, match=r"cuda:0.*map_location='cpu'"):
        loaded(stored_on("cuda:0"))


def test_new_kinds_of_places_can_be_registered(monkeypatch):
    monkeypatch.setattr(location, "_packages", list(location._packages))
    moved = []

    def bring(storage, tag):
        if tag == "gpu":
            moved.append(storage.nbytes())
            return storage
        return None

    register_package(5, lambda storage: None, bring)
    assert loaded(stored_on("gpu")).tolist() == [1.0, 1.0, 1.0]
    assert moved == [12]
    register_package(1, lambda storage: "mine", lambda storage, tag: None)
    assert location_tag(dtorch.ones(2).storage()) == "mine"
    assert location_tag(dtorch.ones(2).untyped_storage()) == "mine"


@pytest.mark.parametrize("tag", ["xla:0", "mps", "hpu:0", "privateuseone:0", "", "cpu:0"])
def test_any_foreign_place_is_named_and_can_be_mapped_to_the_cpu(tag):
    with pytest.raises(RuntimeError, match=f"{tag}.*map_location='cpu'"):
        loaded(stored_on(tag))
    assert loaded(stored_on(tag), map_location="cpu").tolist() == [1.0, 1.0, 1.0]


def test_a_place_asked_for_that_nobody_knows_is_named_as_asked_for():
    for wanted in ("lazy", {"cpu": "lazy"}):
        with pytest.raises(
            RuntimeError, match="map_location sends what was stored on 'cpu' to 'lazy'"
        ):
            loaded(saved(dtorch.ones(3)), map_location=wanted)


def test_errors_of_a_map_location_function_are_its_own():
    for error in (KeyError("mine"), ValueError("mine"), AttributeError("mine")):

        def place(storage, tag, error=error):
            raise error

        for is_zip in (True, False):
            file = io.BytesIO()
            dtorch.save([dtorch.ones(2)], file, _use_new_zipfile_serialization=is_zip)
            file.seek(0)
            with pytest.raises(type(error), match="mine") as caught:
                dtorch.load(file, map_location=place)
            assert caught.value is error
    with pytest.raises(TypeError, match="map_location gave int"):
        loaded(saved([dtorch.ones(2)]), map_location=lambda storage, tag: 5)
    typed = dtorch.FloatStorage([3.0, 4.0])
    assert loaded(saved([dtorch.ones(2)]), map_location=lambda *_: typed)[0].tolist() == [3.0, 4.0]


def test_a_wrong_map_location_is_named():
    with pytest.raises(TypeError, match="map_location is int"):
        loaded(saved(1), map_location=3)


# -- what may be in a file -----------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/should-not-exist",)


def test_a_file_that_wants_to_run_code_is_refused_by_name_with_both_remedies():
    data = with_pickle(pickle.dumps(Evil(), 2))
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system") as caught:
        loaded(data)
    assert "add_safe_globals" in str(caught.value)
    assert "weights_only=False" in str(caught.value)


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x


class Options:
    lr = 0.1


def test_classic_mode_makes_whatever_a_file_names_unless_the_caller_says_otherwise():
    data = saved({"options": Options(), "weight": dtorch.ones(2)})
    with pytest.raises(CheckpointError, match=r"Options.*--classic"):
        loaded(data)
    classic.switch(True)
    try:
        with pytest.warns(classic.ClassicWarning, match="ran code"):
            assert loaded(data)["options"].lr == 0.1
        with pytest.raises(CheckpointError, match="Options"):
            loaded(data, weights_only=True)
    finally:
        classic.switch(False)


def test_classes_are_made_once_they_are_allowed():
    data = saved({"p": Point(dtorch.ones(2))})
    with pytest.raises(CheckpointError, match="Point"):
        loaded(data)
    with dtorch.serialization.safe_globals([Point]):
        assert loaded(data)["p"].x.tolist() == [1.0, 1.0]
    with pytest.raises(CheckpointError, match="Point"):
        loaded(data)
    dtorch.serialization.add_safe_globals([Point])
    try:
        assert dtorch.serialization.get_safe_globals() == [Point]
        loaded(data)
    finally:
        dtorch.serialization.clear_safe_globals()
    assert loaded(data, weights_only=False)["p"].x.tolist() == [1.0, 1.0]


HOSTILE = {
    "text longer than the file": b"\x80\x02X\xff\xff\xff\x7fa.",
    "bytes of enormous size": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
    "bytearray of a number": b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "changed dtype": b"\x80\x02ctorch\nfloat32\nN}X\x08\0\0\0itemsizeK\x00s\x86b.",
    "changed layout": b"\x80\x02ctorch.serialization\n_get_layout\nX\x10\0\0\0torch.sparse_coo"
    b"\x85RN}X\x04\0\0\0nameK\x00s\x86b.",
    "changed tensor": b"\x80\x02ctorch\nTensor\n)R"
    b"N}X\x06\0\0\0_arrayK\x00s\x86b.",
    "changed function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x08\0\0\0__code__K\x00s\x86b.",
    "changed class": b"\x80\x02ccollections\nOrderedDict\nN}X\x05\0\0\0clearK\x00s\x86b.",
    "extension registry": b"\x80\x02\x82\x01.",
    "persistent id as text": b"P123\n.",
    "old style instance": b"(ios\nsystem\n.",
    "no end": b"\x80\x02]",
    "pop of nothing": b"\x80\x020.",
    "reference to something else": b"\x80\x02K\x01Q.",
}  # fmt: skip


@pytest.mark.parametrize("pickled", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_are_refused_without_side_effect(pickled):
    with pytest.raises(CheckpointError):
        loaded(with_pickle(pickled))
    assert dtorch.float32.itemsize == 4


def test_a_memo_with_large_indices_takes_no_memory():
    tracemalloc.start()
    assert loaded(with_pickle(b"\x80\x02K\x01r\xff\xff\xff\xff0j\xff\xff\xff\xff.")) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def tensor_pickle(key=b"0", numel=4, offset=0, size=(4,), stride=(1,)) -> bytes:
    class Call:
        def __reduce__(self):
            return OrderedDict, ()

    args = pickle.dumps((offset, size, stride, False), 2)[2:-1]
    body = bytearray(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(")
    body += b"(X\x07\0\0\0storagectorch\nFloatStorage\nX" + len(key).to_bytes(4, "little") + key
    body += b"X\x03\0\0\0cpu" + pickle.dumps(numel, 2)[2:-1] + b"tQ"
    for part in (offset, size, stride, False):
        body += b"".join(
            op.code.encode("latin1") if arg is None else raw
            for op, arg, raw in _raw_codes(pickle.dumps(part, 2))
        )
    del args
    return bytes(body + b"ccollections\nOrderedDict\n)RtR.")


def _raw_codes(pickled: bytes):
    codes = list(pickletools.genops(pickled))
    for (op, arg, at), after in zip(codes, [c[2] for c in codes[1:]] + [len(pickled)], strict=True):
        if op.name not in ("PROTO", "STOP", "BINPUT", "MEMOIZE", "FRAME"):
            yield op, arg, pickled[at:after]


def test_the_pickle_of_a_tensor_by_hand_is_read():
    assert loaded(with_pickle(tensor_pickle())).tolist() == [0.0] * 4


@pytest.mark.parametrize(
    "change",
    [
        {"size": (5,)},
        {"offset": 1},
        {"offset": -1},
        {"stride": (2,)},
        {"stride": (-1,)},
        {"size": (2, 2)},
        {"size": (1 << 62,), "stride": (1,)},
        {"size": (1 << 40, 1 << 40), "stride": (1 << 40, 1)},
        {"size": ("a",)},
        {"numel": 5},
        {"numel": -1},
        {"numel": "many"},
        {"key": b"1"},
        {"key": b"../0"},
    ],
    ids=str,
)
def test_a_tensor_outside_its_storage_is_refused(change):
    with pytest.raises(CheckpointError):
        loaded(with_pickle(tensor_pickle(**change)))


def test_sparse_tensors_come_back():
    sparse = dtorch.sparse_coo_tensor([[2, 0], [1, 1]], [3.0, 4.0], (3, 2))
    for tensor in (sparse, sparse.coalesce()):
        back = loaded(saved({"s": tensor}))["s"]
        assert back.is_sparse
        assert back.to_dense().tolist() == tensor.to_dense().tolist()
        assert back.is_coalesced() == tensor.is_coalesced()
    assert loaded(saved([dtorch.sparse_coo, dtorch.strided])) == [dtorch.sparse_coo, dtorch.strided]


@pytest.mark.parametrize("mmap", [False, True])
def test_quantised_tensors_are_the_numbers_that_they_stand_for(checkpoints, mmap):
    expected = json.loads((checkpoints / "quantised.pth.json").read_text())
    loaded_ = dtorch.load(checkpoints / "quantised.pth", mmap=mmap)
    assert {name: tensor.tolist() for name, tensor in loaded_.items()} == expected
    assert all(tensor.dtype is dtorch.float32 for tensor in loaded_.values())


@pytest.mark.parametrize("stride", [0, 1])
def test_quantised_tensors_without_memory_of_their_own_are_refused(checkpoints, stride):
    # One byte, and 2**30 elements that all are this byte: eight gigabytes of numbers.
    size = b"J\xff\xff\xff\x3f\x85K" + bytes((stride,)) + b"\x85"
    pickled = (b"\x80\x02ctorch._utils\n_rebuild_qtensor\n((X\x07\0\0\0storagectorch\nQInt8Storage\n"
               b"X\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0" + size
               + b"(ctorch\nper_tensor_affine\nG" + struct.pack(">d", 0.5) + b"K\0t"
               b"\x89ccollections\nOrderedDict\n)RtR.")  # fmt: skip
    with pytest.raises(CheckpointError, match="share their memory" if stride == 0 else "damaged"):
        loaded(with_pickle(pickled))


@pytest.mark.parametrize("name", ["collections\nOrderedDict", "__builtin__\nset",
                                  "__builtin__\nfrozenset", "torch\nSize",
                                  "collections\nCounter"])  # fmt: skip
def test_containers_are_not_made_of_tensors_of_any_size(name):
    tensor = tensor_pickle(size=(1 << 40, 2), stride=(0, 0))[2:-1]
    with pytest.raises(CheckpointError, match="container made of an object of type Tensor"):
        loaded(with_pickle(b"\x80\x02c" + name.encode() + b"\n" + tensor + b"\x85R."))


def test_other_kinds_of_tensors_are_refused_by_name():
    pickled = b"\x80\x02ctorch._utils\n_rebuild_nested_tensor\n)R."
    with pytest.raises(CheckpointError, match=r"_rebuild_nested_tensor.*dense"):
        loaded(with_pickle(pickled))
    pickled = b"\x80\x02ctorch.serialization\n_get_layout\nX\x10\0\0\0torch.sparse_csr\x85R."
    with pytest.raises(CheckpointError, match=r"sparse_csr.*to_dense"):
        loaded(with_pickle(pickled))


# -- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float8_e4m3fn", "uint16", "bits1x8", "quint4x2"])
def test_other_dtypes_are_refused_by_name(name):
    with pytest.raises(CheckpointError, match=f"torch.{name}, a dtype that dtorch does not have"):
        loaded(with_pickle(b"\x80\x02ctorch\n" + name.encode() + b"\n."))


def test_a_file_cut_off_anywhere_is_refused():
    data = saved({"a": dtorch.ones(100)})
    for size in range(0, len(data), 37):
        with pytest.raises(CheckpointError):
            loaded(data[:size])


def test_a_flipped_bit_in_a_storage_is_noticed_and_a_missing_checksum_is_not(tmp_path):
    data = bytearray(saved(dtorch.ones(3)))
    data[data.index(struct.pack("<f", 1.0)) + 1] ^= 1
    with pytest.raises(CheckpointError, match="data/0' does not match its checksum"):
        loaded(bytes(data))
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    assert dtorch.load(path, mmap=True)[0].item() != 1.0  # mapped files are not read for it
    crc = zipfile.ZipFile(io.BytesIO(saved(dtorch.ones(3)))).getinfo("archive/data/0").CRC
    assert loaded(bytes(data).replace(struct.pack("<I", crc), bytes(4)))[1].item() == 1.0


def test_a_missing_member_is_named():
    with pytest.raises(CheckpointError, match="a/data/9"):
        loaded(with_pickle(tensor_pickle(key=b"9")))


def test_compressed_members_are_refused_with_the_remedy():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(100_000))
    with pytest.raises(CheckpointError, match="zip -0"):
        loaded(file.getvalue())


ENTRY = b"PK\1\2"  # in the directory: sizes at 20 and 24, place at 42, name at 46


def entries_of(data: bytes) -> list[int]:
    places = [match.start() for match in re.finditer(re.escape(ENTRY), data)]
    assert len(places) == 7
    return places


@pytest.mark.parametrize(
    ("at", "values", "message"),
    [
        (20, (1 << 20, 1 << 20), "beyond its end"),
        (20, (1 << 31, 1 << 31), "beyond its end"),
        (20, (100, 1 << 30), "two sizes"),
        (20, (0xFFFFFFFF, 0xFFFFFFFF), "beyond its end"),
        (42, (0,), "overlap"),
        (42, (100,), "overlap"),
        (42, (0xFFFFFFFF,), "beyond its end"),
        (42, (0x7FFFFFFF,), "beyond its end"),
    ],
)
def test_members_that_cannot_be_where_the_directory_says_are_refused(at, values, message):
    data = bytearray(saved([dtorch.zeros(1000), dtorch.zeros(1000)]))
    last = entries_of(data)[-1]
    data[last + at : last + at + 4 * len(values)] = struct.pack(f"<{len(values)}I", *values)
    with pytest.raises(CheckpointError, match=message):
        loaded(bytes(data))


def test_a_member_with_two_entries_is_refused():
    data = bytearray(saved([dtorch.zeros(1000), dtorch.zeros(1000)]))
    last = entries_of(data)[-2]
    assert data[last + 46 : last + 60] == b"archive/data/1"
    data[last + 59 : last + 60] = b"0"
    with pytest.raises(CheckpointError, match="'archive/data/0' twice"):
        loaded(bytes(data))


def test_wide_numbers_in_a_directory_are_compared_with_the_file():
    for size, place in ((1 << 63, 0), (64, (1 << 64) - 1), ((1 << 64) - 1, (1 << 64) - 1)):
        data = bytearray(saved([dtorch.zeros(1000)]))
        end = data.rfind(b"PK\5\6")
        record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 6, 6, size, place)
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
        data[end:end] = record + locator
        data[end + 76 + 8 : end + 76 + 20] = b"\xff" * 12
        with pytest.raises(CheckpointError, match="does not fit"):
            loaded(bytes(data))
        lost = struct.pack("<4sIQI", b"PK\6\7", 0, (1 << 64) - 1, 1)
        data[end + 56 : end + 76] = lost
        with pytest.raises(CheckpointError, match="64-bit end record"):
            loaded(bytes(data))


def test_something_else_is_refused_with_its_first_bytes():
    with pytest.raises(CheckpointError, match=r"starts with b'hello"):
        loaded(b"hello, this is a text")
    with pytest.raises(CheckpointError, match="empty"):
        loaded(b"")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.pt"):
        dtorch.load(tmp_path / "missing.pt")


@pytest.mark.parametrize("is_zip", [True, False])
def test_loading_takes_little_more_memory_than_the_file(tmp_path, is_zip):
    path = tmp_path / "a.pt"
    tensors = [dtorch.zeros(1 << 20) for _ in range(4)]
    dtorch.save(tensors, path, _use_new_zipfile_serialization=is_zip)
    tracemalloc.start()
    back = dtorch.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(back) == 4
    assert path.stat().st_size < peak < path.stat().st_size + (5 << 20)


def test_mmap_of_a_file_object_is_refused():
    with pytest.raises(ValueError, match="path"):
        loaded(saved(1), mmap=True)


def test_another_pickle_module_needs_trust():
    with pytest.raises(ValueError, match="weights_only=False"):
        loaded(saved(1), pickle_module=pickletools)


def test_files_that_cannot_seek_are_read_and_what_is_no_file_says_what_it_lacks() -> None:
    stream = io.BytesIO()
    dtorch.save(dtorch.arange(3), stream)
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(stream.getvalue())
    with open(reading, "rb") as file:
        assert dtorch.load(file).tolist() == [0, 1, 2]
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as file:
        dtorch.save(dtorch.arange(3), file)
    packed.seek(0)
    with gzip.open(packed) as file:
        assert dtorch.load(file).tolist() == [0, 1, 2]
    with pytest.raises(AttributeError, match="from a file that is seekable"):
        dtorch.load(object())
    with pytest.raises(AttributeError, match="open for writing"):
        dtorch.save(1, object())
    with pytest.raises(EOFError, match="empty"):
        dtorch.load(io.BytesIO())


def test_several_objects_follow_each_other_in_one_file() -> None:
    stream = io.BytesIO()
    for number in range(3):
        dtorch.save(
            [number, dtorch.full((2,), number)], stream, _use_new_zipfile_serialization=False
        )
    stream.seek(0)
    assert [dtorch.load(stream)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(EOFError):
        dtorch.load(stream)
