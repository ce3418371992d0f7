"""Calls drawn at random: which operations, and of what their arguments are drawn.

Each entry of `CALLS` draws the data of one call (see `evaluation`) for one operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Call = dict[str, Any]
Draw = Callable[..., Any]

FLOATS = ("float32", "float64", "float16", "bfloat16")
WIDE = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
REAL = (*FLOATS, *INTEGERS, "bool")
ANY = (*REAL, *COMPLEX)

LAYOUTS = ("dense", "dense", "dense", "transposed", "gaps", "offset", "expanded")
NUMBERS = (0, 1, -1, 2, 3, -19, 300, 0.5, -0.5, 2.5, 1e-3, 1e4, True, False)
SPECIAL_NUMBERS = (float("inf"), float("-inf"), float("nan"))
REDUCTIONS = ("mean", "sum", "none")

CALLS: dict[str, st.SearchStrategy[Call]] = {}


def drawn(*names: str) -> Callable[[Draw], Draw]:
    """Register what draws ``(args, kwargs)``; it gets ``draw`` and the operation's name."""

    def register(make: Draw) -> Draw:
        @st.composite
        def call(draw: Any, name: str) -> Call:
            made = make(draw, name)
            if isinstance(made, dict):
                return made
            args, kwargs = made
            return {"name": name, "args": args, "kwargs": kwargs}

        for name in names:
            assert name not in CALLS, name
            CALLS[name] = call(name)
        return make

    return register


# ------------------------------------------------------------------------------ what is drawn


def shape(draw: Any, least: int = 0, most: int = 3, low: int = 0, high: int = 4) -> list[int]:
    """Sizes, sometimes empty ones, now and then above the kernels' thresholds."""
    if low == 0 and most >= 2 and least <= 2 and draw(st.integers(0, 40)) == 0:
        return draw(st.sampled_from([[300, 7], [3, 1000], [2000], [64, 65]]))[:most]
    low = low or (0 if draw(st.integers(0, 5)) == 0 else 1)
    return draw(st.lists(st.integers(low, high), min_size=least, max_size=most))


def array(
    draw: Any,
    sizes: list[int] | None = None,
    dtypes: tuple[str, ...] = ANY,
    kinds: tuple[str, ...] = ("plain", "plain", "ties", "special"),
    grad: bool = True,
    **more: Any,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "array": draw(st.sampled_from(dtypes)),
        "shape": shape(draw) if sizes is None else sizes,
        "kind": draw(st.sampled_from(kinds)),
        "seed": draw(st.integers(0, 99)),
        "layout": draw(st.sampled_from(LAYOUTS)),
        **more,
    }
    if grad and draw(st.booleans()):
        found["grad"] = True
    return found


def like(draw: Any, sizes: list[int]) -> list[int]:
    """Sizes that mostly broadcast with given ones."""
    result = [1 if draw(st.integers(0, 3)) == 0 else n for n in sizes]
    result = result[draw(st.integers(0, len(result))) if draw(st.booleans()) else 0 :]
    if draw(st.integers(0, 30)) == 0:
        result = [*result, 5]
    return result


def number(draw: Any, special: bool = True) -> Any:
    return draw(st.sampled_from((*NUMBERS, *SPECIAL_NUMBERS) if special else NUMBERS))


def dim(draw: Any, sizes: list[int]) -> int:
    """Mostly a dim there is."""
    n = max(len(sizes), 1)
    return draw(st.integers(-n, n - 1)) if draw(st.integers(0, 20)) else draw(st.integers(-6, 6))


def options(draw: Any, **choices: Any) -> dict[str, Any]:
    """Some of the named arguments, each one of its choices."""
    return {
        name: draw(st.sampled_from(values)) for name, values in choices.items()
        if draw(st.booleans())
    }  # fmt: skip


def index(draw: Any, sizes: list[int], high: int, low: int = 0, dtypes: Any = ("int64",)) -> Any:
    """Whole numbers below ``high``, now and then one outside."""
    if draw(st.integers(0, 25)) == 0:
        high += 1
    count = 1
    for n in sizes:
        count *= n
    values = draw(
        st.lists(st.integers(low, max(high - 1, low)), min_size=count, max_size=count)
        if count <= 64
        else st.just([low] * count)
    )
    return {"array": draw(st.sampled_from(dtypes)), "shape": sizes, "values": values}


# -------------------------------------------------------------------------------- elementwise

UNARY = (
    "abs acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad "
    "digamma erf erfc erfinv exp exp2 expm1 floor frac isfinite isinf isnan "
    "lgamma log log10 log1p log2 logical_not neg positive rad2deg reciprocal relu round "
    "rsqrt sigmoid sgn sign sin sinc sinh sqrt square tan tanh trunc nan_to_num "
    "logit real imag "
    "F.relu F.relu6 F.hardtanh F.hardsigmoid F.hardswish F.silu F.mish F.gelu F.selu F.softsign "
    "F.tanhshrink F.logsigmoid F.elu F.celu F.leaky_relu F.softplus F.hardshrink F.softshrink "
    "special.entr special.erfcx special.i0e special.i1e special.log_ndtr "
    "special.ndtr special.ndtri"
)


@drawn(*UNARY.split())
def _(draw, name):
    return [array(draw)], {}


# At infinity, and for nan, PyTorch's series end in nan or a number where there is a limit or none.
FINITE = ("plain", "plain", "ties")


@drawn("i0", "special.i1")
def _(draw, name):
    return [array(draw, kinds=FINITE)], {}


# PyTorch has no gradients of these.
@drawn(*(f"special.{name}" for name in ["airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0"]))  # fmt: skip
def _(draw, name):
    return [array(draw, kinds=FINITE, grad=False)], {}


@drawn("special.xlog1py", "special.zeta", "igamma", "igammac")
def _(draw, name):
    one = array(draw, dtypes=WIDE, kinds=FINITE, grad=False)
    other = array(draw, one["shape"], dtypes=(one["array"],), kinds=FINITE, grad=False)
    return [one, other], {}


@drawn("mvlgamma")
def _(draw, name):
    return [array(draw, dtypes=FLOATS), draw(st.sampled_from([1, 2, 3]))], {}


@drawn(*(f".{name}_" for name in ["abs", "ceil", "cos", "erf", "exp", "floor", "log", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sqrt", "tanh", "trunc", "relu", "square", "logical_not", "zero"]))  # fmt: skip
def _(draw, name):
    return {
        "name": name, "args": [array(draw, grad=False)], "kwargs": {}, "look": "target"
    }  # fmt: skip


@drawn("F.elu+", "F.celu+")
def _(draw, name):
    return {"name": name[:-1], "args": [array(draw, dtypes=REAL), number(draw, False)]}


@drawn("F.leaky_relu+", "F.hardshrink+", "F.softshrink+")
def _(draw, name):
    value = draw(st.sampled_from([0.0, 0.5, 1, 2.5, 0.01]))
    return {"name": name[:-1], "args": [array(draw, dtypes=FLOATS), value]}


@drawn("F.softplus+")
def _(draw, name):
    kwargs = options(draw, beta=[1, 2, 0.5], threshold=[20, 1, 0])
    return {"name": "F.softplus", "args": [array(draw, dtypes=FLOATS)], "kwargs": kwargs}


@drawn("F.threshold")
def _(draw, name):
    return [array(draw, dtypes=REAL), number(draw, False), number(draw, False)], {}


@drawn("F.hardtanh+")
def _(draw, name):
    args = [array(draw, dtypes=REAL), draw(st.sampled_from([-1, -2.5, 0])), 1.5]
    return {"name": "F.hardtanh", "args": args}


@drawn("F.gelu+")
def _(draw, name):
    kwargs = options(draw, approximate=["none", "tanh", "other"])
    return {"name": "F.gelu", "args": [array(draw, dtypes=FLOATS)], "kwargs": kwargs}


@drawn("F.prelu")
def _(draw, name):
    sizes = shape(draw, 1)
    channels = sizes[1] if len(sizes) > 1 else 1
    dtypes = (draw(st.sampled_from(FLOATS)),)
    count = draw(st.sampled_from([1, channels]))
    return [array(draw, sizes, dtypes), array(draw, [count], dtypes)], {}


@drawn("F.glu")
def _(draw, name):
    sizes = shape(draw, 1)
    return [array(draw, sizes, FLOATS), dim(draw, sizes)], {}


@drawn("round+")
def _(draw, name):
    kwargs = {"decimals": draw(st.integers(-2, 4))}
    return {"name": "round", "args": [array(draw, dtypes=FLOATS)], "kwargs": kwargs}


@drawn("nan_to_num+")
def _(draw, name):
    kwargs = options(draw, nan=[0.0, 1.5], posinf=[2.0, None], neginf=[-3.0, None])
    return {"name": "nan_to_num", "args": [array(draw)], "kwargs": kwargs}


@drawn("logit+")
def _(draw, name):
    return {
        "name": "logit",
        "args": [array(draw, dtypes=REAL), draw(st.sampled_from([None, 0.1, 1e-6]))],
    }


BINARY = (
    "add sub mul div true_divide floor_divide remainder fmod pow maximum minimum fmax fmin atan2 "
    "hypot copysign logaddexp logaddexp2 xlogy eq ne lt le gt ge logical_and logical_or "
    "logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift "
    "isclose float_power nextafter "
)


def pair(draw: Any, dtypes: tuple[str, ...] = ANY) -> list[Any]:
    """Two operands that mostly broadcast; one may be a number, or 0-dim of any dtype."""
    first = array(draw, dtypes=dtypes)
    what = draw(st.sampled_from(["same", "same", "other dtype", "number", "0-dim", "first"]))
    if what == "number":
        return [first, number(draw)]
    if what == "first":
        return [number(draw), first]
    if what == "0-dim":
        return [first, array(draw, [], dtypes)]
    second = array(draw, like(draw, first["shape"]), dtypes)
    if what == "same":
        second["array"] = first["array"]
    return [first, second]


@drawn(*BINARY.split())
def _(draw, name):
    return pair(draw), {}


@drawn(*(f".{name}_" for name in ["add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "atan2", "eq", "lt", "ge", "logical_and", "bitwise_and", "bitwise_or", "fmax", "copy", "clamp_min"] if name != "fmax"))  # fmt: skip
def _(draw, name):
    first = array(draw, grad=False, sizes=shape(draw))
    second = draw(st.sampled_from(["number", "tensor"]))
    other = (
        number(draw) if second == "number" else array(draw, like(draw, first["shape"]), grad=False)
    )
    if second == "tensor" and draw(st.booleans()):
        other["array"] = first["array"]
    if name == ".copy_" and second == "number":
        other = array(draw, [], grad=False)
    return {"name": name, "args": [first, other], "look": "target"}


@drawn("add+", "sub+")
def _(draw, name):
    kwargs = {"alpha": draw(st.sampled_from([1, 2, -1, 0, 0.5, True]))}
    return {"name": name[:-1], "args": pair(draw), "kwargs": kwargs}


@drawn("div+")
def _(draw, name):
    kwargs = {"rounding_mode": draw(st.sampled_from([None, "trunc", "floor", "other"]))}
    return {"name": "div", "args": pair(draw, REAL), "kwargs": kwargs}


@drawn("isclose+", "allclose")
def _(draw, name):
    first = array(draw, dtypes=REAL, grad=False)
    second = array(draw, like(draw, first["shape"]), (first["array"],), grad=False)
    kwargs = options(draw, rtol=[1e-5, 0.1], atol=[1e-8, 1.0], equal_nan=[True, False])
    return {"name": name.rstrip("+"), "args": [first, second], "kwargs": kwargs}


@drawn("clamp")
def _(draw, name):
    first = array(draw, dtypes=REAL)
    bounds = st.sampled_from(["none", "number", "tensor"])

    def bound() -> Any:
        what = draw(bounds)
        if what == "none":
            return None
        if what == "number":
            return number(draw)
        return array(draw, like(draw, first["shape"]), (first["array"],))

    return [first], {"min": bound(), "max": bound()}


@drawn("clamp_min", "clamp_max", ".clamp_max_")
def _(draw, name):
    return [array(draw, dtypes=REAL, grad=False), number(draw)], {}


@drawn("where")
def _(draw, name):
    first = array(draw)
    condition = array(draw, like(draw, first["shape"]), ("bool", "bool", "bool", "uint8"))
    what = draw(st.sampled_from(["same", "number", "other"]))
    if what == "number":
        return [condition, first, number(draw)], {}
    second = array(draw, like(draw, first["shape"]))
    if what == "same":
        second["array"] = first["array"]
    return [condition, first, second], {}


@drawn("addcmul", "addcdiv")
def _(draw, name):
    first = array(draw, dtypes=(*FLOATS, *COMPLEX, "int64"))
    others = [array(draw, like(draw, first["shape"]), (first["array"],)) for _ in range(2)]
    return [first, *others], {"value": draw(st.sampled_from([1, 2, -0.5, 0]))}


@drawn("lerp")
def _(draw, name):
    first = array(draw, dtypes=(*FLOATS, *COMPLEX))
    end = array(draw, like(draw, first["shape"]), (first["array"],))
    weight = (
        draw(st.sampled_from([0, 0.25, 1, 2.0]))
        if draw(st.booleans())
        else array(draw, like(draw, first["shape"]), (first["array"],))
    )
    return [first, end, weight], {}


@drawn("polar", "complex")
def _(draw, name):
    first = array(draw, dtypes=WIDE)
    return [first, array(draw, like(draw, first["shape"]), (first["array"],))], {}


# ---------------------------------------------------------------------------------- reductions


def reduced(draw: Any, sizes: list[int], several: bool = True) -> dict[str, Any]:
    kwargs: dict[str, Any] = {}
    what = draw(st.sampled_from(["all", "one", "several" if several else "one"]))
    if what == "one":
        kwargs["dim"] = dim(draw, sizes)
    elif what == "several":
        kwargs["dim"] = {"tuple": [dim(draw, sizes) for _ in range(draw(st.integers(0, 3)))]}
    if "dim" in kwargs and draw(st.booleans()):
        kwargs["keepdim"] = True
    return kwargs


@drawn("sum", "mean", "nansum", "nanmean")
def _(draw, name):
    first = array(draw)
    kwargs = reduced(draw, first["shape"])
    if draw(st.integers(0, 3)) == 0:
        kwargs["dtype"] = {
            "dtype": draw(st.sampled_from(["float64", "float32", "int64", "float16"]))
        }
    return [first], kwargs


@drawn("amax", "amin", "count_nonzero")
def _(draw, name):
    first = array(draw)
    kwargs = reduced(draw, first["shape"])
    if name == "count_nonzero":
        kwargs.pop("keepdim", None)
    return [first], kwargs


@drawn("all", "any", "logsumexp")
def _(draw, name):
    first = array(draw)
    kwargs = reduced(draw, first["shape"])
    if name == "logsumexp" and "dim" not in kwargs:
        kwargs["dim"] = 0
    return [first], kwargs


@drawn("prod", "max", "min", "argmax", "argmin", "median", "nanmedian", "aminmax")
def _(draw, name):
    first = array(draw, dtypes=REAL if name != "prod" else ANY)
    kwargs = reduced(draw, first["shape"], several=False)
    if name == "aminmax":
        return {"name": name, "args": [first], "kwargs": kwargs}
    return [first], kwargs


@drawn("var", "std", "var_mean", "std_mean")
def _(draw, name):
    first = array(draw)
    kwargs = reduced(draw, first["shape"])
    kwargs |= options(draw, correction=[0, 1, 2]) or {}
    return [first], kwargs


@drawn("norm", "linalg.vector_norm")
def _(draw, name):
    first = array(draw, dtypes=(*FLOATS, *COMPLEX, "int64"))
    kwargs = reduced(draw, first["shape"])
    order = draw(st.sampled_from([0, 1, 2, 3, 0.5, -1, float("inf"), float("-inf")]))
    return [first, order], kwargs


@drawn("mode", "kthvalue")
def _(draw, name):
    sizes = shape(draw, 0, 3)
    first = array(draw, sizes, REAL, kinds=("ties", "plain"))
    if name == "mode":
        return [first], options(draw, dim=[0, -1], keepdim=[True])
    return [first, draw(st.integers(0, 4))], options(draw, dim=[0, -1], keepdim=[True])


@drawn("quantile", "nanquantile")
def _(draw, name):
    first = array(draw, dtypes=WIDE)
    q = draw(st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.5]))
    kwargs = reduced(draw, first["shape"], several=False)
    kwargs |= options(draw, interpolation=["linear", "lower", "higher", "midpoint", "nearest"])
    return [first, q], kwargs


@drawn("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
def _(draw, name):
    sizes = shape(draw)
    dtypes = ANY if name in ("cumsum", "cumprod") else REAL
    return [array(draw, sizes, dtypes), dim(draw, sizes)], {}


@drawn("diff")
def _(draw, name):
    sizes = shape(draw)
    return [array(draw, sizes)], {"n": draw(st.integers(0, 3)), "dim": dim(draw, sizes)}


@drawn("gradient")
def _(draw, name):
    sizes = shape(draw, 1)
    kwargs = options(draw, spacing=[2, 0.5, [2.0], [2.0, 0.5]], edge_order=[1, 2, 3])
    if draw(st.booleans()):
        kwargs["dim"] = dim(draw, sizes)
    return [array(draw, sizes)], kwargs


@drawn("trapezoid")
def _(draw, name):
    sizes = shape(draw, 1)
    return [array(draw, sizes, WIDE)], {"dx": 0.5, "dim": dim(draw, sizes)}


@drawn("F.softmax", "F.log_softmax", "F.softmin")
def _(draw, name):
    sizes = shape(draw)
    kwargs: dict[str, Any] = {"dim": dim(draw, sizes)}
    if draw(st.integers(0, 3)) == 0:
        kwargs["dtype"] = {"dtype": draw(st.sampled_from(["float64", "float32"]))}
    return [array(draw, sizes)], kwargs


# --------------------------------------------------------------------- sorting and searching


@drawn("sort", "argsort")
def _(draw, name):
    sizes = shape(draw)
    kwargs = options(draw, descending=[True, False])
    kwargs |= {"dim": dim(draw, sizes), "stable": True}
    return [array(draw, sizes, REAL)], kwargs


@drawn("msort", "unique", "unique_consecutive")
def _(draw, name):
    first = array(draw, dtypes=REAL, grad=False, kinds=("ties", "plain"))
    if name == "msort":
        return [first], {}
    return [first], options(draw, return_inverse=[True], return_counts=[True])


@drawn("topk")
def _(draw, name):
    sizes = shape(draw)
    kwargs = options(draw, largest=[True, False])
    return [
        array(draw, sizes, REAL, kinds=("plain",)),
        draw(st.integers(0, 5)),
        dim(draw, sizes),
    ], kwargs


@drawn("searchsorted", "bucketize")
def _(draw, name):
    edges = {
        "array": draw(st.sampled_from(WIDE)),
        "shape": [5],
        "values": [-1.0, -0.5, 0.0, 0.5, 0.5],
    }
    values = array(draw, dtypes=(edges["array"],), grad=False)
    kwargs = options(draw, right=[True, False], out_int32=[True])
    return ([edges, values] if name == "searchsorted" else [values, edges]), kwargs


@drawn("histc")
def _(draw, name):
    return [array(draw, dtypes=WIDE, kinds=("plain", "ties"), grad=False)], options(
        draw, bins=[1, 5, 0], min=[-1, 0], max=[1, 0]
    )


@drawn("histogram")
def _(draw, name):
    first = array(draw, dtypes=WIDE, kinds=("plain", "ties"), grad=False)
    kwargs = options(draw, range=[[-1.0, 1.0], [0.0, 0.0], [1.0, 0.0]], density=[True, False])
    if draw(st.booleans()):
        kwargs["weight"] = {**first, "seed": 3}
    return [first, draw(st.sampled_from([1, 5, 0]))], kwargs


@drawn("bincount")
def _(draw, name):
    sizes = [draw(st.integers(0, 6))]
    first = array(draw, sizes, INTEGERS, kinds=("positive", "plain"), grad=False)
    return [first], options(draw, minlength=[0, 3, 12, -1])


@drawn("nonzero", "argwhere")
def _(draw, name):
    return [array(draw, grad=False, kinds=("ties", "special"))], {}


# ---------------------------------------------------------------------------------- products


def same(
    draw: Any, *shapes: list[int], dtypes: tuple[str, ...] = (*WIDE, *FLOATS, *COMPLEX, "int64")
) -> list[Any]:
    """Arrays of one dtype, mostly."""
    dtype = draw(st.sampled_from(dtypes))
    made = [array(draw, s, (dtype,), kinds=("plain",)) for s in shapes]
    if draw(st.integers(0, 30)) == 0:
        made[-1]["array"] = draw(st.sampled_from(dtypes))
    return made


def sizes_of(draw: Any, count: int) -> list[int]:
    high = 40 if draw(st.integers(0, 30)) == 0 else 4
    low = 0 if draw(st.integers(0, 6)) == 0 else 1
    return [draw(st.integers(low, high)) for _ in range(count)]


@drawn("matmul")
def _(draw, name):
    m, k, n, b = sizes_of(draw, 4)
    left = draw(st.sampled_from([[k], [m, k], [b, m, k], [1, m, k], [2, 1, m, k]]))
    right = draw(st.sampled_from([[k], [k, n], [b, k, n], [3, k, n]]))
    return same(draw, left, right), {}


@drawn("mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "kron")
def _(draw, name):
    m, k, n, b = sizes_of(draw, 4)
    shapes = {
        "mm": ([m, k], [k, n]), "bmm": ([b, m, k], [b, k, n]), "mv": ([m, k], [k]),
        "dot": ([k], [k]), "vdot": ([k], [k]), "inner": ([m, k], [n, k]), "outer": ([m], [n]),
        "ger": ([m], [n]), "kron": ([min(m, 3), 2], [2, min(n, 3)]),
    }[name]  # fmt: skip
    if draw(st.integers(0, 15)) == 0:
        shapes = (shapes[0], [*shapes[1], 2])
    return same(draw, *shapes), {}


@drawn("addmm", "addmv", "addr", "baddbmm", "addbmm")
def _(draw, name):
    m, k, n, b = sizes_of(draw, 4)
    shapes = {
        "addmm": ([m, n], [m, k], [k, n]), "addmv": ([m], [m, k], [k]), "addr": ([m, n], [m], [n]),
        "baddbmm": ([b, m, n], [b, m, k], [b, k, n]), "addbmm": ([m, n], [b, m, k], [b, k, n]),
    }[name]  # fmt: skip
    made = same(draw, like(draw, shapes[0]), *shapes[1:])
    factors = [1, 0, 2] if made[0]["array"] == "int64" else [1, 0, 0.5, -2]
    return made, options(draw, beta=factors, alpha=factors)


@drawn("F.linear")
def _(draw, name):
    m, k, n, b = sizes_of(draw, 4)
    shapes = [draw(st.sampled_from([[k], [m, k], [b, m, k]])), [n, k]]
    if draw(st.booleans()):
        shapes.append([n])
    return same(draw, *shapes), {}


@drawn("F.bilinear")
def _(draw, name):
    m, k, n, b = sizes_of(draw, 4)
    return same(draw, [b, k], [b, n], [m, k, n], [m], dtypes=WIDE), {}


@drawn("tensordot")
def _(draw, name):
    m, k, n = sizes_of(draw, 3)
    dims = draw(st.sampled_from([0, 1, 2]))
    return same(draw, [m, k, n][: 1 + dims], [m, k, n][1:] if dims == 2 else [m, k], dtypes=WIDE), {
        "dims": dims
    }


@drawn("einsum")
def _(draw, name):
    i, j, k, b = sizes_of(draw, 4)
    equation = draw(
        st.sampled_from(
            [
                "ij,jk->ik",
                "ij,jk",
                "bij,bjk->bik",
                "ij->ji",
                "ii->i",
                "ij->",
                "i,j->ij",
                "...ij,...jk->...ik",
            ]
        )
    )
    terms = equation.split("->")[0].replace("...", "").split(",")
    sizes = {"i": i, "j": j, "k": k, "b": b}
    return [
        equation,
        *same(draw, *([sizes[c] for c in t] for t in terms), dtypes=(*WIDE, *COMPLEX)),
    ], {}


@drawn("cross", "linalg.cross", "linalg.vecdot")
def _(draw, name):
    sizes = [draw(st.sampled_from([1, 2, 3])), 3]
    return same(draw, sizes, like(draw, sizes)), {"dim": -1} if draw(st.booleans()) else {}


@drawn("cdist")
def _(draw, name):
    m, k, n, b = sizes_of(draw, 4)
    lead = draw(st.sampled_from([[], [b]]))
    p = draw(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, float("inf")]))
    return same(draw, [*lead, m, k], [*lead, n, k], dtypes=WIDE), {"p": p}


@drawn("dist")
def _(draw, name):
    sizes = shape(draw)
    return [
        *same(draw, sizes, like(draw, sizes), dtypes=WIDE),
        draw(st.sampled_from([0, 1, 2, 3, float("inf")])),
    ], {}


@drawn("F.pairwise_distance", "F.cosine_similarity")
def _(draw, name):
    sizes = shape(draw, 1)
    return same(draw, sizes, like(draw, sizes), dtypes=WIDE), {}


@drawn("F.normalize")
def _(draw, name):
    sizes = shape(draw, 1)
    kwargs = options(draw, p=[1, 2, 3, float("inf")])
    return [array(draw, sizes, FLOATS)], {**kwargs, "dim": dim(draw, sizes)}


@drawn("renorm")
def _(draw, name):
    sizes = shape(draw, 2)
    return [array(draw, sizes, WIDE), draw(st.sampled_from([1, 2, 3])), dim(draw, sizes), 1.5], {}


# ------------------------------------------------------------------------- shapes and views


@drawn("reshape", ".view", ".reshape")
def _(draw, name):
    first = array(draw)
    new = draw(st.lists(st.integers(-1, 6), max_size=3)) if draw(st.booleans()) else [-1]
    return [first, new], {}


@drawn("transpose", "swapaxes")
def _(draw, name):
    first = array(draw)
    return [first, dim(draw, first["shape"]), dim(draw, first["shape"])], {}


@drawn("permute", "flip", ".expand", ".repeat", "tile")
def _(draw, name):
    first = array(draw)
    n = len(first["shape"])
    if name == "permute":
        dims = draw(st.permutations(range(n))) if draw(st.integers(0, 9)) else [0, 0]
    elif name == "flip":
        dims = [dim(draw, first["shape"]) for _ in range(draw(st.integers(0, 2)))]
    elif name == ".expand":
        dims = [draw(st.sampled_from([-1, n, 2])) for n in first["shape"]]
        dims = draw(st.sampled_from([[], [2], [0]])) + dims
    else:
        dims = draw(
            st.lists(st.integers(-1 if draw(st.integers(0, 20)) == 0 else 0, 3), max_size=4)
        )
    return [first, list(dims)], {}


@drawn("squeeze", "unsqueeze", "unbind", "flatten", "ravel", "t", "fliplr", "flipud")
def _(draw, name):
    first = array(draw)
    if name in ("squeeze", "unsqueeze", "unbind"):
        args = [dim(draw, first["shape"])] if name != "squeeze" or draw(st.booleans()) else []
        return [first, *args], {}
    if name == "flatten":
        return [first], options(draw, start_dim=[0, 1, -1], end_dim=[-1, 1, 0])
    return [first], {}


@drawn("narrow", "select")
def _(draw, name):
    first = array(draw)
    numbers = [draw(st.integers(-3, 4)) for _ in range(2 if name == "narrow" else 1)]
    return [first, dim(draw, first["shape"]), *numbers], {}


@drawn("split", "chunk", "tensor_split")
def _(draw, name):
    first = array(draw)
    parts = draw(st.integers(-1 if draw(st.integers(0, 9)) == 0 else 1, 4))
    if name != "chunk" and draw(st.booleans()):
        parts = [draw(st.integers(0, 3)) for _ in range(2)]
    return [first, parts], {"dim": dim(draw, first["shape"])}


@drawn("cat", "stack", "hstack", "vstack", "dstack", "column_stack")
def _(draw, name):
    sizes = shape(draw)
    along = dim(draw, sizes)
    tensors = []
    dtype = draw(st.sampled_from(ANY))
    for _ in range(draw(st.integers(0 if draw(st.integers(0, 20)) == 0 else 1, 3))):
        one = list(sizes)
        if name == "cat" and one and -len(one) <= along < len(one):
            one[along] = draw(st.integers(0, 3))
        tensors.append(array(draw, one, (dtype, dtype, draw(st.sampled_from(ANY)))))
    return [tensors], {"dim": along} if name in ("cat", "stack") else {}


@drawn("roll", "rot90", "movedim")
def _(draw, name):
    first = array(draw)
    sizes = first["shape"]
    if name == "roll":
        return [first, draw(st.integers(-5, 5))], {"dims": dim(draw, sizes)} if draw(
            st.booleans()
        ) else {}
    if name == "rot90":
        return [first, draw(st.integers(-3, 5)), [0, 1]], {}
    return [first, dim(draw, sizes), dim(draw, sizes)], {}


@drawn("repeat_interleave")
def _(draw, name):
    first = array(draw)
    return [first, draw(st.integers(-1, 3))], {"dim": dim(draw, first["shape"])} if draw(
        st.booleans()
    ) else {}


@drawn("tril", "triu", "diagonal", "diag", "trace", "diag_embed", "diagflat", "block_diag")
def _(draw, name):
    first = array(draw, shape(draw, 1, 3))
    if name == "trace":
        return [first], {}
    if name == "block_diag":
        return [first, array(draw, shape(draw, 1, 2), (first["array"],))], {}
    return [first, draw(st.integers(-3, 3))], {}


@drawn(".unfold")
def _(draw, name):
    first = array(draw)
    return [first, dim(draw, first["shape"]), draw(st.integers(0, 4)), draw(st.integers(0, 3))], {}


@drawn("as_strided")
def _(draw, name):
    first = array(draw, dtypes=("float32", "int64"))
    first["layout"] = "dense"
    sizes = draw(st.lists(st.integers(0, 3), max_size=3))
    strides = [draw(st.integers(-1 if draw(st.integers(0, 20)) == 0 else 0, 3)) for _ in sizes]
    return [first, sizes, strides, draw(st.integers(0, 2))], {}


@drawn("F.pad")
def _(draw, name):
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    if mode == "constant":
        first = array(draw)
        count = 2 * draw(st.integers(0, len(first["shape"])))
        pads = [draw(st.integers(-2, 3)) for _ in range(count)]
        return [first, pads], {"value": number(draw, False)}
    spatial = draw(st.integers(1, 3))
    first = array(
        draw,
        [draw(st.integers(0, 2)), 2, *(draw(st.integers(1, 4)) for _ in range(spatial))],
        FLOATS,
    )
    return [first, [draw(st.integers(-1, 3)) for _ in range(2 * spatial)]], {"mode": mode}


@drawn("F.pixel_shuffle", "F.pixel_unshuffle", "F.channel_shuffle")
def _(draw, name):
    c, h, w = (draw(st.integers(1, 8)) for _ in range(3))
    return [
        array(draw, [draw(st.integers(0, 2)), c, h, w], ("float32", "float64", "int64")),
        draw(st.integers(1, 3)),
    ], {}


@drawn("meshgrid", "cartesian_prod", "broadcast_tensors")
def _(draw, name):
    dtype = draw(st.sampled_from(ANY))
    if name == "broadcast_tensors":
        sizes = shape(draw)
        return [array(draw, sizes, (dtype,)), array(draw, like(draw, sizes), (dtype,))], {}
    tensors = [array(draw, [draw(st.integers(0, 3))], (dtype,)) for _ in range(2)]
    return tensors, {"indexing": draw(st.sampled_from(["ij", "xy"]))} if name == "meshgrid" else {}


@drawn("combinations", "vander")
def _(draw, name):
    first = array(draw, [draw(st.integers(0, 4))], ("float32", "int64"))
    if name == "vander":
        return [first], options(draw, N=[0, 2, 4], increasing=[True])
    return [first], options(draw, r=[0, 1, 2, 3], with_replacement=[True])


# ---------------------------------------------------------------------------------- indexing


def one_index(draw: Any, n: int) -> Any:
    what = draw(
        st.sampled_from(["int", "slice", "none", "ellipsis", "list", "tensor", "mask", "bool"])
    )
    if what == "int":
        return draw(
            st.integers(-n - 1 if draw(st.integers(0, 9)) == 0 else -max(n, 1), max(n - 1, 0))
        )
    if what == "slice":
        bound = st.one_of(st.none(), st.integers(-5, 5))
        return {"slice": [draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3]))]}
    if what == "none":
        return None
    if what == "ellipsis":
        return {"ellipsis": True}
    if what == "bool":
        return draw(st.booleans())
    if what == "mask":
        return array(
            draw, [n], ("bool", "bool", "uint8"), grad=False, layout="dense", kind="ties"
        ) | {"array": "bool"}
    sizes = draw(st.sampled_from([[2], [3], [1], [2, 2], [0], []]))
    if what == "list":
        sizes = [3]
    found = index(draw, sizes, n, low=-n)
    return found["values"] if what == "list" else found


def whole_index(draw: Any, sizes: list[int]) -> Any:
    parts = [one_index(draw, n) for n in sizes[: draw(st.integers(0, len(sizes)))]]
    if len(parts) == 1 and draw(st.booleans()):
        return parts[0]
    return {"tuple": parts}


@drawn(".__getitem__")
def _(draw, name):
    first = array(draw)
    return [first, whole_index(draw, first["shape"])], {}


@drawn(".__setitem__")
def _(draw, name):
    first = array(draw, grad=False)
    if first["layout"] == "expanded":
        first["layout"] = "dense"
    value = (
        number(draw, False)
        if draw(st.booleans())
        else array(draw, draw(st.sampled_from([[], [1]])), (first["array"],), grad=False)
    )
    return {
        "name": name,
        "args": [first, whole_index(draw, first["shape"]), value],
        "look": "target",
    }


@drawn("gather", "take_along_dim")
def _(draw, name):
    sizes = shape(draw, 1)
    along = draw(st.integers(-len(sizes), len(sizes) - 1))
    wanted = [n if draw(st.booleans()) else draw(st.integers(0, n)) for n in sizes]
    if name == "take_along_dim":
        wanted = list(sizes)
    wanted[along] = draw(st.integers(0, 4))
    first, places = array(draw, sizes), index(draw, wanted, sizes[along])
    return ([first, along, places] if name == "gather" else [first, places, along]), {}


@drawn("scatter", "scatter_add", "scatter_reduce")
def _(draw, name):
    sizes = shape(draw, 1)
    along = draw(st.integers(-len(sizes), len(sizes) - 1))
    wanted = [draw(st.integers(0, n)) for n in sizes]
    wanted[along] = (
        min(draw(st.integers(0, 4)), sizes[along]) if name == "scatter" else draw(st.integers(0, 4))
    )
    first = array(draw, sizes, kinds=("plain",))
    count = 1
    for n in wanted:
        count *= n
    places = index(draw, wanted, sizes[along])
    if name == "scatter":  # each place once along the dim, or the order of writing would count
        places["values"] = [0] * count if wanted[along] <= 1 else places["values"]
        if wanted[along] > 1:
            return [first, along, places, draw(st.sampled_from([0, 1, 2.5]))], {}
    source = array(draw, wanted, (first["array"],), kinds=("plain",))
    if name == "scatter_reduce":
        reduce = draw(st.sampled_from(["sum", "prod", "mean", "amax", "amin"]))
        return [first, along, places, source, reduce], options(draw, include_self=[True, False])
    return [first, along, places, source], {}


@drawn("index_select", "index_add", "index_copy", "index_fill", "index_reduce")
def _(draw, name):
    sizes = shape(draw, 0 if draw(st.integers(0, 9)) == 0 else 1)
    along = dim(draw, sizes)
    n = sizes[along] if -len(sizes) <= along < len(sizes) else 1
    count = draw(st.integers(0, 4))
    first = array(draw, sizes, kinds=("plain",))
    places = index(draw, [count], n)
    if name == "index_select":
        return [first, along, places], {}
    if name == "index_fill":
        return [first, along, places, number(draw, False)], {}
    if name == "index_copy":
        places["values"] = list(range(min(count, n)))
        places["shape"] = [len(places["values"])]
    rows = list(sizes)
    if -len(sizes) <= along < len(sizes):
        rows[along] = places["shape"][0]
    source = array(draw, rows, (first["array"],), kinds=("plain",))
    if name == "index_reduce":
        how = draw(st.sampled_from(["prod", "mean", "amax", "amin", "sum"]))
        return [first, along, places, source, how], options(draw, include_self=[True, False])
    return [first, along, places, source], {}


@drawn("take", "put", "index_put")
def _(draw, name):
    first = array(draw, kinds=("plain",))
    count = 1
    for n in first["shape"]:
        count *= n
    places = index(draw, [draw(st.integers(0, 4))], count, low=-count)
    if name == "take":
        return [first, places], {}
    source = array(draw, places["shape"], (first["array"],), kinds=("plain",))
    if name == "put":
        return [first, places, source, True], {}
    n = first["shape"][0] if first["shape"] else 1
    places = index(draw, [draw(st.integers(0, 4))], n)
    return [first, {"tuple": [places]}, array(draw, [], (first["array"],), kinds=("plain",))], {
        "accumulate": draw(st.booleans())
    }


@drawn("masked_fill", "masked_select", "masked_scatter")
def _(draw, name):
    first = array(draw)
    mask = array(draw, like(draw, first["shape"]), ("bool",), grad=False)
    if name == "masked_fill":
        value = number(draw) if draw(st.booleans()) else array(draw, [], (first["array"],))
        return [first, mask, value], {}
    if name == "masked_select":
        return [first, mask], {}
    return [first, mask, array(draw, [30], (first["array"],))], {}


@drawn(".fill_", ".fill_diagonal_")
def _(draw, name):
    return {"name": name, "args": [array(draw, grad=False), number(draw, False)], "look": "target"}


@drawn("F.embedding")
def _(draw, name):
    n = draw(st.integers(1, 5))
    places = index(draw, shape(draw, 0, 2), n)
    kwargs = options(draw, padding_idx=[0, -1, 9], scale_grad_by_freq=[True])
    return [places, array(draw, [n, 3], FLOATS)], kwargs


@drawn("F.embedding_bag")
def _(draw, name):
    n = draw(st.integers(1, 5))
    places = index(draw, [draw(st.integers(0, 3)), draw(st.integers(0, 3))], n)
    kwargs = options(draw, mode=["sum", "mean", "max"], padding_idx=[0])
    return [places, array(draw, [n, 3], WIDE, kinds=("plain",))], kwargs


@drawn("F.one_hot")
def _(draw, name):
    return [index(draw, shape(draw, 0, 2), 4)], options(draw, num_classes=[-1, 4, 5, 2, 0])


# ---------------------------------------------------------------------------------- creation


@drawn("arange", "range")
def _(draw, name):
    bound = st.sampled_from([0, 1, 5, -3, 2.5, 0.3, 10])
    args = draw(st.lists(bound, min_size=1 if name == "arange" else 2, max_size=2))
    if len(args) == 2 and draw(st.booleans()):
        args.append(draw(st.sampled_from([1, 2, -1, 0.5, 0])))
    return args, {
        "dtype": {"dtype": draw(st.sampled_from(["float32", "int64", "float64", "int8"]))}
    } if draw(st.booleans()) else {}


@drawn("linspace", "logspace")
def _(draw, name):
    bound = st.sampled_from([0, 1, 2.5, -3])
    return [draw(bound), draw(bound), draw(st.sampled_from([0, 1, 2, 5, 11, -1]))], {
        "dtype": {"dtype": draw(st.sampled_from(["float32", "float64", "int64"]))}
    } if draw(st.booleans()) else {}


@drawn("full", "zeros", "ones")
def _(draw, name):
    sizes = draw(st.lists(st.integers(-1 if draw(st.integers(0, 15)) == 0 else 0, 3), max_size=3))
    kwargs = {"dtype": {"dtype": draw(st.sampled_from(ANY))}} if draw(st.booleans()) else {}
    return [sizes, *([number(draw, False)] if name == "full" else [])], kwargs


@drawn("eye", "tril_indices", "triu_indices")
def _(draw, name):
    args = [draw(st.integers(-1 if draw(st.integers(0, 15)) == 0 else 0, 4)) for _ in range(2)]
    return args, {}


@drawn("full_like", "zeros_like", "ones_like", ".new_full", ".new_zeros")
def _(draw, name):
    first = array(draw, grad=False)
    more = [] if "full" not in name and not name.startswith(".") else [number(draw, False)]
    if name.startswith("."):
        more = [[2, 3], *(more if "full" in name else [])]
    return [first, *more], {}


@drawn("tensor", "as_tensor")
def _(draw, name):
    values = st.sampled_from([0, 1, 2.5, True, False, -3, float("nan"), 300, {"complex": [1, 2]}])
    nested = draw(
        st.one_of(
            values,
            st.lists(values, max_size=3),
            st.lists(st.lists(values, min_size=2, max_size=2), max_size=3),
        )
    )
    kwargs = (
        {"dtype": {"dtype": draw(st.sampled_from(ANY))}} if draw(st.integers(0, 3)) == 0 else {}
    )
    return [nested], kwargs


@drawn(".to", ".type_as")
def _(draw, name):
    first = array(draw, kinds=("plain", "ties"))
    if name == ".to":
        return [first, {"dtype": draw(st.sampled_from(ANY))}], {}
    return [first, array(draw, grad=False)], {}


@drawn(".item", ".tolist", ".__bool__", ".__float__", ".__int__", ".__len__")
def _(draw, name):
    sizes = shape(draw) if draw(st.booleans()) else draw(st.sampled_from([[], [1], [1, 1]]))
    return [array(draw, sizes, grad=False, kinds=("plain", "ties"))], {}


@drawn("result_type", "can_cast", "promote_types")
def _(draw, name):
    if name == "result_type":
        return [v | {"grad": False} if isinstance(v, dict) else v for v in pair(draw)], {}
    return [{"dtype": draw(st.sampled_from(ANY))} for _ in range(2)], {}


# ------------------------------------------------------------------------------------- losses


@drawn(
    "F.mse_loss",
    "F.l1_loss",
    "F.smooth_l1_loss",
    "F.huber_loss",
    "F.soft_margin_loss",
    "F.hinge_embedding_loss",
)
def _(draw, name):
    first = array(draw, dtypes=FLOATS)
    target = array(
        draw,
        first["shape"] if draw(st.integers(0, 9)) else like(draw, first["shape"]),
        (first["array"],),
    )
    if "margin" in name or "hinge" in name:
        target |= {"kind": "ties"}
        target.pop("grad", None)
    return [first, target], options(draw, reduction=[*REDUCTIONS, "other"])


@drawn(
    "F.binary_cross_entropy", "F.binary_cross_entropy_with_logits", "F.kl_div", "F.poisson_nll_loss"
)
def _(draw, name):
    kinds = ("positive",) if name == "F.binary_cross_entropy" else ("plain", "special")
    first = array(draw, dtypes=WIDE, kinds=kinds)
    target = array(draw, first["shape"], (first["array"],), kinds=("positive",), grad=False)
    kwargs = options(draw, reduction=REDUCTIONS)
    if name == "F.kl_div":
        kwargs |= options(draw, log_target=[True, False])
    if name == "F.poisson_nll_loss":
        kwargs |= options(draw, log_input=[True, False], full=[True])
    return [first, target], kwargs


@drawn("F.nll_loss", "F.cross_entropy")
def _(draw, name):
    n, classes = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    rest = draw(st.sampled_from([[], [], [2], [2, 3]]))
    dtype = draw(st.sampled_from(FLOATS if name == "F.cross_entropy" else WIDE))
    scores = array(draw, [n, classes, *rest], (dtype,), kinds=("plain",))
    target = index(draw, [n, *rest], classes)
    kwargs = options(draw, reduction=REDUCTIONS, ignore_index=[-100, 0, 1])
    if draw(st.integers(0, 3)) == 0:
        kwargs["weight"] = array(draw, [classes], (dtype,), kinds=("positive",), grad=False)
    if name == "F.cross_entropy":
        kwargs |= options(draw, label_smoothing=[0.1])
    return [scores, target], kwargs


@drawn("F.margin_ranking_loss", "F.cosine_embedding_loss", "F.triplet_margin_loss")
def _(draw, name):
    n = draw(st.integers(0, 4))
    sizes = [n] if "ranking" in name else [n, 3]
    dtype = (draw(st.sampled_from(WIDE)),)
    inputs = [array(draw, sizes, dtype, kinds=("plain",)) for _ in range(3)]
    if "triplet" not in name:
        inputs[2] = {"array": dtype[0], "shape": [n], "values": [(-1) ** k for k in range(n)]}
    return inputs, options(draw, margin=[0.0, 0.5, 1.0], reduction=REDUCTIONS)


@drawn("F.multi_margin_loss", "F.multilabel_soft_margin_loss", "F.gaussian_nll_loss")
def _(draw, name):
    n, c = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    dtype = (draw(st.sampled_from(WIDE)),)
    first = array(draw, [n, c], dtype, kinds=("plain",))
    kwargs = options(draw, reduction=REDUCTIONS)
    if name == "F.multi_margin_loss":
        return [first, index(draw, [n], c)], kwargs | options(draw, p=[1, 2], margin=[0.5, 1.0])
    target = array(draw, [n, c], dtype, kinds=("positive",), grad=False)
    if name == "F.gaussian_nll_loss":
        return [first, target, array(draw, [n, c], dtype, kinds=("positive",))], kwargs
    return [first, target], kwargs


# ----------------------------------------------------------------- layers of images and rows


def image(
    draw: Any, spatial: int, channels: int | None = None, dtypes: tuple[str, ...] = WIDE
) -> dict[str, Any]:
    c = draw(st.integers(1, 4)) if channels is None else channels
    n = draw(st.integers(0, 3)) if draw(st.integers(0, 3)) == 0 else draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, 9)) for _ in range(spatial)]
    batch = [n] if draw(st.integers(0, 5)) else []
    return array(draw, [*batch, c, *sizes], dtypes, kinds=("plain",))


@drawn(
    "F.conv1d",
    "F.conv2d",
    "F.conv3d",
    "F.conv_transpose1d",
    "F.conv_transpose2d",
    "F.conv_transpose3d",
)
def _(draw, name):
    spatial = int(name[-2])
    transposed = "transpose" in name
    groups = draw(st.sampled_from([1, 1, 2]))
    inside, outside = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    x = image(draw, spatial, inside, (*WIDE, "float32", "float16", "bfloat16"))
    dtype = (x["array"],)
    kernel = [draw(st.integers(1, 3)) for _ in range(spatial)]
    pair = (inside, outside // groups) if transposed else (outside, inside // groups)
    weight = array(draw, [*pair, *kernel], dtype, kinds=("plain",))
    kwargs: dict[str, Any] = options(draw, stride=[1, 2, 3], padding=[0, 1, 2], dilation=[1, 2, 3])
    kwargs["groups"] = groups
    if transposed:
        kwargs |= options(draw, output_padding=[0, 1, 2])
    elif draw(st.integers(0, 6)) == 0:
        kwargs["padding"] = draw(st.sampled_from(["same", "valid"]))
    if draw(st.booleans()):
        kwargs["bias"] = array(draw, [outside], dtype, kinds=("plain",))
    return [x, weight], kwargs


@drawn(
    "F.max_pool1d", "F.max_pool2d", "F.max_pool3d", "F.avg_pool1d", "F.avg_pool2d", "F.avg_pool3d"
)
def _(draw, name):
    x = image(draw, int(name[-2]), dtypes=(*FLOATS, "int64"))
    kwargs = options(draw, stride=[1, 2, 3], padding=[0, 1], ceil_mode=[True, False])
    if "max" in name:
        kwargs |= options(draw, dilation=[1, 2], return_indices=[True])
        if draw(st.integers(0, 3)) == 0:
            x["kind"] = "special"
    else:
        kwargs |= options(draw, count_include_pad=[True, False])
    return [x, draw(st.integers(1, 3))], kwargs


@drawn("F.lp_pool1d", "F.lp_pool2d")
def _(draw, name):
    x = image(draw, int(name[-2]))
    return [x, draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 3))], options(
        draw, stride=[1, 2], ceil_mode=[True]
    )


@drawn(
    "F.adaptive_avg_pool1d",
    "F.adaptive_avg_pool2d",
    "F.adaptive_avg_pool3d",
    "F.adaptive_max_pool1d",
    "F.adaptive_max_pool2d",
    "F.adaptive_max_pool3d",
)
def _(draw, name):
    return [image(draw, int(name[-2])), draw(st.integers(0, 4))], {}


@drawn("F.interpolate")
def _(draw, name):
    spatial = draw(st.integers(1, 3))
    modes = {
        1: ["nearest", "linear", "area", "nearest-exact"],
        2: ["nearest", "bilinear", "bicubic", "area", "nearest-exact"],
        3: ["nearest", "trilinear", "area"],
    }[spatial]
    x = image(draw, spatial, dtypes=(*WIDE, "uint8"))
    if len(x["shape"]) < spatial + 2:
        x["shape"] = [1, *x["shape"]]
    mode = draw(st.sampled_from(modes))
    kwargs: dict[str, Any] = {"mode": mode}
    if draw(st.booleans()):
        kwargs["size"] = [draw(st.integers(1, 9)) for _ in range(spatial)]
    else:
        kwargs["scale_factor"] = draw(st.sampled_from([0.5, 2, 1.7, 3]))
        kwargs |= options(draw, recompute_scale_factor=[True])
    if "linear" in mode or "cubic" in mode:
        kwargs |= options(draw, align_corners=[True, False])
    if mode in ("bilinear", "bicubic"):
        kwargs |= options(draw, antialias=[True])
    return [x], kwargs


@drawn("F.grid_sample")
def _(draw, name):
    n, c, h, w = (draw(st.integers(1, 4)) for _ in range(4))
    dtype = (draw(st.sampled_from(WIDE)),)
    x = array(draw, [n, c, h, w], dtype, kinds=("plain",))
    grid = array(draw, [n, 2, 3, 2], dtype, kinds=("plain",))
    return [x, grid], options(
        draw,
        mode=["bilinear", "nearest", "bicubic"],
        padding_mode=["zeros", "border", "reflection"],
    ) | {"align_corners": draw(st.booleans())}


@drawn("F.affine_grid")
def _(draw, name):
    n = draw(st.integers(1, 3))
    return [
        array(draw, [n, 2, 3], WIDE, kinds=("plain",)),
        [n, 1, draw(st.integers(1, 4)), draw(st.integers(1, 4))],
    ], {"align_corners": draw(st.booleans())}


@drawn("F.unfold", "F.fold")
def _(draw, name):
    kwargs = options(draw, stride=[1, 2], padding=[0, 1], dilation=[1, 2])
    k = draw(st.integers(1, 2))
    if name == "F.unfold":
        return [image(draw, 2), k], kwargs
    s, p, d = kwargs.get("stride", 1), kwargs.get("padding", 0), kwargs.get("dilation", 1)
    places = (4 + 2 * p - d * (k - 1) - 1) // s + 1
    return [
        array(draw, [draw(st.integers(0, 2)), 2 * k * k, places * places], WIDE, kinds=("plain",)),
        [4, 4],
        k,
    ], kwargs


@drawn(
    "F.batch_norm",
    "F.instance_norm",
    "F.group_norm",
    "F.layer_norm",
    "F.rms_norm",
    "F.local_response_norm",
)
def _(draw, name):
    x = image(draw, draw(st.integers(0 if name == "F.batch_norm" else 1, 2)), dtypes=WIDE)
    dtype = (x["array"],)
    sizes = x["shape"]
    if name in ("F.batch_norm", "F.instance_norm"):
        c = sizes[1] if len(sizes) > 1 else 1
        kwargs: dict[str, Any] = (
            {"weight": array(draw, [c], dtype, kinds=("plain",)), "bias": array(draw, [c], dtype)}
            if draw(st.booleans())
            else {}
        )
        if name == "F.batch_norm":
            training = draw(st.booleans())
            stats = [array(draw, [c], dtype, kinds=("positive",), grad=False) for _ in range(2)]
            return [x, *stats], {**kwargs, "training": training}
        return [x], kwargs
    if name == "F.group_norm":
        return [x, draw(st.sampled_from([1, sizes[1] if len(sizes) > 1 else 1, 3]))], {}
    if name == "F.local_response_norm":
        return [x, draw(st.integers(1, 3))], {}
    over = sizes[draw(st.integers(0, max(len(sizes) - 1, 0))) :]
    return [x, over], {"weight": array(draw, over, dtype, kinds=("plain",))} if draw(
        st.booleans()
    ) else {}


@drawn("F.scaled_dot_product_attention")
def _(draw, name):
    b, length, s, e = draw(st.integers(1, 2)), *(draw(st.integers(1, 5)) for _ in range(3))
    dtype = (draw(st.sampled_from(WIDE)),)
    tensors = [array(draw, [b, 2, n, e], dtype, kinds=("plain",)) for n in (length, s, s)]
    kwargs: dict[str, Any] = {"is_causal": True} if draw(st.booleans()) else {}
    if not kwargs and draw(st.booleans()):
        kwargs["attn_mask"] = array(
            draw,
            [length, s],
            (draw(st.sampled_from(["bool", dtype[0]])),),
            kinds=("plain",),
            grad=False,
        )
    return tensors, kwargs


# ---------------------------------------------------------------------------- linear algebra


def matrix(
    draw: Any, rows: int, columns: int, dtypes: tuple[str, ...] = (*WIDE, *COMPLEX)
) -> dict[str, Any]:
    lead = draw(st.sampled_from([[], [], [2], [0], [2, 1]]))
    return array(draw, [*lead, rows, columns], dtypes, kinds=("plain",))


@drawn(
    "det",
    "logdet",
    "slogdet",
    "inverse",
    "matrix_exp",
    "linalg.det",
    "linalg.slogdet",
    "linalg.inv",
    "linalg.inv_ex",
)
def _(draw, name):
    n = draw(st.integers(0, 4))
    x = matrix(draw, n, n if draw(st.integers(0, 15)) else n + 1)
    if name == "linalg.inv_ex":  # what is found of a singular matrix is anyone's
        x["layout"] = "dense"
    return {"name": name, "args": [x], "gradients": name != "matrix_exp"}


@drawn("linalg.svdvals", "linalg.pinv", "linalg.matrix_rank", "pinverse", "linalg.cond")
def _(draw, name):
    return {
        "name": name,
        "args": [matrix(draw, draw(st.integers(1, 4)), draw(st.integers(1, 4)))],
        "gradients": False,
    }


@drawn("linalg.lu", "linalg.lu_factor", "linalg.lu_factor_ex")
def _(draw, name):
    x = matrix(draw, draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return [{**x, "layout": "dense"}], {}


@drawn("linalg.householder_product")
def _(draw, name):
    x = array(draw, [draw(st.integers(1, 4)), 3], (*WIDE, *COMPLEX), kinds=("plain",))
    scales = array(draw, [draw(st.integers(0, 4))], (x["array"],), kinds=("plain",))
    return [x, scales], {}


@drawn("linalg.tensorinv", "linalg.tensorsolve")
def _(draw, name):
    sizes = draw(st.sampled_from([[2, 2, 4], [4, 2, 2], [2, 4, 2], [1, 3, 3]]))
    x = array(draw, sizes, (*WIDE, *COMPLEX), kinds=("plain",))
    x["layout"] = "dense"
    if name == "linalg.tensorinv":
        return [x], options(draw, ind=[1, 2, 0])
    right = array(draw, sizes[: draw(st.integers(1, 2))], (x["array"],), kinds=("plain",))
    return [x, right], options(draw, dims=[[1], [0, 2]])


@drawn("linalg.matrix_norm", "linalg.norm")
def _(draw, name):
    order = draw(st.sampled_from(["fro", "nuc", 1, -1, 2, -2, float("inf")]))
    return {
        "name": name,
        "args": [matrix(draw, draw(st.integers(1, 4)), draw(st.integers(1, 4))), order],
        "gradients": False,
    }


@drawn("linalg.solve", "linalg.solve_ex", "matrix_power", "linalg.matrix_power")
def _(draw, name):
    n = draw(st.integers(1, 4))
    x = array(draw, [n, n], (*WIDE, *COMPLEX), kinds=("plain",))
    if name == "linalg.solve_ex":
        x["layout"] = "dense"
    if name.startswith("linalg.solve"):
        right = array(draw, draw(st.sampled_from([[n], [n, 2]])), (x["array"],), kinds=("plain",))
        return {"name": name, "args": [x, right]}
    return {"name": name, "args": [x, draw(st.integers(-2, 4))], "gradients": False}


@drawn("fft.fft", "fft.ifft", "fft.rfft", "fft.irfft", "fft.hfft", "fft.ihfft", "fft.fftshift")
def _(draw, name):
    sizes = shape(draw, 1)
    x = array(draw, sizes, (*WIDE, *COMPLEX, "int64"), kinds=("plain",))
    if name == "fft.fftshift":
        return [x], {}
    return [x], options(draw, n=[1, 3, 4, 0], norm=["ortho", "forward", "backward", "other"]) | {
        "dim": dim(draw, sizes)
    }


@drawn("fft.fft2", "fft.fftn", "fft.rfftn", "fft.irfftn", "fft.ifftn")
def _(draw, name):
    return [array(draw, shape(draw, 2), (*WIDE, *COMPLEX), kinds=("plain",))], options(
        draw, norm=["ortho", "forward"]
    )


@drawn("cov", "corrcoef")
def _(draw, name):
    return [array(draw, shape(draw, 1, 2, low=1), (*WIDE, *COMPLEX), kinds=("plain",))], options(
        draw, correction=[0, 1]
    ) if name == "cov" else {}
