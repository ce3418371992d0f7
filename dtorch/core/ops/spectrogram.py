"""Fourier transforms of the windows of a signal, and the classic transforms of several dims."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.base import TensorBase
from dtorch.core.composites import composite
from dtorch.core.creation import arange, ones, zeros
from dtorch.core.dtype import int64
from dtorch.core.errors import ArgumentError, RankError, ShapeError
from dtorch.core.op import method
from dtorch.core.ops.complex import real, view_as_complex, view_as_real
from dtorch.core.ops.elements import index_add
from dtorch.core.ops.fourier import fft_fftn, fft_ifftn, fft_irfft, fft_irfftn, fft_rfftn
from dtorch.core.ops.padding import pad
from dtorch.core.ops.strided import unfold_dim
from dtorch.core.tensor import Tensor


def _window(name: str, window: Any, length: int | None, n_fft: int, like: Any) -> Any:
    """A window as long as the transform: ``length`` numbers in its middle, ones by default."""
    length = n_fft if length is None else length
    if not 0 < length <= n_fft:
        raise ArgumentError(f"{name}: win_length is {length}, expected 1 to n_fft, {n_fft}")
    if window is None:
        window = ones(length, dtype=real(like).dtype)
    elif not isinstance(window, TensorBase) or tuple(window.shape) != (length,):  # type: ignore[attr-defined]  # tensors have shapes
        shape = getattr(window, "shape", type(window).__name__)
        raise ShapeError(f"{name}: window is {shape}, expected a tensor of ({length},)")
    before = (n_fft - length) // 2
    return window if length == n_fft else pad(window, (before, n_fft - length - before))


def _step(name: str, hop_length: int | None, n_fft: int) -> int:
    step = n_fft // 4 if hop_length is None else hop_length
    if step < 1 or n_fft < 1:
        raise ArgumentError(f"{name}: n_fft is {n_fft}, hop_length {step}, expected at least 1")
    return step


@composite(tensors=("input",), takes="fc", wide=True)
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
) -> Tensor:
    """Fourier transforms of the windows of a signal, one behind the other.

    Args:
        input: ``(samples,)`` or ``(batch, samples)``.
        n_fft: samples of a window.
        hop_length: samples from one window to the next. Default: a quarter of ``n_fft``.
        win_length: length of ``window``, which stands in the middle of ``n_fft`` samples.
        window: factors of the samples. Default: ones.
        center: pad so that the first window has the first sample in its middle.
        normalized: divide by the square root of ``n_fft``.
        onesided: only the ``n_fft // 2 + 1`` frequencies that tell of a real signal; the default
            unless the signal is complex.
        return_complex: False gives real and imaginary parts as a last dim of 2, as it always was
            and still is where nothing is said of a real signal.

    Returns: ``(batch, frequencies, windows)``, without batch as the input.
    """
    whole = input.is_complex() or (window is not None and window.is_complex())
    if input.ndim not in (1, 2):
        raise RankError(f"stft: input has shape {tuple(input.shape)}, expected 1 or 2 dimensions")
    step = _step("stft", hop_length, n_fft)
    factors = _window("stft", window, win_length, n_fft, input)
    signal = input if input.ndim == 2 else input.unsqueeze(0)
    if center:
        signal = pad(signal.unsqueeze(1), (n_fft // 2, n_fft // 2), pad_mode).squeeze(1)
    if signal.shape[1] < n_fft:
        raise ShapeError(f"stft: n_fft is {n_fft}, expected at most the {signal.shape[1]} samples")
    frames = unfold_dim(signal, 1, n_fft, step) * factors
    norm = "ortho" if normalized else "backward"
    if whole and onesided:
        raise ArgumentError("stft: onesided is True, expected False of a complex signal")
    half = not whole if onesided is None else onesided
    spectrum = (fft_rfftn if half else fft_fftn)(frames, None, (-1,), norm).transpose(1, 2)
    spectrum = spectrum if input.ndim == 2 else spectrum.squeeze(0)
    return spectrum if return_complex or (whole and return_complex is None) else (
        view_as_real(spectrum))  # fmt: skip


@composite(tensors=("input",), takes="fc")
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal of which `stft` with the same arguments gives ``input``.

    Args:
        length: samples of the result. Default: as many as the windows cover.
    """
    spectrum = input if input.is_complex() else _complex(input)
    if spectrum.ndim not in (2, 3):
        raise RankError(
            f"istft: input has shape {tuple(input.shape)}, expected (frequencies, windows) or "
            "(batch, frequencies, windows)"
        )
    half = spectrum.shape[-2] != n_fft if onesided is None else onesided
    if spectrum.shape[-2] != (n_fft // 2 + 1 if half else n_fft):
        raise ShapeError(f"istft: {spectrum.shape[-2]} frequencies do not fit n_fft {n_fft}")
    step = _step("istft", hop_length, n_fft)
    factors = _window("istft", window, win_length, n_fft, spectrum)
    batch = spectrum if spectrum.ndim == 3 else spectrum.unsqueeze(0)
    norm = "ortho" if normalized else "backward"
    frames = batch.transpose(1, 2)
    if half:
        frames = fft_irfft(frames, n_fft, -1, norm)
    else:
        frames = fft_ifftn(frames, None, (-1,), norm)
        frames = frames if return_complex else real(frames)
    count, samples = frames.shape[1], n_fft + step * (frames.shape[1] - 1)
    starts = arange(count, dtype=int64).unsqueeze(1) * step
    places = (starts + arange(n_fft, dtype=int64)).reshape(-1)
    flat = (frames * factors).reshape(frames.shape[0], count * n_fft)
    signal = index_add(zeros(frames.shape[0], samples, dtype=flat.dtype), 1, places, flat)
    weights = (factors * factors).expand(count, n_fft).reshape(-1)
    weight = index_add(zeros(samples, dtype=weights.dtype), 0, places, weights)
    start = n_fft // 2 if center else 0
    stop = samples - start if length is None else min(start + length, samples)
    weight = weight[start:stop]
    if weight.numel() and float(weight.abs().min()) < 1e-11:
        raise ArgumentError(
            "istft: the windows leave gaps: the sum of their squares is 0 somewhere"
        )
    signal = signal[:, start:stop] / weight
    if length is not None and signal.shape[1] < length:
        signal = pad(signal, (0, length - signal.shape[1]))
    return signal if spectrum.ndim == 3 else signal.squeeze(0)


def _classic_dims(name: str, input: Any, signal_ndim: int, last: int) -> tuple[int, ...]:
    """The dims that a classic transform runs over, and that their numbers fit."""
    if not 1 <= signal_ndim <= 3:
        raise ArgumentError(f"{name}: signal_ndim is {signal_ndim}, expected 1, 2 or 3")
    if input.ndim < signal_ndim + last or (last and input.shape[-1] != 2):
        parts = ", and a last one of 2 for real and imaginary parts" * last
        raise RankError(
            f"{name}: input has shape {tuple(input.shape)}, expected at least {signal_ndim} "
            f"dimensions{parts}"
        )
    return tuple(range(-signal_ndim, 0))


def _norm(normalized: bool) -> str:
    return "ortho" if normalized else "backward"


@composite(tensors=("input",), public=False, takes="f")
def classic_fft(input: Tensor, signal_ndim: int, normalized: bool = False) -> Tensor:
    """The Fourier transform over ``signal_ndim`` dims of numbers whose real and imaginary parts are
    the last dim: a classic form of `dtorch.fft.fftn`."""
    dims = _classic_dims("fft", input, signal_ndim, 1)
    return view_as_real(fft_fftn(_complex(input), None, dims, _norm(normalized)))


def _complex(input: Any) -> Any:
    return view_as_complex(input.contiguous())


@composite(tensors=("input",), takes="f")
def ifft(input: Tensor, signal_ndim: int, normalized: bool = False) -> Tensor:
    """Inverse of the classic ``dtorch.fft(input, signal_ndim)``; see `dtorch.fft.ifftn`."""
    dims = _classic_dims("ifft", input, signal_ndim, 1)
    return view_as_real(fft_ifftn(_complex(input), None, dims, _norm(normalized)))


@composite(tensors=("input",), takes="f", wide=True)
def rfft(
    input: Tensor, signal_ndim: int, normalized: bool = False, onesided: bool = True
) -> Tensor:
    """The Fourier transform of a real signal over its last ``signal_ndim`` dims, real and imaginary
    parts as a last dim of 2: a classic form of `dtorch.fft.rfftn`."""
    dims = _classic_dims("rfft", input, signal_ndim, 0)
    run = fft_rfftn if onesided else fft_fftn
    return view_as_real(run(input, None, dims, _norm(normalized)))


@composite(tensors=("input",), takes="f")
def irfft(
    input: Tensor,
    signal_ndim: int,
    normalized: bool = False,
    onesided: bool = True,
    signal_sizes: Any = None,
) -> Tensor:
    """Inverse of the classic `rfft`; ``signal_sizes`` says whether the last size was odd."""
    dims = _classic_dims("irfft", input, signal_ndim, 1)
    spectrum = _complex(input)
    if not onesided:
        return real(fft_ifftn(spectrum, None, dims, _norm(normalized)))
    sizes = tuple(signal_sizes) if signal_sizes is not None and len(signal_sizes) else None
    return fft_irfftn(spectrum, sizes, dims, _norm(normalized))


method("fft", classic_fft.function)


@stft.samples
def _(make):
    yield (make(12), 4), {"return_complex": True}
    yield (
        (make(2, 12), 4, 3, 2, make(2)),
        {"center": False, "normalized": True, "return_complex": True},
    )
    yield (make(12), 4), {"onesided": False, "return_complex": False}


@stft.expect
def _(input, n_fft, hop_length=None, win_length=None, window=None, center=True,
      normalized=False, onesided=True, return_complex=True):  # fmt: skip
    hop = hop_length or n_fft // 4
    rows = np.atleast_2d(input)
    if center:
        rows = np.pad(rows, ((0, 0), (n_fft // 2, n_fft // 2)), "reflect")
    factors = np.ones(n_fft)
    if window is not None:
        factors = np.pad(
            window, ((n_fft - len(window)) // 2, n_fft - len(window) - (n_fft - len(window)) // 2)
        )
    frames = [rows[:, i : i + n_fft] * factors for i in range(0, rows.shape[1] - n_fft + 1, hop)]
    out = (np.fft.rfft if onesided else np.fft.fft)(np.stack(frames, 1))
    out = out.swapaxes(1, 2) / (math.sqrt(n_fft) if normalized else 1)
    out = out if input.ndim == 2 else out[0]
    out = out.astype(np.result_type(input.dtype, np.complex64))
    return out if return_complex else np.stack([out.real, out.imag], -1)


@istft.samples
def _(make):
    yield (make(3, 4, 2), 4), {}
    yield (make(3, 4, 2), 4), {"length": 5}


@istft.expect
def _(input, n_fft, length=None):
    frames = np.fft.irfft((input[..., 0] + 1j * input[..., 1]).T, n_fft)
    hop = n_fft // 4
    out, weight = (np.zeros(n_fft + hop * (len(frames) - 1)) for _ in range(2))
    for i, frame in enumerate(frames):
        out[i * hop : i * hop + n_fft] += frame
        weight[i * hop : i * hop + n_fft] += 1
    stop = -(n_fft // 2) if length is None else n_fft // 2 + length
    found = (out / weight)[n_fft // 2 : stop]
    return found.astype(input.dtype)


def _parts(array: Array, like: Any) -> Any:
    return np.stack([array.real, array.imag], -1).astype(like.dtype)


for _op, _run in ((classic_fft, np.fft.fftn), (ifft, np.fft.ifftn)):

    @_op.samples
    def _(make):
        yield (make(2, 3, 4, 2), 2), {}

    @_op.expect
    def _(input, signal_ndim, _run=_run):
        whole = _run(input[..., 0] + 1j * input[..., 1], axes=range(-signal_ndim, 0))
        return _parts(whole, input)


@rfft.samples
def _(make):
    yield (make(2, 3, 4), 2), {}
    yield (make(2, 3), 1, True, False), {}


@rfft.expect
def _(input, signal_ndim, normalized=False, onesided=True):
    run = np.fft.rfftn if onesided else np.fft.fftn
    whole = run(input, axes=range(-signal_ndim, 0), norm="ortho" if normalized else None)
    return _parts(whole, input)


@irfft.samples
def _(make):
    yield (make(2, 3, 3, 2), 2), {}
    yield (make(2, 3, 2), 1), {"signal_sizes": (5,)}


@irfft.expect
def _(input, signal_ndim, signal_sizes=None):
    spectrum = input[..., 0] + 1j * input[..., 1]
    return np.fft.irfftn(spectrum, signal_sizes, range(-signal_ndim, 0)).astype(input.dtype)
