"""`import torch` gives dtorch, in every process of a program."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import dtorch
import dtorch.compat
from dtorch.compat.importing import PACKAGES
from dtorch.compat.names import ROOTS, find_ours
from dtorch.compat.scan import find_missing

IN_CHILD = """
import torch, torchvision, sys
import torch.nn.functional as F
import dtorch
assert torch.nn is dtorch.nn and F is dtorch.nn.functional and torch.Tensor is dtorch.Tensor
assert torchvision.transforms is dtorch.vision.transforms
print(torch.__version__, dtorch.__version__)
"""


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    dtorch.compat.install()
    yield
    dtorch.compat.uninstall()


def test_modules_of_torch_are_those_of_dtorch(installed):
    import torch
    import torch.optim.lr_scheduler
    import torch.utils.data.dataloader
    import torchvision.models
    from torch.amp import autocast_mode
    from torch.nn.modules.batchnorm import BatchNorm2d
    from torch.utils.data import DataLoader
    from torchvision.transforms import transforms

    assert transforms is dtorch.vision.transforms
    assert autocast_mode is dtorch.amp
    assert torch.nn is dtorch.nn
    assert torch.optim.lr_scheduler is dtorch.optim.lr_scheduler
    assert torchvision.models is dtorch.vision.models
    assert BatchNorm2d is dtorch.nn.BatchNorm2d
    assert DataLoader is dtorch.utils.data.DataLoader
    assert torch.utils.data.dataloader is dtorch.utils.data.dataloader
    assert "Linear" not in dir(torch)
    assert set(dtorch.__all__) <= set(dir(torch))


def test_versions_are_those_whose_api_dtorch_follows(installed):
    import torch
    import torchvision

    assert torch.__version__ == dtorch.compat.TORCH_VERSION == importlib.metadata.version("torch")
    assert torch.__version__.endswith(f"+dtorch{dtorch.__version__}")
    assert torchvision.__version__ == importlib.metadata.version("torchvision")
    assert torchvision.__version__ == dtorch.compat.TORCHVISION_VERSION
    assert tuple(map(int, torch.__version__.partition("+")[0].split("."))) >= (2, 0, 0)


def test_what_a_program_sets_on_torch_is_set_on_dtorch(installed, monkeypatch):
    import torch

    torch.of_a_program = 3
    assert dtorch.of_a_program == 3
    del torch.of_a_program
    assert not hasattr(dtorch, "of_a_program")


def test_what_is_absent_is_named_with_the_nearest_thing(installed):
    import torch

    with pytest.raises(AttributeError, match=r"torch\.rnadn does not exist.*torch\.randn"):
        _ = torch.rnadn
    with pytest.raises(ModuleNotFoundError, match=r"torch\.optin .*torch\.optim"):
        import torch.optin
    assert not hasattr(torch, "rnadn")


def test_pickles_made_under_the_name_of_torch_are_of_dtorch(installed):
    import torch

    made = pickle.dumps(torch.nn.Linear(2, 3))
    assert b"dtorch.nn.linear" in made
    assert type(pickle.loads(made)) is dtorch.nn.Linear


def test_an_import_of_torch_in_a_child_process_is_dtorch_too(installed):
    done = subprocess.run(
        [sys.executable, "-c", IN_CHILD], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [dtorch.compat.TORCH_VERSION, dtorch.__version__]


def test_uninstalling_leaves_nothing_behind(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    path, finders = list(sys.path), list(sys.meta_path)
    dtorch.compat.install()
    dtorch.compat.install()
    import torch  # noqa: F401

    assert dtorch.compat.is_installed()
    dtorch.compat.uninstall()
    dtorch.compat.uninstall()
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not any(name.partition(".")[0] in ROOTS for name in sys.modules)
    assert "PYTHONPATH" not in os.environ


def test_pytorch_itself_is_not_replaced_behind_a_programs_back(monkeypatch):
    theirs = type(sys)("torch")
    theirs.__file__ = "/elsewhere/torch/__init__.py"
    monkeypatch.setitem(sys.modules, "torch", theirs)
    with pytest.raises(ValueError, match="torch  has been imported from /elsewhere"):
        dtorch.compat.install()
    assert not dtorch.compat.is_installed()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("torch", "dtorch"),
        ("torchvision.models.resnet", "dtorch.vision.models.resnet"),
        ("torch.nn.modules.conv", "dtorch.nn.modules"),
        ("torch.nn.modules.batchnorm", "dtorch.nn.modules"),
        ("torch.amp.autocast_mode", "dtorch.amp"),
        ("torchvision.transforms.transforms", "dtorch.vision.transforms"),
        ("torch.nothing.at.all", None),
        ("torch.nn.functional.relu", None),
        ("torch.legacy.nn", "dtorch.legacy.nn"),
        ("torch.legacy.nn.Linear", None),  # a class, which a module would take the place of
    ],
)
def test_modules_have_counterparts(theirs, ours):
    assert find_ours(theirs) == ours


def test_the_packages_on_the_path_say_what_importing_says():
    for root, version in (
        ("torch", dtorch.compat.TORCH_VERSION),
        ("torchvision", dtorch.compat.TORCHVISION_VERSION),
    ):
        metadata = Path(PACKAGES, f"{root}.dist-info", "METADATA").read_text()
        assert f"Name: {root}\nVersion: {version}\n" in metadata
        assert Path(PACKAGES, root, "__init__.py").is_file()


def test_types_and_sizes_go_by_the_name_of_torch_while_it_is_installed():
    import dtorch

    dtorch.compat.install()
    try:
        x = dtorch.zeros(2)
        assert x.type() == "torch.FloatTensor"
        assert x.storage().type() == "torch.FloatStorage"
        assert (
            repr((x.dtype, x.shape, x.layout)) == "(torch.float32, torch.Size([2]), torch.strided)"
        )
        assert repr(dtorch.FloatTensor) == "<class 'torch.FloatTensor'>"
        assert dtorch.typename(x) == "torch.FloatTensor"
    finally:
        dtorch.compat.uninstall()
    assert x.type() == "dtorch.FloatTensor"


def test_private_modules_that_programs_import_are_there(installed):
    from torch._six import container_abcs, string_classes
    from torch._utils import _accumulate, _flatten_dense_tensors, _take_tensors
    from torch.nn.modules.utils import _pair, _triple

    assert isinstance("text", string_classes)
    assert issubclass(list, container_abcs.Sequence)
    assert list(_accumulate([1, 2, 3])) == [1, 3, 6]
    assert _pair(2) == _pair([2, 2]) == (2, 2)
    assert _triple((1, 2, 3)) == (1, 2, 3)
    tensors = [dtorch.ones(2), dtorch.ones(3), dtorch.ones(1).long(), dtorch.ones(1)]
    assert _flatten_dense_tensors(tensors[:2]).tolist() == [1.0] * 5
    groups = [[t.numel() for t in group] for group in _take_tensors(tensors, 16)]
    assert groups == [[2], [3, 1], [1]]


def test_base_classes_of_layers_are_found_in_their_files(installed) -> None:
    from torch import nn
    from torch.nn.common_types import _size_2_t
    from torch.nn.modules.activation import MultiheadAttention
    from torch.nn.modules.batchnorm import BatchNorm2d, SyncBatchNorm, _BatchNorm
    from torch.nn.modules.conv import _ConvNd
    from torch.nn.modules.module import _IncompatibleKeys
    from torch.nn.modules.utils import _pair

    assert issubclass(nn.BatchNorm2d, _BatchNorm)
    assert issubclass(nn.Conv1d, nn.modules.conv._ConvNd)
    assert nn.modules.batchnorm._BatchNorm is _BatchNorm
    assert nn.modules.utils._pair(2) == _pair((2, 2)) == (2, 2)
    assert (BatchNorm2d, MultiheadAttention) == (nn.BatchNorm2d, nn.MultiheadAttention)
    assert SyncBatchNorm is nn.SyncBatchNorm
    assert isinstance(nn.Linear(1, 1).load_state_dict({}, strict=False), _IncompatibleKeys)
    assert _size_2_t == int | tuple[int, int]
    assert issubclass(nn.Conv2d, _ConvNd)
    with pytest.raises(ImportError):
        from torch.nn.modules.conv import _Nothing  # noqa: F401


def test_settings_of_compilers_can_be_set(installed, monkeypatch) -> None:
    import torch
    import torch._inductor.config

    monkeypatch.setattr(torch._dynamo.config, "suppress_errors", True)
    monkeypatch.setattr(torch._inductor.config, "max_autotune", True, raising=False)

    @torch._dynamo.disable
    def same(x):
        return x

    assert same(3) == 3
    torch._dynamo.reset()
    assert find_missing("torch._dynamo.config.cache_size_limit") is None


def test_what_libraries_ask_the_compiled_part_is_answered(installed) -> None:
    import torch
    from torch.jit.annotations import List

    assert torch.torch is torch
    assert importlib.util.find_spec("torch").name == "torch"
    assert not hasattr(torch._C, "_CudaDeviceProperties")
    assert torch._C._get_tracing_state() is None
    assert List is not None
    assert find_missing("torch._C._nothing") == "torch._C._nothing"
