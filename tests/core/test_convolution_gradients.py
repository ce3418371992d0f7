"""Gradients of convolutions where windows do not tile their input, against sums written out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so


def windows(input: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (input + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def slow_conv(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """Each output is the sum of the products under its window."""
    kernel = w.shape[2:]
    sides = [windows(*g) for g in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *sides))
    per_group = w.shape[0] // groups
    for n, o, *at in np.ndindex(*out.shape):
        first = o // per_group * w.shape[1]
        for c, *tap in np.ndindex(*w.shape[1:]):
            place = [
                a * s - p + t * d
                for a, s, p, t, d in zip(at, stride, padding, tap, dilation, strict=True)
            ]
            if all(0 <= q < size for q, size in zip(place, x.shape[2:], strict=True)):
                out[(n, o, *at)] += w[(o, c, *tap)] * x[(n, first + c, *place)]
    return out


def slow_transposed(
    x: Any, w: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> Any:
    """Each input hands its products with the kernel to a window of the output."""
    sides = [
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, s, p, d, k, extra in zip(
            x.shape[2:], stride, padding, dilation, w.shape[2:], output_padding, strict=True
        )
    ]
    out = np.zeros((x.shape[0], w.shape[1] * groups, *sides))
    per_group = x.shape[1] // groups
    for n, c, *at in np.ndindex(*x.shape):
        first = c // per_group * w.shape[1]
        for o, *tap in np.ndindex(*w.shape[1:]):
            place = [
                a * s - p + t * d
                for a, s, p, t, d in zip(at, stride, padding, tap, dilation, strict=True)
            ]
            if all(0 <= q < size for q, size in zip(place, sides, strict=True)):
                out[(n, first + o, *place)] += w[(c, o, *tap)] * x[(n, c, *at)]
    return out


def check(fast: Any, slow: Any, x: Any, w: Any, dtype: Any) -> None:
    """Values, first gradients, and the gradients of those, which are all linear in each tensor."""
    rng = np.random.default_rng(0)
    tight = 1e-10 if dtype == np.float64 else 2e-4

    def close(actual: Any, expected: Any) -> None:
        scale = max(1.0, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=0, atol=tight * scale)

    tx, tw = (
        dtorch.tensor(a, dtype=getattr(dtorch, dtype.name), requires_grad=True) for a in (x, w)
    )
    out = fast(tx, tw)
    expected = slow(x, w)
    assert out.shape == expected.shape
    close(out, expected)
    g = rng.standard_normal(expected.shape)
    upstream = dtorch.tensor(g, dtype=out.dtype, requires_grad=True)
    dx, dw = dtorch.autograd.grad(out, (tx, tw), upstream, create_graph=True)

    def by_parts(array: Any, product: Any) -> Any:
        """The gradient of a linear function, from its values at the units."""
        found = np.zeros_like(array)
        for place in np.ndindex(*array.shape):
            unit = np.zeros_like(array)
            unit[place] = 1
            found[place] = product(unit)
        return found

    close(dx, by_parts(x, lambda unit: (slow(unit, w) * g).sum()))
    close(dw, by_parts(w, lambda unit: (slow(x, unit) * g).sum()))
    hx, hw = rng.standard_normal(x.shape), rng.standard_normal(w.shape)
    total = (dx * dtorch.tensor(hx, dtype=out.dtype)).sum() + (
        dw * dtorch.tensor(hw, dtype=out.dtype)
    ).sum()
    ddx, ddw, ddg = dtorch.autograd.grad(total, (tx, tw, upstream))
    close(ddg, slow(hx, w) + slow(x, hw))
    close(ddx, by_parts(x, lambda unit: (slow(unit, hw) * g).sum()))
    close(ddw, by_parts(w, lambda unit: (slow(hx, unit) * g).sum()))


GROUPS = [(1, np.dtype(np.float64)), (2, np.dtype(np.float32))]
TRANSPOSED = [
    # sides, kernel, stride, padding, output_padding, dilation
    ((1,), (3,), (1,), (0,), (1,), (2,)),
    ((1,), (3,), (2,), (0,), (2,), (3,)),
    ((2,), (3,), (1,), (1,), (1,), (2,)),
    ((3,), (3,), (1,), (0,), (2,), (3,)),
    ((2,), (1,), (1,), (0,), (2,), (3,)),
    ((1,), (2,), (1,), (5,), (5,), (6,)),
    ((3,), (2,), (3,), (1,), (2,), (1,)),
    ((1, 1), (3, 3), (1, 1), (0, 0), (1, 1), (2, 2)),
    ((2, 1), (2, 3), (1, 2), (1, 0), (1, 2), (2, 3)),
    ((2, 3), (3, 3), (2, 1), (1, 1), (0, 1), (1, 2)),
    ((1, 2, 1), (2, 1, 2), (1, 1, 2), (0, 0, 1), (1, 0, 2), (2, 1, 3)),
]


@pytest.mark.parametrize(("groups", "dtype"), GROUPS)
@pytest.mark.parametrize(("sides", "kernel", "stride", "padding", "extra", "dilation"), TRANSPOSED)
def test_transposed_convolutions_with_any_legal_output_padding(
    sides: Any, kernel: Any, stride: Any, padding: Any, extra: Any, dilation: Any, groups: int,
    dtype: Any,
) -> None:  # fmt: skip
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 2, *sides)), rng.standard_normal((2, 2, *kernel))
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(sides) - 1]
    check(
        lambda x, w: function(x, w, None, stride, padding, extra, groups, dilation),
        lambda x, w: slow_transposed(x, w, stride, padding, extra, dilation, groups),
        x, w, dtype,
    )  # fmt: skip


CONVOLUTIONS = [
    # sides, kernel, stride, padding, dilation
    ((7,), (3,), (2,), (1,), (2,)),
    ((5,), (2,), (3,), (0,), (1,)),
    ((4,), (1,), (3,), (2,), (1,)),
    ((2,), (5,), (1,), (4,), (1,)),
    ((5, 4), (3, 2), (2, 3), (1, 0), (1, 2)),
    ((4, 6), (3, 3), (1, 2), (2, 1), (1, 2)),
    ((6, 5), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 4), (1, 1), (2, 3), (0, 1), (1, 1)),
    ((3, 2, 4), (2, 1, 3), (2, 1, 3), (1, 0, 1), (1, 1, 1)),
]


@pytest.mark.parametrize(("groups", "dtype"), GROUPS)
@pytest.mark.parametrize(("sides", "kernel", "stride", "padding", "dilation"), CONVOLUTIONS)
def test_convolutions_whose_windows_leave_elements_over(
    sides: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, dtype: Any
) -> None:
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((2, 2, *sides)), rng.standard_normal((2, 2 // groups, *kernel))
    function = (F.conv1d, F.conv2d, F.conv3d)[len(sides) - 1]
    check(
        lambda x, w: function(x, w, None, stride, padding, dilation, groups),
        lambda x, w: slow_conv(x, w, stride, padding, dilation, groups),
        x, w, dtype,
    )  # fmt: skip


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_transposed_convolution_is_the_gradient_of_a_convolution(kernel: int) -> None:
    rng = np.random.default_rng(3)
    options = itertools.product((1, 2, 3), (0, 1), (1, 2, 3))
    for stride, padding, dilation in options:
        w = dtorch.tensor(rng.standard_normal((3, 2, kernel, kernel)))
        y = dtorch.tensor(rng.standard_normal((2, 3, 4, 4)), requires_grad=True)
        for extra in range(max(stride, dilation)):
            if 3 * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 < 1:
                continue
            out = F.conv_transpose2d(y, w, None, stride, padding, extra, 1, dilation)
            x = dtorch.tensor(rng.standard_normal(out.shape))
            forward = F.conv2d(x, w, None, stride, padding, dilation)[..., :4, :4]
            found = dtorch.autograd.grad(out, y, x)[0]
            np.testing.assert_allclose(found.numpy(), forward.numpy(), rtol=1e-10, atol=1e-10)
