"""Operations as they are called: what each `Definition` becomes.

From the block follow the function ``dtorch.elu``, the methods ``Tensor.elu`` and ``Tensor.elu_``, and
``out=``. A call binds its arguments, takes the arrays of its operands, computes, wraps and records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any, NoReturn

import numpy as np

from dtorch.core import backend, classic, dispatch, history, memory_format, meta
from dtorch.core.arguments import misfit
from dtorch.core.arrays import ArrayModule
from dtorch.core.base import INFERENCE, PLAIN, REQUIRES_GRAD, VOLATILE, TensorBase, wrap
from dtorch.core.classic import Classic
from dtorch.core.coo import CooArray
from dtorch.core.definition import Definition
from dtorch.core.dtype import as_dtype, from_numpy_dtype, refuse_dtypes
from dtorch.core.entry import made_entry, set_signature, told
from dtorch.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DimensionError,
    DtorchError,
)
from dtorch.core.half import is_half, narrowed, widened
from dtorch.core.inplace import (
    become_volatile,
    bump,
    check_fits_inplace,
    check_history,
    check_inplace,
    copy_with_history,
    cut_history,
    expect_apart,
    expect_dtype_of_out,
    overwrite,
    rebase,
    several,
    share_memory,
    write,
)
from dtorch.core.meta import MetaArray
from dtorch.core.op_methods import OpMethods
from dtorch.core.operands import HALVES, settled, types_of
from dtorch.core.quiet import quietly
from dtorch.core.signature import MISSING

ndarray = np.ndarray
generic = np.generic

# What stands between the caller of an operation and its run; it gets the operation, what runs it,
# the values of its parameters, and whether the dtype of the result is settled: by ``out=``, or in
# place.
Policy = Callable[["Op", Callable[[list[Any]], Any], list[Any], bool], Any]

REGISTRY: dict[str, Op] = {}  # all operations, also those that are not public
METHODS: dict[str, Any] = {}  # what `method` gave to tensors

NUMBERS = (bool, int, float, complex)
_OPERANDS = (TensorBase, *NUMBERS, generic, ndarray)


class Op(Definition):
    """One operation, made by a decorator of this module from its definition.

    Attributes:
        function: the public function.
        operators: special methods it stands behind, such as ``__add__``.
        policy: None, or what changes calls while it is set, as autocast does.
    """

    policy: Policy | None = None

    def __init__(self, body: Callable[..., Any], **options: Any) -> None:
        super().__init__(body, **options)
        self.operators: tuple[str, ...] = ()
        # Both show the source of the block to those who ask `inspect` for it.
        self.function: Callable[..., Any] = _named(self._make_function(), self)
        self.inplace_function = _named(self._make_inplace(), self, "_") if self.inplace else None
        if self.name in REGISTRY:
            raise ValueError(f"operation {self.name} is defined twice")
        REGISTRY[self.name] = self
        if self.public:
            self._give_methods()

    def _give_methods(self) -> None:
        if self.method:
            setattr(OpMethods, self.name, self.function)
        if self.inplace_function is not None:
            setattr(OpMethods, self.name + "_", self.inplace_function)

    def operator(self, name: str, reflected: str = "", inplace: str = "") -> None:
        """Make this the operation behind an operator such as ``__add__``."""
        self.operators += tuple(filter(None, (name, reflected, inplace)))
        function = self.function

        def forward(input: Any, other: Any) -> Any:
            if isinstance(other, _OPERANDS):
                return function(input, wrap(other) if type(other) is ndarray else other)
            return NotImplemented

        def backward(input: Any, other: Any) -> Any:
            if isinstance(other, _OPERANDS):
                return function(wrap(other) if type(other) is ndarray else other, input)
            return NotImplemented

        if not dispatch.set_slot(name, function, forward, backward):
            setattr(OpMethods, name, forward)
            if reflected:
                setattr(OpMethods, reflected, backward)
        if inplace:
            setattr(OpMethods, inplace, self.inplace_function)

    def unary_operator(self, name: str) -> None:
        """Make this the operation behind an operator such as ``__neg__``."""
        self.operators += (name,)
        _give(name, self.function)

    def by_way(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, a method that ends in this operation, by the compiled way of that name."""
        found = dispatch.named_way(function, name, self)
        return function if found is function else update_wrapper(found, function)

    # -- calling --------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call on tensors, recorded; or on bare arrays, as gradient formulas do."""
        first = args[0] if args else None
        if type(first) is ndarray or (
            not isinstance(first, TensorBase) and hasattr(first, "dtype")
        ):
            return self._call_on_arrays(args, kwargs)
        if type(first) is list and first and not isinstance(first[0], TensorBase):
            return self._call_on_arrays(args, kwargs)
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Op {self.name}{self.signature}>"

    def _call_on_arrays(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        values = self.bind(args, kwargs)
        result = quietly(self.compute, values, types_of(values))
        if self.returns == 1 and len(self.outputs) > 1:
            return result[0]
        return result

    def compute(self, values: Sequence[Any], types: int = HALVES) -> Any:
        """Run the kernel, or where it declines the body, on arrays.

        Args:
            types: bits of the dtypes that operands may have, as far as it matters.
        """
        xp = np if type(values[0]) is ndarray else backend.array_module(values[0])
        if self.check_shape is not None:
            self.check_shape(*values)
        half = self._half_dtype(values) if self.wide and types & HALVES else None
        if half is not None and not self.widens(self.params, values):
            half = None
        if half is not None:
            values = [widened(value) for value in values]
        kernel = self._kernel_for(xp) if self.kernels else None
        result = None if kernel is None else kernel(*values)
        if result is None:
            result = self.run_body(xp, values)
        if self.keeps_format:
            operands = [values[self.index[name]] for name in self.keeps_format]
            result = memory_format.kept(xp, operands, result)
        return result if half is None else self._narrowed(result, half)

    def _kernel_for(self, xp: Any) -> Callable[..., Any] | None:
        if xp is np:
            return self.kernels.get("cpu")
        return None if xp is meta.module else self.kernels.get("cuda")

    def _half_dtype(self, values: Sequence[Any]) -> Any:
        """The dtype to round results to: that of the first operand of floating type if it is float16
        or bfloat16, and the caller has not named another."""
        for i in self.tensor_indices:
            if is_half(values[i]):
                named = self.index.get("dtype")
                return values[i].dtype if named is None or values[named] is None else None
            if getattr(getattr(values[i], "dtype", None), "kind", "") in ("f", "c"):
                return None
        return None

    def _narrowed(self, result: Any, half: Any) -> Any:
        if len(self.outputs) == 1:
            return narrowed(result, half)
        return tuple(narrowed(r, half) if k < self.rounded else r for k, r in enumerate(result))

    def run_body(self, xp: ArrayModule, values: Sequence[Any]) -> Any:
        """The definition itself, whatever kernels there are."""
        n = self.positional
        if n == len(values):
            return self.body(xp, *values)
        return self.body(xp, *values[:n], **dict(zip(self.params[n:], values[n:], strict=True)))

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """Values of all parameters, in order.

        Raises:
            TypeError: as a Python function with this signature raises.
        """
        given = len(args)
        if self.variadic is not None and given > self.variadic:
            args = self._pack_variadic(args)
            given = len(args)
        if given > self.positional:
            if self.rearrange is None:
                raise TypeError(
                    f"{self.name}() takes {self.positional} positional arguments, got {given}"
                )
            try:
                args, extra = self.rearrange(args)
            except ValueError:  # there are not as many of them as any form has
                raise TypeError(
                    f"{self.name}() takes {self.positional} positional arguments, got {given}"
                ) from None
            kwargs = {**extra, **kwargs}
            given = len(args)
        values = [*args, *self.defaults[given:]]
        for name, value in kwargs.items():
            i = self.index.get(name)
            if i is None:
                raise TypeError(f"{self.name}() got an unexpected keyword argument {name!r}")
            if i < given:
                raise TypeError(f"{self.name}() got several values for {self.params[i]!r}")
            values[i] = value
        for i in range(given, self.required):
            if values[i] is MISSING:
                raise TypeError(f"{self.name}() misses the argument {self.params[i]!r}")
        return values

    def as_formerly(
        self, error: Exception, args: Sequence[Any], kwargs: dict[str, Any], inplace: bool = False
    ) -> list[Any] | None:
        """What a call that failed meant in 2017, if classic mode allows it: the values of one that
        means that today. Where it is off, the error names it."""
        if not isinstance(error, DtorchError):
            return None
        try:
            values = self.bind(args, kwargs)
        except TypeError:
            return None  # it is the error
        former = [*self.former]
        if isinstance(error, DimensionError):
            former.append((Classic.ONE_ELEMENT, self._on_one_element))
        for what, rule in former:
            again: list[Any] | None = rule(values)
            if again is not None and not (inplace and again[0] is not values[0]):
                if classic.allows(what):
                    return again
                classic.hinted(error)
                return None
        return None

    def repeat(self, values: list[Any], **options: Any) -> Any:
        """A call with these values of the parameters."""
        n = self.positional
        named = dict(zip(self.params[n:], values[n:], strict=True))
        return self.function(*values[:n], **named, **options)

    def _on_one_element(self, values: list[Any]) -> list[Any] | None:
        """The first operand with a dim, if it has none and that is what was wrong."""
        input: Any = values[0]
        if not isinstance(input, TensorBase) or input._array.ndim:
            return None
        again = [input.view(1), *values[1:]]  # type: ignore[attr-defined]  # a Tensor
        try:
            self.repeat(again)
        except DtorchError:
            return None
        return again

    def _pack_variadic(self, args: Sequence[Any]) -> Sequence[Any]:
        at = self.variadic or 0
        rest = args[at:]
        if len(rest) == 1 and isinstance(rest[0], (tuple, list)):
            return (*args[:at], tuple(rest[0]))
        return (*args[:at], tuple(rest))

    def _make_function(self) -> Callable[..., Any]:
        def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            values = self.bind(args, kwargs)
            if self.policy is not None and out is None:
                return self.policy(self, self.run, values, False)
            return self.run(values, out)

        general = self._made_entry(function, self.run)
        if self.way is not None:
            return dispatch.named_way(general, self.way, self)
        if self.ufunc is not None and self.kind == "structured":
            guard = dispatch.INTEGERS if self.refused else 0  # they are looked at here
            return dispatch.whole_way(general, self.ufunc, len(self.tensors), guard)
        return general

    def _made_entry(
        self, function: Callable[..., Any], run: Callable[[list[Any]], Any]
    ) -> Callable[..., Any]:
        """``function``, whose calls end in ``run``, as users call it."""
        most = self.positional if self.variadic is None else -1
        return made_entry(function, self.told, True, run, self.defaults, self.index, most)

    def told(
        self, error: Exception, args: Sequence[Any], kwargs: dict[str, Any], inplace: bool = False
    ) -> Exception | Callable[[], Any] | None:
        """What becomes of an error met in a call, as `made_entry` asks for it.

        An argument of a type that its parameter does not take comes before what it led to.
        """
        named = {name: value for name, value in kwargs.items() if name != "out"}
        try:
            wrong = misfit(self, self.bind(args, named))
        except TypeError:
            wrong = None  # it is the error
        again = self.as_formerly(error, args, named, inplace) if wrong is None else None
        if again is not None and inplace:
            return partial(self.run_inplace, again)
        if again is not None:
            return partial(self.repeat, again, out=kwargs.get("out"))
        if self.public:
            _call_by(self.name, error)
        if wrong is None or isinstance(error, MemoryError) or _says_the_type(self.name, error):
            return told(self.name, error)
        return ArgumentTypeError(f"{self.name}: {wrong}")

    def run(self, values: list[Any], out: Any = None) -> Any:
        """The whole of a call on tensors: take the operands, compute, wrap, record."""
        raw, combined, types = self.take(values)
        if meta.used and not (self.mixes or meta.inside.depth):
            self.expect_one_device(values)
        result = self.compute(raw, types)
        if out is not None:
            return self.write_out(values, result, out, combined)
        if len(self.outputs) == 1:
            results: Sequence[Any] = (result,)
            outs: tuple[Any, ...] = (wrap(result),)
        else:
            results, outs = result, tuple(wrap(r) for r in result[: self.returns])
        if combined:
            self.set_history(values, outs, results, combined)
        return outs[0] if self.returns == 1 else self.pack(outs)

    def take(self, values: list[Any]) -> tuple[list[Any], int, int]:
        """What is computed with: arrays in place of tensors; the modes of all tensors combined; and
        bits of the dtypes that they may have."""
        found = settled(values, self.tensor_indices, self.rules, self.unsettled)
        if found is not None:
            return found
        raw, combined = self.unwrap(values)
        return self.prepare(values, raw), combined, HALVES

    def expect_one_device(self, values: Sequence[Any]) -> None:
        """Complain if some operands have memory and others have none; single numbers may."""
        given = [
            (self.params[i], getattr(value, "_array", None))
            for i in self.tensor_indices
            for value in (values[i] if isinstance(values[i], (list, tuple)) else (values[i],))
        ]
        lying = [name for name, array in given if type(array) is ndarray and array.ndim]
        if lying and any(type(array) is MetaArray for _, array in given):
            raise DeviceError(
                f"{self.name}: Expected all tensors to be on the same device: {lying[0]} is on cpu, "
                "another operand on meta; move one with to()"
            )

    def pack(self, outs: tuple[Any, ...]) -> Any:
        """What the caller of an operation with several outputs gets."""
        return outs

    def unwrap(self, values: list[Any]) -> tuple[list[Any], int]:
        """Arrays in place of tensors, and the modes of all tensors combined."""
        raw = list(values)
        combined = PLAIN
        found = False
        for i in self.tensor_indices:
            value = values[i]
            if isinstance(value, TensorBase):
                raw[i] = value._array
                combined |= value._mode
                found = True
            elif isinstance(value, (list, tuple)):
                raw[i] = arrays = []
                for j, element in enumerate(value):
                    if not isinstance(element, TensorBase):
                        self._refuse(f"{self.params[i]}[{j}]", element)
                    arrays.append(element._array)
                    combined |= element._mode
                    found = True
                values[i] = list(value)  # a record of the call must not change with the caller's
            elif not self.takes_operand(i, value):
                self._refuse(self.params[i], value)
        if not found:
            i = self.tensor_indices[0]
            if isinstance(values[i], (list, tuple)):
                raise ArgumentError(f"{self.name}: got no tensors, expected at least one")
            self._refuse(self.params[i], values[i])
        return raw, combined

    def _refuse(self, name: str, value: Any) -> NoReturn:
        got, remedy = type(value).__name__, ""
        if value is None:
            got = "None"
        elif isinstance(value, ndarray):
            got, remedy = "a NumPy array", "; dtorch.from_numpy() makes a tensor of it"
        elif isinstance(value, (list, NUMBERS)):
            remedy = "; dtorch.tensor() makes one of it"
        raise ArgumentTypeError(f"{self.name}: {name} is {got}, expected a tensor{remedy}")

    def prepare(self, values: list[Any], raw: list[Any]) -> list[Any]:
        """What kinds of operation do to arrays before they compute; promotion, for instance."""
        if self.refused:
            self.check_dtypes(values)
        return raw

    def check_dtypes(self, values: Sequence[Any]) -> None:
        """Complain about tensors of a dtype the operation is not defined for."""
        named = self.index.get("dtype")
        if named is not None and values[named] is not None:
            refuse_dtypes(self.name, self.refused, as_dtype(values[named]))
            return
        taken = self.taken
        for i in self.judged:
            array = getattr(values[i], "_array", None)
            if array is None or array.dtype.kind not in taken:
                break
        else:
            return  # each is taken, so what they are combined to is
        judged: list[Any] = []
        for i in self.judged:
            judged += values[i] if isinstance(values[i], (list, tuple)) else [values[i]]
        found = [from_numpy_dtype(v._array.dtype) for v in judged if isinstance(v, TensorBase)]
        if found:
            highest = max(found, key=lambda t: t.category)
            remedy = "convert first" if named is None else "give dtype=dtorch.float32"
            refuse_dtypes(self.name, self.refused, highest, remedy)

    # -- history --------------------------------------------------------------------------------

    def set_history(
        self, values: Sequence[Any], outs: tuple[Any, ...], results: Sequence[Any], combined: int
    ) -> None:
        """Give ``outs`` the mode their operands call for, and a node if they are recorded."""
        quick = dispatch.fast_paths and combined < INFERENCE
        (history.set_history if quick else history.follow)(self, values, outs, results, combined)

    # -- out= and in place ----------------------------------------------------------------------

    def write_out(self, values: list[Any], result: Any, out: Any, combined: int) -> Any:
        """Put the result into ``out``.

        Raises:
            DtypeError: the result cannot be converted to the dtype of ``out``.
            GradError: the call would be recorded; ``out=`` has no gradient.
        """
        expect_apart(self.name, out, values)
        named = self.index.get("dtype")
        if named is not None:
            expect_dtype_of_out(self.name, out, values[named])
        if self.returns > 1:
            for o, r in zip(several(self.name, out, self.returns), result, strict=False):
                array = np.asarray(r)
                expect_dtype_of_out(self.name, o, array.dtype)
                write(self.name, o, array, combined)
            return self.pack(tuple(out))
        first = result[0] if len(self.outputs) > 1 else result
        write(self.name, out, np.asarray(first) if isinstance(first, generic) else first, combined)
        return out

    def _make_inplace(self) -> Callable[..., Any]:
        def function(input: Any, *args: Any, **kwargs: Any) -> Any:
            return self.run_inplace(self.bind((input, *args), kwargs))

        return made_entry(function, partial(self.told, inplace=True))

    def run_inplace(self, values: list[Any]) -> Any:
        """Compute, then overwrite the first operand; nothing is changed if anything is wrong."""
        target = values[0]
        raw, combined, types = self.take(values)
        check = check_history if self.one_value else check_inplace
        recording = check(self.name + "_", target, combined)
        result = self.compute(raw, types)
        if len(self.outputs) > 1:
            result = result[0]
        array = target._array
        check_fits_inplace(self.name + "_", array, result)
        before = self._keep_overwritten(values) if recording else values
        if not self.one_value:  # a NumPy number that the dtype does not hold would be refused
            array[...] = np.asarray(result) if isinstance(result, generic) else result
        elif result.size:
            one = (
                0 if isinstance(result, CooArray) else result.flat[0]
            )  # 0 alone fills a sparse one
            overwrite(self.name + "_", target, one)
        bump(target)
        if not recording:
            if combined & VOLATILE:
                become_volatile(target)
            return target
        node = history.record(self, before, (target,), (array,))
        if node is not None:
            through_self = target._mode == REQUIRES_GRAD and self.params[0] in self.formulas
            rebase(target, node, through_self=through_self)
        elif target._mode == REQUIRES_GRAD:
            cut_history(target)
        return target

    def _keep_overwritten(self, values: list[Any]) -> list[Any]:
        """The operands, with copies of those that a formula needs and the result overwrites."""
        target = values[0]
        needed = history.needed_by_formulas(self, values)
        before = list(values)
        for name, i in zip(self.tensors, self.tensor_indices, strict=True):
            if name in needed and share_memory(values[i], target):
                before[i] = copy_with_history(values[i])
        return before


def _call_by(name: str, error: Exception) -> None:
    """Have an error of ours that names a part of an operation, which users have not called, name the
    operation itself."""
    text = error.args[0] if isinstance(error, DtorchError) and error.args else ""
    part, found, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    op = REGISTRY.get(part)
    if found and op is not None and not op.public:
        error.args = (f"{name}:{rest}", *error.args[1:])


def _says_the_type(name: str, error: Exception) -> bool:
    """Whether an error says in our words that something is of a wrong type."""
    return isinstance(error, TypeError) and (
        isinstance(error, ArgumentTypeError) or str(error).startswith(name)
    )


def public_ops() -> dict[str, Op]:
    """The operations that are called by name."""
    return {name: op for name, op in REGISTRY.items() if op.public}


def method(name: str, value: Any) -> None:
    """Give tensors a method or property that is no operation of its own."""
    op = getattr(value, "op", None)
    if callable(value) and (op is None or value not in (op.function, op.inplace_function)):
        value.__name__ = value.__qualname__ = name
    also_method(name, value)


def also_method(name: str, value: Any) -> None:
    """Give tensors a method that has another name of its own."""
    METHODS[name] = value
    _give(name, value)


def _give(name: str, value: Any) -> None:
    if not dispatch.set_slot(name, value, value, value):
        setattr(OpMethods, name, value)


def structured(**options: Any) -> Callable[[Callable[..., Any]], Op]:
    """Define an `Op` with any rule of shapes and any number of outputs."""
    return lambda body: Op(body, **options)


def _named(function: Callable[..., Any], op: Op, suffix: str = "") -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = op.name + suffix
    function.__module__ = "dtorch.core.functions"  # where pickle finds it by name
    doc = op.body.__doc__ or ""
    if suffix:
        doc = f"In-place form of ``{op.name}``.\n\n    {doc}"
    for name, value in {"__doc__": doc, "__wrapped__": op.body, "op": op}.items():
        setattr(function, name, value)
    set_signature(function, op.inplace_signature if suffix else lambda: op.signature)
    return function
