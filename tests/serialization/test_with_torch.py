"""Files in both directions between here and PyTorch; needs PyTorch in another environment."""

from __future__ import annotations

import json

import pytest

import dtorch

READ = """
import json, sys, torch
for mmap in (False, True):
    obj = torch.load(sys.argv[1], weights_only=True, mmap=mmap)
print(json.dumps({
    "values": {k: v.to(torch.float64).tolist() for k, v in obj["tensors"].items()},
    "dtypes": {k: str(v.dtype) for k, v in obj["tensors"].items()},
    "shared": obj["tensors"]["row"].data_ptr() == obj["tensors"]["float32"].data_ptr() + 12,
    "grad": obj["tensors"]["leaf"].requires_grad,
    "complex": str(obj["complex"]),
    "sparse": obj["sparse"].to_dense().tolist(),
    "rest": [repr(obj["rest"]), list(obj["size"]), str(obj["dtype"])],
}))
"""

WRITE = """
import sys, torch
base = torch.arange(12.0).reshape(3, 4)
torch.save({"conj": torch.tensor([1 + 2j]).conj(), "neg": torch.tensor([1 + 2j]).conj().imag,
            "base": base, "row": base[1], "p": torch.nn.Parameter(torch.ones(2)),
            "s": base[:2].to_sparse(), "b": torch.ones(2, dtype=torch.bfloat16), "n": [1, (2, None)]}, sys.argv[1],
           _use_new_zipfile_serialization=sys.argv[2] == "zip")
"""


def test_pytorch_reads_our_files_with_weights_only(tmp_path, run_torch):
    names = ("float32", "float64", "float16", "bfloat16", "uint8", "int8", "int16", "int32",
             "int64", "bool_")  # fmt: skip
    tensors = {name: dtorch.arange(6).reshape(2, 3).to(getattr(dtorch, name)) for name in names}
    tensors["row"] = tensors["float32"][1]
    tensors["leaf"] = dtorch.ones(2, requires_grad=True)
    rest = {"a": [1, 2.5, None, True, (1, 2, 3, 4)], "b": b"\xff", "big": 2**70}
    path = tmp_path / "ours.pt"
    sparse = dtorch.eye(2).to_sparse()
    dtorch.save({"tensors": tensors, "rest": rest, "sparse": sparse,
                 "complex": dtorch.tensor([1 + 2j]), "size": dtorch.Size([2, 3]),
                 "dtype": dtorch.bfloat16}, path)  # fmt: skip
    seen = json.loads(run_torch(READ, path))
    for name, tensor in tensors.items():
        assert seen["values"][name] == tensor.double().tolist()
        assert seen["dtypes"][name] == str(tensor.dtype).replace("dtorch", "torch")
    assert seen["sparse"] == [[1.0, 0.0], [0.0, 1.0]]
    assert seen["complex"] == "tensor([1.+2.j])"
    assert seen["shared"]
    assert seen["grad"]
    assert seen["rest"] == [repr(rest), [2, 3], "torch.bfloat16"]


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_we_read_files_that_pytorch_writes_now(tmp_path, run_torch, kind):
    path = tmp_path / "theirs.pt"
    run_torch(WRITE, path, kind)
    back = dtorch.load(path)
    assert back["row"].storage() is back["base"].storage()
    assert back["p"].requires_grad
    assert (back["conj"].item(), back["neg"].item()) == (1 - 2j, -2.0)
    assert back["b"].dtype is dtorch.bfloat16
    assert back["n"] == [1, (2, None)]
    assert back["s"].to_dense().tolist() == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]


MAKE_OTHER_KINDS = """
import runpy, sys, pathlib
made = runpy.run_path(sys.argv[1])
made["main"].__globals__["FOLDER"] = pathlib.Path(sys.argv[2])
made["main"]()
"""


def test_the_stored_programs_and_quantised_tensors_are_those_of_pytorch(
    tmp_path, run_torch, checkpoints
):
    run_torch(MAKE_OTHER_KINDS, checkpoints.parent / "make_other_kinds.py", tmp_path)
    now, stored = (dtorch.load(folder / "script.pt") for folder in (tmp_path, checkpoints))
    assert {k: v.tolist() for k, v in now.items()} == {k: v.tolist() for k, v in stored.items()}
    written = (tmp_path / "quantised.pth.json").read_text()
    assert written == (checkpoints / "quantised.pth.json").read_text()
    values = {k: v.tolist() for k, v in dtorch.load(tmp_path / "quantised.pth").items()}
    assert values == json.loads(written)
