"""The compiled hot path gives what the Python one gives."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from dtorch.core import engine, functions
from dtorch.core.backend import native
from dtorch.core.base import TensorBase
from dtorch.core.creation import from_numpy, ones, tensor
from dtorch.core.generator import manual_seed
from dtorch.core.random import randn
from dtorch.core.tensor import Tensor

if native is None:
    pytest.skip("the native module is not built", allow_module_level=True)

BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "maximum": np.maximum, "minimum": np.minimum, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
UNARY = {
    "neg": np.negative, "abs": np.abs, "square": np.square, "sqrt": np.sqrt, "exp": np.exp,
    "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(x < 0, 0, x), "reciprocal": lambda x: 1 / x,
}  # fmt: skip
dtypes = st.sampled_from([np.float32, np.float64, np.int64])


def arrays(shape: tuple[int, ...], dtype: Any) -> Any:
    if dtype is np.int64:
        return hnp.arrays(dtype, shape, elements=st.integers(-(2**63), 2**63 - 1))
    width = 32 if dtype is np.float32 else 64
    return hnp.arrays(dtype, shape, elements=st.floats(width=width))


@st.composite
def broadcast_pairs(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    shapes = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=5)
    ).input_shapes
    dtype = draw(dtypes)
    pair = []
    for shape in shapes:
        array = draw(arrays(shape, dtype))
        if draw(st.booleans()):
            array = np.asfortranarray(array)
        if draw(st.booleans()) and array.ndim:
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        pair.append(array)
    return pair[0], pair[1]


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=60, deadline=None)
@given(pair=broadcast_pairs())
def test_binary_loops_equal_numpy(name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    if name == "div" and a.dtype == np.int64:
        return
    with np.errstate(all="ignore"):
        expected = BINARY[name](a, b)
    result = getattr(functions, name)(from_numpy(a), from_numpy(b)).numpy()
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unary_loops_equal_numpy(name: str, dtype: Any) -> None:
    edge = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, 88.5, -103.0, 0.625, 5e-5]
    values = np.concatenate([edge, np.random.default_rng(0).normal(0, 5, 5000)]).astype(dtype)
    with np.errstate(all="ignore"):
        expected = UNARY[name](values.astype(np.float64)).astype(dtype)
    result = getattr(functions, name)(from_numpy(values)).numpy()
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps, atol=1e-44)


@pytest.mark.parametrize("shape", [(300, 500), (7, 1, 90_001), (2, 3, 4, 5)])
def test_large_and_permuted_operands_equal_numpy(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    b = np.random.default_rng(1).normal(size=shape[-1]).astype(np.float32)
    np.testing.assert_array_equal((from_numpy(a) + from_numpy(b)).numpy(), a + b)
    turned = a.transpose(range(a.ndim)[::-1])
    result = from_numpy(turned) * from_numpy(turned)
    np.testing.assert_array_equal(result.numpy(), turned * turned)
    assert result.numpy().strides == (turned * turned).strides
    column = np.ascontiguousarray(a[..., :1])
    np.testing.assert_array_equal((from_numpy(a) - from_numpy(column)).numpy(), a - column)


@pytest.mark.parametrize("n", [0, 1, 15, 4097, 1_000_003])
def test_sum_is_exact_to_rounding_and_independent_of_threads(n: int) -> None:
    values = np.random.default_rng(0).normal(size=n).astype(np.float32)
    before = native.get_num_threads()
    try:
        sums = []
        for threads in (1, 2, 3):
            native.set_num_threads(threads)
            sums.append(from_numpy(values).sum().item())
    finally:
        native.set_num_threads(before)
    assert len(set(sums)) == 1
    exact = float(values.astype(np.float64).sum())
    assert abs(sums[0] - exact) <= 1e-6 * max(1.0, float(np.abs(values).sum()))


def test_integer_arithmetic_wraps() -> None:
    top = tensor(2**63 - 1)
    assert (top + 1).item() == -(2**63)
    assert (top * 2).item() == -2


def test_numbers_beside_tensors_keep_the_dtype() -> None:
    x = ones(3)
    for result in (x + 1, 1 + x, x * 2.5, 2.5 * x, x - 1, 1 - x, x / 2, 2 / x):
        assert result.dtype is x.dtype
    assert (ones(2, dtype="int64") + 1.5).dtype is x.dtype
    assert (tensor([1, 2]) * 3).tolist() == [3, 6]


def every_leaf(seed: int) -> list[Any]:
    manual_seed(seed)
    return [randn(3, 4, requires_grad=True) for _ in range(4)]


def build(leaves: list[Any], seed: int) -> Any:
    """A random graph over the leaves: shared inputs, several outputs, broadcasts, views."""
    rng = np.random.default_rng(seed)
    pool = list(leaves)
    for _ in range(25):
        a, b = (pool[i] for i in rng.integers(0, len(pool), 2))
        kind = rng.integers(0, 7)
        if kind == 0:
            pool.append(a * b)
        elif kind == 1:
            pool.append(a + b * 0.5)
        elif kind == 2:
            pool.append((a - b).tanh())
        elif kind == 3:
            pool.append(a[1] * b)
        elif kind == 4:
            pool.append(a.relu() / (b * b + 1))
        elif kind == 5:
            first, second = a.split(2, 1)
            pool.append(functions.cat([second, first], 1) + b)
        else:
            pool.append(
                a.t().view(-1).view(4, 3).t() * 0.1 if a.is_contiguous() is False else a.exp() * 0.1
            )
    return sum((p.sum() for p in pool[4:]), pool[0].sum())


@pytest.mark.parametrize("seed", range(20))
def test_engine_gives_the_gradients_of_the_python_engine(seed: int) -> None:
    leaves = every_leaf(seed)
    loss = build(leaves, seed)
    loss.backward(retain_graph=True)
    native_grads = [leaf.grad.numpy().copy() if leaf.grad is not None else None for leaf in leaves]
    run = engine._Run(create_graph=False, retain_graph=False, targets=None)
    for leaf in leaves:
        leaf.grad = None
    run.walk([engine._root(loss, None, False)])
    for leaf, expected in zip(leaves, native_grads, strict=True):
        if expected is None:
            assert leaf.grad is None
        else:
            np.testing.assert_allclose(leaf.grad.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_functions_pickle_by_name_and_bind_as_methods() -> None:
    for function in (functions.mul, functions.exp, functions.sum, functions.transpose):
        assert pickle.loads(pickle.dumps(function)) is function
    x = tensor([4.0])
    bound = x.sqrt
    assert bound().item() == 2.0
    assert Tensor.sqrt(x).item() == 2.0
    assert functions.exp.__name__ == "exp"
    assert "Exponential" in functions.exp.__doc__


def test_nothing_is_left_after_training_steps() -> None:
    x, w = randn(8, 8), randn(8, 8, requires_grad=True)

    def step() -> None:
        y = (x * w).exp().sum() + (x[1:3] + w.t()[0]).relu().sum()
        y.backward()
        w.grad = None

    for _ in range(3):
        step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(200):
            step()
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()


def test_a_graph_dies_with_its_last_tensor() -> None:
    w = ones(3, requires_grad=True)
    y = (w * 2).exp()
    node = weakref.ref(y.grad_fn)
    gc.disable()
    try:
        del y
        assert node() is None
    finally:
        gc.enable()


def hook_that_holds(value: Any) -> Any:
    return lambda grad: None if value is None else grad


def test_a_cycle_through_a_hook_is_collected() -> None:
    w = ones(3, requires_grad=True)
    y = (w * 2).exp() * w
    w.register_hook(hook_that_holds(y))
    node, leaf = weakref.ref(y.grad_fn), weakref.ref(w)
    del w, y
    assert node() is not None
    gc.collect()
    assert node() is None
    assert leaf() is None


def test_tuples_taken_from_a_node_survive_its_collection() -> None:
    w = ones(3, requires_grad=True)
    y = w * w
    w.register_hook(hook_that_holds(y))
    edges = y.grad_fn.edges
    del w, y
    gc.collect()
    assert edges[0].tolist() == [1, 1, 1]


def test_deep_graphs_neither_overflow_in_backward_nor_in_freeing() -> None:
    w = ones(1, requires_grad=True)
    y = w
    for _ in range(100_000):
        y = y * 1.0
    y.backward()
    assert w.grad.item() == 1.0
    del y
    y = w
    for _ in range(100_000):
        y = y + w
    del y


def test_views_hold_their_base_and_leave_its_storage_when_they_die() -> None:
    x = ones(4, 4)
    views = [x[i] for i in range(4)]
    storage = x.untyped_storage()
    assert {id(t) for t in storage.tensors()} == {id(t) for t in [x, *views]}
    del views[0]
    assert len(storage.tensors()) == 4
    last = views[-1].view(2, 2).t()
    assert last._view.base is x
    assert [step[0].name for step in last._view.steps] == ["_basic", "_reshaped", "t"]
    x.zero_()
    assert last.sum().item() == 0


def test_two_threads_add_up_on_a_shared_leaf() -> None:
    w = ones(1000, requires_grad=True)

    def work() -> None:
        for _ in range(50):
            (w * 2).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(w.grad.numpy(), np.full(1000, 200.0, np.float32))


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 6, 1), (3, -1), (-1,)])
def test_view_without_copy_equals_numpy(shape: tuple[int, ...]) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for array in (x[:, :, 0], x[0, :, ::2], x[1, 1:3, :3], x.transpose(2, 0, 1)[0]):
        if array.size != 6:
            continue
        try:
            np.reshape(array, shape, copy=False)
        except ValueError:
            with pytest.raises(RuntimeError, match="reshape"):
                from_numpy(array).view(*shape)
        else:
            result = from_numpy(array).view(*shape)
            np.testing.assert_array_equal(result.numpy(), array.reshape(shape))
            assert np.shares_memory(result.numpy(), array)


def test_bad_operands_raise_python_errors() -> None:
    with pytest.raises(TypeError):
        ones(2) + "a"
    with pytest.raises(TypeError):
        functions.mul(1, 2)
    with pytest.raises(RuntimeError, match="broadcast"):
        ones(2) + ones(3)
    with pytest.raises(IndexError, match="out of range"):
        ones(2)[2]
    assert isinstance(ones(2), TensorBase)
