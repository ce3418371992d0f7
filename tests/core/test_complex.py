"""Complex numbers: gradients follow the conjugate convention, parts are views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import DtypeError, ShapeError

EPS = 1e-6
RNG = np.random.default_rng(0)
START = RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3))
OTHER = dtorch.from_numpy(RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3)))

UNARY = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "square",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "neg",
    "conj",
    "abs",
    "angle",
    "sgn",
    "real",
    "imag",
    "sum",
    "mean",
    "prod",
    "cumsum",
    "cumprod",
    "var",
    "std",
    "norm",
    "flip",
    "roll",
    "view_as_real",
]
ARGUMENTS = {"cumsum": (1,), "cumprod": (1,), "flip": ((0,),), "roll": (1,)}
BINARY = {
    "add": lambda x: x + OTHER,
    "sub": lambda x: OTHER - x,
    "mul": lambda x: x * OTHER,
    "square by mul": lambda x: x * x,
    "div": lambda x: x / OTHER,
    "div by": lambda x: OTHER / x,
    "real factor": lambda x: x * 2.5,
    "complex factor": lambda x: x * (1 + 2j),
    "pow": lambda x: x**3,
    "pow complex": lambda x: x**OTHER,
    "pow base": lambda x: OTHER**x,
    "matmul": lambda x: x @ OTHER.t(),
    "matmul right": lambda x: OTHER.t() @ x,
    "vdot": lambda x: dtorch.vdot(x.reshape(-1), OTHER.reshape(-1)),
    "kron": lambda x: dtorch.kron(x, OTHER),
    "einsum": lambda x: dtorch.einsum("ij,kj->ik", x, OTHER),
    "adjoint": lambda x: x.mH @ OTHER,
    "fft": dtorch.fft.fft,
    "ifft": lambda x: dtorch.fft.ifft(x, norm="ortho"),
    "irfft": dtorch.fft.irfft,
    "fft2": dtorch.fft.fft2,
    "index": lambda x: x[:, [0, 2, 0]],
    "where": lambda x: dtorch.where(x.real > 0, x, OTHER),
    "cat": lambda x: dtorch.cat([x, OTHER * x]),
}
CASES: dict[str, Any] = {
    name: (lambda x, name=name: getattr(dtorch, name)(x, *ARGUMENTS.get(name, ())))
    for name in UNARY
} | BINARY


def real_number(out: Any) -> Any:
    """A real number that weighs both parts of every element."""
    pair = dtorch.view_as_real(out) if out.is_complex() else out
    weight = dtorch.from_numpy(np.random.default_rng(4).normal(size=tuple(pair.shape)))
    return (pair * weight).sum()


def numeric(function: Any) -> np.ndarray:
    """Derivatives in the real part plus i times those in the imaginary part."""
    slope = np.zeros_like(START)
    for place in np.ndindex(START.shape):
        for part in (1, 1j):
            moved = [START.copy(), START.copy()]
            moved[0][place] += EPS * part
            moved[1][place] -= EPS * part
            up, down = (float(function(dtorch.from_numpy(m))) for m in moved)
            slope[place] += part * (up - down) / (2 * EPS)
    return slope


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_both_parts(name: str) -> None:
    x = dtorch.from_numpy(START.copy()).requires_grad_()
    real_number(CASES[name](x)).backward()
    expected = numeric(lambda z: real_number(CASES[name](z)))
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["exp", "abs", "sgn", "mul", "div by", "pow", "matmul", "fft"])
def test_second_gradient_is_that_of_both_parts(name: str) -> None:
    def slope(x: Any) -> Any:
        x = x.detach().clone().requires_grad_() if not x.requires_grad else x
        out = real_number(CASES[name](x) * CASES[name](x).conj() * 0.5 + CASES[name](x))
        (first,) = dtorch.autograd.grad(out, [x], create_graph=True)
        return real_number(first)

    x = dtorch.from_numpy(START.copy()).requires_grad_()
    (second,) = dtorch.autograd.grad(slope(x), [x])
    np.testing.assert_allclose(second.numpy(), numeric(lambda z: slope(z).detach()),
                               rtol=2e-4, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("name", ["rfft", "ihfft", "fft", "rfftn"])
def test_gradient_of_a_real_signal_is_real(name: str) -> None:
    x = dtorch.from_numpy(START.real.copy()).requires_grad_()
    real_number(getattr(dtorch.fft, name)(x)).backward()
    assert not x.grad.is_complex()
    slope = np.zeros_like(START.real)
    for place in np.ndindex(slope.shape):
        sides = []
        for sign in (1, -1):
            moved = START.real.copy()
            moved[place] += sign * EPS
            sides.append(float(real_number(getattr(dtorch.fft, name)(dtorch.from_numpy(moved)))))
        slope[place] = (sides[0] - sides[1]) / (2 * EPS)
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["rfft", "ihfft", "rfft2", "rfftn"])
def test_transforms_of_real_signals_drop_no_imaginary_part(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: not defined for dtorch.complex128"):
        getattr(dtorch.fft, name)(dtorch.from_numpy(START.copy()))


def test_parts_are_views_that_can_be_written_to() -> None:
    z = dtorch.zeros(2, dtype=dtorch.complex64)
    z.real.fill_(1)
    z.imag[1] = 2
    dtorch.view_as_real(z)[0, 1] = 3
    assert z.tolist() == [1 + 3j, 1 + 2j]
    pairs = dtorch.zeros(2, 2)
    dtorch.view_as_complex(pairs).fill_(1 + 2j)
    assert pairs.tolist() == [[1, 2], [1, 2]]


def test_parts_of_real_tensors() -> None:
    x = dtorch.ones(2)
    assert x.real.tolist() == [1, 1]
    with pytest.raises(DtypeError, match=r"imag.*complex"):
        _ = x.imag
    with pytest.raises(DtypeError, match="view_as_real"):
        dtorch.view_as_real(x)
    with pytest.raises(ShapeError, match=r"view_as_complex.*last dim of size 2"):
        dtorch.view_as_complex(dtorch.ones(2, 3))
    with pytest.raises(DtypeError, match=r"sign.*complex64"):
        dtorch.sign(dtorch.ones(2, dtype=dtorch.complex64))
