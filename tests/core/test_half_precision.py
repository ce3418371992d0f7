"""float16 and bfloat16: results and gradients keep their dtype, sums are formed in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import every_sample, map_tensors, samples_of

import dtorch
from dtorch.core.base import TensorBase
from dtorch.core.errors import DtypeError
from dtorch.core.op import Op
from dtorch.nn import functional as nnf

HALVES = [dtorch.bfloat16, dtorch.float16]
# Half the last digit of the result, and what the operands of sums of a few terms lose.
TOLERANCE = {dtorch.bfloat16: 2**-6, dtorch.float16: 2**-9}


def flat(result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [tensor for part in result for tensor in flat(part)]
    return [result]


def single(tensor: Any) -> bool:
    return isinstance(tensor, TensorBase) and tensor.dtype is dtorch.float32


def halved(value: Any, half: Any, leaves: list[Any] | None = None) -> Any:
    def convert(tensor: Any) -> Any:
        if not single(tensor):
            return tensor
        result = tensor.to(half)
        if leaves is not None:
            leaves.append(result.requires_grad_())
        return result

    return map_tensors(convert, value)


def is_in_single_precision(op: Op, number: int) -> bool:
    if op.name.startswith("fft_") or op.name == "bincount":
        return False  # their results are of other dtypes in any case
    args, kwargs = samples_of(op, np.float32)[number]
    given: list[Any] = []
    map_tensors(given.append, (args, kwargs))
    results = flat(op.function(*args, **kwargs))
    return all(not t.is_complex() for t in given) and any(map(single, results)) and any(
        map(single, given)
    )  # fmt: skip


# LAPACK, and complex numbers, have no half precision.
REFUSES = "expected float32"


@pytest.mark.parametrize("half", HALVES, ids=str)
@every_sample(is_in_single_precision)
def test_results_and_gradients_have_the_dtype_of_the_operands(
    op: Op, number: int, half: Any
) -> None:
    expected = flat(op.function(*samples_of(op, np.float32)[number][0],
                                **samples_of(op, np.float32)[number][1]))  # fmt: skip
    leaves: list[Any] = []
    args, kwargs = halved(samples_of(op, np.float32)[number], half, leaves)
    try:
        results = flat(op.function(*args, **kwargs))
    except DtypeError as error:
        if REFUSES not in str(error):
            raise
        return
    for result, wide in zip(results, expected, strict=True):
        if single(wide):
            assert result.dtype is half
    recorded = [r.float().sum() for r in results if getattr(r, "requires_grad", False)]
    if recorded:
        sum(recorded[1:], recorded[0]).backward()
        assert {leaf.grad.dtype for leaf in leaves if leaf.grad is not None} <= {half}


def vectors(rows: int, columns: int, half: Any, seed: int = 0) -> Any:
    made = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    return dtorch.from_numpy(made).to(half)


SUMS = {
    "softmax": lambda x: nnf.softmax(x, 1),
    "softmax across rows": lambda x: nnf.softmax(x, 0),
    "log_softmax": lambda x: nnf.log_softmax(x, 1),
    "layer_norm": lambda x: nnf.layer_norm(x, (700,)),
    "batch_norm": lambda x: nnf.batch_norm(x.t(), None, None, training=True),
    "cross_entropy": lambda x: nnf.cross_entropy(x, dtorch.arange(8)),
    "mse_loss": lambda x: nnf.mse_loss(x, x * 0.5),
    "avg_pool1d": lambda x: nnf.avg_pool1d(x[None], 70),
    "linear": lambda x: nnf.linear(x, x),
    "conv1d": lambda x: nnf.conv1d(x[None], x[:, :7].expand(3, 8, 7).contiguous()),
    "norm": lambda x: x.norm(),
    "sum": lambda x: (x + 1).sum(),
    "var": lambda x: x.var(),
    "einsum": lambda x: dtorch.einsum("ij,kj->ik", x, x),
    "attention": lambda x: nnf.scaled_dot_product_attention(x.t(), x.t(), x.t()),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("half", HALVES, ids=str)
def test_sums_of_many_terms_are_as_exact_as_their_operands(name: str, half: Any) -> None:
    x = vectors(8, 700, half)
    found, expected = SUMS[name](x), SUMS[name](x.float())
    assert found.dtype is half
    error = (found.float() - expected).abs().max() / expected.abs().max()
    assert float(error) < TOLERANCE[half]


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_gradient_of_a_product_is_formed_in_single_precision(half: Any) -> None:
    a, b = vectors(6, 900, half).requires_grad_(), vectors(900, 5, half, 1).requires_grad_()
    (a @ b).float().square().sum().backward()
    delta = 2 * (a.float() @ b.float()).to(half).float()
    for leaf, expected in ((a, delta @ b.float().t()), (b, a.float().t() @ delta)):
        assert leaf.grad.dtype is half
        gap = (leaf.grad.float() - expected).abs().max() / expected.abs().max()
        assert float(gap) < TOLERANCE[half]


def test_products_of_different_dtypes_are_refused() -> None:
    with pytest.raises(DtypeError, match="bfloat16 and float32"):
        dtorch.ones(2, 2).bfloat16() @ dtorch.ones(2, 2)


def test_softmax_takes_the_dtype_it_is_told() -> None:
    x = vectors(2, 5, dtorch.bfloat16)
    assert nnf.softmax(x, 1, dtype=dtorch.float32).dtype is dtorch.float32


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_recurrent_layers_train_in_half_precision(half: Any) -> None:
    for kind in (dtorch.nn.LSTM, dtorch.nn.GRU, dtorch.nn.RNN):
        layer = kind(3, 4).to(half)
        out, _ = layer(vectors(6, 3, half).reshape(2, 3, 3))
        assert out.dtype is half
        out.float().sum().backward()
        assert all(p.grad.dtype is half for p in layer.parameters())


OPTIMIZERS = [
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop",
    "ASGD", "Adafactor",
]  # fmt: skip


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_parameters_in_half_precision(name: str, half: Any) -> None:
    weight = dtorch.ones(3, 2, dtype=half, requires_grad=True)
    optimizer = getattr(dtorch.optim, name)([weight], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        weight.float().square().sum().backward()
        optimizer.step()
    assert weight.dtype is half
    if name != "Adadelta":  # its first steps are smaller than a digit
        assert not (weight == 1).any()


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_layers_that_are_no_operations_keep_half_precision(half: Any) -> None:
    x = vectors(4, 6, half)
    assert nnf.rms_norm(x, (6,)).dtype is half
    assert nnf.gumbel_softmax(x).dtype is half
    layer = dtorch.nn.utils.parametrizations.spectral_norm(dtorch.nn.Linear(6, 2).to(half))
    assert layer(x).dtype is half
    attend = dtorch.nn.MultiheadAttention(6, 2).to(half)
    assert attend(x, x, x)[0].dtype is half


@pytest.mark.parametrize(("half", "limit"), [(dtorch.bfloat16, 256), (dtorch.float16, 2048)])
def test_random_whole_numbers_are_exact(half: Any, limit: int) -> None:
    drawn = dtorch.empty(500, dtype=half).random_().float()
    assert float(drawn.max()) <= limit
    assert float(drawn.max()) > limit / 2
