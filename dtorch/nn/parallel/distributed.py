"""DistributedDataParallel: each process trains a copy of a model on its share of the data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from dtorch.core.base import TensorBase, shared_version
from dtorch.core.errors import ArgumentError, DtorchError, GradError
from dtorch.core.grad_mode import is_grad_enabled
from dtorch.core.graph import AccumulateGrad
from dtorch.core.tensor import Tensor
from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.collectives import all_gather_object, broadcast
from dtorch.distributed.membership import member
from dtorch.distributed.process_group import ProcessGroup
from dtorch.nn.module import Module
from dtorch.nn.parallel.buckets import Reducer

_DEFAULT_CAP_MB = 25.0


class DistributedDataParallel(Module):
    """A model whose gradients are the average over all processes.

    At construction all take the parameters and buffers of rank 0. In each backward pass the
    gradients are averaged, so optimisers that started equal stay equal. ``grad`` of a parameter is
    a view of memory that the next backward pass uses again: clone what you keep.

    Args:
        module: the model; all ranks have the same parameters in the same order.
        device_ids, output_device: None: the model lies on the CPU.
        dim: 0: the dimension of the samples.
        broadcast_buffers: whether each training forward pass begins with the buffers of rank 0.
        process_group: the ranks. Default: all.
        bucket_cap_mb: MiB of gradients that are averaged at a time. Default: 25.
        find_unused_parameters: allow backward passes that do not reach every parameter; costs a
            walk over the graph in each forward pass.
        init_sync: False: the models are equal already, and nothing is compared or sent at first.
        gradient_as_bucket_view, static_graph, check_reduction: nothing; gradients always are views,
            and what the first two save is not spent here.

    Attributes:
        module: the model. Keys of `state_dict` begin with ``module.``.

    Raises:
        GradError: no parameter requires grad.
        DtorchError: the ranks have different models.

    Example:
        >>> import dtorch
        >>> from dtorch import distributed
        >>> from dtorch.nn import Linear
        >>> distributed.init_process_group(init_method="file:///doc", rank=0, world_size=1)
        >>> model = DistributedDataParallel(Linear(2, 1))
        >>> model(dtorch.ones(3, 2)).sum().backward()
        >>> sorted(model.state_dict())
        ['module.bias', 'module.weight']
        >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        *,
        init_sync: bool = True,
    ) -> None:
        super().__init__()
        if device_ids or output_device is not None or dim != 0:
            raise ArgumentError(
                "DistributedDataParallel: device_ids, output_device and dim are for models on "
                f"GPUs, got {device_ids!r}, {output_device!r}, {dim}; leave them out"
            )
        group = member(process_group)
        if group is None:
            raise ArgumentError("DistributedDataParallel: this process is not in process_group")
        self.module = module
        self.broadcast_buffers = broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise GradError("DistributedDataParallel: no parameter of the module requires grad")
        self._names = [name for name, _ in named]
        self._group = group
        if init_sync:
            self._expect_same_model()
            self._take_state_of_first_rank()
        parameters = [parameter for _, parameter in named]
        cap_mb = _DEFAULT_CAP_MB if bucket_cap_mb is None else bucket_cap_mb
        self._reducer = Reducer(parameters, group, int(cap_mb * 2**20))
        self._numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
        self._synchronizes = True  # whether the next forward pass begins a synchronised step
        self._expects_backward = False
        for number, parameter in enumerate(parameters):
            parameter.register_post_accumulate_grad_hook(partial(self._arrived, number))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Run the model; the backward pass of what it returns averages the gradients."""
        records = is_grad_enabled()
        if records:
            self._expect_finished()
        if self._synchronizes and self.broadcast_buffers and self.training:
            self._share_buffers()
        output = self.module(*inputs, **kwargs)
        if records:
            self._expects_backward = self._synchronizes
            if self._synchronizes:
                self._reducer.start(
                    self._unused(output) if self.find_unused_parameters else None
                )  # fmt: skip
        return output

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Forward passes inside only accumulate gradients; the next one outside averages the sum.

        Example:
            >>> import dtorch
            >>> from dtorch import distributed
            >>> from dtorch.nn import Linear
            >>> distributed.init_process_group(init_method="file:///doc", rank=0, world_size=1)
            >>> model = DistributedDataParallel(Linear(2, 1, bias=False))
            >>> with model.no_sync():
            ...     model(dtorch.ones(1, 2)).sum().backward()
            >>> model(dtorch.ones(1, 2)).sum().backward()
            >>> model.module.weight.grad
            tensor([[2., 2.]])
            >>> distributed.destroy_process_group()
        """
        before, self._synchronizes = self._synchronizes, False
        try:
            yield
        finally:
            self._synchronizes = before

    def _arrived(self, number: int, parameter: Tensor) -> None:
        if not self._expects_backward:
            return
        if self._reducer.has(number):
            raise GradError(
                f"DistributedDataParallel: {self._names[number]} got a second gradient since the "
                "last forward pass; call the model again, or add the losses before backward()"
            )
        self._reducer.arrived(number)

    def _expect_finished(self) -> None:
        unfinished = self._reducer.unfinished if self._expects_backward else []
        if unfinished:
            names = [self._names[number] for number in unfinished]
            self._expects_backward = False
            raise GradError(
                "DistributedDataParallel: the last backward pass gave no gradient to "
                f"{', '.join(names)}, so gradients were not averaged; use all parameters in "
                "forward and the loss, or pass find_unused_parameters=True"
            )

    def _unused(self, output: Any) -> set[int]:
        """Numbers of the parameters that no tensor in ``output`` depends on."""
        reached = {id(leaf) for leaf in _leaves_behind(_tensors_in(output))}
        return {number for key, number in self._numbers.items() if key not in reached}

    def _expect_same_model(self) -> None:
        mine = [
            f"{name}: {tensor.dtype} {tuple(tensor.shape)}"
            for name, tensor in [*self.module.named_parameters(), *self.module.named_buffers()]
        ]
        models: list[Any] = [None] * self._group.size()
        all_gather_object(models, mine, self._group)
        for rank, theirs in enumerate(models):
            if theirs == models[0]:
                continue
            pairs = zip([*theirs, None], [*models[0], None], strict=False)
            here, there = next(pair for pair in pairs if pair[0] != pair[1])
            raise DtorchError(
                f"DistributedDataParallel: the model of rank {rank} has {here or 'nothing more'}, "
                f"where that of rank 0 has {there or 'nothing more'}"
            )

    def _take_state_of_first_rank(self) -> None:
        first = self._group.ranks[0]
        for tensor in [*self.module.parameters(), *self.module.buffers()]:
            broadcast(tensor, first, self._group)

    def _share_buffers(self) -> None:
        """Copy all buffers of the first rank, those of one dtype in one message."""
        by_dtype: dict[np.dtype[Any], list[Tensor]] = {}
        for buffer in self.module.buffers():
            by_dtype.setdefault(buffer.array.dtype, []).append(buffer)
        for buffers in by_dtype.values():
            flat = np.concatenate([buffer.array.reshape(-1) for buffer in buffers])
            self._group.run(partial(Transport.broadcast, array=flat, src=0))
            if self._group.rank() != 0:
                _unpack(flat, buffers)


def _unpack(flat: np.ndarray, tensors: list[Tensor]) -> None:
    start = 0
    for tensor in tensors:
        array = tensor.array
        array[...] = flat[start : start + array.size].reshape(array.shape)
        shared_version(tensor).value += 1
        start += array.size


def _tensors_in(value: Any) -> Iterator[TensorBase]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, TensorBase):
        yield value
    elif isinstance(value, dict):
        yield from _tensors_in(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors_in(item)


def _leaves_behind(tensors: Iterable[TensorBase]) -> Iterator[TensorBase]:
    """The leaves whose gradient a backward pass from ``tensors`` computes."""
    seen: set[Any] = set()
    stack: list[Any] = []
    for tensor in tensors:
        if tensor._grad_fn is not None:
            stack.append(tensor._grad_fn)
        else:
            yield tensor
    while stack:
        node = stack.pop()
        if isinstance(node, AccumulateGrad):
            yield node.variable
        elif node is not None and node not in seen:
            seen.add(node)
            stack.extend(following for following, _ in node.next_functions)
