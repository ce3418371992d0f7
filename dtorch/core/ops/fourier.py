"""Discrete Fourier transforms: the names of ``dtorch.fft``."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError
from dtorch.core.op import structured
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.complex import conj, real
from dtorch.core.ops.joining import cat
from dtorch.core.ops.repetition import flip, roll
from dtorch.core.ops.view import narrow
from dtorch.core.shapes import normalize_dim, normalize_dims
from dtorch.core.tensor import Tensor

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _norm(name: str, norm: str | None) -> str:
    if norm is None:
        return "backward"
    if norm not in _OPPOSITE:
        raise ArgumentError(f"{name}: norm is {norm!r}, expected 'forward', 'backward' or 'ortho'")
    return norm


def _fitted(input: Any, n: int | None, dim: int) -> Any:
    """Cut or padded with zeros to ``n`` elements along ``dim``."""
    size = input.shape[dim]
    if (size if n is None else n) < 1:
        raise ArgumentError(
            f"fft: {size} elements in dim {dim} and n {n}, expected at least 1 to transform"
        )
    if n is None or n == size:
        return input
    if n < size:
        return narrow(input, dim, 0, n)
    shape = [n - size if d == dim else s for d, s in enumerate(input.shape)]
    return cat([input, input.new_zeros(*shape)], dim)


def _complex_of(input: Any) -> Any:
    return np.result_type(input.dtype if input.dtype.kind in "fc" else np.float32, np.complex64)


@structured(tensors=("input",), public=False)
def transform(xp: ArrayModule, input: Array, dim: int, norm: str, inverse: bool) -> Array:
    """The transform along one dim, or its inverse."""
    function = xp.fft.ifft if inverse else xp.fft.fft
    return function(input, axis=dim, norm=norm).astype(_complex_of(input), copy=False)


@transform.gradient("input")
def _(grad, dim, norm, inverse):
    # The adjoint: the other direction with the other scale. The engine takes the real part.
    return transform(grad, dim, _OPPOSITE[norm], not inverse)


@structured(tensors=("input",), public=False)
def mirrored(xp: ArrayModule, input: Array, dim: int, n: int) -> Array:
    """The whole spectrum of a real signal of ``n`` elements from its first half."""
    half = n // 2 + 1
    first = xp.take(input, range(half), dim)
    rest = xp.conj(xp.take(first, range(n - half, 0, -1), dim))
    return xp.concatenate([first, rest], dim)


@mirrored.gradient("input")
def _(grad, dim, n, input_shape):
    half = n // 2 + 1
    first = narrow(grad, dim, 0, half)
    count = n - half
    if count:
        back = flip(conj(narrow(grad, dim, half, count)), (dim,))
        zero = keep(narrow(first, dim, 0, 1), False)
        after = [zero] if half - 1 - count else []
        first = first + cat([zero, back, *after], dim)
    return first


def _one(name: str, body: Any, doc: str, reference: Any, takes: str = "bifc") -> Any:
    """A transform along one dim, and with it its documentation, samples and reference."""

    def function(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
        if not input.ndim:
            raise ArgumentError(f"{name}: the tensor has no dimension to transform")
        return body(input, n, normalize_dim(name, dim, input.ndim), _norm(name, norm))

    function.__name__ = f"fft_{name}"
    function.__doc__ = (
        f"{doc}\n\nArgs:\n"
        "    n: length of the signal, which is cut or padded with zeros.\n"
        '    norm: scale: ``"backward"`` 1 forward and 1/n back, ``"ortho"`` 1/sqrt(n) both,\n'
        '        ``"forward"`` 1/n forward and 1 back.'
    )
    op = composite(tensors=("input",), home="fft", takes=takes)(function)

    @op.samples
    def _(make: Any) -> Any:
        yield (make(2, 5),), {}
        yield (make(4, 2), None, 0, "ortho"), {}
        yield (make(2, 5), 3, 1, "forward"), {}
        yield (make(2, 3), 6), {}

    @op.expect
    def _(*args: Any) -> Any:
        out = reference(*args)
        if args[0].dtype == np.float32:
            out = out.astype(np.complex64 if out.dtype.kind == "c" else np.float32)
        return out

    return op


def _fft(input: Any, n: int | None, dim: int, norm: str) -> Any:
    return transform(_fitted(input, n, dim), dim, norm, False)


def _ifft(input: Any, n: int | None, dim: int, norm: str) -> Any:
    return transform(_fitted(input, n, dim), dim, norm, True)


def _rfft(input: Any, n: int | None, dim: int, norm: str) -> Any:
    signal = _fitted(input, n, dim)
    return narrow(transform(signal, dim, norm, False), dim, 0, signal.shape[dim] // 2 + 1)


def _irfft(input: Any, n: int | None, dim: int, norm: str) -> Any:
    n = 2 * (input.shape[dim] - 1) if n is None else n
    if n < 1:
        raise ArgumentError(f"irfft: n is {n}, expected at least 1")
    spectrum = _fitted(input, n // 2 + 1, dim)
    return real(transform(mirrored(spectrum, dim, n), dim, norm, True))


def _hfft(input: Any, n: int | None, dim: int, norm: str) -> Any:
    return _irfft(conj(input), n, dim, _OPPOSITE[norm])


def _ihfft(input: Any, n: int | None, dim: int, norm: str) -> Any:
    return conj(_rfft(input, n, dim, _OPPOSITE[norm]))


fft_fft = _one("fft", _fft, "Fourier transform along one dim.", np.fft.fft)
fft_ifft = _one("ifft", _ifft, "Inverse Fourier transform along one dim.", np.fft.ifft)
fft_rfft = _one("rfft", _rfft, "First half of the transform of a real signal.", np.fft.rfft, "bif")
fft_irfft = _one("irfft", _irfft, "Real signal from the first half of its transform.", np.fft.irfft)
fft_hfft = _one("hfft", _hfft, "Real transform of a signal with Hermitian symmetry.", np.fft.hfft)
fft_ihfft = _one("ihfft", _ihfft, "Inverse of `hfft`.", np.fft.ihfft, "bif")


def _sizes_and_dims(name: str, input: Any, s: Any, dim: Any) -> tuple[list[Any], tuple[int, ...]]:
    if dim is None:
        count = input.ndim if s is None else len(s)
        dim = tuple(range(input.ndim - count, input.ndim))
    dims = normalize_dims(name, tuple(dim), input.ndim)
    sizes = [None] * len(dims) if s is None else [None if n == -1 else n for n in s]
    if len(sizes) != len(dims):
        raise ArgumentError(f"{name}: s is {s}, but dim is {dim}: they differ in length")
    return sizes, dims


def _several(
    name: str, step: Any, last: Any, last_first: bool, doc: str, reference: Any, takes: str = "bifc"
) -> Any:
    """A transform along several dims: ``last`` along the last of them, ``step`` along others."""
    two = name.endswith("2")

    def run(input: Any, s: Any, dim: Any, norm: str | None) -> Any:
        sizes, dims = _sizes_and_dims(name, input, s, dim)
        scale = _norm(name, norm)
        pairs = list(zip(sizes, dims, strict=True))
        out = input
        if last_first:
            out = last(out, *pairs[-1], scale)
        for n, d in pairs[:-1]:
            out = step(out, n, d, scale)
        return out if last_first else last(out, *pairs[-1], scale)

    def over_two(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
        return run(input, s, dim, norm)

    def over_all(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
        return run(input, s, dim, norm)

    function = over_two if two else over_all
    function.__name__, function.__doc__ = f"fft_{name}", doc
    op = composite(tensors=("input",), home="fft", takes=takes)(function)

    @op.samples
    def _(make: Any) -> Any:
        yield (make(2, 3, 4),), {}
        yield (make(3, 4), (4, 3), (0, 1), "ortho"), {}

    @op.expect
    def _(*args: Any) -> Any:
        out = reference(*args)
        if args[0].dtype == np.float32:
            out = out.astype(np.complex64 if out.dtype.kind == "c" else np.float32)
        return out

    return op


fft_fft2 = _several("fft2", _fft, _fft, False, "Transform along two dims.", np.fft.fft2)
fft_ifft2 = _several("ifft2", _ifft, _ifft, False, "Inverse of `fft2`.", np.fft.ifft2)
fft_rfft2 = _several("rfft2", _fft, _rfft, True, "`fft2` of a real signal.", np.fft.rfft2, "bif")
fft_irfft2 = _several("irfft2", _ifft, _irfft, False, "Inverse of `rfft2`.", np.fft.irfft2)
fft_fftn = _several("fftn", _fft, _fft, False, "Transform along several dims.", np.fft.fftn)
fft_ifftn = _several("ifftn", _ifft, _ifft, False, "Inverse of `fftn`.", np.fft.ifftn)
fft_rfftn = _several("rfftn", _fft, _rfft, True, "`fftn` of a real signal.", np.fft.rfftn, "bif")
fft_irfftn = _several("irfftn", _ifft, _irfft, False, "Inverse of `rfftn`.", np.fft.irfftn)


def _shifted(input: Any, dim: Any, half: Any) -> Any:
    dims = normalize_dims("fftshift", dim, input.ndim)
    return roll(input, tuple(half(input.shape[d]) for d in dims), dims)


@composite(tensors=("input",), home="fft")
def fft_fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The zero frequency moved to the middle."""
    return _shifted(input, dim, lambda n: n // 2)


@composite(tensors=("input",), home="fft")
def fft_ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Inverse of `fftshift`."""
    return _shifted(input, dim, lambda n: -(n // 2))


for _op, _reference in ((fft_fftshift, np.fft.fftshift), (fft_ifftshift, np.fft.ifftshift)):
    _op.samples(lambda make: iter([((make(3, 4),), {}), ((make(3, 4), 1), {})]))
    _op.expect(_reference)
