"""Complex numbers: their parts, and tensors made of parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import DtypeError, ShapeError
from dtorch.core.op import method
from dtorch.core.ops.comparison import choose, keep
from dtorch.core.tensor import Tensor
from dtorch.core.views import view


def conjugate(value: Any) -> Any:
    """Complex conjugate of a number, an array or a tensor, as gradient formulas need it; what is
    real stays as it is."""
    if not hasattr(value, "dtype"):
        return value.conjugate()
    return value.conj() if holds_complex(value) else value


def holds_complex(value: Any) -> bool:
    """Whether an array or a tensor is complex, as gradient formulas need it."""
    kind = value.dtype
    return bool(kind.kind == "c" if isinstance(kind, np.dtype) else kind.is_complex)


@elementwise()
def conj(xp: ArrayModule, input: Array) -> Array:
    """Complex conjugate; real tensors are their own."""
    return input.copy() if input.dtype.kind == "b" else xp.conjugate(input)


@conj.gradient("input")
def _(grad):
    return conjugate(grad)


@conj.samples
def _(make):
    yield (make(2, 3),), {}


@conj.expect
def _(input):
    return input


@view()
def real(xp: ArrayModule, input: Array) -> Array:
    """A view of the real parts; of a real tensor, of all of it."""
    return input.real.view()


@real.gradient("input")
def _(grad):
    return grad


@view()
def imag(xp: ArrayModule, input: Array) -> Array:
    """A view of the imaginary parts.

    Raises:
        DtypeError: the tensor is not complex.
    """
    if input.dtype.kind != "c":
        raise DtypeError(f"imag: input is {input.dtype}, expected a complex dtype")
    return input.imag


@imag.gradient("input")
def _(grad):
    return grad * 1j


def _complex_samples(make):
    yield (complex(make(2, 3), make(2, 3)),), {}


real.samples(_complex_samples)
imag.samples(_complex_samples)
real.expect(lambda input: np.array([z.real for z in input.ravel()]).reshape(input.shape))
imag.expect(lambda input: np.array([z.imag for z in input.ravel()]).reshape(input.shape))


@elementwise(inplace=False, wide=False, takes="f")
def complex(xp: ArrayModule, real: Array, imag: Array) -> Array:
    """Complex numbers from real and imaginary parts of one floating dtype."""
    out = xp.empty(xp.broadcast_shapes(real.shape, imag.shape), _complex_of("complex", real))
    out.real = real
    out.imag = imag
    return out


def _complex_of(name: str, part: Any) -> Any:
    if part.dtype not in (np.float32, np.float64):
        raise DtypeError(f"{name}: the parts are {part.dtype}, expected float32 or float64")
    return np.dtype(np.complex64 if part.dtype == np.float32 else np.complex128)


@complex.gradient("real")
def _(grad):
    return real(grad)


@complex.gradient("imag")
def _(grad):
    return imag(grad)


@complex.samples
def _(make):
    yield (make(2, 3), make(3)), {}


@complex.expect
def _(real, imag):
    return real + 1j * imag


@view()
def view_as_real(xp: ArrayModule, input: Array) -> Array:
    """A view with a last dim of size 2: real and imaginary part.

    Raises:
        DtypeError: the tensor is not complex.
    """
    if input.dtype.kind != "c":
        raise DtypeError(f"view_as_real: input is {input.dtype}, expected a complex dtype")
    part = input.real
    return xp.lib.stride_tricks.as_strided(
        part, (*part.shape, 2), (*part.strides, part.itemsize), writeable=True
    )


@view_as_real.gradient("input")
def _(grad):
    return complex(grad[..., 0], grad[..., 1])


view_as_real.samples(_complex_samples)
view_as_real.expect(lambda input: np.stack([input.real, input.imag], -1))


@view()
def view_as_complex(xp: ArrayModule, input: Array) -> Array:
    """A view that takes a last dim of size 2 as real and imaginary part.

    Raises:
        ShapeError: the last dim is not of size 2, or its elements are no neighbours in memory.
    """
    numpy_dtype = _complex_of("view_as_complex", input)
    if not input.ndim or input.shape[-1] != 2 or input.strides[-1] != input.itemsize:
        raise ShapeError(
            f"view_as_complex: input has shape {tuple(input.shape)} and strides "
            f"{tuple(s // input.itemsize for s in input.strides)}, expected a last dim of size 2 "
            "and stride 1"
        )
    if any(stride % numpy_dtype.itemsize for stride in input.strides[:-1]):
        raise ShapeError("view_as_complex: strides must be even but for the last; clone() it first")
    return input.view(numpy_dtype)[..., 0]


@view_as_complex.gradient("input")
def _(grad):
    return view_as_real(grad)


@view_as_complex.samples
def _(make):
    yield (make(3, 2),), {}


@view_as_complex.expect
def _(input):
    return input @ np.array([1, 1j])


@elementwise(inplace=False, floating=True)
def angle(xp: ArrayModule, input: Array) -> Array:
    """Angle of the complex number to the positive real axis, in radians."""
    if input.dtype.kind != "c":  # -0.0 is a positive real number here
        return xp.where(input != input, input, xp.where(input < 0, math.pi, 0)).astype(input.dtype)
    return xp.angle(input)


@angle.gradient("input")
def _(grad, input):
    if not holds_complex(input):
        return keep(grad, False)
    safe = choose(input == 0, 1.0, input)
    return keep(grad * 1j * safe / (safe * safe.conj()), input != 0)


@angle.samples
def _(make):
    yield (complex(make(2, 3), make(2, 3)),), {}
    yield (make(2, 3),), {}


@angle.expect
def _(input):
    return np.arctan2(np.imag(input), np.real(input))


@composite(tensors=("abs", "angle"), takes="f")
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers from sizes and angles in radians."""
    return complex(abs * angle.cos(), abs * angle.sin())


@polar.samples
def _(make):
    yield (make(2, 3, low=0.1), make(2, 3)), {}


@polar.expect
def _(abs, angle):
    return abs * np.exp(1j * angle)


method("real", property(real.function, doc=real.doc))
method("imag", property(imag.function, doc=imag.doc))
