"""Archives of TorchScript: a program that is not run, and the state beside it."""

from __future__ import annotations

import io
import zipfile

import pytest

import dtorch
from dtorch import nn
from dtorch.serialization import CheckpointError


def archive(pickled: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/data.pkl", pickled)
        made.writestr("a/constants.pkl", b"\x80\x02).")
    file.seek(0)
    return file


@pytest.mark.parametrize("weights_only", [True, False])
def test_the_weights_of_a_program_are_read(checkpoints, weights_only):
    state = dtorch.load(checkpoints / "script.pt", weights_only=weights_only)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "tied": (2, 2), "conv.weight": (2, 1, 3, 3), "conv.bias": (2,), "norm.weight": (2,),
        "norm.bias": (2,), "norm.running_mean": (2,), "norm.running_var": (2,),
        "norm.num_batches_tracked": (), "blocks.0.weight": (2, 2), "blocks.0.bias": (2,),
        "blocks.1.0.weight": (1, 2), "blocks.1.0.bias": (1,),
    }  # fmt: skip
    assert state["tied"] is state["blocks.0.weight"]
    for tensor in state.values():
        assert not tensor.requires_grad
        assert tensor.flatten().tolist() == [n / 8 for n in range(tensor.numel())]


def test_they_fit_the_module_here(checkpoints):
    conv = nn.Conv2d(1, 2, 3)
    state = dtorch.load(checkpoints / "script.pt")
    conv.load_state_dict({name: state[f"conv.{name}"] for name in ("weight", "bias")})
    assert conv.bias.tolist() == [0.0, 0.125]


def test_a_state_that_needs_code_is_refused_by_name(checkpoints):
    with pytest.raises(
        CheckpointError, match=r"quantized\.LinearPackedParamsBase, whose state only"
    ):
        dtorch.load(checkpoints / "packed.pt")
    with pytest.raises(CheckpointError, match=r"__torch__\.Net keeps its state as tuple"):
        dtorch.load(archive(b"\x80\x02c__torch__\nNet\n)\x81K\x01K\x02\x86b."))


def test_a_program_without_state_is_told():
    with pytest.raises(CheckpointError, match="no state apart from its code"):
        dtorch.load(archive(b"\x80\x02c__torch__\nNet\n)\x81}b."))
    with pytest.raises(CheckpointError, match="has int, not a module"):
        dtorch.load(archive(b"\x80\x02K\x01."))


def test_other_names_are_refused():
    with pytest.raises(CheckpointError, match=r"os\.system"):
        dtorch.load(archive(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."))
    with pytest.raises(CheckpointError, match=r"torch\.jit\._pickle\.build_other"):
        dtorch.load(archive(b"\x80\x02ctorch.jit._pickle\nbuild_other\n."))


def test_modules_within_themselves_are_refused():
    itself = b"\x80\x02c__torch__\nNet\n)\x81q\x00}X\x01\0\0\0ah\x00sb."
    with pytest.raises(CheckpointError, match="within each other without an end"):
        dtorch.load(archive(itself))
    # Each of 60 modules has the next one twice: 2**60 ways through them.
    body = b"c__torch__\nNet\n)\x81}b"
    for index in range(60):
        body += b"q" + bytes((index,)) + b"0c__torch__\nNet\n)\x81}(X\x01\0\0\0ah" + bytes((index,))
        body += b"X\x01\0\0\0bh" + bytes((index,)) + b"ub"
    with pytest.raises(CheckpointError, match="within each other without an end"):
        dtorch.load(archive(b"\x80\x02" + body + b"."))
