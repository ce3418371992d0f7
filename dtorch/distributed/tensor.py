"""Tensors whose elements lie in several processes, which dtorch does not have: their names, which
libraries ask whether something is one.

>>> import dtorch
>>> from dtorch.distributed.tensor import DTensor
>>> isinstance(dtorch.ones(1), DTensor)
False
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "DTensor", "DeviceMesh", "Partial", "Placement", "Replicate", "Shard", "distribute_module",
    "distribute_tensor", "init_device_mesh",
]  # fmt: skip


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"distributed.tensor.{name}: dtorch does not divide tensors between processes; copy the model "
        "to each with nn.parallel.DistributedDataParallel"
    )


class _Divided:
    """A part of what divides tensors: nothing is an instance."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse(type(self).__name__)


class DTensor(_Divided):
    """A tensor divided between processes."""


class DeviceMesh(_Divided):
    """The processes, in rows and columns."""


class Placement:
    """Where the elements of a divided tensor lie."""


class Replicate(Placement):
    """All of them in each process."""


class Partial(Placement):
    """A summand of each in each process."""

    def __init__(self, reduce_op: str = "sum") -> None:
        self.reduce_op = reduce_op


class Shard(Placement):
    """A part of a dim in each process."""

    def __init__(self, dim: int) -> None:
        self.dim = dim


def distribute_tensor(tensor: Any, device_mesh: Any = None, placements: Any = None) -> NoReturn:
    """Not there.

    Raises:
        NotImplementedError: always.
    """
    _refuse("distribute_tensor")


def distribute_module(module: Any, device_mesh: Any = None, *args: Any) -> NoReturn:
    """Not there.

    Raises:
        NotImplementedError: always.
    """
    _refuse("distribute_module")


def init_device_mesh(device_type: str, mesh_shape: Any, **options: Any) -> NoReturn:
    """Not there.

    Raises:
        NotImplementedError: always.
    """
    _refuse("init_device_mesh")
