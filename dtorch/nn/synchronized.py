"""Batch norm whose statistics are those of all processes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.dtype import bfloat16, float16
from dtorch.core.errors import ShapeError
from dtorch.core.graph import Node, edge_of
from dtorch.core.ops.joining import cat
from dtorch.core.ops.normalization import update_statistics
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module
from dtorch.nn.normalization import _BatchNorm

__all__ = ["SyncBatchNorm"]


class _SummedOverRanks(Node):
    """The gradient of a sum over ranks is the sum of the ranks' gradients."""

    __slots__ = ("group",)

    def __init__(self, tensor: TensorBase, group: Any) -> None:
        super().__init__((edge_of(tensor),), ((tensor.array.shape, tensor.array.dtype),))
        self.group = group

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        if create_graph:
            return [_summed(grad, self.group)]
        total = wrap(grad.copy())
        _all_reduce(total, self.group)
        return [total.array]


def _all_reduce(tensor: Any, group: Any) -> None:
    from dtorch.distributed import collectives  # noqa: PLC0415 - most programs have one process

    collectives.all_reduce(tensor, group=group)


def _has_ranks(group: Any) -> bool:
    from dtorch.distributed import membership  # noqa: PLC0415

    return membership.is_initialized() and membership.get_world_size(group) > 1


def _summed(tensor: Any, group: Any) -> Any:
    total = tensor.detach().clone()
    _all_reduce(total, group)
    if tensor._mode == REQUIRES_GRAD:
        total._grad_fn = _SummedOverRanks(tensor, group)
        total._mode = REQUIRES_GRAD
    return total


class SyncBatchNorm(_BatchNorm):
    """Batch norm over the batches of all processes of a group.

    In evaluation, or without a process group, it is the batch norm of this process alone.

    Args:
        num_features: C of input ``(N, C, *)``.
        process_group: the processes; None for all of them.

    Example:
        >>> import dtorch
        >>> model = dtorch.nn.Sequential(dtorch.nn.BatchNorm2d(3))
        >>> type(SyncBatchNorm.convert_sync_batchnorm(model)[0]).__name__
        'SyncBatchNorm'
    """

    _ndims = ()
    _shapes = "at least 2 dimensions (batch, channels, ...)"

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, process_group: Any = None,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ShapeError(
                f"SyncBatchNorm: input has shape {tuple(input.shape)}, expected {self._shapes}"
            )

    def forward(self, input: Tensor) -> Any:
        if not self.training or not _has_ranks(self.process_group):
            return super().forward(input)
        self._check_input(input)
        return self._over_ranks(input)

    def _over_ranks(self, input: Any) -> Any:
        shape = tuple(input.shape)
        dims = (0, *range(2, len(shape)))
        affine = (1, shape[1], *(1,) * (len(shape) - 2))
        group = self.process_group
        kind = input.dtype
        if kind in (float16, bfloat16):
            input = input.float()
        # The sums are of what lies around a first mean, which all ranks share: far from 0 they would
        # lose their digits.
        sums = input.detach().sum(dims)
        told = _summed(cat([sums, sums.new_full((1,), input.numel() / shape[1])]), group)
        count = told[-1].item()
        start = told[:-1] / count
        around = input - start.reshape(affine)
        mean = _summed(around.sum(dims), group) / count
        deviation = around - mean.reshape(affine)
        squares = (deviation * deviation).sum(dims)
        var = _summed(squares, group) / count
        out = deviation * ((var + self.eps) ** -0.5).reshape(affine)
        if self.track_running_stats and self.running_mean is not None:
            counter = self.num_batches_tracked.array
            counter += 1
            momentum = 1.0 / int(counter) if self.momentum is None else self.momentum
            update_statistics(self.running_mean, (start + mean).array, momentum)
            unbiased = var.array * (count / max(count - 1, 1))
            update_statistics(self.running_var, unbiased, momentum)
        if self.weight is not None:
            out = out * self.weight.reshape(affine)
        if self.bias is not None:
            out = out + self.bias.reshape(affine)
        return out.to(kind)

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with every batch norm in it replaced by a synchronised one."""
        result = module
        if isinstance(module, _BatchNorm):
            result = cls(
                module.num_features, module.eps, module.momentum, module.affine,
                module.track_running_stats, process_group,
            )  # fmt: skip
            result._parameters = module._parameters
            result._buffers = module._buffers
            result.training = module.training
        for name, child in module.named_children():
            result._modules[name] = cls.convert_sync_batchnorm(child, process_group)
        return result
