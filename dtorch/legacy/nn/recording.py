"""What a layer computed, recorded so that its gradients can be asked for.

The numbers of a recording are those of the layer itself, not copies: as in Torch7, a gradient that
is asked for after a parameter was changed in place is that of the changed parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtorch.autograd.backward import grad
from dtorch.core.creation import zeros
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.grad_mode import enable_grad
from dtorch.core.tensor import Tensor

# A tensor, or a list of tables. Numbers, and whatever else a layer takes, pass unchanged.
Table = Any


def mapped(function: Callable[[Tensor], Any], table: Table) -> Table:
    """The table with a function applied to each of its tensors."""
    if isinstance(table, Tensor):
        return function(table)
    if isinstance(table, (list, tuple)):
        return [mapped(function, part) for part in table]
    return table


def tensors_of(table: Table) -> list[Tensor]:
    """The tensors of a table, in order."""
    found: list[Tensor] = []
    mapped(found.append, table)
    return found


def plain(table: Table) -> Table:
    """The table over the same memory, without history."""
    return mapped(lambda tensor: tensor.data, table)


def _leaf(tensor: Tensor) -> Tensor:
    leaf = tensor.data
    return leaf.requires_grad_() if leaf.dtype.is_floating_point else leaf


class Recording:
    """One call of ``compute(input, *parameters)``.

    Args:
        name: of the layer, for errors.
        parameters: tensors, or None for those that the layer does without.
    Attributes:
        output: what it gave, without history.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[..., Table],
        input: Table,
        parameters: Sequence[Tensor | None] = (),
    ) -> None:
        self._name = name
        self._input = mapped(_leaf, input)
        self._parameters = mapped(_leaf, parameters)
        with enable_grad():
            self._result = compute(self._input, *self._parameters)
        self.output = plain(self._result)

    def expect(self, input: Table) -> None:
        """Refuse another input than the one of this call."""
        here, given = (_sizes(table) for table in (self._input, input))
        if here != given:
            raise ShapeError(
                f"{self._name}: backward got an input of {given}, forward one of {here}; backward "
                "has to follow a forward with the same input"
            )

    def input_gradient(self, grad_output: Table) -> Table:
        """The gradient of each tensor of the input, in a table like it."""
        found = iter(self._gradients(tensors_of(self._input), grad_output))
        return mapped(lambda _: next(found), self._input)

    def parameter_gradients(self, grad_output: Table) -> list[Tensor]:
        """The gradient of each parameter that is there."""
        return self._gradients(tensors_of(self._parameters), grad_output)

    def gradients(self, grad_output: Table) -> tuple[Table, list[Tensor]]:
        """Both of these, in one pass."""
        given = tensors_of(self._input)
        found = self._gradients([*given, *tensors_of(self._parameters)], grad_output)
        of_input = iter(found[: len(given)])
        return mapped(lambda _: next(of_input), self._input), found[len(given) :]

    def _gradients(self, leaves: list[Tensor], grad_output: Table) -> list[Tensor]:
        outputs = tensors_of(self._result)
        grads = self._like_outputs(outputs, grad_output)
        pairs = [
            (output, given)
            for output, given in zip(outputs, grads, strict=True)
            if given is not None and output.requires_grad
        ]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found: dict[int, Any] = {}
        if pairs and wanted:
            kept = grad(
                [output for output, _ in pairs], wanted, [given for _, given in pairs],
                retain_graph=True, allow_unused=True,
            )  # fmt: skip
            found = dict(zip(map(id, wanted), kept, strict=True))
        kind = outputs[0].dtype if outputs else None
        return [
            zeros(leaf.shape, dtype=leaf.dtype if leaf.requires_grad else kind, device=leaf.device)
            if found.get(id(leaf)) is None
            else plain(found[id(leaf)])
            for leaf in leaves
        ]

    def _like_outputs(self, outputs: list[Tensor], grad_output: Table) -> list[Tensor | None]:
        """The gradient of each output; None where there is none."""
        if grad_output is None:
            raise ArgumentError(
                f"{self._name}: gradOutput is None; a layer whose gradInput is None computes none "
                "for the layers before it"
            )
        if isinstance(self._result, Tensor) and isinstance(grad_output, (int, float)):
            return [self._result.data.new_full(self._result.shape, grad_output)]
        given = _flat(grad_output)
        if len(given) != len(outputs):
            raise ArgumentError(
                f"{self._name}: gradOutput has {len(given)} tensors, expected {len(outputs)}, one "
                "for each tensor of the output"
            )
        for output, one in zip(outputs, given, strict=True):
            if one is not None and one.shape != output.shape:
                raise ShapeError(
                    f"{self._name}: gradOutput has sizes {tuple(one.shape)}, expected those of the "
                    f"output, {tuple(output.shape)}"
                )
        return given


def _flat(table: Table) -> list[Any]:
    if isinstance(table, (list, tuple)):
        return [one for part in table for one in _flat(part)]
    return [table]


def _sizes(table: Table) -> Any:
    return mapped(lambda tensor: tuple(tensor.shape), table)
