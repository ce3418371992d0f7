"""Operations: each is defined once, in one block, and everything else follows from the block.

A block holds the name, the signature, the documentation, the forward computation on arrays, the
gradient formulas and sample inputs::

    @elementwise()
    def elu(xp, input, alpha=1.0):
        \"\"\"Documentation.\"\"\"
        return xp.where(input > 0, input, alpha * xp.expm1(xp.minimum(input, 0)))

    @elu.gradient("input")
    def _(grad, out, alpha):
        return choose(out > 0, grad, grad * (out + alpha))

    @elu.samples
    def _(make):
        yield (make(3, 4),), {}

From it follow the function ``dtorch.elu``, the methods ``Tensor.elu`` and ``Tensor.elu_``,
``out=``, the type stub and the tests.

A gradient formula states by the names of its parameters what it needs, and only that is saved:
an argument of the operation, one of its outputs (``out``), the sizes of an argument
(``input_shape``), ``grad`` (``grads`` for all outputs), or ``needs`` (which of several inputs want
a gradient). Formulas are polymorphic: operations called with arrays return arrays, so a formula
runs on arrays in a first-order backward pass and on tensors under ``create_graph``.

Faster equals of the body and of the formulas, for the arrays of one device, may stand beside them;
each gets what it stands in for gets, but for the array module, and returns None for what is not
for it::

    @elu.kernel("cpu")
    def _(input, alpha):
        return native.elu(input, alpha) if is_known(input) else None

    @elu.gradient_kernel("input")
    def _(grad, out, alpha):
        ...

Those for the CPU are compiled: without the native module they are not there. Two options of a block
name compiled code that stands behind whole calls: ``loop="exp"`` the loop over elements, a kernel that
plain tensors come to at once, and ``way="transpose"`` the short way of another kind of operation.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from types import CodeType
from typing import Any, TypeVar

import numpy as np

from dtorch.core import backend
from dtorch.core.classic import Classic
from dtorch.core.operands import MAY_BE_NONE, type_bits
from dtorch.core.signature import MISSING, parameters_of, public_signature

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# The native module records which of an operation's tensors want a gradient in a word of 64 bits.
MOST_TENSORS = 64

_NUMPY_KINDS = {"b": "b", "i": "iu", "f": "fV", "c": "c"}  # V: bfloat16

GRAD, GRADS = -1, -2  # in the place of a saved value's number: the gradient of the output, of all

# A formula; where its parameters come from; which of several gradients to keep; and its kernels by
# device, which return None for arrays they do not know.
Step = tuple[
    Callable[..., Any], tuple[Any, ...], tuple[int, ...] | None, dict[str, Callable[..., Any]]
]


class Plan:
    """What a node saves, and the formulas it runs, for one set of inputs that want a gradient."""

    __slots__ = ("keeps_tensors", "names", "saves", "steps")

    def __init__(self, op: Definition, needed: tuple[str, ...]) -> None:
        self.names: list[str] = []
        self.steps: list[Step] = []
        done: set[int] = set()
        for arg in needed:
            formula = op.formulas[arg]
            if id(formula) in done:
                continue
            done.add(id(formula))
            needs = tuple(name in needed for name in formula.args)
            sources = tuple(self._source(name, needs) for name in formula.params)
            select = None if len(formula.args) == 1 else tuple(i for i, n in enumerate(needs) if n)
            self.steps.append((formula.function, sources, select, formula.kernels))
        self.saves = tuple(op.getter(name) for name in self.names)
        # Sizes and numbers alone need not be freed: such a node can run again.
        self.keeps_tensors = any(
            where == "out" or (where == "arg" and i in op.tensor_indices) for where, i in self.saves
        )

    def _source(self, name: str, needs: tuple[bool, ...]) -> Any:
        """Where a formula's parameter comes from: a saved value's position, or a special one."""
        if name in ("grad", "grads"):
            return GRAD if name == "grad" else GRADS
        if name == "needs":
            return needs
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


class Formula:
    """A gradient formula: of which arguments, the function, and the names of its parameters."""

    __slots__ = ("args", "function", "kernels", "params")

    def __init__(self, args: tuple[str, ...], function: Callable[..., Any]) -> None:
        self.args = args
        self.function = function
        self.kernels: dict[str, Callable[..., Any]] = {}
        self.params = _parameters(function.__code__)  # formulas are plain functions

    def check_kernel(self, name: str, function: Callable[..., Any]) -> None:
        """Complain unless a kernel, where it is a plain function, takes what the formula does."""
        code = getattr(function, "__code__", None)
        if code is not None and _parameters(code) != self.params:
            raise ValueError(
                f"{name}: the gradient kernel takes {_parameters(code)}, expected {self.params}"
            )


def _parameters(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount]


@cache
def _refused_and_taken(takes: str) -> tuple[str, str]:
    """Kinds of numbers that are refused, and those taken as NumPy names them."""
    refused = "".join(kind for kind in "bifc" if kind not in takes)
    return refused, "".join(_NUMPY_KINDS[kind] for kind in takes)


class Definition:
    """What the block of one operation says; `Op` makes of it what is called.

    Attributes:
        name: public name.
        body: forward computation on arrays; its first parameter is the array module.
        params, defaults: parameters after that one.
        tensors: names of those that take tensors (or lists of tensors).
        formulas: gradient formula by argument.
        home: which module of `dtorch.core.public` offers the function: ``general`` (it is dtorch's
            own), ``nn``, ``linalg`` or ``fft``; empty for none.
        method: whether ``Tensor.name`` exists; by default that of general ones does.
        inplace: whether ``Tensor.name_`` exists.
        wide: float16 and bfloat16 are widened to float32 for the body, kernels and formulas; the
            first ``rounded`` results are rounded to the dtype of the first operand. The body of a
            composite gets float32, so that its parts do not round for themselves.
        keeps_half: of a wide operation, says by the values of a call, or those saved of it, whether
            its kernels and formulas take float16 and bfloat16 as they are.
        refused: kinds of dtypes (see `refuse_dtypes`) that ``takes`` leaves out. They are those of
            the dtype in which elementwise operands, or the tensors ``takes_of``, are combined; else
            of the first tensor. A dtype that the caller names for the computation makes up for it.
        recorded_as: the operation in the names of nodes, where PyTorch calls it otherwise.
    """

    kind = "structured"
    takes_module = True  # the first parameter of the body is the array module
    keeps_half: Callable[[dict[str, Any]], bool] | None = None

    def __init__(
        self,
        body: Callable[..., Any],
        *,
        tensors: Sequence[str] | None = None,
        outputs: Sequence[str] = ("out",),
        returns: int | None = None,
        inplace: bool = False,
        home: str = "general",
        method: bool | None = None,
        public: bool = True,
        variadic: str | None = None,
        aliases: dict[str, str] | None = None,
        has_out: bool = True,
        ufunc: np.ufunc | None = None,
        way: str | None = None,
        wide: bool = False,
        rounded: int | None = None,
        takes: str = "bifc",
        takes_of: Sequence[str] | None = None,
        one_value: bool = False,
        mixes: bool = False,
        keeps_format: Sequence[str] = (),
        recorded_as: str | None = None,
    ) -> None:
        self.mixes = mixes  # operands may lie on different devices
        # Parameters of which results take over the format for channels last.
        self.keeps_format = keeps_format
        self.one_value = one_value  # everywhere; in place, elements may then share memory
        self.wide = wide
        self.refused, self.taken = _refused_and_taken(takes)
        self.way = way  # the name of the compiled short way that calls take
        self.ufunc = ufunc  # equals the body where the parameters after the operands are defaults
        self.has_out = has_out and self.kind != "view"
        self.public = public
        self.name = body.__name__.rstrip("_")
        self.body = body
        self.parameters = parameters_of(body, int(self.takes_module))
        self.params, self.defaults, self.positional = self.parameters
        without = [i for i, default in enumerate(self.defaults, 1) if default is MISSING]
        self.required = max(without, default=0)  # all that must be given are among so many
        self.index = {name: i for i, name in enumerate(self.params)}
        for alias, name in (aliases or {}).items():
            self.index[alias] = self.index[name]
        self.variadic = None if variadic is None else self.index[variadic]
        required = [self.params[i - 1] for i in without]
        self.tensors = tuple(required if tensors is None else tensors)
        if len(self.tensors) > MOST_TENSORS:
            raise ValueError(
                f"{self.name}: {len(self.tensors)} parameters take tensors, expected at most "
                f"{MOST_TENSORS}; one parameter can take a list of them"
            )
        self.tensor_indices = tuple(self.index[name] for name in self.tensors)
        self.rules = bytes(map(self.rule_of, self.tensor_indices))
        self.unsettled = type_bits(self.refused)
        judged = self.tensors[:1] if takes_of is None else takes_of
        self.judged = tuple(self.index[name] for name in judged)
        self.outputs = tuple(outputs)
        self.returns = len(self.outputs) if returns is None else returns
        self.rounded = self.returns if rounded is None else rounded
        self.inplace = inplace
        self.recorded_as = recorded_as
        self.home = home
        self.method = home == "general" if method is None else method
        self.formulas: dict[str, Formula] = {}
        self.plans: dict[int, Plan] = {}
        self.kernels: dict[str, Callable[..., Any]] = {}
        self.make_samples: Callable[..., Iterator[Any]] | None = None
        self.reference: Callable[..., Any] | None = None
        self.rearrange: Callable[..., Any] | None = None
        self.former: list[tuple[Classic, Callable[..., Any]]] = []
        self.check_shape: Callable[..., Any] | None = None

    @cached_property
    def node_name(self) -> str:
        """What nodes are called, in PyTorch's spelling: ``Log1PBackward0`` of ``log1p``."""
        name = re.sub(r"(?:^|_|(?<=\d))([a-z])", lambda part: part[1].upper(), self.name)
        return f"{self.recorded_as or name}Backward0"

    @cached_property
    def signature(self) -> inspect.Signature:
        """That of the function."""
        return public_signature(self.parameters, self.has_out)

    def inplace_signature(self) -> inspect.Signature:
        """That of the method that changes its tensor."""
        return public_signature(self.parameters, has_out=False)

    @cached_property
    def doc(self) -> str:
        """The documentation, without the indentation of the source."""
        return inspect.cleandoc(self.body.__doc__ or "")

    # -- the parts of a block -------------------------------------------------------------------

    def plan_for_bits(self, bits: int) -> Plan:
        """The plan for those parameters in `tensors` whose bit is set, as wanting a gradient."""
        plan = self.plans.get(bits)
        if plan is None:
            needed = tuple(name for k, name in enumerate(self.tensors) if bits >> k & 1)
            plan = self.plans[bits] = Plan(self, needed)
        return plan

    def gradient(self, *args: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the gradient formula of one argument, or one that gives those of several."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            formula = Formula(args, function)
            for arg in args:
                if arg not in self.tensors:
                    raise ValueError(f"{self.name}: {arg} takes no tensor, so it has no gradient")
                self.formulas[arg] = formula
            return function

        return register

    def shape(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register the shape rule, which also validates: ``rule(arguments) -> shape``."""
        self.check_shape = function
        return function

    def samples(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register sample inputs: ``samples(make)`` yields ``(args, kwargs)``."""
        self.make_samples = function
        return function

    def expect(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register an independent reference on NumPy arrays, the oracle of the derived test."""
        self.reference = function
        return function

    def classic(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register ``rearrange(args) -> (args, kwargs)`` for classic surplus positions."""
        self.rearrange = function
        return function

    def formerly(self, what: Classic) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register ``rule(values) -> values or None``: what a call that fails meant in 2017, as the
        values of the parameters of one that does not; None where it was an error then, too."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.former.append((what, function))
            return function

        return register

    def kernel(self, device: str) -> Callable[[Kernel], Kernel]:
        """Register a faster equal of the body, without array module, for arrays of a device."""

        def register(function: Kernel) -> Kernel:
            if backend.has_kernels(device):
                self.kernels[device] = function
            return function

        return register

    def gradient_kernel(self, *args: str, device: str = "cpu") -> Callable[[Kernel], Kernel]:
        """Register a faster equal of the formula that gives the gradients of these arguments.

        It runs where the formula would run on arrays, never on tensors.
        """

        def register(function: Kernel) -> Kernel:
            formula = self.formulas.get(args[0])
            if formula is None or formula.args != args:
                raise ValueError(f"{self.name}: no formula gives the gradients of {args} together")
            formula.check_kernel(self.name, function)
            if backend.has_kernels(device):
                formula.kernels[device] = function
            return function

        return register

    # -- what follows from them -----------------------------------------------------------------

    def widens(self, names: Sequence[str], values: Sequence[Any]) -> bool:
        """Whether values of float16 and bfloat16, of a call or saved of it, are widened."""
        if self.wide and self.keeps_half is not None:
            return not self.keeps_half(dict(zip(names, values, strict=True)))
        return self.wide

    def takes_operand(self, i: int, value: Any) -> bool:
        """Whether the operation takes an operand that is no tensor; some kinds take numbers."""
        return value is None and not (self.public and self.defaults[i] is MISSING)

    def rule_of(self, i: int) -> int:
        """What else than a tensor a parameter may be, for calls that are `settled`."""
        return MAY_BE_NONE * self.takes_operand(i, None)

    @cached_property
    def recorder(self) -> Any:
        """What the native module has to know to record calls."""
        flags = tuple(name in self.formulas for name in self.tensors)
        return backend.native.Recorder(self, self.defaults, self.tensor_indices, flags)

    @cached_property
    def differentiable(self) -> tuple[tuple[int, int], ...]:
        """``(bit, index)`` of the parameters that have a gradient formula."""
        return tuple(
            (1 << k, i)
            for k, (name, i) in enumerate(zip(self.tensors, self.tensor_indices, strict=True))
            if name in self.formulas
        )

    def getter(self, name: str) -> tuple[str, int]:
        """Where the value of a formula's parameter is found when a call is recorded."""
        if name in self.outputs:
            return "out", self.outputs.index(name)
        if name in self.index:
            return "arg", self.index[name]
        arg, _, what = name.rpartition("_")
        if what == "shape" and arg in self.index:
            return "shape", self.index[arg]
        raise ValueError(f"{self.name}: a gradient formula asks for {name!r}, which does not exist")
