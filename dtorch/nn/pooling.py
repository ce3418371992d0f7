"""Pooling layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dtorch.core import functions
from dtorch.core.ops.adaptive import check_fractional
from dtorch.core.shapes import per_dim
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _Pool(Module):
    _function: ClassVar[Callable[..., Any]]


class _MaxPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Largest value in each window of ``(N, C, L)``.

    Args:
        kernel_size: of the window, an int or one for each dim.
        stride: between windows; by default ``kernel_size``.
        padding: at both ends of each dim, at most half the kernel.
        dilation: between elements of a window.
        return_indices: return also where the values were found, for `MaxUnpool1d`.
        ceil_mode: a window may go past the end.

    Shape: input ``(N, C, L)`` or ``(C, L)``; output with fewer elements.

    Example:
        >>> import dtorch
        >>> MaxPool1d(2)(dtorch.arange(6.0).reshape(1, 1, 6)).tolist()
        [[[1.0, 3.0, 5.0]]]
    """

    _function = staticmethod(functions.max_pool1d)


class MaxPool2d(_MaxPool):
    """Largest value in each window of ``(N, C, H, W)``.

    Args:
        kernel_size, stride, padding, dilation, ceil_mode: as in
            `dtorch.nn.functional.max_pool2d`.
        return_indices: return also where the values were found, for `MaxUnpool2d`.

    Example:
        >>> import dtorch
        >>> MaxPool2d(2)(dtorch.arange(16.0).reshape(1, 1, 4, 4)).tolist()
        [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    _function = staticmethod(functions.max_pool2d)


class MaxPool3d(_MaxPool):
    """Largest value in each window of ``(N, C, D, H, W)``.

    Arguments are those of `MaxPool1d`.

    Example:
        >>> import dtorch
        >>> tuple(MaxPool3d(2)(dtorch.ones(1, 2, 4, 4, 6)).shape)
        (1, 2, 2, 2, 3)
    """

    _function = staticmethod(functions.max_pool3d)


class _MaxUnpool(_Pool):
    _dims: ClassVar[int]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name, n = type(self).__name__, self._dims
        self.kernel_size = per_dim(name, "kernel_size", kernel_size, n)
        self.stride = self.kernel_size if stride is None else per_dim(name, "stride", stride, n)
        self.padding = per_dim(name, "padding", padding, n)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Any:
        return type(self)._function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Values put back to where `MaxPool1d` found them, zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling.

    Call it with the values, their indices and, where the stride leaves a choice, ``output_size``.

    Example:
        >>> import dtorch
        >>> out, indices = MaxPool1d(2, return_indices=True)(dtorch.arange(4.0).reshape(1, 1, 4))
        >>> MaxUnpool1d(2)(out, indices).tolist()
        [[[0.0, 1.0, 0.0, 3.0]]]
    """

    _dims = 1
    _function = staticmethod(functions.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Values put back to where `MaxPool2d` found them, zeros elsewhere.

    Arguments are those of `MaxUnpool1d`.

    Example:
        >>> import dtorch
        >>> out, indices = MaxPool2d(2, return_indices=True)(dtorch.arange(4.0).reshape(1, 1, 2, 2))
        >>> MaxUnpool2d(2)(out, indices).tolist()
        [[[[0.0, 0.0], [0.0, 3.0]]]]
    """

    _dims = 2
    _function = staticmethod(functions.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Values put back to where `MaxPool3d` found them, zeros elsewhere.

    Arguments are those of `MaxUnpool1d`.

    Example:
        >>> import dtorch
        >>> out, indices = MaxPool3d(2, return_indices=True)(dtorch.ones(1, 1, 4, 4, 4))
        >>> tuple(MaxUnpool3d(2)(out, indices).shape)
        (1, 1, 4, 4, 4)
    """

    _dims = 3
    _function = staticmethod(functions.max_unpool3d)


class _AvgPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Mean of each window of ``(N, C, L)``.

    Args:
        kernel_size: of the window, an int or one for each dim.
        stride: between windows; by default ``kernel_size``.
        padding: at both ends of each dim, at most half the kernel.
        ceil_mode: a window may go past the end.
        count_include_pad: whether the zeros of the padding count.

    Example:
        >>> import dtorch
        >>> AvgPool1d(2)(dtorch.arange(6.0).reshape(1, 1, 6)).tolist()
        [[[0.5, 2.5, 4.5]]]
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        kernel_size = per_dim("AvgPool1d", "kernel_size", kernel_size, 1)
        stride = None if stride is None else per_dim("AvgPool1d", "stride", stride, 1)
        padding = per_dim("AvgPool1d", "padding", padding, 1)
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, input: Tensor) -> Any:
        return functions.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip


class AvgPool2d(_AvgPool):
    """Mean of each window of ``(N, C, H, W)``.

    Args:
        count_include_pad: whether the zeros of the padding count.
        divisor_override: divide by this number instead of the number of elements.

    The other arguments are those of `AvgPool1d`.

    Example:
        >>> import dtorch
        >>> AvgPool2d(2)(dtorch.arange(16.0).reshape(1, 1, 4, 4)).tolist()
        [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    divisor_override: int | None = None  # in files of before 1.2

    _function = staticmethod(functions.avg_pool2d)

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class AvgPool3d(AvgPool2d):
    """Mean of each window of ``(N, C, D, H, W)``; see `AvgPool2d`.

    Example:
        >>> import dtorch
        >>> tuple(AvgPool3d(2)(dtorch.ones(1, 2, 4, 4, 6)).shape)
        (1, 2, 2, 2, 3)
    """

    _function = staticmethod(functions.avg_pool3d)


class _LPPool(_Pool):
    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, L)``.

    Args:
        norm_type: p; not 0.
        kernel_size, stride, ceil_mode: as in `MaxPool1d`.

    Example:
        >>> import dtorch
        >>> LPPool1d(2, 2)(dtorch.tensor([[[3.0, 4.0, 6.0, 8.0]]])).tolist()
        [[[5.0, 10.0]]]
    """

    _function = staticmethod(functions.lp_pool1d)


class LPPool2d(_LPPool):
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, H, W)``.

    Arguments are those of `LPPool1d`.

    Example:
        >>> import dtorch
        >>> LPPool2d(1, 2)(dtorch.arange(4.0).reshape(1, 1, 2, 2)).tolist()
        [[[[6.0]]]]
    """

    _function = staticmethod(functions.lp_pool2d)


class LPPool3d(_LPPool):
    """``(sum of x**p)**(1/p)`` over each window of ``(N, C, D, H, W)``.

    Arguments are those of `LPPool1d`.

    Example:
        >>> import dtorch
        >>> tuple(LPPool3d(2, 2)(dtorch.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 2, 2, 2)
    """

    _function = staticmethod(functions.lp_pool3d)


class _AdaptiveAvgPool(_Pool):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of ``output_size`` windows that divide ``(N, C, L)`` evenly.

    Args:
        output_size: number of windows.

    Example:
        >>> import dtorch
        >>> AdaptiveAvgPool1d(2)(dtorch.arange(6.0).reshape(1, 1, 6)).tolist()
        [[[1.0, 4.0]]]
    """

    _function = staticmethod(functions.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of ``output_size`` windows that divide ``(N, C, H, W)`` evenly.

    Args:
        output_size: rows and columns of the output; None keeps a size.

    Example:
        >>> import dtorch
        >>> tuple(AdaptiveAvgPool2d((3, None))(dtorch.ones(1, 2, 6, 8)).shape)
        (1, 2, 3, 8)
    """

    _function = staticmethod(functions.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of ``output_size`` windows that divide ``(N, C, D, H, W)`` evenly.

    Args:
        output_size: an int, or one for each of the last 3 dims; None keeps a size.

    Example:
        >>> import dtorch
        >>> tuple(AdaptiveAvgPool3d((3, 2, 1))(dtorch.ones(1, 2, 6, 8, 4)).shape)
        (1, 2, 3, 2, 1)
    """

    _function = staticmethod(functions.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_Pool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Largest values of ``output_size`` windows that divide ``(N, C, L)`` evenly.

    Args:
        output_size: number of windows.
        return_indices: return also where the values were found.

    Example:
        >>> import dtorch
        >>> AdaptiveMaxPool1d(2)(dtorch.arange(6.0).reshape(1, 1, 6)).tolist()
        [[[2.0, 5.0]]]
    """

    _function = staticmethod(functions.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Largest values of ``output_size`` windows that divide ``(N, C, H, W)`` evenly.

    Args:
        output_size: an int, or one for each of the last 2 dims; None keeps a size.
        return_indices: return also where the values were found.

    Example:
        >>> import dtorch
        >>> tuple(AdaptiveMaxPool2d((3, None))(dtorch.ones(1, 2, 6, 8)).shape)
        (1, 2, 3, 8)
    """

    _function = staticmethod(functions.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Largest values of ``output_size`` windows that divide ``(N, C, D, H, W)`` evenly.

    Args:
        output_size: an int, or one for each of the last 3 dims; None keeps a size.
        return_indices: return also where the values were found.

    Example:
        >>> import dtorch
        >>> tuple(AdaptiveMaxPool3d((3, 2, 1))(dtorch.ones(1, 2, 6, 8, 4)).shape)
        (1, 2, 3, 2, 1)
    """

    _function = staticmethod(functions.adaptive_max_pool3d)


class _FractionalMaxPool(_Pool):
    def __init__(
        self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        check_fractional(type(self).__name__, output_size, output_ratio)

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """Largest values of windows that begin at random places, in order, of ``(N, C, H, W)``.

    Args:
        output_size: rows and columns of the output; or
        output_ratio: their ratio to the input's, between 0 and 1.
        return_indices: return also where the values were found.
        _random_samples: ``(N, C, 2)`` in [0, 1), from which the places follow.

    Reference: Graham 2014, arXiv:1412.6071.

    Raises:
        ValueError: none or both of ``output_size`` and ``output_ratio``, or a ratio outside 0 to 1.

    Example:
        >>> import dtorch
        >>> tuple(FractionalMaxPool2d(2, output_size=(3, 4))(dtorch.ones(1, 2, 7, 9)).shape)
        (1, 2, 3, 4)
    """

    _function = staticmethod(functions.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """Largest values of windows that begin at random places, in order, of ``(N, C, D, H, W)``.

    Arguments and errors are those of `FractionalMaxPool2d`, with three dims.

    Example:
        >>> import dtorch
        >>> tuple(FractionalMaxPool3d(2, output_ratio=0.5)(dtorch.ones(1, 1, 6, 6, 6)).shape)
        (1, 1, 3, 3, 3)
    """

    _function = staticmethod(functions.fractional_max_pool3d)
