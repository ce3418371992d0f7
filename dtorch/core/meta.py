"""Arrays without memory, for the device ``meta``: sizes, strides and a dtype, but no elements.

The bodies of operations, and their gradient formulas, run on a `MetaArray` as on any array: NumPy's
functions ask it what they would give. Nothing is computed for that. The dtype of a result is what
NumPy gives for one element, its sizes follow from those of the operands, and a view is NumPy's own
view of an array that lies nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from dtorch.core.errors import NoDataError

ndarray = np.ndarray

used = False  # whether there ever was such an array


class _Inside(threading.local):
    """How many composite operations a thread is in: they mix what they make with their operands."""

    depth = 0


inside = _Inside()

_NOWHERE = np.zeros(16, np.uint8)  # as much as one element of any dtype takes
_START = int(_NOWHERE.ctypes.data)


def _frame(shape: Sequence[int], dtype: Any, strides: Any = None) -> ndarray:
    """An array whose elements nobody may look at: it says that they lie where nothing is."""
    dtype = np.dtype(dtype)
    if strides is None:
        strides = _steps(shape, range(len(shape)), dtype.itemsize)
    one = _NOWHERE[: dtype.itemsize].view(dtype)
    return np.lib.stride_tricks.as_strided(one, tuple(shape), tuple(strides))


def _steps(shape: Sequence[int], order: Sequence[int], itemsize: int) -> list[int]:
    """Strides of an array whose dims follow each other in memory, the last of ``order`` fastest."""
    steps, step = [0] * len(shape), itemsize
    for dim in reversed(order):
        steps[dim] = step
        step *= max(shape[dim], 1)
    if step >= 2**63:
        raise ValueError(
            "array is too big; `arr.size * arr.dtype.itemsize` is larger than possible"
        )
    return steps


class MetaArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Sizes, strides and dtype of an array that has no elements.

    Attributes:
        frame: an array that has them, too, and whose elements must not be looked at.
        answer: how bodies are answered that ask, by ``any`` and ``all``, whether something is wrong
            with their operands: nothing is known to be.
    """

    __slots__ = ("answer", "frame")
    __array_priority__ = 100
    base = None

    def __init__(self, frame: ndarray, answer: bool | None = None) -> None:
        global used
        used = True
        self.frame = frame
        self.answer = answer

    # -- what an array says of itself -------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.frame.shape

    @property
    def strides(self) -> tuple[int, ...]:
        return self.frame.strides

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.frame.dtype

    @property
    def ndim(self) -> int:
        return self.frame.ndim

    @property
    def size(self) -> int:
        return self.frame.size

    @property
    def itemsize(self) -> int:
        return self.frame.itemsize

    @property
    def nbytes(self) -> int:
        return self.frame.nbytes

    @property
    def flags(self) -> Any:
        return self.frame.flags

    @property
    def start(self) -> int:
        """Bytes from the start of the memory that there is not to the first element."""
        return int(self.frame.__array_interface__["data"][0]) - _START if self.size else 0

    @property
    def extent(self) -> int:
        """Bytes from the start of that memory to the end of the last element."""
        if not self.size:
            return 0
        steps = ((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        return self.start + sum(s for s in steps if s > 0) + self.itemsize

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<MetaArray {self.dtype} {self.shape}>"

    def __reduce__(self) -> Any:
        return laid_out, (self.shape, self.dtype.str if self.dtype.kind != "V" else self.dtype,
                          self.strides)  # fmt: skip

    # -- what it cannot do ------------------------------------------------------------------------

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NoDataError(
            f"a meta tensor of shape {self.shape} has no data to look at, copy or compute with: "
            "Cannot copy out of meta tensor; no data! Give it memory first: to_empty(device='cpu') of "
            "a module, load_state_dict(..., assign=True), or empty_like(tensor, device='cpu')"
        )

    def item(self) -> NoReturn:
        raise NoDataError("Tensor.item() cannot be called on meta tensors: they have no data")

    def __bool__(self) -> bool:
        if self.answer is None:
            self.item()
        return self.answer

    __array__ = tolist = tobytes = nonzero = __dlpack__ = _refuse
    __float__ = __int__ = __index__ = __complex__ = item

    # -- what NumPy's functions give ----------------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        if method == "at":
            return None
        options.pop("where", None)
        shape, sample = _ufunc_result(ufunc, method, inputs, options)
        if out is not None:
            for target in out:
                _expect_meta(target)
            return out[0] if len(out) == 1 else out
        likes = [x for x in inputs if isinstance(x, MetaArray) and x.shape == shape]
        samples = sample if isinstance(sample, tuple) else (sample,)
        found = tuple(_fresh(shape, part.dtype, *likes[:1]) for part in samples)
        return found if isinstance(sample, tuple) else found[0]

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        rule = _RULES.get(function)
        if rule is None:
            raise NoDataError(
                f"meta tensor: what {getattr(function, '__name__', function)} gives depends on the "
                "data, or is not known without them; compute it on the CPU"
            )
        return rule(*args, **kwargs)

    # -- parts --------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> MetaArray:
        entries = _entries(index, self.ndim)
        arrays = [i for i, entry in enumerate(entries) if isinstance(entry, tuple)]
        if not arrays:
            return MetaArray(self.frame[(*entries, Ellipsis)])  # never an element
        arrays = [
            i for i, entry in enumerate(entries) if isinstance(entry, (tuple, int, np.integer))
        ]
        kept = self.frame[tuple(slice(None) if i in arrays else e for i, e in enumerate(entries))]
        found = np.broadcast_shapes(*(e if isinstance(e, tuple) else () for e in
                                      (entries[i] for i in arrays)))  # fmt: skip
        together = arrays[-1] - arrays[0] == len(arrays) - 1
        at = arrays[0] if together else 0
        rest = [n for i, n in enumerate(kept.shape) if i not in arrays]
        return _fresh((*rest[:at], *found, *rest[at:]), self.dtype)

    def __setitem__(self, index: Any, value: Any) -> None:
        if not (isinstance(index, MetaArray) and index.dtype.kind == "b"):
            np.broadcast_shapes(self[index].shape, getattr(value, "shape", ()))

    # -- methods of arrays ----------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> MetaArray:
        try:
            return MetaArray(self.frame.reshape(*shape, copy=False))
        except ValueError:
            if copy is False:
                raise
        return MetaArray(_frame(self.shape, self.dtype).reshape(*shape, copy=False))

    def view(self, *dtype: Any) -> MetaArray:
        return MetaArray(self.frame.view(*dtype))

    def astype(self, dtype: Any, order: str = "K", copy: bool = True, **_: Any) -> MetaArray:
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        return _fresh(self.shape, dtype, self)

    def copy(self, order: str = "C") -> MetaArray:
        return _fresh(self.shape, self.dtype, *([self] if order == "K" else []))

    def flatten(self) -> MetaArray:
        return _fresh((self.size,), self.dtype)

    def ravel(self) -> MetaArray:
        return self.reshape(-1)

    def fill(self, value: Any) -> None:
        return None

    sort = partition = fill

    def transpose(self, *axes: Any) -> MetaArray:
        return MetaArray(self.frame.transpose(*axes))

    @property
    def T(self) -> MetaArray:  # noqa: N802 - NumPy's name
        return MetaArray(self.frame.T)

    @property
    def real(self) -> MetaArray:
        return MetaArray(self.frame.real)

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> MetaArray:
        return MetaArray(self.frame.imag)

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag[...] = value


def _by_function(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def method(self: MetaArray, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return method


for _name in (
    "all", "any", "argmax", "argmin", "argpartition", "argsort", "clip", "conj", "conjugate",
    "cumprod", "cumsum", "diagonal", "max", "mean", "min", "prod", "repeat", "round", "squeeze",
    "std", "sum", "swapaxes", "take", "var",
):  # fmt: skip
    setattr(MetaArray, _name, _by_function(_name))


# -- making them ------------------------------------------------------------------------------------


def _fresh(shape: Sequence[int], dtype: Any, *like: MetaArray) -> MetaArray:
    """An array of its own, in the order of memory of another if one is given."""
    dtype, order = np.dtype(dtype), list(range(len(shape)))
    if like and not like[0].flags.c_contiguous:
        strides = like[0].strides
        order.sort(key=lambda dim: -abs(strides[dim]) if strides[dim] else 0)
        if 0 in strides:
            order.sort(key=lambda dim: strides[dim] == 0 and shape[dim] > 1)
            order = list(range(len(shape))) if 0 in strides else order
    return MetaArray(_frame(shape, dtype, _steps(shape, order, dtype.itemsize)))


def is_meta(array: Any) -> bool:
    """Whether an array has no elements."""
    return type(array) is MetaArray


def laid_out(shape: Sequence[int], dtype: Any, strides: Sequence[int]) -> MetaArray:
    """An array of given strides, in bytes."""
    return MetaArray(_frame(shape, dtype, strides))


def over(array: Any) -> MetaArray:
    """An array of the sizes, dtype and order of memory of another, of which nothing is read."""
    made = _fresh(array.shape, array.dtype)
    if isinstance(array, ndarray) and not array.flags.c_contiguous:
        return _fresh(array.shape, array.dtype, MetaArray(array))
    return made


def _expect_meta(target: Any) -> None:
    if not isinstance(target, MetaArray):
        raise NoDataError("out= has memory, and an operand is a meta tensor, which has no data")


def _one(value: Any) -> Any:
    """One element, in as many dims, in place of an array; other values as they are."""
    if isinstance(value, MetaArray):
        return np.ones((1,) * value.ndim, value.dtype)
    if isinstance(value, ndarray):
        return np.ones((1,) * value.ndim, value.dtype) if value.ndim else value
    return value


def _shape(value: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] | None = getattr(value, "shape", None)
    return np.asarray(value).shape if shape is None else shape


def _ufunc_result(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[int, ...], Any]:
    """The sizes of what a ufunc gives, and what it gives of one element."""
    with np.errstate(all="ignore"):
        if method == "reduceat":
            first, indices, *_ = inputs
            axis = options.get("axis", 0) % first.ndim
            shape = (*first.shape[:axis], len(indices), *first.shape[axis + 1 :])
            return shape, ufunc.reduce(_one(first), axis=axis)
        sample = getattr(ufunc, method)(*map(_one, inputs), **options)
    shapes = [_shape(value) for value in inputs]
    if method == "reduce":
        axis = options.get("axis", inputs[1] if len(inputs) > 1 else 0)
        return _reduced(shapes[0], axis, options.get("keepdims", False)), sample
    if method == "accumulate":
        return shapes[0], sample
    if method == "outer":
        return shapes[0] + shapes[1], sample
    if ufunc.signature is not None:
        if ufunc is not np.matmul:
            raise NoDataError(f"meta tensor: sizes of what {ufunc.__name__} gives are not known")
        return _product(*shapes), sample
    return np.broadcast_shapes(*shapes), sample


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of a matrix product."""
    rows, columns = a[-2:-1], b[-1:] if len(b) > 1 else ()
    if a[-1] != (b[-2] if len(b) > 1 else b[0]):
        raise ValueError(f"matmul: shapes {a} and {b} do not fit")
    return (*np.broadcast_shapes(a[:-2], b[:-2]), *rows, *columns)


def _reduced(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    if axis is None:
        dims = set(range(len(shape)))
    else:
        dims = {d % len(shape) for d in (axis if isinstance(axis, tuple) else (axis,)) if shape}
    if keepdims:
        return tuple(1 if d in dims else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in dims)


def _entries(index: Any, ndim: int) -> list[Any]:
    """An index without ellipsis: slices, None and ints; of an array of indices its sizes."""
    entries: list[Any] = []
    for entry in index if isinstance(index, tuple) else (index,):
        if isinstance(entry, (bool, np.bool_)):
            entry = np.asarray(entry)
        if isinstance(entry, (list, range)):
            entry = np.asarray(entry)
        if isinstance(entry, MetaArray) and entry.dtype.kind == "b":
            raise NoDataError("meta tensor: how many elements a mask chooses depends on its data")
        if isinstance(entry, ndarray) and entry.dtype.kind == "b":
            entries += [(int(np.count_nonzero(entry)),)] * entry.ndim
        elif isinstance(entry, (MetaArray, ndarray)):
            entries.append(entry.shape)
        else:
            entries.append(entry)
    used = sum(entry is not None and entry is not Ellipsis for entry in entries)
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        entries[at : at + 1] = [slice(None)] * (ndim - used)
    return entries


# -- rules ------------------------------------------------------------------------------------------


def _views(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's own view of the frame."""

    def rule(array: Any, *args: Any, **options: Any) -> Any:
        found = function(array.frame, *args, **options)
        return [MetaArray(f) for f in found] if isinstance(found, list) else MetaArray(found)

    return rule


def _reduces(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(array: Any, axis: Any = None, *args: Any, **options: Any) -> Any:
        keepdims = options.get("keepdims", False)
        keepdims = keepdims is True
        options = {k: v for k, v in options.items() if k in ("dtype", "ddof", "correction")}
        with np.errstate(all="ignore"):
            sample = function(_one(array), axis, **options)
        found = _fresh(_reduced(array.shape, axis, keepdims), sample.dtype)
        found.answer = {np.any: False, np.all: True}.get(function)
        return found

    return rule


def _keeps_shape(dtype_of: Callable[..., Any] | None = None) -> Callable[..., Any]:
    def rule(array: Any, *args: Any, **options: Any) -> Any:
        kind = options.get("dtype")
        if kind is None:
            kind = array.dtype if dtype_of is None else dtype_of(array)
        return _fresh(array.shape, kind, *([array] if isinstance(array, MetaArray) else []))

    return rule


def _cumulates(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(array: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        shape = (array.size,) if axis is None else array.shape
        return _fresh(shape, function(_one(array), axis, dtype).dtype)

    return rule


def _like(array: Any, *_: Any, dtype: Any = None, shape: Any = None, **__: Any) -> MetaArray:
    if shape is not None:
        return _fresh(shape if isinstance(shape, (tuple, list)) else (shape,), dtype or array.dtype)
    return _fresh(
        array.shape, dtype or array.dtype, *([array] if isinstance(array, MetaArray) else [])
    )


def _full_like(array: Any, fill_value: Any, dtype: Any = None, **options: Any) -> MetaArray:
    return _like(array, dtype=dtype, **options)


def _where(condition: Any, *values: Any) -> Any:
    if not values:
        raise NoDataError("meta tensor: how many elements are not 0 depends on the data")
    sample = np.where(_one(condition), *map(_one, values))
    shape = np.broadcast_shapes(_shape(condition), *map(_shape, values))
    return _fresh(shape, sample.dtype)


def _clip(array: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.get("min", a_min), options.get("max", a_max)
    bounds = [bound for bound in (low, high) if bound is not None]
    shape = np.broadcast_shapes(_shape(array), *map(_shape, bounds))
    if out is not None:
        _expect_meta(out)
        return out
    return _fresh(shape, np.clip(_one(array), _one(low), _one(high)).dtype)


def _concatenate(arrays: Any, axis: int = 0, out: Any = None, dtype: Any = None, **_: Any) -> Any:
    arrays = [a if isinstance(a, (MetaArray, ndarray)) else np.asarray(a) for a in arrays]
    dim = axis % arrays[0].ndim
    for other in arrays[1:]:
        if [n for d, n in enumerate(other.shape) if d != dim] != [
            n for d, n in enumerate(arrays[0].shape) if d != dim
        ]:
            raise ValueError(f"shapes {arrays[0].shape} and {other.shape} cannot be joined")
    total = sum(array.shape[dim] for array in arrays)
    shape = arrays[0].shape
    kind = dtype or np.result_type(*(array.dtype for array in arrays))
    return _fresh((*shape[:dim], total, *shape[dim + 1 :]), kind)


def _stack(arrays: Any, axis: int = 0, **options: Any) -> Any:
    return _concatenate([_RULES[np.expand_dims](_meta(a), axis) for a in arrays], axis, **options)


def _meta(array: Any) -> MetaArray:
    return array if isinstance(array, MetaArray) else over(np.asarray(array))


def _take(array: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = None) -> Any:
    found = _shape(indices)
    if axis is None:
        return _fresh(found, array.dtype)
    dim = axis % array.ndim
    return _fresh((*array.shape[:dim], *found, *array.shape[dim + 1 :]), array.dtype)


def _take_along_axis(array: Any, indices: Any, axis: Any = -1) -> Any:
    dim = axis % array.ndim
    rest = np.broadcast_shapes((*array.shape[:dim], 1, *array.shape[dim + 1 :]),
                               (*indices.shape[:dim], 1, *indices.shape[dim + 1 :]))  # fmt: skip
    return _fresh((*rest[:dim], indices.shape[dim], *rest[dim + 1 :]), array.dtype)


def _tile(array: Any, reps: Any) -> Any:
    reps = tuple(reps) if isinstance(reps, (tuple, list)) else (reps,)
    shape = (1,) * (len(reps) - array.ndim) + array.shape
    reps = (1,) * (len(shape) - len(reps)) + reps
    return _fresh([n * r for n, r in zip(shape, reps, strict=True)], array.dtype)


def _repeat(array: Any, repeats: Any, axis: Any = None) -> Any:
    if isinstance(repeats, MetaArray):
        raise NoDataError("meta tensor: how often elements are repeated depends on the data")
    if axis is None:
        array, axis = _meta(array).reshape(-1), 0
    dim = axis % array.ndim
    counts = np.broadcast_to(np.asarray(repeats), (array.shape[dim],))
    return _fresh((*array.shape[:dim], int(counts.sum()), *array.shape[dim + 1 :]), array.dtype)


def _pad(array: Any, pad_width: Any, *_: Any, **__: Any) -> Any:
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    shape = [n + before + after for n, (before, after) in zip(array.shape, widths, strict=True)]
    return _fresh(shape, array.dtype)


def _diff(array: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    dim = axis % array.ndim
    more = sum(
        _shape(part)[dim] for part in (prepend, append) if isinstance(part, (ndarray, MetaArray))
    )
    size = max(array.shape[dim] + more - n, 0)
    return _fresh((*array.shape[:dim], size, *array.shape[dim + 1 :]), array.dtype)


def _searchsorted(a: Any, v: Any, *_: Any, **__: Any) -> Any:
    return _fresh(_shape(v), np.intp)


def _flip(array: Any, axis: Any = None) -> Any:
    return MetaArray(np.flip(array.frame, axis))


def _windows(array: Any, window_shape: Any, axis: Any = None, **options: Any) -> Any:
    return MetaArray(np.lib.stride_tricks.sliding_window_view(array.frame, window_shape, axis))


def _square(*outputs: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Any:
    """Sizes of what a factorization of ``(..., m, n)`` gives."""

    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        def rule(array: Any, *args: Any, **options: Any) -> Any:
            found = function(_one(array), *args, **options)
            parts = found if isinstance(found, tuple) else (found,)
            made: Any = [_fresh(size(array.shape), part.dtype)
                    for size, part in zip(outputs, parts, strict=True)]  # fmt: skip
            if not isinstance(found, tuple):
                return made[0]
            return type(found)(*made) if hasattr(found, "_fields") else tuple(made)

        return rule

    return make


def _solve(a: Any, b: Any) -> Any:
    sample = np.linalg.solve(_one(a), _one(b))
    if len(_shape(b)) == 1:
        return _fresh(_shape(a)[:-1], sample.dtype)
    lead = np.broadcast_shapes(_shape(a)[:-2], _shape(b)[:-2])
    return _fresh((*lead, *_shape(b)[-2:]), sample.dtype)


def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    *lead, m, n = a.shape
    k = min(m, n)
    sample = np.linalg.svd(_one(a))
    values = _fresh((*lead, k), sample[1].dtype)
    if not compute_uv:
        return values
    left, right = (m, n) if full_matrices else (k, k)
    return (_fresh((*lead, m, left), a.dtype), values, _fresh((*lead, right, n), a.dtype))


def _qr(a: Any, mode: str = "reduced") -> Any:
    *lead, m, n = a.shape
    k = m if mode == "complete" else min(m, n)
    r = _fresh((*lead, k, n), a.dtype)
    return r if mode == "r" else (_fresh((*lead, m, k), a.dtype), r)


def _transforms(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def rule(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        dim = axis % a.ndim
        size = (
            n if n is not None else 2 * (a.shape[dim] - 1) if kind == "from half" else a.shape[dim]
        )
        size = size // 2 + 1 if kind == "to half" else size
        sample = function(_one(a), 1, axis)
        return _fresh((*a.shape[:dim], size, *a.shape[dim + 1 :]), sample.dtype)

    return rule


def _einsum(subscripts: Any, *arrays: Any, **_: Any) -> Any:
    sources, _, target = subscripts.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for letters, array in zip(sources.split(","), arrays, strict=True):
        if "." in letters:
            raise NoDataError("meta tensor: einsum with '...' is not known")
        sizes.update(zip(letters, array.shape, strict=True))
    return _fresh([sizes[letter] for letter in target], np.result_type(*(a.dtype for a in arrays)))


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _unravelled(indices: Any, shape: Any, order: str = "C") -> tuple[MetaArray, ...]:
    return tuple(_fresh(indices.shape, np.intp) for _ in shape)


def _ravelled(places: Any, dims: Any, **_: Any) -> MetaArray:
    return _fresh(np.broadcast_shapes(*map(_shape, places)), np.intp)


def _isclose(a: Any, b: Any, *_: Any, **__: Any) -> MetaArray:
    return _fresh(np.broadcast_shapes(_shape(a), _shape(b)), np.bool_)


def elementwise(body: Callable[..., Any], values: Sequence[Any]) -> Any:
    """What a function of each element by itself gives, found with one element."""
    with np.errstate(all="ignore"):
        sample = body(*map(_one, values))
    arrays = [value for value in values if isinstance(value, (MetaArray, ndarray))]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    likes = [x for x in arrays if isinstance(x, MetaArray) and x.shape == shape]
    if isinstance(sample, tuple):
        return tuple(_fresh(shape, part.dtype, *likes[:1]) for part in sample)
    return _fresh(shape, sample.dtype, *likes[:1])


def _array_equal(*_: Any, **__: Any) -> NoReturn:
    raise NoDataError("meta tensors have no data to compare")


_ROWS = lambda s: s[:-1]  # noqa: E731 - a line of a table
_LEAD = lambda s: s[:-2]  # noqa: E731
_SAME = lambda s: s  # noqa: E731

_RULES: dict[Any, Callable[..., Any]] = {
    **{f: _views(f) for f in (
        np.atleast_1d, np.atleast_2d, np.atleast_3d, np.array_split, np.broadcast_to, np.diagonal,
        np.expand_dims, np.fliplr, np.flipud, np.imag, np.moveaxis, np.real, np.rollaxis, np.rot90,
        np.split, np.squeeze, np.swapaxes, np.transpose)},
    **{f: _reduces(f) for f in (
        np.all, np.amax, np.amin, np.any, np.argmax, np.argmin, np.count_nonzero, np.max, np.mean,
        np.median, np.min, np.nanmax, np.nanmean, np.nanmedian, np.nanmin, np.nansum, np.prod,
        np.std, np.sum, np.var)},
    **{f: _keeps_shape() for f in (
        np.copy, np.partition, np.roll, np.round, np.sort, np.tril, np.triu, np.nan_to_num)},
    **{f: _keeps_shape(lambda array: np.intp) for f in (np.argpartition, np.argsort)},
    **{f: _keeps_shape(lambda array: np.bool_) for f in (np.isneginf, np.isposinf)},
    **{f: _keeps_shape(lambda array, f=f: f(_one(array)).dtype) for f in (np.angle, np.sinc)},
    **{f: _cumulates(f) for f in (np.cumprod, np.cumsum)},
    **dict.fromkeys((np.empty_like, np.ones_like, np.zeros_like), _like),
    **{f: _transforms(f, "") for f in (np.fft.fft, np.fft.ifft)},
    **{f: _transforms(f, "to half") for f in (np.fft.rfft, np.fft.ihfft)},
    **{f: _transforms(f, "from half") for f in (np.fft.irfft, np.fft.hfft)},
    np.array_equal: _array_equal, np.clip: _clip, np.concatenate: _concatenate,
    np.copyto: _nothing, np.diff: _diff, np.einsum: _einsum, np.flip: _flip,
    np.full_like: _full_like, np.pad: _pad, np.put_along_axis: _nothing,
    np.ravel: lambda array, order="C": array.reshape(-1), np.repeat: _repeat,
    np.reshape: lambda array, shape, order="C", copy=None: array.reshape(shape, copy=copy),
    np.unravel_index: _unravelled, np.ravel_multi_index: _ravelled, np.isclose: _isclose,
    np.searchsorted: _searchsorted, np.shape: _shape, np.stack: _stack, np.take: _take,
    np.take_along_axis: _take_along_axis, np.tile: _tile, np.where: _where,
    np.ndim: lambda array: array.ndim, np.iscomplexobj: lambda array: array.dtype.kind == "c",
    np.lib.stride_tricks.sliding_window_view: _windows,
    np.may_share_memory: lambda *_, **__: False, np.shares_memory: lambda *_, **__: False,
    np.result_type: lambda *values: np.result_type(*map(_one, values)),
    np.linalg.cholesky: _square(_SAME)(np.linalg.cholesky),
    np.linalg.det: _square(_LEAD)(np.linalg.det),
    np.linalg.eig: _square(_ROWS, _SAME)(np.linalg.eig),
    np.linalg.eigh: _square(_ROWS, _SAME)(np.linalg.eigh),
    np.linalg.eigvalsh: _square(_ROWS)(np.linalg.eigvalsh),
    np.linalg.inv: _square(_SAME)(np.linalg.inv),
    np.linalg.pinv: _square(lambda s: (*s[:-2], s[-1], s[-2]))(np.linalg.pinv),
    np.linalg.qr: _qr,
    np.linalg.slogdet: _square(_LEAD, _LEAD)(np.linalg.slogdet),
    np.linalg.solve: _solve,
    np.linalg.svd: _svd,
}  # fmt: skip


class _Module:
    """What stands for NumPy where an operation runs on meta arrays."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)  # which asks the arrays it gets

    @staticmethod
    def empty(shape: Any, dtype: Any = np.float64, **_: Any) -> MetaArray:
        return _fresh(shape if isinstance(shape, (tuple, list)) else (shape,), dtype)

    zeros = ones = empty

    @staticmethod
    def full(shape: Any, fill_value: Any, dtype: Any = None, **_: Any) -> MetaArray:
        return _Module.empty(shape, np.asarray(_one(fill_value)).dtype if dtype is None else dtype)

    @staticmethod
    def asarray(value: Any, dtype: Any = None, **_: Any) -> Any:
        if isinstance(value, MetaArray):
            return value if dtype is None else value.astype(dtype, copy=False)
        return np.asarray(value, dtype)

    array = asanyarray = asarray

    @staticmethod
    def broadcast_to(value: Any, shape: Any) -> Any:
        return (
            _fresh(shape, value.dtype)
            if isinstance(value, ndarray)
            else np.broadcast_to(value, shape)
        )

    @staticmethod
    def ascontiguousarray(value: Any, dtype: Any = None) -> Any:
        if not isinstance(value, MetaArray):
            return np.ascontiguousarray(value, dtype)
        value = value if dtype is None else value.astype(dtype, copy=False)
        return value if value.flags.c_contiguous else value.copy()

    class lib:  # noqa: N801 - NumPy's name
        class stride_tricks:  # noqa: N801 - NumPy's name
            sliding_window_view = np.lib.stride_tricks.sliding_window_view

            @staticmethod
            def as_strided(value: Any, shape: Any = None, strides: Any = None, **_: Any) -> Any:
                as_strided = np.lib.stride_tricks.as_strided
                if not isinstance(value, MetaArray):
                    return as_strided(value, shape, strides)
                return MetaArray(as_strided(value.frame, shape, strides))


module: Any = _Module()
