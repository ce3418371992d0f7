"""Numbers of elements that are not there: an error that names the function, whatever their dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import DtorchError
from dtorch.nn import functional

ROWS, COLUMNS = 4, 5
LOGITS = dtorch.arange(float(ROWS * COLUMNS)).view(ROWS, COLUMNS)
ONES = dtorch.ones(6, 2, dtype=dtorch.int64)


def log_probabilities() -> Any:
    return functional.log_softmax(dtorch.zeros(6, 2, COLUMNS), 2)


# The first number that is none of an element, and the function; `index` makes a tensor of one number.
LOOKUPS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "gather": (5, lambda index: LOGITS.gather(1, index(4, 5))),
    "scatter": (5, lambda index: LOGITS.clone().scatter_(1, index(4, 5), LOGITS)),
    "scatter of a number": (5, lambda index: LOGITS.clone().scatter_(1, index(4, 5), 1.0)),
    "scatter_add": (5, lambda index: LOGITS.clone().scatter_add_(1, index(4, 5), LOGITS)),
    "scatter_reduce": (5, lambda index: LOGITS.scatter_reduce(1, index(4, 5), LOGITS, "sum")),
    "index_select": (4, lambda index: LOGITS.index_select(0, index(3))),
    "index_add": (4, lambda index: LOGITS.clone().index_add_(0, index(3), LOGITS[:3])),
    "index_copy": (4, lambda index: LOGITS.clone().index_copy_(0, index(3), LOGITS[:3])),
    "index_fill": (4, lambda index: LOGITS.clone().index_fill_(0, index(3), 1.0)),
    "index_put": (4, lambda index: LOGITS.clone().index_put_((index(3),), dtorch.ones(5))),
    "take": (20, lambda index: LOGITS.take(index(3))),
    "put": (20, lambda index: LOGITS.clone().put_(index(3), dtorch.ones(3))),
    "take_along_dim": (5, lambda index: dtorch.take_along_dim(LOGITS, index(4, 2), 1)),
    "select": (4, lambda index: LOGITS.select(0, int(index(1)))),
    "narrow": (4, lambda index: LOGITS.narrow(0, int(index(1)), 1)),
    "embedding": (4, lambda index: functional.embedding(index(3), LOGITS)),
    "embedding_bag": (4, lambda index: functional.embedding_bag(index(3, 2), LOGITS)),
    "nll_loss": (5, lambda index: functional.nll_loss(LOGITS, index(4))),
    "nll_loss of images": (5, lambda index: functional.nll_loss(dtorch.zeros(2, 5, 3, 3),
                                                                index(2, 3, 3))),
    "cross_entropy": (5, lambda index: functional.cross_entropy(LOGITS, index(4))),
    "smoothed": (5, lambda index: functional.cross_entropy(LOGITS, index(4), label_smoothing=0.1)),
    "multi_margin_loss": (5, lambda index: functional.multi_margin_loss(LOGITS, index(4))),
    "one_hot": (5, lambda index: functional.one_hot(index(4), 5)),
    "max_unpool1d": (8, lambda index: functional.max_unpool1d(dtorch.ones(1, 1, 4),
                                                              index(1, 1, 4), 2)),
    "max_unpool2d": (16, lambda index: functional.max_unpool2d(dtorch.ones(1, 1, 2, 2),
                                                               index(1, 1, 2, 2), 2)),
    "max_unpool3d": (64, lambda index: functional.max_unpool3d(dtorch.ones(1, 1, 2, 2, 2),
                                                               index(1, 1, 2, 2, 2), 2)),
    "ctc_loss": (5, lambda index: functional.ctc_loss(
        log_probabilities(), index(2, 3), dtorch.tensor([6, 6]), dtorch.tensor([3, 3]))),
    "ctc_loss input lengths": (7, lambda index: functional.ctc_loss(
        log_probabilities(), ONES.t()[:, :3], index(2), dtorch.tensor([3, 3]))),
    "ctc_loss target lengths": (4, lambda index: functional.ctc_loss(
        log_probabilities(), ONES.t()[:, :3], dtorch.tensor([6, 6]), index(2))),
    "sparse_coo_tensor": (4, lambda index: dtorch.sparse_coo_tensor(
        dtorch.stack([index(3), index(3) * 0]), dtorch.ones(3), (4, 5))),
}  # fmt: skip
NUMBERS: dict[str, Callable[[int], int]] = {
    "the next": lambda count: count,
    "too far from the end": lambda count: -count - 1,
    "large": lambda count: 2**40,
    "smallest": lambda count: -(2**63),
    "largest": lambda count: 2**63 - 1,
}
DTYPES = (dtorch.int64, dtorch.int32, dtorch.uint8)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize(("count", "look_up"), LOOKUPS.values(), ids=LOOKUPS)
def test_a_number_of_no_element_is_refused_whatever_its_dtype(count, look_up, number) -> None:
    value = number(count)
    for dtype in DTYPES:
        limits = np.iinfo(dtype.numpy)
        if limits.min <= value <= limits.max:
            with pytest.raises((DtorchError, IndexError, TypeError)):
                look_up(lambda *sizes, kind=dtype: dtorch.full(sizes, value, dtype=kind))


GRADIENTS: dict[str, Callable[[Any, Any], Any]] = {
    "cross_entropy": lambda x, index: functional.cross_entropy(x, index[:, 0]),
    "weighted": lambda x, index: functional.cross_entropy(x, index[:, 0], weight=dtorch.ones(COLUMNS)),
    "nll_loss": lambda x, index: functional.nll_loss(x, index[:, 0]),
    "gather": lambda x, index: x.gather(1, index),
    "scatter_add": lambda x, index: dtorch.zeros(ROWS, COLUMNS).scatter_add(1, index, x),
    "index_select": lambda x, index: x.index_select(0, index[:, 0]),
    "embedding": lambda x, index: functional.embedding(index, x),
    "indexing": lambda x, index: x[index[:, 0]],
}  # fmt: skip


@pytest.mark.parametrize("number", [10**9, -(10**9), 2**62])
@pytest.mark.parametrize("function", GRADIENTS.values(), ids=GRADIENTS)
def test_gradients_look_at_numbers_that_were_changed_behind_our_back(function, number) -> None:
    numbers = np.zeros((ROWS, COLUMNS), np.int64)
    x = dtorch.ones(ROWS, COLUMNS, requires_grad=True)
    result = function(x, dtorch.from_numpy(numbers)).sum()
    numbers[...] = number  # counts as no change: it is NumPy's
    with pytest.raises((DtorchError, IndexError)):
        result.backward()


def test_places_of_a_pool_that_were_changed_are_looked_at() -> None:
    x = dtorch.ones(2, 3, 8, 8, requires_grad=True)
    out, places = functional.max_pool2d(x, 2, return_indices=True)
    places.numpy()[...] = 10**9
    with pytest.raises((DtorchError, IndexError)):
        out.sum().backward()


def test_numbers_too_large_to_count_up_to_are_refused() -> None:
    for number in (2**60, 2**63 - 1):
        with pytest.raises(DtorchError, match=f"bincount: input has {number}"):
            dtorch.bincount(dtorch.tensor([number]))
    assert dtorch.sparse_coo_tensor([[2**62]], [1.0]).shape == (2**62 + 1,)


@pytest.mark.parametrize(
    "look_up",
    [
        lambda x, index: x.index_select(0, index),
        lambda x, index: x.gather(0, index),
        lambda x, index: x[index],
        lambda x, index: x.take(index),
        lambda x, index: x.take_along_dim(index, 0),
        lambda x, index: functional.embedding(index, x[:, None]),
        lambda x, index: functional.one_hot(index, 3),
    ],
    ids=["index_select", "gather", "index", "take", "take_along_dim", "embedding", "one_hot"],
)
def test_an_index_that_repeats_without_end_is_looked_at_once(look_up) -> None:
    index = dtorch.tensor(0).expand(10**13)
    with pytest.raises(MemoryError, match="out of memory: asked for"):
        look_up(dtorch.ones(3), index)
    with pytest.raises((IndexError, ValueError, MemoryError)):
        look_up(dtorch.ones(3), dtorch.tensor(3).expand(10**13))
