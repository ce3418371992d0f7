"""What every operation owes, derived from its block: values, gradients, in-place form, out=."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import (
    arrays,
    differentiable,
    every_sample,
    map_tensors,
    outputs,
    recorded,
    samples_of,
    scattered,
)

from dtorch.autograd import grad
from dtorch.core.base import TensorBase
from dtorch.core.composites import CompositeOp
from dtorch.core.creation import from_numpy
from dtorch.core.functions import view_as_real
from dtorch.core.op import Op, public_ops
from dtorch.core.tensor import Tensor

SINGLE = {np.dtype(np.float64): np.float32, np.dtype(np.complex128): np.complex64}


def close(actual: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    for a, e in zip(arrays(actual), arrays(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=atol)
        assert a.shape == e.shape


def parts(output: Any) -> Any:
    """Complex numbers as pairs of real ones."""
    return view_as_real(output) if output.is_complex() else output


def scalar_of(result: Any, weights: list[np.ndarray]) -> Any:
    """One number from all differentiable outputs, weighted so that no symmetry hides an error."""
    total = None
    for output, weight in zip([o for o in outputs(result) if recorded(o)], weights, strict=False):
        part = (parts(output) * from_numpy(weight)).sum()
        total = part if total is None else total + part
    return total


def weights_for(result: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.uniform(0.5, 1.5, parts(o).shape) for o in outputs(result) if recorded(o)]


def numeric_gradients(function: Any, inputs: list[Any], eps: float = 1e-6) -> list[np.ndarray]:
    """Central differences of a scalar function with respect to each input."""
    found = []
    for tensor in inputs:
        array = tensor.numpy(force=True)
        slope = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + eps
            up = float(function())
            array[place] = kept - eps
            down = float(function())
            array[place] = kept
            slope[place] = (up - down) / (2 * eps)
        found.append(slope)
    return found


def prepare(op: Op, number: int) -> tuple[Any, dict[str, Any], list[Any]]:
    args, kwargs = samples_of(op)[number]
    inputs = differentiable((args, kwargs))
    for tensor in inputs:
        tensor.requires_grad_()
    return args, kwargs, inputs


ABOUT_MEMORY_ORDER = ("view", "reshape", "view_as_complex", "as_strided")


def is_differentiable(op: Op, number: int) -> bool:
    """Whether the sample has an output with a gradient."""
    args, kwargs, _ = prepare(op, number)
    return any(recorded(output) for output in outputs(op.function(*args, **kwargs)))


def fits_in_place(op: Op, number: int) -> bool:
    """Whether the operation has an in-place form that can hold the sample's result."""
    if op.inplace_function is None:
        return False
    args, kwargs = samples_of(op)[number]
    if not isinstance(args[0], Tensor):
        return False
    result = op.function(*args, **kwargs)
    return result.shape == args[0].shape and result.dtype.category <= args[0].dtype.category


def takes_out(op: Op, number: int) -> bool:
    """Whether the operation takes out=, and the sample's results are tensors."""
    args, kwargs = samples_of(op)[number]
    return op.has_out and all(
        isinstance(output, TensorBase) for output in outputs(op.function(*args, **kwargs))
    )


@every_sample()
def test_value_equals_the_reference(op: Op, number: int) -> None:
    assert op.reference is not None, f"operation {op.name} has no reference"
    args, kwargs = samples_of(op)[number]
    expected = op.reference(
        *map_tensors(lambda t: t.numpy().copy(), args),
        **map_tensors(lambda t: t.numpy().copy(), kwargs),
    )
    close(op.function(*args, **kwargs), expected, rtol=1e-9, atol=1e-12)


@every_sample(is_differentiable)
def test_gradient_equals_finite_differences(op: Op, number: int) -> None:
    args, kwargs, inputs = prepare(op, number)
    weights = weights_for(op.function(*args, **kwargs))

    def total() -> Any:
        return scalar_of(op.function(*args, **kwargs), weights)

    analytic = grad(total(), inputs, allow_unused=True)
    numeric = numeric_gradients(lambda: total().detach(), inputs)
    for a, n in zip(analytic, numeric, strict=True):
        value = np.zeros_like(n) if a is None else a.numpy()
        np.testing.assert_allclose(value, n, rtol=2e-6, atol=2e-7)


@every_sample(is_differentiable)
def test_second_gradient_equals_finite_differences(op: Op, number: int) -> None:
    args, kwargs, inputs = prepare(op, number)
    weights = weights_for(op.function(*args, **kwargs))
    factors = [from_numpy(np.random.default_rng(5).uniform(0.5, 1.5, t.shape)) for t in inputs]

    def slope() -> Any:
        """A weighted sum of all first gradients."""
        first = grad(
            scalar_of(op.function(*args, **kwargs), weights),
            inputs,
            create_graph=True,
            allow_unused=True,
        )
        parts = [(g * f).sum() for g, f in zip(first, factors, strict=True) if g is not None]
        return sum(parts[1:], parts[0])

    total = slope()
    second = grad(total, inputs, allow_unused=True) if recorded(total) else [None] * len(inputs)
    numeric = numeric_gradients(lambda: slope().detach(), inputs)
    for a, n in zip(second, numeric, strict=True):
        value = np.zeros_like(n) if a is None else a.numpy()
        np.testing.assert_allclose(value, n, rtol=2e-5, atol=2e-6)


# Where a 0 in the gradient is a product with a number that happens to be 0, not a choice.
BY_PRODUCTS = {
    **dict.fromkeys(
        ("softmax", "log_softmax", "logsigmoid", "cross_entropy", "ctc_loss"),
        "exponentials that are too small",
    ),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose2d"), "padding"),
    **dict.fromkeys(
        ("solve_triangular", "linalg_lu_solve", "linalg_qr", "linalg_lu_factor", "linalg_lu_factor_ex", "linalg_lu", "lu", "potri", "trtrs", "qr",
         "cholesky_inverse", "btrifact", "btrifact_with_info", "btrisolve"),
        "triangular matrices",
    ),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
         "feature_alpha_dropout"),
        "the factors of dropout, as in PyTorch",
    ),
    **dict.fromkeys(("fft_irfft2", "fft_irfftn", "stft"), "sines of the edges"),
    **dict.fromkeys(("grid_sample", "affine_grid"), "places on the grid or in its middle"),
    "cumprod": "zeros among the factors",
    "linalg_householder_product": "zeros above the diagonal",
    "scaled_dot_product_attention": "weights of what is masked",
    "triplet_margin_loss": "distances to the same point, which cancel",
    "corrcoef": "the diagonal, a quotient of equal numbers",
}  # fmt: skip


@every_sample(lambda op, number: op.name not in BY_PRODUCTS and is_differentiable(op, number))
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_gradient_that_is_zero_is_zero_of_an_infinite_one(op: Op, number: int, dtype: Any) -> None:
    args, kwargs = samples_of(op, dtype)[number]
    inputs = differentiable((args, kwargs))
    for tensor in inputs:
        tensor.requires_grad_()
    results = [parts(o) for o in outputs(op.function(*args, **kwargs)) if recorded(o)]

    def gradients(result: Any, place: Any, value: float, create_graph: bool) -> list[Any]:
        upstream = np.zeros(result.shape, result.numpy(force=True).dtype)
        upstream[place] = value
        found = grad(
            result,
            inputs,
            from_numpy(upstream),
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
        return [np.zeros(()) if g is None else g.numpy(force=True) for g in found]

    for result in results:
        for place in np.ndindex(*result.shape):
            for create_graph in (False, True):
                unit = gradients(result, place, 1.0, create_graph)
                for one, infinite in zip(
                    unit, gradients(result, place, np.inf, create_graph), strict=True
                ):
                    assert not infinite[one == 0].any()


CHOOSING = (
    "where", "masked_fill", "masked_scatter", "clamp", "maximum", "minimum", "fmax", "fmin", "relu",
    "relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "threshold",
    "leaky_relu", "prelu", "elu", "amax", "max", "sort", "topk", "cummax", "max_pool2d", "abs",
    "norm", "std", "huber_loss", "hinge_embedding_loss", "margin_ranking_loss",
)  # fmt: skip


@every_sample(lambda op, number: op.name in CHOOSING and is_differentiable(op, number))
def test_second_gradient_that_is_zero_is_zero_of_an_infinite_one(op: Op, number: int) -> None:
    args, kwargs, inputs = prepare(op, number)
    result = next(o for o in outputs(op.function(*args, **kwargs)) if recorded(o))
    upstream = from_numpy(np.random.default_rng(7).uniform(0.5, 1.5, result.shape))
    upstream.requires_grad_()
    firsts = grad(result, inputs, upstream, create_graph=True, allow_unused=True)
    for first in firsts:
        if first is None or not recorded(first):
            continue
        for place in np.ndindex(*first.shape):
            found = []
            for value in (1.0, np.inf):
                factor = np.zeros(first.shape)
                factor[place] = value
                found.append(
                    grad(
                        first,
                        [*inputs, upstream],
                        from_numpy(factor),
                        retain_graph=True,
                        allow_unused=True,
                    )
                )
            for one, infinite in zip(*found, strict=True):
                assert one is None or not infinite.numpy()[one.numpy() == 0].any()


@every_sample(fits_in_place)
def test_in_place_form_equals_the_function(op: Op, number: int) -> None:
    args, kwargs, inputs = prepare(op, number)
    expected = op.function(*args, **kwargs)
    start = args[0].clone()
    target = start * 1 if args[0].is_floating_point() else start
    changed = op.inplace_function(target, *args[1:], **kwargs)
    assert changed is target
    close(target.to(expected.dtype), expected)
    assert target._version == 1
    if recorded(expected) and recorded(target):
        weights = weights_for(expected)
        a = grad(scalar_of(expected, weights), inputs, allow_unused=True)
        b = grad(scalar_of(target, weights), inputs, allow_unused=True)
        for one, other in zip(a, b, strict=True):
            if one is None or other is None:
                assert all(g is None or not g.numpy().any() for g in (one, other))
            else:
                close(one, other)


@every_sample(takes_out)
def test_out_receives_the_result(op: Op, number: int) -> None:
    args, kwargs = samples_of(op)[number]
    expected = op.function(*args, **kwargs)
    several = isinstance(expected, tuple)
    targets = tuple(Tensor._wrap(np.empty_like(a)) for a in arrays(expected))
    result = op.function(*args, **kwargs, out=targets if several else targets[0])
    close(targets, expected)
    assert several or result is targets[0]


@every_sample(lambda op, number: op.name not in ABOUT_MEMORY_ORDER)
def test_memory_order_of_operands_does_not_matter(op: Op, number: int) -> None:
    args, kwargs = samples_of(op)[number]

    close(
        op.function(*map_tensors(scattered, args), **map_tensors(scattered, kwargs)),
        op.function(*args, **kwargs),
    )


@every_sample()
def test_operands_are_left_alone(op: Op, number: int) -> None:
    args, kwargs = samples_of(op)[number]
    tensors: list[Any] = []
    map_tensors(tensors.append, (args, kwargs))
    before = [tensor.numpy().copy() for tensor in tensors]
    op.function(*args, **kwargs)
    close(tensors, before, rtol=0, atol=0)


ALWAYS_DOUBLE = {"float_power"}


@every_sample()
def test_single_precision_agrees_with_double(op: Op, number: int) -> None:
    args, kwargs = samples_of(op, np.float32)[number]
    wide = op.function(*samples_of(op)[number][0], **samples_of(op)[number][1])
    narrow = op.function(*args, **kwargs)
    for n, w in zip(arrays(narrow), arrays(wide), strict=True):
        assert n.dtype == (w.dtype if op.name in ALWAYS_DOUBLE else SINGLE.get(w.dtype, w.dtype))
        np.testing.assert_allclose(n, w, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in public_ops().values()])
def test_block_is_complete(op: Op) -> None:
    assert op.make_samples is not None, "no samples"
    assert op.reference is not None, "no reference"
    assert op.doc, "no documentation"
    assert isinstance(op, CompositeOp) or op.body is not None
