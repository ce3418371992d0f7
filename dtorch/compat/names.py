"""Which module of dtorch is meant by a name of PyTorch's."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from dtorch.compat.torch_version import TorchVersion
from dtorch.version import __version__

# The releases whose API dtorch follows.
TORCH_VERSION = TorchVersion(f"2.13.0+dtorch{__version__}")
TORCHVISION_VERSION = TorchVersion(f"0.28.0+dtorch{__version__}")

ROOTS = {
    "torch": "dtorch",
    "torchvision": "dtorch.vision",
    "functorch": "dtorch.compat.functorch",
}

# Modules that have another place here. Below those that end with ".*" every module that has no
# namesake is this one: PyTorch has a file for each kind of layer.
_MOVED = {
    "torch._C": "dtorch.compat.compiled",
    "torch._dynamo": "dtorch.compiler",
    "torch._dynamo.*": "dtorch.compiler",
    "torch._dynamo.config": "dtorch.compiler_config",
    "torch._inductor": "dtorch.compiler",
    "torch._inductor.*": "dtorch.compiler",
    "torch._inductor.config": "dtorch.compiler_config",
    "torch._six": "dtorch.compat.six",
    "torch._tensor": "dtorch",
    "torch._utils": "dtorch.compat.flat",
    "torch.amp.*": "dtorch.amp",
    "torch.amp.autocast_mode": "dtorch.amp",
    "torch.autograd.grad_mode": "dtorch.autograd",
    "torch.cuda.amp.*": "dtorch.cuda.amp",
    "torch.cuda.amp.autocast_mode": "dtorch.cuda.amp",
    "torch.distributed.distributed_c10d": "dtorch.distributed",
    "torch.distributed._tensor": "dtorch.distributed.tensor",
    "torch.distributed.algorithms.*": "dtorch.distributed.algorithms",
    "torch.distributed.device_mesh": "dtorch.distributed.tensor",
    "torch.distributed.tensor.*": "dtorch.distributed.tensor",
    "torch.fx.*": "dtorch.fx",
    "torch.functional": "dtorch",
    "torch.multiprocessing.pool": "dtorch.multiprocessing",
    "torch.multiprocessing.queue": "dtorch.multiprocessing",
    "torch.nn.modules": "dtorch.nn.modules",
    "torch.jit.annotations": "typing",
    "torch.jit.*": "dtorch.jit",
    "torch.nn.common_types": "dtorch.nn.tuples",
    "torch.nn.modules.*": "dtorch.nn.modules",
    "torch.nn.modules.utils": "dtorch.nn.tuples",
    "torch.nn.parallel.*": "dtorch.nn.parallel",
    "torch.optim.adamax": "dtorch.optim",
    "torch.optim.adamw": "dtorch.optim",
    "torch.optim.nadam": "dtorch.optim",
    "torch.optim.radam": "dtorch.optim",
    "torch.profiler.*": "dtorch.profiler",
    "torch.storage": "dtorch.types",
    "torch.testing._comparison": "dtorch.testing.comparison",
    "torch.testing._creation": "dtorch.testing.creation",
    "torch.torch_version": "dtorch.compat.torch_version",
    "torch.utils.data._utils": "dtorch.data",
    "torch.utils.data._utils.*": "dtorch.data",
    "torch.torch": "dtorch",
    "torch.version": "dtorch.compat.version",
    "torchvision.transforms.autoaugment": "dtorch.vision.transforms",
    "torchvision.transforms.transforms": "dtorch.vision.transforms",
}


def is_moved(name: str) -> bool:
    """Whether a module has another place here, whatever attributes its package has."""
    return name in _MOVED


def is_theirs(name: str) -> bool:
    """Whether a module belongs to PyTorch or torchvision."""
    return name.partition(".")[0] in ROOTS


def theirs_of_moved(name: str) -> str | None:
    """PyTorch's name of a module that would be ``name`` here, but has another place.

    Python asks for it by such a name after ``from torchvision.transforms import transforms``.

    >>> theirs_of_moved("dtorch.vision.transforms.transforms")
    'torchvision.transforms.transforms'
    """
    for theirs, ours in sorted(ROOTS.items(), key=lambda root: -len(root[1])):
        if name.startswith(f"{ours}."):
            meant = theirs + name[len(ours) :]
            return meant if meant in _MOVED else None
    return None


def find_ours(name: str) -> str | None:
    """The module of dtorch that a module of PyTorch's is, or None.

    >>> find_ours("torch.nn.functional"), find_ours("torch.nn.modules.batchnorm")
    ('dtorch.nn.functional', 'dtorch.nn.modules')
    """
    if name in _MOVED:
        return _MOVED[name]
    parent, _, last = name.rpartition(".")
    if not parent:
        return ROOTS.get(name)
    above = _MOVED.get(f"{parent}.*") or find_ours(parent)
    if above is not None and exists(f"{above}.{last}"):
        return f"{above}.{last}"
    return _MOVED.get(f"{parent}.*")


def load(name: str) -> ModuleType:
    """The module of dtorch that a module of PyTorch's is, imported.

    Raises:
        ModuleNotFoundError: there is none.
    """
    ours = find_ours(name)
    if ours is None:
        raise ModuleNotFoundError(f"dtorch has no {name}", name=name)
    module = importlib.import_module(ours)
    if f"{name}.*" in _MOVED and not hasattr(module, "__path__"):
        module.__path__ = []  # Python looks for modules below packages alone; ours are found by us
    return module


def exists(name: str) -> bool:
    """Whether a module can be imported; the packages above it are."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # something above it is no package
        return False
