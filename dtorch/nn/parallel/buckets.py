"""Gradients of many parameters, gathered in few pieces of memory and averaged there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

import numpy as np

from dtorch.core.creation import tensor_from_storage
from dtorch.core.engine import at_end_of_backward
from dtorch.core.tensor import Tensor
from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.errors import DistributedError
from dtorch.distributed.process_group import ProcessGroup, Work
from dtorch.distributed.reduce_op import ReduceOp

FIRST_NBYTES = 1 << 20  # small, so that the first exchange starts early in the backward pass
_ALIGN = 64


class Bucket:
    """Memory for the gradients of some parameters of one dtype, one after the other.

    Attributes:
        members: numbers of the parameters.
        grads: for each member, a tensor over its part, which becomes the parameter's ``grad``.
        missing: how many members have no gradient yet in this backward pass.
        average: the collective that averages the bucket over the ranks, where it lies.
    """

    def __init__(
        self, members: Sequence[int], parameters: Sequence[Tensor], group: ProcessGroup
    ) -> None:
        self.members = list(members)
        mine = [parameters[member] for member in self.members]
        numpy_dtype = mine[0].array.dtype
        step = _ALIGN // numpy_dtype.itemsize
        offsets = np.cumsum([0, *(-(-parameter.numel() // step) * step for parameter in mine)])
        # All zero, also the gaps, which are averaged with the rest.
        storage = group.allocate(int(offsets[-1]) * numpy_dtype.itemsize)
        flat = storage._bytes.view(numpy_dtype)
        self.grads = [
            tensor_from_storage(storage, parameter.dtype, int(offset), tuple(parameter.shape))
            for parameter, offset in zip(mine, offsets, strict=False)
        ]
        self.missing = len(self.members)

        self.average = partial(Transport.all_reduce, array=flat, op=ReduceOp.AVG)


class Reducer:
    """Averages gradients over the ranks of a group while a backward pass produces them.

    Gradients arrive roughly in the reverse order of the parameters, so buckets are made in that
    order. All ranks average the buckets in the same order, whichever is full first: in the
    background while the pass goes on, but for the last one, which nothing is left to hide.
    """

    def __init__(self, parameters: Sequence[Tensor], group: ProcessGroup, cap_nbytes: int) -> None:
        self._parameters = list(parameters)
        self._group = group
        self._buckets = [
            Bucket(members, self._parameters, group)
            for members in assign(self._parameters, cap_nbytes)
        ]
        self._place = {
            member: (bucket, position)
            for bucket in self._buckets
            for position, member in enumerate(bucket.members)
        }
        self._ready: set[int] = set()
        self._begun = 0  # how many buckets are averaged, or are being averaged
        self._works: deque[Work] = deque()  # of those in the background
        self._unused: set[int] | None = None

    @property
    def unfinished(self) -> list[int]:
        """Parameters without a gradient in a backward pass that has given one to others."""
        if not self._ready - (self._unused or set()) or self._begun == len(self._buckets):
            return []
        return sorted(set(range(len(self._parameters))) - self._ready)

    def has(self, member: int) -> bool:
        """Whether the gradient of a parameter has arrived since `start`."""
        return member in self._ready

    def start(self, unused: set[int] | None) -> None:
        """Expect a backward pass.

        Args:
            unused: parameters that it will not reach; None if it must reach all.
        """
        self._wait()  # for what a pass that failed had begun
        self._ready.clear()
        self._begun = 0
        self._unused = unused
        for bucket in self._buckets:
            bucket.missing = len(bucket.members)

    def arrived(self, member: int) -> None:
        """The gradient of a parameter is complete; at the end of the pass it is the average."""
        if not self._ready:
            for unused in sorted(self._unused or ()):
                bucket, position = self._place[unused]
                bucket.grads[position].array[...] = 0
                self._count(unused)
        self._adopt(member)
        self._count(member)
        while self._works and self._works[0].is_completed():
            self._works.popleft().wait()  # raises what went wrong
        while self._begun < len(self._buckets) - 1 and not self._buckets[self._begun].missing:
            self._works.append(self._group.start(self._buckets[self._begun].average))
            self._begun += 1
        if self._works or not self._buckets[-1].missing:
            at_end_of_backward(self._finish)

    def _finish(self) -> None:
        """Have all averages, if the pass that ends here was the last one to give a gradient."""
        self._wait()
        if self._begun == len(self._buckets) - 1 and not self._buckets[-1].missing:
            self._group.run(self._buckets[-1].average)
            self._begun += 1
            if self._unused is not None:
                self._adopt_of_others(self._unused)

    def _wait(self) -> None:
        """Until nothing is averaged in the background; whoever gives up tells the other ranks."""
        try:
            while self._works:
                self._works.popleft().wait()
        except DistributedError:
            raise
        except BaseException as error:
            self._group.abort(f"it left a backward pass with {type(error).__name__}: {error}")
            raise

    def _count(self, member: int) -> None:
        self._ready.add(member)
        self._place[member][0].missing -= 1

    def _adopt(self, member: int) -> None:
        """Move a gradient into its bucket, unless it accumulates there already."""
        bucket, position = self._place[member]
        parameter, grad = self._parameters[member], bucket.grads[position]
        if parameter._grad is not grad:
            if parameter._grad is not None:
                grad.array[...] = parameter._grad.array
            parameter._grad = grad

    def _adopt_of_others(self, unused: set[int]) -> None:
        """Take the average where any rank had a gradient; elsewhere ``grad`` stays as it was."""
        used = np.ones(len(self._parameters), np.uint8)
        used[list(unused)] = 0
        self._group.run(partial(Transport.all_reduce, array=used, op=ReduceOp.MAX))
        for member in unused:
            if used[member]:
                bucket, position = self._place[member]
                self._parameters[member]._grad = bucket.grads[position]


def assign(parameters: Sequence[Tensor], cap_nbytes: int) -> list[list[int]]:
    """Numbers of the parameters of each bucket, from the last parameter to the first."""
    open_buckets: dict[np.dtype[np.generic], list[int]] = {}
    sizes: dict[np.dtype[np.generic], int] = {}
    full: list[list[int]] = []
    for member in reversed(range(len(parameters))):
        array = parameters[member].array
        bucket = open_buckets.setdefault(array.dtype, [])
        bucket.append(member)
        sizes[array.dtype] = sizes.get(array.dtype, 0) + array.nbytes
        if sizes[array.dtype] >= (cap_nbytes if full else min(FIRST_NBYTES, cap_nbytes)):
            full.append(open_buckets.pop(array.dtype))
            del sizes[array.dtype]
    return full + list(open_buckets.values())
