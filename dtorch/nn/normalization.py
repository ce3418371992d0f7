"""Normalisation layers."""

from __future__ import annotations

from typing import Any, ClassVar

from dtorch.core import functions
from dtorch.core.creation import empty, ones, tensor, zeros
from dtorch.core.dtype import int64
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.parameter import Parameter
from dtorch.core.shapes import expect_ints
from dtorch.core.tensor import Tensor
from dtorch.nn.init import ones_, zeros_
from dtorch.nn.module import Module

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d",
    "InstanceNorm2d", "InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _NormBase(Module):
    """Affine parameters and running statistics of each channel.

    Attributes:
        weight, bias: ``(num_features,)``, ones and zeros at the start; None if not ``affine``.
        running_mean, running_var: ``(num_features,)``, None without ``track_running_stats``.
        num_batches_tracked: number of batches in the statistics.
    """

    track_running_stats = True  # in files of before 0.4

    _version = 2
    _ndims: ClassVar[tuple[int, ...]]  # of the input
    _shapes: ClassVar[str]

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool,
        track_running_stats: bool, device: Any, dtype: Any, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        expect_ints(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        made = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_features, **made)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(num_features, **made)) if affine and bias else None
        )
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **made) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **made) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the statistics."""
        if self.track_running_stats:
            zeros_(self.running_mean)
            ones_(self.running_var)
            zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Forget the statistics and set weight and bias to ones and zeros."""
        self.reset_running_stats()
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def _check_input(self, input: Tensor) -> None:
        if input.ndim not in self._ndims:
            raise ShapeError(
                f"{type(self).__name__}: input has shape {tuple(input.shape)}, expected "
                f"{self._shapes}"
            )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        key = f"{prefix}num_batches_tracked"
        if (
            (local_metadata.get("version") or 1) < 2
            and self.track_running_stats
            and key not in state_dict
        ):
            # Files from before the counter existed.
            state_dict[key] = tensor(0, dtype=int64)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Any:
        self._check_input(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        buffers = self._buffers
        mean, var = buffers["running_mean"], buffers["running_var"]
        training = self.training
        if training and self.track_running_stats:
            counter = buffers.get("num_batches_tracked")  # there since 0.4.1
            if counter is not None:
                counter.array += 1
                if self.momentum is None:  # cumulative average
                    momentum = 1.0 / int(counter.array)
        elif training:
            mean = var = None
        return functions.batch_norm(
            input, mean, var, self.weight, self.bias,
            training or mean is None, momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Each channel of ``(N, C)`` or ``(N, C, L)`` standardised over the batch.

    Args:
        num_features: C.
        momentum: weight of the new statistics; None averages all batches alike.
        affine: scale and shift by learned weight and bias.
        track_running_stats: keep statistics for evaluation; without, the batch's own always serve.
        eps: added to the variance.
        bias: False leaves the shift out.

    Shape: output as input.

    Raises:
        RuntimeError: input of other dims or channels.
        ValueError: training on one value for each channel.

    Reference: Ioffe and Szegedy 2015, arXiv:1502.03167.

    Example:
        >>> import dtorch
        >>> BatchNorm1d(1)(dtorch.tensor([[1.0], [3.0]])).round(decimals=3).tolist()
        [[-1.0], [1.0]]
    """

    _ndims = (2, 3)
    _shapes = "(batch, channels) or (batch, channels, length)"


class BatchNorm2d(_BatchNorm):
    """Each channel of ``(N, C, H, W)`` standardised over the batch; see `BatchNorm1d`.

    Example:
        >>> import dtorch
        >>> tuple(BatchNorm2d(3)(dtorch.ones(2, 3, 4, 4)).shape)
        (2, 3, 4, 4)
    """

    _ndims = (4,)
    _shapes = "(batch, channels, height, width)"


class BatchNorm3d(_BatchNorm):
    """Each channel of ``(N, C, D, H, W)`` standardised over the batch; see `BatchNorm1d`.

    Example:
        >>> import dtorch
        >>> tuple(BatchNorm3d(3)(dtorch.ones(2, 3, 4, 4, 4)).shape)
        (2, 3, 4, 4, 4)
    """

    _ndims = (5,)
    _shapes = "(batch, channels, depth, height, width)"


class _InstanceNorm(_NormBase):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Any:
        self._check_input(input)
        channel = input.ndim - self._ndims[1] + 1
        if input.shape[channel] != self.num_features and self.affine:
            raise ShapeError(
                f"{type(self).__name__}: input of shape {tuple(input.shape)} has "
                f"{input.shape[channel]} channels, expected {self.num_features}"
            )
        single = input.ndim == self._ndims[0]
        batch = input.reshape((1, *input.shape)) if single else input
        momentum = 0.0 if self.momentum is None else self.momentum
        out = functions.instance_norm(
            batch, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, momentum, self.eps,
        )  # fmt: skip
        return out.reshape(input.shape) if single else out


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample of ``(N, C, L)`` standardised by itself.

    Args: those of `BatchNorm1d`, but ``affine`` and ``track_running_stats`` are False by default.

    Reference: Ulyanov et al. 2016, arXiv:1607.08022.

    Example:
        >>> import dtorch
        >>> InstanceNorm1d(1)(dtorch.tensor([[[1.0, 3.0]]])).round(decimals=3).tolist()
        [[[-1.0, 1.0]]]
    """

    _ndims = (2, 3)
    _shapes = "(batch, channels, length) or (channels, length)"


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each sample of ``(N, C, H, W)`` standardised by itself.

    Arguments are those of `InstanceNorm1d`.

    Example:
        >>> import dtorch
        >>> tuple(InstanceNorm2d(3)(dtorch.ones(2, 3, 4, 4)).shape)
        (2, 3, 4, 4)
    """

    _ndims = (3, 4)
    _shapes = "(batch, channels, height, width) or (channels, height, width)"


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample of ``(N, C, D, H, W)`` standardised by itself.

    Arguments are those of `InstanceNorm1d`.

    Example:
        >>> import dtorch
        >>> tuple(InstanceNorm3d(3)(dtorch.ones(2, 3, 4, 4, 4)).shape)
        (2, 3, 4, 4, 4)
    """

    _ndims = (4, 5)
    _shapes = "(batch, channels, depth, height, width) or without batch"


class LayerNorm(Module):
    """The last dims standardised, then scaled and shifted element by element.

    Args:
        normalized_shape: sizes of the last dims, or the last size alone.

    Attributes:
        weight, bias: ``normalized_shape``, ones and zeros at the start; or None.

    Shape: ``(*, *normalized_shape)``; output as input.

    Reference: Ba et al. 2016, arXiv:1607.06450.

    Example:
        >>> import dtorch
        >>> LayerNorm(2)(dtorch.tensor([[1.0, 3.0]])).round(decimals=3).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = {"device": device, "dtype": dtype}
        shape = self.normalized_shape
        self.register_parameter(
            "weight", Parameter(empty(shape, **made)) if elementwise_affine else None
        )
        self.register_parameter(
            "bias", Parameter(empty(shape, **made)) if elementwise_affine and bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight and bias to ones and zeros."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def forward(self, input: Tensor) -> Any:
        return functions.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


def _sizes(normalized_shape: Any) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        return (normalized_shape,)
    return tuple(int(n) for n in normalized_shape)


class RMSNorm(Module):
    """The last dims divided by their root mean square, then scaled; see `LayerNorm`.

    Args:
        eps: added to the mean square. Default: the spacing of the dtype at 1.

    Reference: Zhang and Sennrich 2019, arXiv:1910.07467.

    Example:
        >>> import dtorch
        >>> RMSNorm(2)(dtorch.tensor([[2.0, 2.0]])).round(decimals=3).tolist()
        [[1.0, 1.0]]
    """

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = {"device": device, "dtype": dtype}
        weight = Parameter(ones(self.normalized_shape, **made)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self) -> None:
        """Set the weight to ones."""
        if self.weight is not None:
            ones_(self.weight)

    def forward(self, input: Tensor) -> Any:
        return functions.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """Groups of channels of each sample standardised, then scaled and shifted by channel.

    Args:
        num_groups: a divisor of ``num_channels``.

    Attributes:
        weight, bias: ``(num_channels,)``, ones and zeros at the start; None if not ``affine``.

    Shape: ``(N, num_channels, *)``; output as input.

    Raises:
        ValueError: ``num_groups`` does not divide ``num_channels``.

    Reference: Wu and He 2018, arXiv:1803.08494.

    Example:
        >>> import dtorch
        >>> tuple(GroupNorm(2, 4)(dtorch.ones(2, 4, 3)).shape)
        (2, 4, 3)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: num_groups is {num_groups}, expected a divisor of num_channels "
                f"{num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        made = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_channels, **made)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(num_channels, **made)) if affine and bias else None
        )

    def reset_parameters(self) -> None:
        """Set weight and bias to ones and zeros."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def forward(self, input: Tensor) -> Any:
        return functions.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Each element divided by a power of the squares of its neighbours in the channel dim.

    Args:
        size: number of neighbouring channels.
        alpha, beta, k: the divisor is ``(k + alpha * mean of squares) ** beta``.

    Reference: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional networks".

    Example:
        >>> import dtorch
        >>> LocalResponseNorm(1, alpha=3.0, beta=1.0)(dtorch.ones(1, 2, 1)).tolist()
        [[[0.25], [0.25]]]
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Any:
        return functions.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """Classic name of `LocalResponseNorm` for images.

    Example:
        >>> import dtorch
        >>> tuple(CrossMapLRN2d(3)(dtorch.ones(1, 4, 2, 2)).shape)
        (1, 4, 2, 2)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)
