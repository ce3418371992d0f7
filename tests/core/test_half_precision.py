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
    with pytest.raises(DtypeError, match=r"bfloat16 and .*float32"):
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


def spacing(values: Any, half: Any) -> Any:
    """Distances of the numbers of a dtype, around ``values``."""
    digits, least = (7, -126) if half is dtorch.bfloat16 else (10, -14)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log2(np.abs(values)))
    return 2.0 ** (np.maximum(np.where(np.isfinite(exponent), exponent, least), least) - digits)


def errors(found: Any, exact: Any, half: Any) -> Any:
    """Errors of ``found`` in units of the last digit, where both are finite."""
    found, exact = found.detach().double().numpy(), exact.detach().numpy()
    seen = np.isfinite(found) & np.isfinite(exact)
    return ((found - exact) / spacing(exact, half))[seen]


# Half a digit, and what float32 loses.
LARGEST_ERROR = 0.505
# Products of several matrices, each of which is rounded.
CHAINS = {"chain_matmul", "linalg_multi_dot", "einsum"}
# Neighbours in a narrow dtype are none in another.
OF_THE_DTYPE = {"nextafter"}


@pytest.mark.parametrize("half", HALVES, ids=str)
@every_sample(is_in_single_precision)
def test_results_are_rounded_once(op: Op, number: int, half: Any) -> None:
    if op.name in CHAINS:
        pytest.skip("made of products that are rounded")
    if op.name in OF_THE_DTYPE:
        pytest.skip("of the dtype itself")
    args, kwargs = halved(samples_of(op, np.float32)[number], half)

    def widened(tensor: Any) -> Any:
        return tensor.double() if tensor.dtype is half else tensor

    results = []
    for arguments in ((args, kwargs), map_tensors(widened, (args, kwargs))):
        dtorch.manual_seed(0)
        try:
            results.append(flat(op.function(*arguments[0], **arguments[1])))
        except DtypeError as error:
            if REFUSES not in str(error):
                raise
            return
    for found, exact in zip(*results, strict=True):
        if getattr(found, "dtype", None) is half:
            error = errors(found, exact, half)
            assert error.size == 0 or np.abs(error).max() <= LARGEST_ERROR


SMOOTH: dict[str, Any] = {
    "add": lambda x, c: x + c,
    "add, number first": lambda x, c: c + x,
    "sub": lambda x, c: x - c,
    "sub, number first": lambda x, c: c - x,
    "mul": lambda x, c: x * c,
    "div": lambda x, c: x / c,
    "div, number first": lambda x, c: c / x,
    "pow": lambda x, c: x**c,
    "pow, number first": lambda x, c: c**x,
    "remainder": lambda x, c: x % c,
    "remainder, number first": lambda x, c: dtorch.remainder(c, x),
    "fmod": lambda x, c: dtorch.fmod(x, c),
    "atan2": lambda x, c: dtorch.atan2(x, dtorch.tensor(c)),
    "add, alpha": lambda x, c: dtorch.add(x, x * 0 + 3, alpha=c),
    "sub, alpha": lambda x, c: dtorch.sub(x, x * 0 + 3, alpha=c),
    "lerp": lambda x, c: dtorch.lerp(x, x * 0 + 3, c),
    "addcmul": lambda x, c: dtorch.addcmul(x, x, x * 0 + 3, value=c),
    "addcdiv": lambda x, c: dtorch.addcdiv(x, x, x * 0 + 3, value=c),
    "leaky_relu": lambda x, c: nnf.leaky_relu(-x, c),
    "elu": lambda x, c: nnf.elu(-x, c),
    "celu": lambda x, c: nnf.celu(-x, c),
    "softplus": lambda x, c: nnf.softplus(x, c),
    "softshrink": lambda x, c: nnf.softshrink(x, c),
    "mul_": lambda x, c: x.clone().mul_(c),
    "add_": lambda x, c: x.clone().add_(c),
    "sub_": lambda x, c: x.clone().sub_(c),
    "div_": lambda x, c: x.clone().div_(c),
    "pow_": lambda x, c: x.clone().pow_(c),
    "+=": lambda x, c: x.clone().__iadd__(c),
    "*=": lambda x, c: x.clone().__imul__(c),
    "add_, alpha": lambda x, c: x.clone().add_(x, alpha=c),
    "lerp_": lambda x, c: x.clone().lerp_(x * 0 + 3, c),
    "addcmul_": lambda x, c: x.clone().addcmul_(x, x, value=c),
    "out=": lambda x, c: dtorch.mul(x, c, out=dtorch.empty_like(x)),
    "deg2rad": lambda x, c: dtorch.deg2rad(x),
    "mean": lambda x, c: x.view(-1, 7).mean(1),
    "sum": lambda x, c: x.view(-1, 7).sum(1),
    "prod": lambda x, c: x.view(-1, 7)[:, :4].prod(1),
    "var": lambda x, c: x.view(-1, 7).var(1),
    "std": lambda x, c: x.view(-1, 7).std(1),
    "norm": lambda x, c: x.view(-1, 7).norm(dim=1),
    "logsumexp": lambda x, c: x.view(-1, 7).logsumexp(1),
    "cumsum": lambda x, c: x.view(-1, 7).cumsum(1),
    "cumprod": lambda x, c: x.view(-1, 7)[:, :4].cumprod(1),
    "logcumsumexp": lambda x, c: x.view(-1, 70).logcumsumexp(1),
    "mse_loss": lambda x, c: nnf.mse_loss(x, x * 0 + 3, reduction="none"),
    "dropout": lambda x, c: nnf.dropout(x, 0.1),
}


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", SMOOTH)
def test_a_number_beside_half_precision_is_not_rounded_and_results_have_no_bias(
    name: str, half: Any
) -> None:
    x = dtorch.from_numpy(np.random.default_rng(0).uniform(0.5, 8, 14000)).to(half)
    for number in (0.99, 0.3337, 0.0973):
        results = []
        for operand in (x, x.double()):
            dtorch.manual_seed(0)
            results.append(SMOOTH[name](operand, number))
        found, exact = results
        assert found.dtype is half
        last_digit = spacing(exact.numpy(), half)
        error = (found.double() - exact).numpy()
        assert (np.abs(error) <= LARGEST_ERROR * last_digit + 2e-6).all()
        # Against the best that the dtype can do: sums with few different numbers have a bias.
        bias = (found.double() - exact.to(half).double()).numpy() / np.maximum(last_digit, 1e-4)
        assert abs(bias.mean()) < 2e-3


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_a_0_dim_tensor_beside_half_precision_is_a_number(half: Any) -> None:
    x = dtorch.tensor([7.0, 0.1, 3.0], dtype=half)
    number = dtorch.tensor(0.99)
    for found in (x * number, number * x, x.clone().mul_(number)):
        assert found.equal((x.float() * 0.99).to(half))
    assert (number.double() / x).equal((0.99 / x.float()).to(half))
    alone = x[0] * 0.99
    assert alone.dtype is half
    assert alone.item() == (x.float()[0] * 0.99).to(half).item()


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_an_element_equals_the_number_it_was_made_of(half: Any) -> None:
    x = dtorch.tensor([0.1, 0.2], dtype=half)
    assert (x == 0.1).tolist() == (x == dtorch.tensor(0.1)).tolist() == [True, False]
    assert (x <= 0.1).tolist() == (x >= 0.1).logical_not().logical_or(x == 0.1).tolist()
    assert (x != 0.2).tolist() == [True, False]


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_running_statistics_are_rounded_once(half: Any) -> None:
    layer = dtorch.nn.BatchNorm1d(2).to(half)
    x = vectors(64, 2, half)
    exact = np.zeros(2)
    for _ in range(20):
        layer(x)
        exact += 0.1 * (x.double().mean(0).numpy() - exact)
    assert np.abs(errors(layer.running_mean, dtorch.from_numpy(exact), half)).max() < 5


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_layers_in_place_change_half_precision_in_place(half: Any) -> None:
    for act in (nnf.dropout, nnf.alpha_dropout, nnf.rrelu):
        x = vectors(8, 8, half)
        before = x.clone()
        assert act(x, training=True, inplace=True) is x
        assert not x.equal(before)


@pytest.mark.parametrize(
    ("dtype", "number_dtype"),
    [(dtorch.bfloat16, dtorch.float32), (dtorch.float16, dtorch.float64),
     (dtorch.float32, dtorch.float64)],
)  # fmt: skip
def test_a_number_of_another_dtype_has_its_gradient(dtype: Any, number_dtype: Any) -> None:
    expected = {"maximum": 1, "fmax": 1, "clamp_min": 1, "minimum": 2, "fmin": 2, "clamp_max": 2}
    for name, count in expected.items():
        x = dtorch.tensor([0.1, 7.0, 8.0], dtype=dtype)
        number = dtorch.tensor(0.99, dtype=number_dtype, requires_grad=True)
        getattr(dtorch, name)(x, number).sum().backward()
        assert number.grad.item() == count, name
        assert number.grad.dtype is number_dtype


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_lengths_in_half_precision_are_those_of_single_precision(half: Any) -> None:
    table = dtorch.nn.Embedding(6, 500, max_norm=1.0).to(half)
    table(dtorch.arange(6))
    lengths = table.weight.detach().double().norm(dim=1).numpy()
    np.testing.assert_allclose(lengths, 1, rtol=1e-3)
    layer = dtorch.nn.utils.parametrizations.spectral_norm(dtorch.nn.Linear(300, 40).to(half))
    for _ in range(30):
        layer.train()(vectors(2, 300, half))
    largest = dtorch.linalg.svdvals(layer.weight.detach().float())[0].item()
    assert largest == pytest.approx(1, rel=0.02)


# Of x (96, 64), y (64, 80) and z (96, 80), large enough for the kernels, and an image.
PRODUCTS: dict[str, Any] = {
    "linear": lambda x, y, z: nnf.linear(x, y.t(), z[0]),
    "linear of a vector": lambda x, y, z: nnf.linear(x[0], y.t(), z[0]),
    "linear of a stack": lambda x, y, z: nnf.linear(x.view(4, 24, 64), y.t(), z[0]),
    "linear, something added to each": lambda x, y, z: nnf.linear(x, y.t(), z),
    "linear, one number added": lambda x, y, z: nnf.linear(x, y.t(), z[0, 0]),
    "addmm": lambda x, y, z: dtorch.addmm(z, x, y),
    "addmm, weighted": lambda x, y, z: dtorch.addmm(z, x, y, beta=0.3, alpha=0.7),
    "addmm_": lambda x, y, z: z.clone().addmm_(x, y),
    "addmv": lambda x, y, z: dtorch.addmv(z[:, 0], x, y[:, 0]),
    "addr": lambda x, y, z: dtorch.addr(z, x[:, 0], y[0], beta=0.3),
    "baddbmm": lambda x, y, z: dtorch.baddbmm(z[None], x[None], y[None]),
    "addbmm": lambda x, y, z: dtorch.addbmm(z, x[None], y[None]),
    "bilinear": lambda x, y, z: nnf.bilinear(
        x[:, :8], x[:, 8:16], y[:, :8].reshape(8, 8, 8), z[0, :8]
    ),
    "conv1d": lambda x, y, z: nnf.conv1d(x[None], z.t().reshape(80, 96, 1), z[0]),
    "conv2d": lambda x, y, z: nnf.conv2d(x.view(1, 6, 32, 32), z[:6, :54].reshape(6, 6, 3, 3), z[0, :6]),
    "conv_transpose2d": lambda x, y, z: nnf.conv_transpose2d(
        x.view(1, 6, 32, 32), z[:6, :54].reshape(6, 6, 3, 3), z[0, :6]
    ),
}  # fmt: skip


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_with_something_added_are_rounded_once(name: str, half: Any) -> None:
    rng = np.random.default_rng(0)
    operands = [
        dtorch.from_numpy(rng.standard_normal(shape)).to(half)
        for shape in ((96, 64), (64, 80), (96, 80))
    ]
    found = PRODUCTS[name](*operands)
    exact = PRODUCTS[name](*(operand.double() for operand in operands))
    assert found.dtype is half
    # Near 0 a sum has lost digits in float32 already.
    seen = exact.abs() > 0.05 * float(exact.abs().max())
    error = np.abs(errors(found[seen], exact[seen], half))
    assert error.max() <= 0.52
    assert error.mean() <= 0.28  # a second rounding makes it 0.33


@pytest.mark.parametrize("name", ["linear", "linear of a stack", "addmm", "baddbmm"])
def test_products_under_autocast_are_rounded_once(name: str) -> None:
    rng = np.random.default_rng(0)
    operands = [
        dtorch.from_numpy(rng.standard_normal(shape)).bfloat16()
        for shape in ((96, 64), (64, 80), (96, 80))
    ]
    with dtorch.autocast("cpu"):
        found = PRODUCTS[name](*(operand.float() for operand in operands))
    assert found.dtype is dtorch.bfloat16
    exact = PRODUCTS[name](*(operand.double() for operand in operands))
    assert np.abs(errors(found, exact, dtorch.bfloat16)).mean() <= 0.28
    layer = dtorch.nn.Linear(64, 80)
    with dtorch.autocast("cpu"):
        layer(operands[0].float()).float().sum().backward()
    assert layer.bias.grad.equal(dtorch.full((80,), 96.0))


# Each uses the one element of x (1, 1) 2100 times.
REPETITIONS: dict[str, Any] = {
    "expand": lambda x: x.expand(300, 7),
    "expand, then copied": lambda x: x.expand(300, 7).contiguous(),
    "broadcast_tensors": lambda x: dtorch.broadcast_tensors(x, dtorch.zeros(300, 7))[0],
    "repeat": lambda x: x.repeat(300, 7),
    "tile": lambda x: x.tile((300, 7)),
    "repeat_interleave": lambda x: x.repeat_interleave(2100),
    "as_strided": lambda x: dtorch.as_strided(x, (2100,), (0,)),
    "unfold": lambda x: x.expand(2100, 1).unfold(0, 1, 1),
    "index": lambda x: x[dtorch.zeros(2100, dtype=dtorch.int64)],
    "index_select": lambda x: x.index_select(0, dtorch.zeros(2100, dtype=dtorch.int64)),
    "take": lambda x: x.take(dtorch.zeros(2100, dtype=dtorch.int64)),
    "gather": lambda x: x.gather(0, dtorch.zeros(2100, 1, dtype=dtorch.int64)),
    "meshgrid": lambda x: dtorch.meshgrid(x[0], x.new_ones(2100), indexing="ij")[0],
    "pad": lambda x: nnf.pad(x[None], (1000, 1099), mode="replicate"),
    "interpolate": lambda x: nnf.interpolate(x[None, None], (50, 42)),
    "add": lambda x: x + x.new_zeros(300, 7),
    "where": lambda x: dtorch.where(dtorch.ones(300, 7) > 0, x, 0.0),
}


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", REPETITIONS)
def test_the_gradient_of_what_is_repeated_is_summed_in_single_precision(
    name: str, half: Any
) -> None:
    for create_graph in (False, True):
        x = dtorch.ones(1, 1, dtype=half, requires_grad=True)
        out = REPETITIONS[name](x)
        (found,) = dtorch.autograd.grad(out, [x], dtorch.ones_like(out), create_graph=create_graph)
        assert found.dtype is half
        assert found.item() == dtorch.tensor(2100.0).to(half).item()  # one by one gives 256
