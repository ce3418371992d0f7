"""Intended differences from PyTorch, each with its reason."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from differential.comparison import (
    HALF,
    Disagreement,
    difference,
    disagreements,
    dtypes_in,
    exactly,
    tensors_in,
)
from differential.evaluation import evaluate, plain, tensor

import dtorch

Outcome = dict[str, Any]


def _message(pattern: str) -> Callable[..., bool]:
    """Whether PyTorch ends in an error like this where dtorch has a result."""
    found = re.compile(pattern, re.IGNORECASE)
    return lambda call, ours, theirs, text: (
        "error" in theirs and "error" not in ours and bool(found.search(theirs["message"]))
    )


def _text(pattern: str) -> Callable[..., bool]:
    found = re.compile(pattern)
    return lambda call, ours, theirs, text: bool(found.search(text))


def _special(call: dict[str, Any]) -> bool:
    return '"special"' in repr(call).replace("'", '"')


def _of(names: str, condition: Callable[..., bool]) -> Callable[..., bool]:
    """The condition for calls of these names, and for their in-place forms."""
    wanted = names.split()
    wanted += [f".{name}_" for name in wanted]

    def holds(call: dict[str, Any], *rest: Any) -> bool:
        return call["name"] in wanted and condition(call, *rest)

    holds.explained = lambda call, *rest: (  # type: ignore[attr-defined]
        call["name"] in wanted and _explained(condition)(call, *rest)
    )
    return holds


def _explained(condition: Callable[..., bool]) -> Callable[..., Any]:
    """Which of the elements that disagree a condition explains: none if it is not of elements."""
    return getattr(condition, "explained", lambda *_: False)


def _array(value: Any) -> Any:
    """An operand of a call as an array."""
    if not isinstance(value, dict):
        return np.asarray(value)
    return plain(tensor(dtorch, {**value, "grad": False}), dtorch)[2]


def _operands(call: dict[str, Any]) -> list[Any]:
    values = [*call["args"], *call.get("kwargs", {}).values()]
    return [v for v in values if isinstance(v, dict) and "array" in v]


def _numbers(call: dict[str, Any]) -> list[Any]:
    values = [*call["args"], *call.get("kwargs", {}).values()]
    return [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _elements(condition: Callable[[dict[str, Any], Outcome, Disagreement], Any]) -> Any:
    """Whether outcomes differ in elements alone, and all these elements meet a condition."""

    def holds(call: dict[str, Any], ours: Outcome, theirs: Outcome, text: str) -> bool:
        return _all_elements([condition], call, ours, theirs, text)

    holds.explained = condition  # type: ignore[attr-defined]
    return holds


_OF_ELEMENTS = re.compile(r"(value|gradient)[^:]*: (?!dtype|shape|none|some|a )")


def _all_elements(
    conditions: list[Any], call: dict[str, Any], ours: Outcome, theirs: Outcome, text: str
) -> bool:
    """Whether outcomes differ in elements alone, each of which meets one of the conditions."""
    if "error" in ours or "error" in theirs or not _OF_ELEMENTS.match(text):
        return False
    found = disagreements(call, ours, theirs)
    with np.errstate(all="ignore"):
        for d in found:
            left = np.ones(d.where.sum(), bool)
            for condition in conditions:
                left = left & ~np.asarray(condition(call, ours, d), bool)
            if left.any():
                return False
    return bool(found)


def _of_nan(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """The gradients of values that are nan or infinite."""
    value = ours["value"][2] if ours["value"][0] == "tensor" else np.empty(0)
    if call["name"] == "logdet" and d.what == "gradient":  # a number for each matrix
        value = np.broadcast_to(value[..., None, None], d.where.shape)
    return d.what == "gradient" and value.shape == d.where.shape and ~np.isfinite(value[d.where])


def _lost(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """PyTorch has no number where dtorch has one (or an infinity), though no operand is nan."""
    mine, theirs = d.pairs
    known = not any(np.isnan(_array(v)).any() for v in _operands(call) if v["array"] != "bool")
    return known & _special(call) & ~np.isfinite(theirs) & ~np.isnan(mine)


def _gradient_lost(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """PyTorch's gradient alone is nan, beside special values."""
    return (d.what == "gradient") & _special(call) & np.isnan(d.pairs[1]) & ~np.isnan(d.pairs[0])


def _complex_lost(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """A part is infinite or nan in the operands; in one of the results, too."""
    special = any(not np.isfinite(_array(v)).all() for v in _operands(call))
    overflow = ~(np.abs(d.pairs[1]) < 1e30)
    return (
        any(t.startswith("complex") for t in dtypes_in(call))
        & (special | (d.what == "gradient") | _special(call) | overflow)
        & ~(np.isfinite(d.pairs[0]) & np.isfinite(d.pairs[1]))
    )


def _singular(call: dict[str, Any], *_: Any) -> bool:
    """Whether a matrix is singular but for rounding."""
    matrix = _array(call["args"][0])
    if matrix.ndim < 2 or not matrix.size:
        return False
    exact = np.finfo(matrix.dtype).eps
    values = np.linalg.svd(matrix.astype(np.complex128), compute_uv=False)
    return bool((values[..., -1] <= 100 * exact * values[..., 0]).any())


def _one_of_equals(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """Places in a value are of elements that equal the chosen ones; of gradients, the sums agree."""
    x, kwargs = _array(call["args"][0]), call.get("kwargs", {})
    if d.what == "gradient":
        axis = kwargs.get("dim") if x.ndim else None
        sums = (v.sum(axis, dtype=float, keepdims=True) for v in (d.ours, d.theirs))
        return np.broadcast_to(np.isclose(*sums, rtol=1e-2), d.where.shape)[d.where]
    if d.number != 1 or d.ours.dtype.kind != "i":
        return False
    dim = kwargs.get("dim", call["args"][2] if call["name"] == "topk" else -1)
    if call["name"] in ("cummax", "cummin"):
        dim = call["args"][1]
    if not x.ndim:
        return False
    keeps = d.ours.ndim == x.ndim
    mine, other = (v if keeps else np.expand_dims(v, dim) for v in (d.ours, d.theirs))
    chosen = (np.take_along_axis(x, v, dim) for v in (mine, other))
    return np.array_equal(*chosen, equal_nan=True)


def _of_least(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """Places of maxima that are the least number there is."""
    if d.number != 1:
        return False
    values = tensors_in(ours["value"])[0][2]
    least = -np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).min
    return values[d.where] == least


def _too_few(call: dict[str, Any], ours: Outcome, d: Disagreement) -> Any:
    """A variance is of no more numbers than are subtracted: it is infinite, or nan."""
    shape, kwargs = call["args"][0]["shape"], call["kwargs"]
    dims = kwargs.get("dim")
    dims = range(len(shape)) if dims is None else [dims] if isinstance(dims, int) else dims["tuple"]
    count = np.prod([shape[i] for i in dims] if shape else [1.0])
    return count <= kwargs.get("correction", 1)


def _all_dims(call: dict[str, Any], ours: Outcome, theirs: Outcome, text: str) -> bool:
    """The call names no dims, and means all of them."""
    if call.get("kwargs", {}).get("dim") != {"tuple": []} or "error" in ours:
        return False
    every = copy.deepcopy(call)
    every["kwargs"]["dim"] = {"tuple": list(range(len(call["args"][0]["shape"])))}
    return difference(call, ours, evaluate(dtorch, every)) is None


def _beyond(call: dict[str, Any], *_: Any) -> bool:
    """A number, or a 0-dim tensor, is beyond the integer dtype of the first operand."""
    dtype = call["args"][0]["array"]
    if not dtype.startswith(("int", "uint")):
        return False
    info = np.iinfo(dtype)
    single = [_array(v).item() for v in _operands(call)[1:] if not v["shape"]]
    return any(not (info.min <= v <= info.max and v == int(v)) for v in _numbers(call) + single)


def _fraction_for_int(call: dict[str, Any], *_: Any) -> bool:
    return "int" in repr(call.get("kwargs")) and any(v != int(v) for v in call["args"])


def _empty(call: dict[str, Any], *_: Any) -> bool:
    return 0 in call["args"][0]["shape"]


# ``(condition, reason)``: the first that applies explains a difference.
DIFFERENCES: list[tuple[Callable[..., bool], str]] = [
    (
        _message(
            r"not implemented for|not supported for|(does|do) not support|is not implemented|"
            r"inputs not supported|only supports|not supported for complex|expected .*floating|"
            r"not support(ed)? automatic|autograd not support|should be a floating point|"
            r"could not infer output dtype|expects a real input|expected scalar type|to have the same dtype|operator, (with|on) a bool tensor|"
            r"boolean alpha only|did not match|must have the same dtype|is not supported|"
            r"unsupported ScalarType ComplexHalf"
        ),
        "PyTorch has no kernel for this dtype or mix of dtypes; dtorch computes as NumPy does",
    ),
    (
        _message(
            r"ZeroTensor|expected a proper Tensor|modified by an inplace|Use \.reshape|INTERNAL ASSERT"
        ),
        "faults of PyTorch",
    ),
    (
        _message(r"must be Tensor, not (int|float|bool)|invalid combination of arguments"),
        "dtorch takes numbers in place of tensors",
    ),
    (
        lambda call, ours, theirs, text: (
            "error" in ours and "error" in theirs and "DtypeError" in ours["error"]
        ),
        "two things are wrong with the call, and the dtype is named first",
    ),
    (
        _of("logaddexp logaddexp2", _text("DtypeError")),
        "sums of exponentials of complex numbers have several branches",
    ),
    (
        _of("acos asin acosh logit digamma logdet pow special.i1e special.i1", _elements(_of_nan)),
        "outside of the domain, where the value is nan or infinite, there is no gradient",
    ),
    (
        _of(
            "lerp trapezoid F.hinge_embedding_loss F.soft_margin_loss F.gelu F.layer_norm",
            _elements(_lost),
        ),
        "infinities, whose differences depend on the order of operations",
    ),
    (
        _of(
            "F.gelu",
            _elements(
                lambda call, ours, d: (
                    (d.what == "value")
                    & (_array(call["args"][0])[d.where] == np.inf)
                    & (d.pairs[0] == np.inf)
                    & np.isnan(d.pairs[1])
                )
            ),
        ),
        "PyTorch's vectors have no number at infinity, where the function is infinite",
    ),
    (
        _of(
            "F.hardshrink F.softshrink F.hardtanh F.relu6 F.hardswish",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & np.isnan(_array(call["args"][0])[d.where])
                )
            ),
        ),
        "at nan PyTorch's vectors and its loop over single elements let different gradients through",
    ),
    (
        _of(
            "F.mish",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient")
                    & (_array(call["args"][0])[d.where] == np.inf)
                    & np.isfinite(d.pairs[0])
                    & np.isnan(d.pairs[1])
                )
            ),
        ),
        "PyTorch's vectors have no slope at infinity, where it is 1",
    ),
    (
        _of(
            "F.selu F.celu F.elu",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient")
                    & np.isnan(_array(call["args"][0])[d.where])
                    & np.isnan(d.pairs[1])
                )
            ),
        ),
        "the slope at nan is that of its loop over single elements; PyTorch's vectors have none",
    ),
    (
        _of(
            "hypot",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient")
                    and np.isnan(d.pairs[1]) & (d.pairs[0] == 0) & (ours["value"][2] == 0).any()
                )
            ),
        ),
        "where both sides are 0 the gradient is 0, as that of the norm; PyTorch divides by 0",
    ),
    (
        _of(
            "lt le gt ge eq ne",
            lambda call, *rest: _beyond(call) and _text("^value: ")(call, *rest),
        ),
        "a number beyond the dtype is compared as it is, PyTorch takes another for it",
    ),
    (
        _of(
            "amin amax aminmax",
            lambda call, ours, theirs, text: (
                "twice" in ours.get("message", "") and "non-zero size" in theirs.get("message", "")
            ),
        ),
        "two things are wrong with the call, and the dim given twice is named first",
    ),
    (
        _of("addmv", _message("outer: Expected 1-D|vector . matrix @ vector expected")),
        "PyTorch has no gradient of what broadcasts to the product",
    ),
    (
        _of("clamp", _message("match the broadcast shape")),
        "PyTorch has no gradient where a bound broadcasts the input",
    ),
    (
        _of(
            "addcmul",
            _elements(
                lambda call, ours, d: (
                    _special(call) & ~(np.isfinite(d.pairs[0]) & np.isfinite(d.pairs[1]))
                )
            ),
        ),
        "products that are infinite before the factor is multiplied, or after",
    ),
    (
        _of(
            "F.soft_margin_loss",
            _elements(lambda call, ours, d: np.isfinite(d.pairs[0]) & np.isinf(d.pairs[1])),
        ),
        "PyTorch's exponential overflows, the loss does not",
    ),
    (
        _of(
            "F.hinge_embedding_loss",
            lambda call, *_: _special(call) and not (np.abs(_array(call["args"][1])) == 1).all(),
        ),
        "the loss of targets that are not 1 or -1 is the margin, in which PyTorch's terms cancel",
    ),
    (
        _of(
            "F.celu",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient")
                    & (np.isclose(*d.pairs, rtol=1e-6) | np.isnan(_array(call["args"][0])[d.where]))
                )
            ),
        ),
        "PyTorch rounds alpha to single precision in the gradient of double",
    ),
    (
        _of(
            "histc",
            _elements(
                lambda call, ours, d: (
                    np.ptp(_array(call["args"][0])) == 0
                    and np.ptp(np.flatnonzero(d.ours != d.theirs)) == 1
                    and d.ours.sum() == d.theirs.sum()
                )
            ),
        ),
        "one number stands on the border of two bins, and rounding decides",
    ),
    (
        _of(
            "F.max_pool1d F.max_pool2d F.max_pool3d",
            _elements(_of_least),
        ),
        "where all of a window is the least number PyTorch names a place in the padding",
    ),
    (
        _of(
            "F.interpolate",
            lambda call, *rest: (
                call["kwargs"].get("antialias", False)
                and "error" not in rest[0]
                and rest[0]["value"][2].shape[-1] == 1
                and _text("^(value|gradient)")(call, *rest)
            ),
        ),
        "PyTorch interpolates columns of one number as if the same number filled them",
    ),
    (
        _of(
            "addmv",
            lambda call, *rest: (
                0 in call["args"][1]["shape"] and _text("^value: shape")(call, *rest)
            ),
        ),
        "what is added broadcasts to the product with an empty matrix, too",
    ),
    (
        _of(
            "std var std_mean var_mean F.batch_norm F.instance_norm F.group_norm F.layer_norm",
            _elements(
                lambda call, ours, d: (
                    (d.pairs[0] == 0)
                    & ((d.what == "gradient") | (np.abs(d.pairs[1]) < 1e-5))
                    & any((v[2] == 0).any() for v in tensors_in(ours["value"]))
                )
            ),
        ),
        "equal numbers have no variance, PyTorch's mean of them is rounded",
    ),
    (
        _of(
            "std var std_mean var_mean",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & np.isnan(d.pairs[0]) & np.isinf(d.pairs[1])
                )
            ),
        ),
        "the variance beside an infinity is nan, and so is its gradient",
    ),
    (
        _of("std var std_mean var_mean", _elements(_too_few)),
        "a variance that is infinite or nan; PyTorch's gradient may be that of one times less than 0",
    ),
    (
        _of(
            "std_mean var_mean",
            _elements(lambda call, ours, d: (d.number == 1) & ~np.isfinite(d.pairs[1])),
        ),
        "PyTorch's mean of infinities, found beside the variance, is nan",
    ),
    (
        _of(
            "std std_mean",
            _elements(
                lambda call, ours, d: (
                    any(np.isinf(v[2]).any() for v in tensors_in(ours["value"]))
                    & ((d.what == "gradient") | np.isinf(d.pairs[0]) & (np.abs(d.pairs[1]) > 1e18))
                )
            ),
        ),
        "the variance overflows single precision, in which it is kept",
    ),
    (
        _of("nanmean", _elements(_of_nan)),
        "the mean of nothing is that of no element",
    ),
    (
        _of(
            "logsumexp",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & np.isnan(d.pairs[1]) & np.isfinite(d.pairs[0])
                )
            ),
        ),
        "PyTorch has no gradient where the sum is infinite",
    ),
    (
        _of(
            "cumprod",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient")
                    & ~np.isfinite(ours["value"][2]).all()
                    & ~(np.isfinite(d.pairs[0]) & np.isfinite(d.pairs[1]))
                )
            ),
        ),
        "products that are infinite or nan: PyTorch divides by elements, and has 0 behind a 0",
    ),
    (
        _of(
            "sinc",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & (np.abs(_array(call["args"][0])[d.where]) < 0.04)
                )
            ),
        ),
        "near 0 PyTorch subtracts almost equal numbers",
    ),
    (
        _of(
            "mvlgamma",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & ~np.isfinite(d.pairs[0]) & ~np.isfinite(d.pairs[1])
                )
            ),
        ),
        "at a pole the slope is infinite on either side, of another sign",
    ),
    (
        _of("special.ndtr", _elements(lambda call, ours, d: np.abs(d.pairs[0]) < 1e-6)),
        "far out PyTorch subtracts from 1 what leaves almost nothing",
    ),
    (
        _of(
            "fmod remainder",
            lambda call, *rest: (
                bool(dtypes_in(call) & set(HALF))
                and any(not v["shape"] and v["array"] not in HALF for v in _operands(call))
                and _text("^value: ")(call, *rest)
            ),
        ),
        "PyTorch rounds a 0-dim divisor to half precision first, of which a rest is another",
    ),
    (
        _of(
            "gradient",
            lambda call, *_: (
                _special(call) and call["args"][0]["array"].startswith(("int", "uint"))
            ),
        ),
        "PyTorch subtracts integers in their own dtype, where they overflow",
    ),
    (
        _of(
            "special.log_ndtr",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & ~np.isfinite(d.pairs[1]) & ~np.isnan(d.pairs[0])
                )
            ),
        ),
        "PyTorch squares large negative numbers on the way, of which the slope is as large",
    ),
    (
        _of(
            "atan2",
            _elements(
                lambda call, ours, d: (
                    d.what == "gradient" and any("int" in v["array"] for v in _operands(call))
                )
            ),
        ),
        "PyTorch squares integers in their own dtype, where they overflow",
    ),
    (
        _of("trapezoid", lambda call, *_: call["args"][0]["shape"][call["kwargs"]["dim"]] == 1),
        "between less than two points there is no area",
    ),
    (
        _of(
            "cdist F.linear",
            lambda call, *rest: len(dtypes_in(call)) > 1 and _text("dtype")(call, *rest),
        ),
        "two dtypes have a common one",
    ),
    (
        _of(
            "F.pad",
            lambda call, *rest: (
                "circular" in repr(call["kwargs"])
                and min(call["args"][1]) < 0
                and _text("ShapeError")(call, *rest)
            ),
        ),
        "what is cut off is not there to be repeated; PyTorch reads what it has not written",
    ),
    (_of("F.embedding", _text("AssertionError")), "PyTorch asserts, dtorch says what is wrong"),
    (
        _of("repeat_interleave", _message("out of range")),
        "0-dim tensors have the dims 0 and -1",
    ),
    (
        _of("take_along_dim index_add", _text("DimensionError")),
        "PyTorch reads and writes outside of the tensor",
    ),
    (
        _of("diff", _text("DimensionError")),
        "a dim is checked even where no difference is taken",
    ),
    (_of("addcdiv", _message("integer division")), "dtorch divides integers as `/` does"),
    (
        _of("F.soft_margin_loss", _text("ShapeError")),
        "input and target have one shape, as PyTorch documents",
    ),
    (
        _of(
            "F.adaptive_max_pool1d F.adaptive_max_pool2d F.adaptive_max_pool3d F.pixel_shuffle "
            "F.pixel_unshuffle addmv",
            _message(
                r"invalid gradient|non-zero size|divisible|size mismatch, got input \(\d+\), mat \((0x|\d+x0)"
            ),
        ),
        "gradients of nothing are zeros",
    ),
    (
        _of(
            "polar",
            lambda call, *rest: (
                _text("gradient")(call, *rest)
                and bool(
                    (~(_array(call["args"][0]) > 0) | ~np.isfinite(_array(call["args"][0]))).any()
                    or ~np.isfinite(_array(call["args"][1])).all()
                )
            ),
        ),
        "where the radius is not positive the formula of the gradient holds, PyTorch turns its sign",
    ),
    (
        _all_dims,
        "no dims mean all dims in every reduction",
    ),
    (
        _of(
            "median nanmedian kthvalue mode cummax cummin min max topk quantile nanquantile",
            _elements(_one_of_equals),
        ),
        "which of equal elements is chosen is open",
    ),
    (_of("cat stack", _message("empty")), "tensors of no dims"),
    (
        _of(".__float__ .__int__", _text("not 'complex'")),
        "complex numbers raise Python's TypeError",
    ),
    (_of("F.embedding_bag", _message("step must be nonzero")), "a bag of no indices is empty"),
    (
        _of("range linspace logspace arange", _fraction_for_int),
        "bounds are not rounded",
    ),
    (
        _of(
            "linalg.cond linalg.norm linalg.matrix_norm pinverse linalg.pinv linalg.matrix_rank logdet slogdet linalg.slogdet det "
            "linalg.det inverse linalg.inv linalg.solve matrix_power linalg.matrix_power",
            _singular,
        ),
        "singular matrices, where rounding decides",
    ),
    (
        _of("F.multi_margin_loss", _empty),
        "the mean of no losses is nan, their sum 0; PyTorch returns what stood in memory",
    ),
    (
        _of(
            "F.lp_pool1d F.lp_pool2d",
            _elements(
                lambda call, ours, d: (
                    call["args"][1] % 2 == 1
                    and np.isnan(d.pairs[1]) & (d.what == "gradient" or d.pairs[0] < 0)
                )
            ),
        ),
        "odd roots of negative sums are numbers",
    ),
    (
        _of(
            "F.lp_pool1d F.lp_pool2d",
            lambda call, *rest: (
                call["kwargs"].get("ceil_mode")
                and _text("^(value|gradient)")(call, *rest)
                and any(
                    (n - call["args"][2]) % call["kwargs"].get("stride", call["args"][2])
                    for n in call["args"][0]["shape"][-int(call["name"][-2]) :]
                )
            ),
        ),
        "windows cut off by the border are not scaled",
    ),
    (_of("fmod remainder floor_divide div", _text("DivisionError")), "an integer divided by zero"),
    (
        _of("pow", _text("negative integer power|Integers to negative")),
        "integers have no negative powers",
    ),
    (_of("result_type", _text("torch.complex32")), "there is no complex number of two halves"),
    (_of("pow", _text("not defined for dtorch.bool")), "bools have no power, of bools neither"),
    (_of("F.softmax F.log_softmax F.softmin", _text("DtypeError")), "integers have no softmax"),
    (_of("kthvalue", _text("k is")), "no k fits into no elements"),
    (
        _of("F.instance_norm F.group_norm", _message("index 0|more than 1 value")),
        "faults of PyTorch",
    ),
    (
        lambda call, ours, theirs, text: (
            "error" in theirs and "error" in ours and "share memory" in ours["message"]
        ),
        "two things are wrong with the call, and the shared memory is named first",
    ),
    (
        _of("F.batch_norm", _text("share memory")),
        "PyTorch writes several running values to one place",
    ),
    (
        _of("F.hardtanh F.relu6", _message("unsigned type with negative")),
        "a bound beyond the numbers of a dtype bounds nothing, PyTorch refuses it",
    ),
    (
        _of(
            "F.hardsigmoid",
            _elements(
                lambda call, ours, d: d.what == "gradient" and np.isclose(*d.pairs, rtol=1e-7)
            ),
        ),
        "PyTorch takes a sixth of single precision for that of double",
    ),
    (_of("F.bilinear einsum", _message("cannot reshape")), "faults of PyTorch"),
    (_of("einsum", _text("DtypeError")), "products have one dtype, as those of matrices"),
    (_of("F.pad", _text("does not fit")), "a number is checked even where nothing is padded"),
    (
        _of("F.avg_pool1d F.avg_pool2d F.avg_pool3d F.interpolate", _text("DtypeError")),
        "integers have no mean of their own dtype",
    ),
    (
        _of("F.avg_pool3d F.max_pool3d", _message("smaller than kernel")),
        "windows that reach into the padding",
    ),
    (
        _of(
            "F.adaptive_avg_pool1d F.adaptive_avg_pool2d F.adaptive_avg_pool3d F.interpolate",
            _message("non-zero size"),
        ),
        "gradients of nothing are zeros",
    ),
    (
        _of("clamp clamp_min clamp_max F.threshold", _beyond),
        "a bound beyond the numbers of a dtype bounds nothing, PyTorch takes another for it",
    ),
    (
        _of(
            "F.softsign",
            lambda call, *_: (
                call["args"][0]["array"].startswith(("int", "uint")) and _special(call)
            ),
        ),
        "PyTorch overflows at the sizes of the smallest and the largest integer",
    ),
    (
        _of("maximum minimum fmax fmin", lambda call, *_: len(dtypes_in(call)) > 1),
        "which of two numbers is larger is seen before one is rounded to the other's dtype",
    ),
    (
        _of(
            "prod var std var_mean std_mean norm linalg.vector_norm F.normalize cumprod",
            _elements(_lost),
        ),
        "infinities and numbers whose squares overflow",
    ),
    (
        _of(
            "norm linalg.vector_norm",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & (d.pairs[0] == 0) & np.isnan(d.pairs[1])
                )
            ),
        ),
        "the gradient of a norm at 0 is taken as 0, for every p and every norm",
    ),
    (
        _of(
            "quantile",
            _elements(
                lambda call, ours, d: (
                    d.what == "gradient"
                    and np.isnan(_array(call["args"][0])).any()
                    and d.pairs[0] == 0
                )
            ),
        ),
        "a quantile that is nan is that of no element",
    ),
    (
        _of(
            "F.softsign F.soft_margin_loss copysign hypot logaddexp logaddexp2 addcdiv",
            _elements(_gradient_lost),
        ),
        "PyTorch divides by a size that is infinite or whose square overflows",
    ),
    (
        _of(
            "amin amax aminmax prod",
            _elements(
                lambda call, ours, d: (
                    d.what == "gradient"
                    and np.isnan(_array(call["args"][0])).any()
                    and (np.isnan(d.pairs[0]) | np.isnan(d.pairs[1]))
                )
            ),
        ),
        "an element is nan: its share of the gradient is nan or, of an extreme, all of it",
    ),
    (
        _of(
            "renorm F.normalize",
            _elements(
                lambda call, ours, d: (
                    (d.what == "gradient") & _special(call) & ~np.isfinite(d.pairs[1])
                )
            ),
        ),
        "the power of a norm overflows: nan and infinity",
    ),
    (
        _of(
            "median nanmedian",
            lambda call, *rest: (
                call["args"][0]["layout"] == "expanded"
                and _text("^value")(call, *rest)
                and call["kwargs"].get("dim") in (0, -len(call["args"][0]["shape"]))
            ),
        ),
        "PyTorch sorts rows that share their memory; the median of equal numbers is that number",
    ),
    (
        _of(
            "F.layer_norm F.group_norm F.instance_norm corrcoef",
            _elements(
                lambda call, ours, d: (
                    d.what == "gradient"
                    and 2 in call["args"][0]["shape"]
                    and np.abs(d.pairs[0] - d.pairs[1]) < 1e-2
                )
            ),
        ),
        "two numbers normalised are 1 and -1: their gradient is what rounding leaves of 0",
    ),
    (
        _of(
            "linspace",
            _elements(
                lambda call, ours, d: np.array_equal(
                    d.ours, np.trunc(np.linspace(*call["args"])).astype(int)
                )
            ),
        ),
        "PyTorch cuts off what rounding in single precision left just below a whole number",
    ),
    (
        _of(
            "index_add index_copy",
            lambda call, ours, theirs, text: (
                "ShapeError" in ours.get("error", ())
                and re.search("no dimensions|scalar", theirs.get("message", "")) is not None
            ),
        ),
        "the sizes of a 0-dim tensor and its source are named",
    ),
    (
        _of(
            ".__getitem__ index_fill index_put",
            lambda call, ours, theirs, text: (
                "out of range" in ours.get("message", "")
                and "value" in theirs
                and not theirs["value"][2].size
            ),
        ),
        "indices are checked even where there are no elements",
    ),
    (
        _of("F.nll_loss", _message("grad_input must be contiguous")),
        "PyTorch has no gradient of scores that lie transposed",
    ),
    (
        _of(
            "F.conv_transpose1d F.conv_transpose2d F.conv_transpose3d bmm baddbmm addbmm amax amin roll",
            lambda call, ours, theirs, text: (
                "error" in ours
                and "error" not in theirs
                and theirs["value"][0] == "tensor"
                and (not theirs["value"][2].size or any(0 in v["shape"] for v in _operands(call)))
            ),
        ),
        "dtypes, dims and options are checked even where there are no elements, and an output of size 0 "
        "is refused, as PyTorch does for most dtypes",
    ),
    (
        _of(
            "F.batch_norm",
            lambda call, ours, theirs, text: (
                text.startswith("gradient")
                and any(v["layout"] in ("expanded", "gaps") for v in _operands(call)[1:])
            ),
        ),
        "PyTorch reads weights and running values as if they lay side by side, outside of their memory",
    ),
    (
        _of(
            "block_diag",
            lambda call, *rest: (
                any(v["shape"] == [0] for v in call["args"]) and _text("gradient")(call, *rest)
            ),
        ),
        "PyTorch forgets the row of an empty block on the way back",
    ),
    (
        _of(
            "cross linalg.cross",
            _elements(
                lambda call, ours, d: (
                    np.abs(d.pairs[0] - d.pairs[1])
                    <= 4e-7
                    * np.abs(_array(call["args"][0])).max()
                    * np.abs(_array(call["args"][1])).max()
                )
            ),
        ),
        "one of two products that cancel is not rounded",
    ),
    (
        _of(
            "trapezoid",
            _elements(
                lambda call, ours, d: np.allclose(
                    d.ours,
                    np.trapezoid(_array(call["args"][0]), dx=0.5, axis=call["kwargs"]["dim"]),
                    equal_nan=True,
                )
            ),
        ),
        "the sum of the means of neighbours, of which one may be infinite",
    ),
    (
        _of(
            "logcumsumexp",
            _elements(
                lambda call, ours, d: (
                    d.what == "gradient"
                    and ~np.isnan(d.pairs[0])
                    & (np.isnan(d.pairs[1]) | (np.abs(_array(call["args"][0])[d.where]) > 1e9))
                )
            ),
        ),
        "PyTorch adds the logarithm of the gradient to numbers beside which it vanishes",
    ),
    (
        _of(
            "cumprod",
            _elements(_gradient_lost),
        ),
        "PyTorch divides by the elements, of which one is 0 or infinite",
    ),
    (
        _of(
            "logsumexp",
            _elements(
                lambda call, ours, d: (
                    "complex" in repr(call)
                    and (
                        (d.what == "gradient" and not np.isfinite(ours["value"][2]).all())
                        or np.abs(np.exp(d.pairs[0]) - np.exp(d.pairs[1]))
                        <= 1e-5
                        * np.exp(_array(call["args"][0]).real.max())
                        * len(call["args"][0]["shape"])
                    )
                )
            ),
        ),
        "sums of complex numbers that cancel, or are infinite",
    ),
    (
        lambda call, ours, theirs, text: (
            call["name"] in ("median", "nanmedian")
            and not call["kwargs"]
            and _empty(call)
            and "no elements" in text
        ),
        "no integer is the median of nothing",
    ),
    (
        _of("pow", _message("value cannot be converted")),
        "an exponent need not be a number of the dtype",
    ),
    (
        lambda call, ours, theirs, text: (
            "error" in ours
            and "TypeError" in theirs.get("error", ())
            and bool(re.search("must be Tensor, not|invalid combination", theirs["message"]))
        ),
        "two things are wrong with the call, and the type is not",
    ),
    (_of("F.pad", _message("too small")), "nothing to repeat, and nothing asked for"),
    (_of(".__getitem__ .__setitem__", _text("stand only once")), "`...` stands once, as in NumPy"),
    (_of("index_select", _message("Index to scalar")), "no index selects nothing"),
    (
        _of(".fill_diagonal_ .__setitem__", _text("share memory|read-only")),
        "elements that share memory are written by one value for all of them only",
    ),
    (_of("addcmul addcdiv", _text("value is|alpha is")), "integers have no half of themselves"),
    (
        _of(
            "var std var_mean std_mean",
            lambda call, *rest: (
                "complex" in repr(call)
                and _elements(
                    lambda call, ours, d: np.isnan(d.pairs[0]) & ~np.isfinite(d.pairs[1])
                )(call, *rest)
            ),
        ),
        "the variance of as many numbers as are subtracted is nan",
    ),
    (
        _of("cummax cummin", _text("DimensionError")),
        "a dim is checked even where there are no elements",
    ),
    (_of("index_add index_copy", _message("scalar|no dimensions")), "no index changes nothing"),
    (
        _of("F.pixel_unshuffle F.pixel_shuffle", _empty),
        "faults of PyTorch",
    ),
    (
        lambda call, ours, theirs, text: "Crash" in theirs.get("error", ()),
        "PyTorch's process dies of the call",
    ),
    (
        _of("fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2", _message("MKL FFT")),
        "faults of PyTorch",
    ),
    (_of("tensordot", _text("ShapeError")), "sizes of 1 are not stretched"),
    (
        _elements(_complex_lost),
        "complex infinities and nans, whose parts depend on the order of operations",
    ),
]


def _rounds_between(call: dict[str, Any], ours: Outcome, theirs: Outcome, text: str) -> bool:
    """Whether our numbers are those of double precision."""
    if "error" in ours or "error" in theirs or not dtypes_in(call) & set(HALF):
        return False
    exact = evaluate(dtorch, exactly(call))
    return "error" not in exact and difference(call, ours, exact, exact=True) is None


DIFFERENCES.append((_rounds_between, "PyTorch rounds to half precision between steps"))


def intended(call: dict[str, Any], ours: Outcome, theirs: Outcome, text: str) -> str | None:
    """The reason why a difference is meant, or None."""
    for condition, reason in DIFFERENCES:
        if condition(call, ours, theirs, text):
            return reason
    each = [_explained(condition) for condition, _ in DIFFERENCES]
    return "several" if _all_elements(each, call, ours, theirs, text) else None
