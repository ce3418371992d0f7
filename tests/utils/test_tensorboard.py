"""What is measured stands in the event file."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dtorch

pytest.importorskip("tensorboardX", reason="needs the extra tensorboard")

from tensorboardX.proto.event_pb2 import Event

from dtorch.utils.tensorboard import SummaryWriter


def values_in(folder: Path) -> dict[str, object]:
    """The values of all event files below a folder, by their names."""
    found = {}
    for file in folder.rglob("events.*"):
        data = file.read_bytes()
        while data:  # length, its checksum, event, its checksum
            (length,) = struct.unpack("<Q", data[:8])
            for value in Event.FromString(data[12 : 12 + length]).summary.value:
                found[value.tag] = value
            data = data[16 + length :]
    return found


def test_tensors_are_written_as_numbers(tmp_path) -> None:
    with SummaryWriter(tmp_path) as writer:
        assert writer.log_dir == writer.get_logdir() == str(tmp_path)
        loss = dtorch.tensor(0.5, requires_grad=True)
        writer.add_scalar("loss", loss, 1)
        writer.add_scalar("half", loss.bfloat16(), 1, new_style=True)
        writer.add_scalars("both", {"train": loss, "test": 0.25}, 1)
        writer.add_histogram("weights", dtorch.arange(100.0), 1)
        writer.add_image("image", dtorch.zeros(3, 4, 5), 1)
        writer.add_text("words", "hello", 1)
        writer.add_hparams({"lr": 0.1}, {"accuracy": dtorch.tensor(0.75)})
    found = values_in(tmp_path)
    assert found["loss"].simple_value == found["half"].simple_value == 0.5
    assert found["both"].simple_value in (0.5, 0.25)
    assert found["weights"].histo.num == 100
    np.testing.assert_allclose(found["weights"].histo.sum, 4950)
    assert (found["image"].image.height, found["image"].image.width) == (4, 5)
    assert found["words/text_summary"].tensor.string_val == [b"hello"]
    assert found["accuracy"].simple_value == 0.75


def test_graphs_are_refused(tmp_path) -> None:
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(NotImplementedError, match="trace"):
            writer.add_graph(dtorch.nn.Linear(2, 2), dtorch.ones(1, 2))
        with pytest.raises(NotImplementedError, match="add_histogram"):
            writer.add_tensor("x", dtorch.ones(2))


def test_a_missing_library_is_named_with_the_extra(tmp_path) -> None:
    (tmp_path / "tensorboardX.py").write_text("raise ModuleNotFoundError(name='tensorboardX')")
    done = subprocess.run(
        [sys.executable, "-c", "import dtorch.utils.tensorboard"],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "dtorch[tensorboard]" in done.stderr
    assert "ImportError" in done.stderr
