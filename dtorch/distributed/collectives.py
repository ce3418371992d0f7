"""The collectives on tensors: each checks its arguments and hands arrays to the group's transport.

All ranks of a group must call the same ones in the same order. Tensors are changed in place.
Processes outside of the group do nothing.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtorch.core.base import shared_version
from dtorch.core.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from dtorch.core.tensor import Tensor
from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.membership import Group, get_rank, member
from dtorch.distributed.process_group import ProcessGroup, Work
from dtorch.distributed.reduce_op import ReduceOp


def barrier(group: Group = None, async_op: bool = False) -> Work | None:
    """Wait until all ranks of the group are here."""
    found = member(group)
    return None if found is None else found.run(Transport.barrier, async_op)


def broadcast(
    tensor: Tensor, src: int = 0, group: Group = None, async_op: bool = False
) -> Work | None:
    """Copy the tensor of rank ``src`` into that of every rank.

    Args:
        tensor: any shape and dtype, equal on all ranks.
        src: global rank of the source.
        group: the ranks that take part. Default: all.
        async_op: return at once, with a `Work` to wait for.
    Raises:
        CollectiveMismatch: ranks disagree about the call, the shape or the dtype.
        PeerLost: a rank died.
    """
    found = member(group)
    if found is None:
        return None
    array, root = _target("broadcast", tensor, found), found.rank_of(src, "broadcast: src")
    return found.run(lambda transport: transport.broadcast(array, root), async_op)


def all_reduce(
    tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> Work | None:
    """Combine the tensors of all ranks, element by element, into each of them.

    The order is that of the ranks: all have the same bits afterwards, and again in the next run.

    Args:
        tensor: any shape and dtype, equal on all ranks.
        op: how: SUM, AVG, PRODUCT, MIN or MAX.
        group: the ranks that take part. Default: all.
        async_op: return at once, with a `Work` to wait for.
    Raises:
        DtypeError: AVG of integers, MIN or MAX of complex numbers.
        CollectiveMismatch: ranks disagree about the call, the shape or the dtype.
        PeerLost: a rank died.
    Example:
        >>> import dtorch
        >>> from dtorch import distributed
        >>> distributed.init_process_group(init_method="file:///doc", rank=0, world_size=1)
        >>> x = dtorch.ones(2)
        >>> distributed.all_reduce(x)
        >>> x
        tensor([1., 1.])
        >>> distributed.destroy_process_group()
    """
    found = member(group)
    if found is None:
        return None
    array = _target("all_reduce", tensor, found)
    return found.run(lambda transport: transport.all_reduce(array, op), async_op)


def reduce(
    tensor: Tensor,
    dst: int = 0,
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Combine the tensors of all ranks into that of rank ``dst``; the others keep theirs."""
    found = member(group)
    if found is None:
        return None
    array, root = _target("reduce", tensor, found), found.rank_of(dst, "reduce: dst")
    return found.run(lambda transport: transport.reduce(array, root, op), async_op)


def all_gather(
    tensor_list: Sequence[Tensor], tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """Copy the tensor of each rank into ``tensor_list[rank]`` of all ranks."""
    found = member(group)
    if found is None:
        return None
    array = _source("all_gather", tensor, found)
    outs = _list_like("all_gather: tensor_list", tensor_list, tensor, found, _target)
    return found.run(lambda transport: transport.all_gather(outs, array), async_op)


def gather(
    tensor: Tensor,
    gather_list: Sequence[Tensor] | None = None,
    dst: int = 0,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Copy the tensor of each rank into ``gather_list[rank]`` of rank ``dst``.

    Args:
        gather_list: tensors like ``tensor``, one for each rank; None on the others.
    """
    found = member(group)
    if found is None:
        return None
    array, root = _source("gather", tensor, found), found.rank_of(dst, "gather: dst")
    outs = _only_on(root, "gather: gather_list", gather_list, tensor, found, _target)
    return found.run(lambda transport: transport.gather(outs, array, root), async_op)


def scatter(
    tensor: Tensor,
    scatter_list: Sequence[Tensor] | None = None,
    src: int = 0,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Copy ``scatter_list[rank]`` of rank ``src`` into the tensor of each rank.

    Args:
        scatter_list: tensors like ``tensor``, one for each rank; None on the others.
    """
    found = member(group)
    if found is None:
        return None
    array, root = _target("scatter", tensor, found), found.rank_of(src, "scatter: src")
    parts = _only_on(root, "scatter: scatter_list", scatter_list, tensor, found, _source)
    return found.run(lambda transport: transport.scatter(array, parts, root), async_op)


def reduce_scatter(
    output: Tensor,
    input_list: Sequence[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Combine ``input_list[rank]`` of all ranks into the output of each rank."""
    found = member(group)
    if found is None:
        return None
    out = _target("reduce_scatter", output, found)
    parts = _list_like("reduce_scatter: input_list", input_list, output, found, _source)
    return found.run(lambda transport: transport.reduce_scatter(out, parts, op), async_op)


def all_to_all(
    output_tensor_list: Sequence[Tensor],
    input_tensor_list: Sequence[Tensor],
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Copy ``input_tensor_list[s]`` of rank r into ``output_tensor_list[r]`` of rank s."""
    found = member(group)
    if found is None:
        return None
    like = output_tensor_list[0] if output_tensor_list else None
    outs = _list_like("all_to_all: output_tensor_list", output_tensor_list, like, found, _target)
    parts = _list_like("all_to_all: input_tensor_list", input_tensor_list, like, found, _source)
    return found.run(lambda transport: transport.all_to_all(outs, parts), async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """Copy the tensor of each rank into its part of one tensor on all ranks.

    Args:
        output_tensor: its first dimension is world size times the input's, or the world size
            with the input's dimensions behind.
    """
    found = member(group)
    if found is None:
        return None
    array, out = (
        _source("all_gather_into_tensor", input_tensor, found),
        _target("all_gather_into_tensor", output_tensor, found),
    )
    if out.size != array.size * found.size() or not out.flags.c_contiguous:
        raise ShapeError(
            f"all_gather_into_tensor: output has shape {tuple(out.shape)}, expected a contiguous "
            f"one of {found.size()} times the input's {tuple(array.shape)}"
        )
    outs = list(out.reshape(found.size(), *array.shape))
    return found.run(lambda transport: transport.all_gather(outs, array), async_op)


def send(tensor: Tensor, dst: int, group: Group = None, tag: int = 0) -> None:
    """Give a tensor to rank ``dst``; returns when it may be changed.

    A transport may wait until the receiver has taken it.

    Raises:
        CollectiveMismatch: the receiver expects another shape or dtype.
        PeerLost: the receiver died.
    """
    found = member(group)
    if found is not None:
        found.send(_source("send", tensor, found), _other(found, dst, "send: dst"), tag)


def recv(tensor: Tensor, src: int | None = None, group: Group = None, tag: int = 0) -> int:
    """Fill a tensor with what rank ``src`` sends, or whoever sends first for None.

    Returns:
        The sender's rank; -1 outside of the group.
    Raises:
        CollectiveMismatch: what was sent has another shape or dtype.
        PeerLost: the sender died.
    """
    found = member(group)
    if found is None:
        return -1
    root = None if src is None else _other(found, src, "recv: src")
    return found.ranks[found.recv(_target("recv", tensor, found), root, tag)]


def isend(tensor: Tensor, dst: int, group: Group = None, tag: int = 0) -> Work | None:
    """Start a `send`; the tensor must not be changed before the result's ``wait()`` returns.

    A rank's messages leave in the order in which they were started, whoever they are for.
    """
    found = member(group)
    if found is None:
        return None
    array = _source("isend", tensor, found)
    return found.send_later(array, _other(found, dst, "isend: dst"), tag)


def irecv(tensor: Tensor, src: int | None = None, group: Group = None, tag: int = 0) -> Work | None:
    """Start a `recv`; the tensor must not be touched before the result's ``wait()`` returns.

    Example:
        >>> import dtorch
        >>> from dtorch import distributed
        >>> distributed.init_process_group(init_method="file:///doc", rank=0, world_size=1)
        >>> distributed.irecv(dtorch.zeros(1), src=0)
        Traceback (most recent call last):
            ...
        dtorch.core.errors.ArgumentError: irecv: src is this rank itself (0)
        >>> distributed.destroy_process_group()
    """
    found = member(group)
    if found is None:
        return None
    root = None if src is None else _other(found, src, "irecv: src")
    return found.recv_later(_target("irecv", tensor, found), root, tag)


def gather_send(tensor: Tensor, dst_rank: int, group: Group = None) -> None:
    """What ranks other than ``dst_rank`` call for a classic `gather`."""
    gather(tensor, None, dst_rank, group)


def gather_recv(tensors: Sequence[Tensor], tensor: Tensor, group: Group = None) -> None:
    """What the rank calls that gets the tensors of a classic `gather`; ``tensor`` is its own."""
    gather(tensor, tensors, get_rank(), group)


def scatter_send(tensors: Sequence[Tensor], tensor: Tensor, group: Group = None) -> None:
    """What the rank calls that has the tensors of a classic `scatter`; ``tensor`` gets its own."""
    scatter(tensor, tensors, get_rank(), group)


def scatter_recv(tensor: Tensor, src_rank: int, group: Group = None) -> None:
    """What ranks other than ``src_rank`` call for a classic `scatter`."""
    scatter(tensor, None, src_rank, group)


def all_gather_object(object_list: list[Any], obj: Any, group: Group = None) -> None:
    """Put the object of each rank into ``object_list[rank]`` on all ranks.

    Objects travel pickled, between processes of one user.
    """
    found = member(group)
    if found is None:
        return
    if len(object_list) != found.size():
        raise ArgumentError(
            f"all_gather_object: object_list has {len(object_list)} places for {found.size()} ranks"
        )
    data = _pickled(obj)
    sizes = [np.zeros(1, np.int64) for _ in range(found.size())]
    found.run(lambda transport: transport.all_gather(sizes, np.array([data.size])))
    longest = max(int(size[0]) for size in sizes)
    padded = np.zeros(longest, np.uint8)
    padded[: data.size] = data
    rows = list(np.empty((found.size(), longest), np.uint8))
    found.run(lambda transport: transport.all_gather(rows, padded))
    for rank, (row, size) in enumerate(zip(rows, sizes, strict=True)):
        object_list[rank] = pickle.loads(row[: int(size[0])].data)


def broadcast_object_list(
    object_list: list[Any], src: int = 0, group: Group = None, device: Any = None
) -> None:
    """Replace the objects in the list of every rank by those of rank ``src``.

    Args:
        device: of no effect: objects travel through the memory of the CPU.
    """
    found = member(group)
    if found is None:
        return
    root = found.rank_of(src, "broadcast_object_list: src")
    data = _pickled(object_list) if found.rank() == root else np.empty(0, np.uint8)
    size = np.array([data.size])
    found.run(lambda transport: transport.broadcast(size, root))
    if found.rank() != root:
        data = np.empty(int(size[0]), np.uint8)
    found.run(lambda transport: transport.broadcast(data, root))
    if found.rank() != root:
        object_list[:] = pickle.loads(data.data)


def _pickled(obj: Any) -> np.ndarray:
    buffer = io.BytesIO()
    pickle.dump(obj, buffer, pickle.HIGHEST_PROTOCOL)
    return np.frombuffer(buffer.getbuffer(), np.uint8)


def _source(name: str, tensor: Tensor, group: ProcessGroup) -> np.ndarray:
    """The array of a tensor that is read."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: got {type(tensor).__name__}, expected a tensor")
    if tensor.device.type not in group.device_types:
        raise DeviceError(
            f"{name}: tensor lies on {tensor.device}; backend {group.backend!r} moves tensors on "
            f"{' and '.join(group.device_types)}"
        )
    array: np.ndarray = tensor.array
    return array


def _target(name: str, tensor: Tensor, group: ProcessGroup) -> np.ndarray:
    """The array of a tensor that is written, which autograd must notice."""
    array = _source(name, tensor, group)
    shared_version(tensor).value += 1
    return array


def _list_like(
    name: str,
    tensors: Sequence[Tensor],
    like: Tensor | None,
    group: ProcessGroup,
    access: Callable[[str, Tensor, ProcessGroup], np.ndarray],
) -> list[np.ndarray]:
    if len(tensors) != group.size():
        raise ArgumentError(f"{name} has {len(tensors)} tensors, expected one for each of "
                            f"{group.size()} ranks")  # fmt: skip
    for index, tensor in enumerate(tensors):
        _check_like(f"{name}[{index}]", tensor, like)
    return [access(name, tensor, group) for tensor in tensors]


def _check_like(name: str, tensor: Tensor, like: Tensor | None) -> None:
    if like is None:
        return
    if tensor.shape != like.shape:
        raise ShapeError(f"{name} has shape {tuple(tensor.shape)}, expected {tuple(like.shape)}")
    if tensor.dtype is not like.dtype:
        raise DtypeError(f"{name} is {tensor.dtype}, expected {like.dtype}")


def _only_on(
    root: int,
    name: str,
    tensors: Sequence[Tensor] | None,
    like: Tensor,
    group: ProcessGroup,
    access: Callable[[str, Tensor, ProcessGroup], np.ndarray],
) -> list[np.ndarray] | None:
    if group.rank() != root:
        if tensors:
            raise ArgumentError(f"{name} is given on rank {group.rank()}, expected on {root} only")
        return None
    return _list_like(name, tensors or [], like, group, access)


def _other(group: ProcessGroup, rank: int, argument: str) -> int:
    found = group.rank_of(rank, argument)
    if found == group.rank():
        raise ArgumentError(f"{argument} is this rank itself ({rank})")
    return found
