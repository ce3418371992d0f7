"""Tensors of random numbers, and tensors overwritten with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.arrays import Array
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.classic import Classic
from dtorch.core.device import Place, as_device, defaults
from dtorch.core.dtype import (
    DType,
    as_dtype,
    dtype,
    finfo,
    from_numpy_dtype,
    get_default_dtype,
    iinfo,
    int64,
)
from dtorch.core.elements import device_like, placed, xp_of
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.generator import Generator, source_of
from dtorch.core.grad_mode import mode
from dtorch.core.half import SINGLE, convert, widened
from dtorch.core.inplace import bump, check_inplace, cut_history
from dtorch.core.memory_format import made_in, order_of
from dtorch.core.meta import MetaArray
from dtorch.core.op import method
from dtorch.core.shapes import as_sizes, expect_ints, given_sizes
from dtorch.core.tensor import Tensor

__all__ = [
    "bernoulli", "binomial", "multinomial", "normal", "poisson", "rand", "rand_like", "randint",
    "randint_like", "randn", "randn_like", "randperm",
]  # fmt: skip


# Draw samples whose gradient comes from a reward; `dtorch.autograd.stochastic` puts them here.
samplers: dict[str, Callable[..., Tensor]] = {}


def _sampled(name: str, *operands: Any, **options: Any) -> Tensor | None:
    """Samples as they were in 2017 where an operand requires grad, if classic mode allows it."""
    if not (classic.is_on() and mode.enabled):
        return None
    recorded = any(getattr(operand, "_mode", 0) == REQUIRES_GRAD for operand in operands)
    if not recorded or not classic.allows(Classic.SAMPLE):
        return None
    return samplers[name](*operands, **options)


def uniform(shape: tuple[int, ...], numpy_dtype: Any, generator: Generator | None) -> np.ndarray:
    """Uniform numbers in [0, 1) of any floating dtype; of complex ones, both parts."""
    if numpy_dtype.kind == "c":
        return _of_pairs(uniform, shape, numpy_dtype, generator)
    values = source_of(generator).random(shape, _wide(numpy_dtype))
    return values if values.dtype == numpy_dtype else _within(values, 0, 1, numpy_dtype)


def _wide(numpy_dtype: Any) -> Any:
    """The dtype in which numbers are drawn that become ``numpy_dtype``."""
    return numpy_dtype if numpy_dtype in (np.float32, np.float64) else SINGLE


def _of_pairs(draw: Any, shape: Any, numpy_dtype: Any, generator: Generator | None) -> np.ndarray:
    """Complex numbers whose parts are drawn."""
    part = np.dtype(np.float64 if numpy_dtype.itemsize == 16 else np.float32)
    pairs: np.ndarray = draw((*shape, 2), part, generator).view(numpy_dtype)[..., 0]
    return pairs


def _within(values: np.ndarray, low: float, high: float, numpy_dtype: Any) -> np.ndarray:
    """Values as numbers of a floating dtype in ``[low, high)``, where rounding would leave it."""
    least, most = (np.asarray(bound, numpy_dtype) for bound in (low, high))
    rounded = convert(values, numpy_dtype)
    if float(most) >= high:
        most = np.nextafter(most, np.asarray(-np.inf, numpy_dtype))
    rounded = np.minimum(rounded, most)
    if float(least) < low:
        rounded = np.maximum(rounded, np.nextafter(least, np.asarray(np.inf, numpy_dtype)))
    return np.asarray(rounded)


def standard_normal(
    shape: tuple[int, ...], numpy_dtype: Any, generator: Generator | None
) -> np.ndarray:
    """Standard normal numbers of any floating or complex dtype."""
    if numpy_dtype.kind == "c":
        return _of_pairs(standard_normal, shape, numpy_dtype, generator) * math.sqrt(0.5)
    values: np.ndarray = source_of(generator).standard_normal(shape, _wide(numpy_dtype))
    return values if values.dtype == numpy_dtype else values.astype(numpy_dtype)


def whole_numbers(
    name: str, low: int, high: int, shape: tuple[int, ...], numpy_dtype: Any,
    generator: Generator | None,
) -> np.ndarray:  # fmt: skip
    """Whole numbers in ``[low, high)``, all of which the dtype must reach."""
    if not high > low:
        raise ArgumentError(f"{name}: from {low} to {high} there is nothing to draw from")
    kind = from_numpy_dtype(numpy_dtype)
    if kind.category == 0:
        least, most = 0, 1
    else:
        info: Any = iinfo(kind) if kind.category == 1 else finfo(kind)
        least, most = info.min, info.max
    if low < least or high - 1 > most or low < -(2**63) or high > 2**63:
        raise ArgumentError(
            f"{name}: {kind} cannot hold numbers from {low} to {high - 1}, expected {least} to "
            f"{most} at most"
        )
    values = source_of(generator).integers(low, high, shape)
    if kind.category == 2:
        return _within(values.astype(np.float64), low, high, numpy_dtype)
    return values.astype(numpy_dtype)


def _wanted(name: str, dtype: Any, out: Any, default: dtype) -> dtype:
    """The dtype to draw: that which is named or of ``out``."""
    if out is None:
        return default if dtype is None else as_dtype(dtype)
    if dtype is not None and as_dtype(dtype) is not out.dtype:
        raise DtypeError(f"{name}: dtype is {as_dtype(dtype)}, that of out {out.dtype}")
    return out.dtype  # type: ignore[no-any-return]


def _floating(name: str, dtype: Any, out: Any = None) -> np.dtype[Any]:
    wanted = _wanted(name, dtype, out, get_default_dtype())
    if wanted.category < 2:
        raise DtypeError(f"{name}: dtype is {wanted}, expected a floating-point or complex one")
    return wanted.numpy


def _made(
    draw: Callable[[], Array], sizes: Any, kind: Any, out: Any, requires_grad: bool, device: Any
) -> Tensor:
    """A tensor of what ``draw`` gives: numbers of these sizes and this NumPy dtype. On the device
    without memory nothing is drawn."""
    if device is None and not defaults.changed:
        array = draw()
    elif as_device(device).type == "meta":
        array = xp_of(device).empty(sizes, kind)
    else:
        array = placed(draw(), device)
    if out is not None:
        if out._array.shape != array.shape:
            out.resize_(array.shape)
        return out.copy_(wrap(array))  # type: ignore[no-any-return]
    result: Tensor = wrap(array)
    return result.requires_grad_() if requires_grad else result


@entry("rand", computes=False)
def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None, out: Any = None, dtype: DType | None = None,
    device: Place | None = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers uniform in [0, 1)."""
    given = sizes if size is None else given_sizes("rand", sizes, size)
    shape, kind = as_sizes("rand", given), _floating("rand", dtype, out)
    return _made(lambda: uniform(shape, kind, generator), shape, kind, out, requires_grad, device)


@entry("randn", computes=False)
def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None, out: Any = None, dtype: DType | None = None,
    device: Place | None = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from the standard normal distribution."""
    given = sizes if size is None else given_sizes("randn", sizes, size)
    shape, kind = as_sizes("randn", given), _floating("randn", dtype, out)
    return _made(
        lambda: standard_normal(shape, kind, generator), shape, kind, out, requires_grad, device
    )


@entry("randint")
def randint(
    low: Any = None, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    out: Any = None, dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Whole numbers from ``low`` (0 if left out) up to, not including, ``high``.

    Raises:
        TypeError: ``high`` or ``size`` is missing.
        ArgumentError: there are no such numbers, or the dtype does not have them all.
    """
    given = [value for value in (low, high, size) if value is not None]
    if size is None:  # by place: (high, size)
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if len(given) < 2 or high is None or size is None:
        raise TypeError(f"randint: got {given}, expected high and size, or low, high and size")
    low = 0 if low is None else low
    numpy_dtype = _wanted("randint", dtype, out, int64).numpy
    sizes = as_sizes("randint", (size,))
    return _made(
        lambda: whole_numbers("randint", low, high, sizes, numpy_dtype, generator),
        sizes, numpy_dtype, out, requires_grad, device,
    )  # fmt: skip


@entry("randperm", computes=False)
def randperm(
    n: int, *, generator: Generator | None = None, out: Any = None, dtype: DType | None = None,
    device: Place | None = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The numbers 0 to n - 1 in random order.

    Raises:
        ArgumentError: a negative number of them, or more than the dtype can tell apart.
    """
    wanted = _wanted("randperm", dtype, out, int64)
    numpy_dtype = wanted.numpy
    expect_ints("randperm", n=n)
    if n < 0:
        raise ArgumentError(f"randperm: n is {n}, expected at least 0")
    if n > _consecutive(wanted) + 1:
        raise ArgumentError(f"randperm: {wanted} cannot hold {n} different whole numbers from 0 on")
    return _made(
        lambda: source_of(generator).permutation(n).astype(numpy_dtype),
        n, numpy_dtype, out, requires_grad, device,
    )  # fmt: skip


def _like_in_memory(made: Any, name: str, input: Any, format: Any) -> Any:
    """A tensor in the order of memory of another one, or in that of a format."""
    order = order_of(name, format, input._array)
    if order is None:
        return made
    array = made_in(xp_of(made.device).empty, made.shape, made._array.dtype, order)
    array[...] = made._array
    result = wrap(array)
    return result.requires_grad_() if made.requires_grad else result


@entry("rand_like", computes=False)
def rand_like(input: Tensor, *, generator: Generator | None = None, dtype: DType | None = None, device: Place | None = None,
              requires_grad: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """Like `rand`, of the sizes and dtype of ``input``."""
    made = rand(
        *input.shape, generator=generator, dtype=dtype or input.dtype,
        device=device_like(input, device), requires_grad=requires_grad,
    )  # fmt: skip
    return _like_in_memory(made, "rand_like", input, memory_format)  # type: ignore[no-any-return]


@entry("randn_like", computes=False)
def randn_like(input: Tensor, *, generator: Generator | None = None, dtype: DType | None = None, device: Place | None = None,
               requires_grad: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """Like `randn`, of the sizes and dtype of ``input``."""
    made = randn(
        *input.shape, generator=generator, dtype=dtype or input.dtype,
        device=device_like(input, device), requires_grad=requires_grad,
    )  # fmt: skip
    return _like_in_memory(made, "randn_like", input, memory_format)  # type: ignore[no-any-return]


@entry("bernoulli")
def bernoulli(
    input: Tensor, p: Any = None, *, generator: Generator | None = None, out: Any = None
) -> Tensor:
    """0 or 1, where 1 has the probability that ``input`` (or ``p``) states."""
    _expect_floating("bernoulli", input, "fV" if p is None else "biufV")
    if p is None and (sampled := _sampled("bernoulli", input)) is not None:
        return sampled

    def draw() -> Array:
        probability = input._array if p is None else np.full(input._array.shape, float(p))
        if probability.size and not ((probability >= 0) & (probability <= 1)).all():
            raise ArgumentError("bernoulli: probabilities must lie between 0 and 1")
        hit = source_of(generator).random(probability.shape) < probability
        return np.asarray(hit).astype(input._array.dtype)

    return _made(draw, input.shape, input._array.dtype, out, False, input.device)


@entry("randint_like")
def randint_like(input: Tensor, low: int = 0, high: int | None = None, *,
                 generator: Generator | None = None, dtype: DType | None = None, device: Place | None = None,
                 requires_grad: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """Like `randint`, of the sizes and dtype of ``input``."""
    if high is None:
        low, high = 0, low
    made = randint(
        low, high, input.shape, generator=generator, dtype=dtype or input.dtype,
        device=device_like(input, device), requires_grad=requires_grad,
    )  # fmt: skip
    return _like_in_memory(made, "randint_like", input, memory_format)  # type: ignore[no-any-return]


@entry("normal")
def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
    out: Any = None, dtype: DType | None = None, device: Place | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers; mean and standard deviation may be tensors, one of each for each number.

    Args:
        size: sizes of the result, where both are numbers.

    Raises:
        ArgumentError: a negative standard deviation.
    """
    if size is None and (sampled := _sampled("normal", mean, std)) is not None:
        return sampled
    center = mean._array if isinstance(mean, TensorBase) else mean
    spread = std._array if isinstance(std, TensorBase) else std
    if size is None:
        if not isinstance(mean, TensorBase) and not isinstance(std, TensorBase):
            raise TypeError("normal: mean and std are numbers; give a size")
        shape = np.broadcast_shapes(np.shape(center), np.shape(spread))
        given = mean if isinstance(mean, TensorBase) else std
        numpy_dtype = _wanted("normal", dtype, out, from_numpy_dtype(given._array.dtype)).numpy
    else:
        shape = as_sizes("normal", (size,))
        numpy_dtype = _floating("normal", dtype, out)
    if numpy_dtype.kind not in "fcV":
        raise DtypeError(f"normal: mean is {numpy_dtype}, expected a floating-point dtype")

    def draw() -> Array:
        if np.any(np.less(spread, 0)):
            raise ArgumentError("normal: std must not be negative")
        drawn = numpy_dtype if numpy_dtype.kind == "c" else _wide(numpy_dtype)
        values = standard_normal(shape, drawn, generator) * widened(spread) + widened(center)
        return np.asarray(values).astype(numpy_dtype, copy=False)

    if device is None and size is None:
        device = device_like(given, None)
    return _made(draw, shape, numpy_dtype, out, requires_grad, device)


@entry("poisson")
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of events, where ``input`` states the mean of each."""
    if not input.is_floating_point():
        raise DtypeError(f"poisson: input is {input.dtype}, expected a floating-point dtype")

    def draw() -> Array:
        rate = input._array.astype(np.float64)
        if rate.size and not (rate >= 0).all():
            raise ArgumentError("poisson: means must not be negative")
        return np.asarray(source_of(generator).poisson(rate)).astype(input._array.dtype)

    return _made(draw, input.shape, input._array.dtype, None, False, input.device)


@entry("binomial")
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of successes among ``count`` trials, each of the probability ``prob``.

    >>> import dtorch
    >>> binomial(dtorch.tensor([0.0, 7.0]), dtorch.tensor([0.5, 1.0]))
    tensor([0., 7.])

    Raises:
        ArgumentError: a negative count, or a probability outside 0 to 1.
    """
    for name, tensor in (("count", count), ("prob", prob)):
        if not tensor.is_floating_point():
            raise ArgumentError(
                f"binomial: {name} is {tensor.dtype}, expected a floating-point dtype"
            )
    if count.dtype is not prob.dtype:
        raise ArgumentError(
            f"binomial: count and prob have the same dtype, got {count.dtype} and {prob.dtype}"
        )
    kind = count._array.dtype

    def draw() -> Array:
        trials, probability = np.floor(widened(count._array)), prob._array.astype(np.float64)
        if not (trials >= 0).all() or not ((probability >= 0) & (probability <= 1)).all():
            raise ArgumentError(
                "binomial: expected counts of at least 0 and probabilities from 0 to 1"
            )
        return np.asarray(
            source_of(generator).binomial(trials.astype(np.int64), probability)
        ).astype(kind)

    sizes = np.broadcast_shapes(count.shape, prob.shape)
    return _made(draw, sizes, kind, None, False, count.device)


@entry("multinomial")
def multinomial(
    input: Tensor, num_samples: int | None = None, replacement: bool = False, *,
    generator: Generator | None = None, out: Any = None,
) -> Tensor:  # fmt: skip
    """Indices drawn with the probabilities that each row of ``input`` states, up to a factor.

    Args:
        num_samples: how many for each row; must be given.
        replacement: an index may be drawn again.

    Raises:
        ArgumentError: weights that are negative or not finite, or sum to 0; without replacement,
            fewer weights above 0 than samples.
    """
    if num_samples is None:
        if not classic.allows(Classic.ONE_SAMPLE):
            raise classic.hinted(TypeError("multinomial() misses the argument 'num_samples'"))
        num_samples = 1
    sampled = _sampled("multinomial", input, num_samples=num_samples, replacement=replacement)
    if sampled is not None:
        return sampled
    if input.ndim not in (1, 2) or not input.is_floating_point():
        raise ShapeError(
            f"multinomial: input is {input.dtype} of shape {tuple(input.shape)}, expected floating "
            "point with 1 or 2 dimensions"
        )
    if num_samples < 1:
        raise ArgumentError(f"multinomial: num_samples is {num_samples}, expected at least 1")

    def draw() -> Array:
        weights = np.atleast_2d(input._array).astype(np.float64)
        if not (np.isfinite(weights) & (weights >= 0)).all() or not (weights.sum(1) > 0).all():
            raise ArgumentError(
                "multinomial: weights must be finite and not negative, and each row sum to more "
                "than 0"
            )
        choose = _with_replacement if replacement else _without_replacement
        array = choose(weights, num_samples, source_of(generator))
        return array[0] if input.ndim == 1 else array  # type: ignore[no-any-return]

    sizes = (*input.shape[:-1], num_samples)
    return _made(draw, sizes, np.int64, out, False, input.device)


def _with_replacement(weights: Any, count: int, source: np.random.Generator) -> Any:
    bounds = weights.cumsum(1)
    points = source.random((len(weights), count)) * bounds[:, -1:]
    last = (
        weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(1)
    )  # a point may round up to the end
    if weights.shape[1] < min(len(weights), 64):  # many rows of few weights: all rows at once
        found = np.zeros(points.shape, np.int64)
        for bound in bounds.T:
            found += bound[:, None] <= points
    else:
        rows = [np.searchsorted(b, p, "right") for b, p in zip(bounds, points, strict=True)]
        found = np.stack(rows)
    return np.minimum(found, last[:, None])


def _without_replacement(weights: Any, count: int, source: np.random.Generator) -> Any:
    """The order in which exponential clocks with the weights as rates ring."""
    enough = int((weights > 0).sum(1).min())
    if count > enough:
        raise ArgumentError(
            f"multinomial: cannot draw {count} different indices, a row has {enough} weights above "
            "0; use replacement=True"
        )
    with np.errstate(divide="ignore"):
        rings = source.standard_exponential(weights.shape) / weights
    return np.argsort(rings, 1, kind="stable")[:, :count]


# -- filling tensors in place -----------------------------------------------------------------------


def _overwrite(name: str, tensor: Any, array: np.ndarray) -> Any:
    recorded = check_inplace(name, tensor, tensor._mode)
    tensor._array[...] = array
    bump(tensor)
    if recorded:
        cut_history(tensor)  # what is overwritten no longer depends on anything
    return tensor


def _expect_floating(name: str, tensor: Any, kinds: str = "fV") -> None:
    if tensor._array.dtype.kind not in kinds:
        raise DtypeError(
            f"{name}: the tensor is {from_numpy_dtype(tensor._array.dtype)}, expected a "
            "floating-point dtype"
        )


def _consecutive(kind: dtype) -> int:
    """The number up to which a dtype holds every whole one."""
    if kind.category == 0:
        return 1
    return iinfo(kind).max if kind.category == 1 else round(2 / finfo(kind).eps)


@entry("uniform_")
def uniform_(self: Any, *bounds: Any, generator: Generator | None = None, **named: Any) -> Any:
    """Overwrite with numbers uniform in [from, to), 0 and 1 by default."""
    low = named.pop("from", bounds[0] if bounds else 0.0)
    high = named.pop("to", bounds[1] if len(bounds) > 1 else 1.0)
    if named or len(bounds) > 2:
        raise TypeError(f"uniform_() takes from and to, got {bounds} and {sorted(named)}")
    _expect_floating("uniform_", self)
    if not low <= high:
        raise ArgumentError(f"uniform_: from is {low}, to is {high}; expected from <= to")
    array = self._array
    most = finfo(from_numpy_dtype(array.dtype)).max
    if not -most <= low <= high <= most or high - low > most:
        raise ArgumentError(
            f"uniform_: from is {low}, to is {high}; expected bounds, and a distance, of at most "
            f"{most:g} in {from_numpy_dtype(array.dtype)}"
        )
    wide = _wide(array.dtype)
    values = uniform(array.shape, wide, generator) * wide.type(high - low) + wide.type(low)
    if low < high:
        values = _within(values, low, high, array.dtype)  # rounding may reach the bound
    return _overwrite("uniform_", self, values)


@entry("normal_")
def normal_(
    self: Any, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Any:
    """Overwrite with normal numbers of this mean and standard deviation."""
    _expect_floating("normal_", self, "fcV")
    if std < 0:
        raise ArgumentError(f"normal_: std is {std}, expected at least 0")
    kind = self._array.dtype if self._array.dtype.kind == "c" else _wide(self._array.dtype)
    values = standard_normal(self._array.shape, kind, generator)
    return _overwrite("normal_", self, values * kind.type(std) + kind.type(mean))


@entry("bernoulli_")
def bernoulli_(self: Any, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
    """Overwrite with 0 or 1, where 1 has probability ``p``, a number or a tensor."""
    probability = p._array if isinstance(p, TensorBase) else np.asarray(p)
    if probability.size and not ((probability >= 0) & (probability <= 1)).all():
        raise ArgumentError("bernoulli_: probabilities must lie between 0 and 1")
    hit = source_of(generator).random(self._array.shape, np.float32) < probability
    return _overwrite("bernoulli_", self, hit)


def random_(self: Any, *bounds: Any, generator: Generator | None = None, **named: Any) -> Any:
    """Overwrite with whole numbers: from [0, to), from [from, to), or, without ``to`` or where it
    is None, up to the last that the dtype holds all before of."""
    kind = from_numpy_dtype(self._array.dtype)
    if kind.is_complex:
        raise DtypeError(f"random_: not defined for {kind}")
    low, high = 0, None
    if len(bounds) == 1 or "to" in named:
        high = named.pop("to", bounds[-1] if bounds else None)
    if len(bounds) == 2:
        low, high = bounds
    low = named.pop("from", low)
    if named or len(bounds) > 2:
        raise TypeError(f"random_() takes from and to, got {bounds} and {sorted(named)}")
    if high is None:
        high = _consecutive(kind) + 1
    shape, numpy_dtype = self._array.shape, self._array.dtype
    return _overwrite(
        "random_", self, whole_numbers("random_", low, high, shape, numpy_dtype, generator)
    )


@entry("exponential_")
def exponential_(self: Any, lambd: float = 1, *, generator: Generator | None = None) -> Any:
    """Overwrite with exponential numbers of the rate ``lambd``: density ``lambd exp(-lambd x)``."""
    _expect_floating("exponential_", self)
    if not lambd > 0:
        raise ArgumentError(f"exponential_: lambd is {lambd}, expected more than 0")
    values = source_of(generator).standard_exponential(self._array.shape) / lambd
    return _overwrite("exponential_", self, values)


@entry("cauchy_")
def cauchy_(
    self: Any, median: float = 0, sigma: float = 1, *, generator: Generator | None = None
) -> Any:
    """Overwrite with numbers of the Cauchy distribution of this median and half width."""
    _expect_floating("cauchy_", self)
    if not sigma > 0:
        raise ArgumentError(f"cauchy_: sigma is {sigma}, expected more than 0")
    values = source_of(generator).standard_cauchy(self._array.shape) * sigma + median
    return _overwrite("cauchy_", self, values)


@entry("log_normal_")
def log_normal_(
    self: Any, mean: float = 1, std: float = 2, *, generator: Generator | None = None
) -> Any:
    """Overwrite with numbers whose logarithm is normal, of this mean and standard deviation."""
    _expect_floating("log_normal_", self)
    if not std > 0:
        raise ArgumentError(f"log_normal_: std is {std}, expected more than 0")
    values = np.exp(source_of(generator).standard_normal(self._array.shape) * std + mean)
    return _overwrite("log_normal_", self, values)


@entry("geometric_")
def geometric_(self: Any, p: float, *, generator: Generator | None = None) -> Any:
    """Overwrite with the number of trials, from 1 on, until one of probability ``p`` succeeds."""
    _expect_floating("geometric_", self, "iufV")
    if not 0 < p < 1:
        raise ArgumentError(f"geometric_: p is {p}, expected between 0 and 1")
    return _overwrite("geometric_", self, source_of(generator).geometric(p, self._array.shape))


_IN_PLACE = (uniform_, normal_, bernoulli_, random_, exponential_, cauchy_, log_normal_, geometric_)


def _unless_meta(fill: Callable[..., Any]) -> Callable[..., Any]:
    """``fill``, which draws nothing for a tensor without memory."""

    @wraps(fill)
    def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self._array) is MetaArray:
            check_inplace(fill.__name__, self, self._mode)
            bump(self)
            return self
        return fill(self, *args, **kwargs)

    return enter


for _function in (*(_unless_meta(fill) for fill in _IN_PLACE), bernoulli, multinomial):
    method(_function.__name__, _function)
