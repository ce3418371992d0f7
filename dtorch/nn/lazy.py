"""Lazy layers: they take their input sizes from the first input they see."""

from __future__ import annotations

from typing import Any, ClassVar

from dtorch.core.tensor import Tensor
from dtorch.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _ConvNd,
)
from dtorch.nn.linear import Linear
from dtorch.nn.module import Module
from dtorch.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _NormBase,
)
from dtorch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d",
    "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
    "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class LazyModuleMixin(Module):
    """A module whose parameters get their sizes from the first input.

    Its parameters exist from the start, uninitialised, so an optimizer can be made before; after
    the first call the module is one of the class ``cls_to_become``.
    """

    cls_to_become: ClassVar[type[Module]]

    def initialize_parameters(self, input: Tensor) -> None:
        """Give the parameters the sizes that ``input`` asks for."""
        raise NotImplementedError(f"{type(self).__name__} defines no initialize_parameters()")

    def has_uninitialized_params(self) -> bool:
        """Whether sizes are still unknown."""
        return any(is_lazy(t) for t in (*self.parameters(False), *self.buffers(False)))

    def __call__(self, *input: Any, **kwargs: Any) -> Any:
        if self.has_uninitialized_params():
            self.initialize_parameters(*input)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]  # of the same family
        return self(*input, **kwargs)


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` that takes ``in_features`` from its first input.

    Arguments are those of `Linear` from the second on.

    Example:
        >>> import dtorch
        >>> layer = LazyLinear(2)
        >>> tuple(layer(dtorch.ones(3, 4)).shape)
        (3, 2)
        >>> layer
        Linear(in_features=4, out_features=2, bias=True)
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        made = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**made)
        if bias:
            self.bias = UninitializedParameter(**made)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))  # type: ignore[attr-defined]
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        self.reset_parameters()


def _document(
    cls: type[LazyModuleMixin], learned: str, arguments: str, dims: int, note: str = ""
) -> None:
    """Say of a lazy layer what it is, and show it."""
    of = cls.cls_to_become.__name__
    sizes = ", ".join(map(str, (2, 3, *(5,) * dims)))
    cls.__doc__ = f"""`{of}` that takes ``{learned}`` from its first input.

    Arguments are those of `{of}` from the second on.{note}

    Example:
        >>> import dtorch
        >>> layer = {cls.__name__}({arguments})
        >>> out = layer(dtorch.ones({sizes}))
        >>> layer.{learned}
        3
        >>> type(layer).__name__
        {of!r}
    """


class _LazyConv(LazyModuleMixin, _ConvNd):
    """A convolution that takes ``in_channels`` from its first input."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "cls_to_become" in vars(cls):
            _document(cls, "in_channels", "4, 3", cls._dims)

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(0, out_channels, kernel_size, *args, **kwargs)

    def _set_weight(self, bias: bool, device: Any, dtype: Any) -> None:
        made = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**made)
        if bias:
            self.bias = UninitializedParameter(**made)
        else:
            self.register_parameter("bias", None)

    def initialize_parameters(self, input: Tensor) -> None:
        self.in_channels = input.shape[-1 - self._dims]
        self.weight.materialize(self._weight_shape())  # type: ignore[attr-defined]
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))  # type: ignore[attr-defined]
        self.reset_parameters()


class _LazyForward(_LazyConv):
    """Of `Conv1d`, `Conv2d` and `Conv3d`."""

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class _LazyTransposed(_LazyConv):
    """Of `ConvTranspose1d`, `ConvTranspose2d` and `ConvTranspose3d`."""

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation,
            padding_mode, device, dtype,
        )  # fmt: skip


class LazyConv1d(_LazyForward, Conv1d):
    cls_to_become = Conv1d


class LazyConv2d(_LazyForward, Conv2d):
    cls_to_become = Conv2d


class LazyConv3d(_LazyForward, Conv3d):
    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin, _NormBase):
    """A norm that takes ``num_features`` from its first input."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "cls_to_become" in vars(cls):
            unlike = (
                " Unlike there, ``affine`` and\n    ``track_running_stats`` are True by default."
            )
            note = unlike if "Instance" in cls.__name__ else ""
            _document(cls, "num_features", "", cls._ndims[-1] - 2, note)

    def __init__(
        self, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        made = {"device": device, "dtype": dtype}
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = UninitializedParameter(**made)
        for name in ("running_mean", "running_var"):
            if self._buffers[name] is not None:
                self._buffers[name] = UninitializedBuffer(**made)

    def reset_parameters(self) -> None:
        if self.num_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        channel = 1 if input.ndim == self._ndims[-1] or input.ndim == 2 else 0
        self.num_features = input.shape[channel]
        for tensor in (*self._parameters.values(), *self._buffers.values()):
            if is_lazy(tensor):
                tensor.materialize((self.num_features,))  # type: ignore[union-attr]
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    cls_to_become = InstanceNorm3d
