"""Intended differences from PyTorch, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from differential.comparison import HALF, difference, dtypes_in, exactly
from differential.evaluation import evaluate

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
    wanted = names.split()
    return lambda call, *rest: call["name"] in wanted and condition(call, *rest)


def always(*_: Any) -> bool:
    return True


# ``(condition, reason)``: the first that applies explains a difference.
DIFFERENCES: list[tuple[Callable[..., bool], str]] = [
    (
        _message(
            r"not implemented for|not supported for|(does|do) not support|is not implemented|"
            r"inputs not supported|only supports|not supported for complex|expected .*floating|"
            r"not support(ed)? automatic|autograd not support|should be a floating point|"
            r"could not infer output dtype|expects a real input|expected scalar type|to have the same dtype|operator, (with|on) a bool tensor|"
            r"boolean alpha only|did not match|must have the same dtype|is not supported"
        ),
        "PyTorch has no kernel for this dtype or mix of dtypes; dtorch computes as NumPy does",
    ),
    (
        _message(r"ZeroTensor|expected a proper Tensor|modified by an inplace|Use \.reshape"),
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
        _of("acosh logit digamma", _text("gradient")),
        "outside of the domain, where the value is nan, so may be the gradient",
    ),
    (
        _of(
            "lerp trapezoid F.hinge_embedding_loss F.soft_margin_loss F.gelu F.layer_norm",
            lambda call, *_: _special(call),
        ),
        "infinities, whose differences depend on the order of operations",
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
            _message("invalid gradient|non-zero size|divisible"),
        ),
        "gradients of nothing are zeros",
    ),
    (
        _of("polar", _text("gradient")),
        "at a radius of 0 the formula of the gradient holds, PyTorch gives 0",
    ),
    (
        lambda call, ours, theirs, text: (
            "kwargs" in call and call["kwargs"].get("dim") == {"tuple": []}
        ),
        "no dims mean all dims in every reduction",
    ),
    (
        _of("median nanmedian kthvalue mode cummax cummin min max topk", _text(r"value\[1\]")),
        "which of equal elements has the index is open",
    ),
    (_of("cat stack", _message("empty")), "tensors of no dims"),
    (
        _of(".__float__ .__int__", _text("not 'complex'")),
        "complex numbers raise Python's TypeError",
    ),
    (_of("F.embedding_bag", _message("step must be nonzero")), "a bag of no indices is empty"),
    (
        _of("range logspace", lambda call, *_: "int" in repr(call["kwargs"])),
        "bounds are not rounded",
    ),
    (
        _of("linalg.cond pinverse linalg.pinv linalg.matrix_rank logdet", always),
        "singular matrices, where rounding decides",
    ),
    (
        _of("F.multi_margin_loss", lambda call, *_: 0 in call["args"][0]["shape"]),
        "the mean of no losses is nan",
    ),
    (
        _of("F.lp_pool1d F.lp_pool2d", _text("value|gradient")),
        "odd roots of negative sums are numbers, and windows cut off by the border are not scaled",
    ),
    (_of("fmod remainder floor_divide", _text("DivisionError")), "an integer divided by zero"),
    (
        _of("pow .pow_", _text("negative integer power|Integers to negative")),
        "integers have no negative powers",
    ),
    (_of("fft.rfftn fft.rfft", _message("expects a real")), "the imaginary part is left out"),
    (_of("F.softmax F.log_softmax F.softmin", _text("DtypeError")), "integers have no softmax"),
    (_of("kthvalue", _text("k is")), "no k fits into no elements"),
    (_of("arange", lambda call, *_: "int" in repr(call["kwargs"])), "bounds are not rounded"),
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
        "a bound beyond the numbers of a dtype bounds nothing",
    ),
    (
        _of("F.hardsigmoid", _text("gradient")),
        "PyTorch takes a sixth of single precision for that of double",
    ),
    (_of("F.bilinear einsum", _message("cannot reshape")), "faults of PyTorch"),
    (_of("einsum", _text("DtypeError")), "products have one dtype, as those of matrices"),
    (_of("F.pad", _text("does not fit")), "a number is checked even where nothing is padded"),
    (
        _of("F.avg_pool1d F.avg_pool2d F.avg_pool3d", _text("DtypeError")),
        "integers have no mean of their own dtype",
    ),
    (
        _of("F.avg_pool3d F.max_pool3d", _message("smaller than kernel")),
        "windows that reach into the padding",
    ),
    (
        _of(
            "F.adaptive_avg_pool1d F.adaptive_avg_pool2d F.adaptive_avg_pool3d",
            _message("non-zero size"),
        ),
        "gradients of nothing are zeros",
    ),
    (
        _of("clamp clamp_min clamp_max .clamp_max_ .clamp_min_ F.threshold", always),
        "a bound beyond the numbers of a dtype bounds nothing, PyTorch takes another for it",
    ),
    (
        _of("F.softsign", lambda call, *_: "int8" in repr(call)),
        "PyTorch overflows at the size of the smallest integer",
    ),
    (
        _of("maximum minimum fmax fmin", lambda call, *_: len(dtypes_in(call)) > 1),
        "which of two numbers is larger is seen before one is rounded to the other's dtype",
    ),
    (
        _of(
            "prod var std var_mean std_mean norm linalg.vector_norm quantile nanquantile renorm "
            "aminmax amax amin max min F.normalize cumprod",
            lambda call, *_: _special(call),
        ),
        "infinities, nan and numbers whose squares overflow, at the edge of what is defined",
    ),
    (
        _of("median nanmedian", _text("gradient")),
        "one of several equal elements has the gradient of a median",
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
        _of("var std var_mean std_mean", lambda call, *_: "complex" in repr(call)),
        "the variance of as many numbers as are subtracted is nan",
    ),
    (
        _of("cummax cummin", _text("DimensionError")),
        "a dim is checked even where there are no elements",
    ),
    (_of("index_add index_copy", _message("scalar|no dimensions")), "no index changes nothing"),
    (
        _of("F.pixel_unshuffle F.pixel_shuffle", lambda call, *_: 0 in call["args"][0]["shape"]),
        "faults of PyTorch",
    ),
    (
        _of(
            "slogdet linalg.slogdet det linalg.det inverse linalg.inv linalg.solve",
            _text(r"singular|gradient|value\[0\]"),
        ),
        "singular matrices",
    ),
    (
        _of("fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft", _message("MKL FFT")),
        "faults of PyTorch",
    ),
    (_of("tensordot", _text("ShapeError")), "sizes of 1 are not stretched"),
    (
        lambda call, ours, theirs, text: (
            text.startswith(("value", "gradient"))
            and _special(call)
            and any(d.startswith("complex") for d in dtypes_in(call))
        ),
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
    return None
