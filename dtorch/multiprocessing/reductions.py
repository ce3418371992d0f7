"""How tensors and storages are pickled on their way to another process: as handles, not as bytes.

The storage moves into shared memory, in place, and both sides see each other's writes from then
on. Views of one storage arrive as views of one storage, also when they travel in different
messages.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from dtorch.core.backend import address_of
from dtorch.core.base import PLAIN, wrap
from dtorch.core.creation import tensor_from_storage
from dtorch.core.dtype import as_dtype
from dtorch.core.errors import DeviceError, GradError, StorageError
from dtorch.core.parameter import Parameter
from dtorch.core.storage import Storage, checked_place, storage_of
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing.arena import Block, receive, send
from dtorch.multiprocessing.blocks import Handle

_Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


def reduce_storage(storage: Storage) -> _Reduced:
    """Pickle a storage as a handle, moving it to shared memory if it is not there yet.

    Raises:
        StorageError: it is a mapped file or something else that cannot be moved.
    """
    return rebuild_storage, (_sent(_block_of(storage), storage),)


def _block_of(storage: Storage) -> Block:
    block = storage.owner
    if not isinstance(block, Block):
        storage.share_memory_()
        block = storage.owner
    if not isinstance(block, Block):
        raise StorageError(
            f"cannot send {storage!r} of a {type(block).__name__} to another process; clone() it"
        )
    return block


def _sent(block: Block, storage: Storage) -> Handle:
    block.storage = weakref.ref(storage)
    return send(block)


def rebuild_storage(handle: Handle) -> Storage:
    """The storage of a handle: the one this process has of that memory, or a new one."""
    block = receive(handle)
    storage: Storage | None = None if block.storage is None else block.storage()
    if storage is None:
        storage = Storage.from_bytes(block.array, block)
        block.storage = weakref.ref(storage)
    return storage


def reduce_tensor(tensor: Tensor) -> _Reduced:
    """Pickle a tensor as a view of its storage; see the module.

    Raises:
        GradError: the tensor was computed by recorded operations.
        DeviceError: it does not lie on the CPU.
    """
    if type(tensor) is Tensor and is_data(tensor):
        storage = storage_of(tensor)
        block = _block_of(storage)
        array = tensor.array  # where it is now
        offset = address_of(array) - block.address if array.size else 0
        return rebuild_plain_tensor, (
            _sent(block, storage), tensor.dtype.name, offset, array.shape, array.strides,
        )  # fmt: skip
    if tensor.requires_grad and not tensor.is_leaf:
        raise GradError(
            "cannot send a tensor that was computed from others with requires_grad to another "
            "process, its history cannot go along; send tensor.detach()"
        )
    if tensor.device.type != "cpu":
        raise DeviceError(f"cannot send a tensor on {tensor.device} yet; send tensor.cpu()")
    if tensor._hooks is not None and (tensor._hooks.on_grad or tensor._hooks.post_accumulate):
        warnings.warn("the hooks of a tensor are not sent with it", stacklevel=2)
    return rebuild_tensor, (
        type(tensor), storage_of(tensor), tensor.dtype.name, tensor.storage_offset(),
        tuple(tensor.shape), tensor.stride(), tensor._mode, tensor.grad, vars(tensor) or None,
    )  # fmt: skip


def is_data(tensor: Tensor) -> bool:
    """Whether it is nothing but data: the common case, for which a message is all overhead."""
    return (
        type(tensor.array) is np.ndarray
        and tensor._mode == PLAIN
        and tensor._grad is None
        and tensor._hooks is None
        and not vars(tensor)
    )


def rebuild_plain_tensor(
    handle: Handle, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Tensor:
    """The tensor that `reduce_tensor` took apart, of one that was nothing but data.

    Args:
        offset, strides: in bytes.
    """
    storage, numpy_dtype = rebuild_storage(handle), as_dtype(dtype).numpy
    memory = storage._bytes
    first_bytes = memory.nbytes - numpy_dtype.itemsize + 1  # where an element may begin
    offset, shape, strides = checked_place(first_bytes, 1, offset, shape, strides)
    array = np.empty(shape, numpy_dtype) if 0 in shape else (
        np.ndarray(shape, numpy_dtype, memory, offset, strides)
    )  # fmt: skip
    tensor: Tensor = wrap(array)
    storage.track(tensor)
    return tensor


def rebuild_tensor(
    cls: type[Tensor],
    storage: Storage,
    dtype: str,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    mode: int,
    grad: Tensor | None,
    attributes: dict[str, Any] | None,
) -> Tensor:
    """The tensor that `reduce_tensor` took apart."""
    tensor = tensor_from_storage(storage, as_dtype(dtype), offset, size, stride)
    if cls is not type(tensor):
        tensor = cls._wrap(tensor.array)
        storage.track(tensor)
    tensor._mode = mode
    tensor._grad = grad
    if attributes:
        vars(tensor).update(attributes)
    return tensor


def reduce_object(obj: Any) -> Any:
    """How to take a tensor of any class, or a storage, apart; NotImplemented for anything else."""
    if isinstance(obj, Tensor):
        return reduce_tensor(obj)
    return reduce_storage(obj) if isinstance(obj, Storage) else NotImplemented


def init_reductions() -> None:
    """Have the standard library's queues, pipes and process arguments use the functions here.

    It asks by the exact class. Tensors of other classes go through there as what pickle makes of
    them: as handles too if they were shared before, else as copies.
    """
    for cls in (Tensor, Parameter):
        ForkingPickler.register(cls, reduce_tensor)
    ForkingPickler.register(Storage, reduce_storage)
