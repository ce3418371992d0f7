"""Layers that take or give tables of tensors."""

from __future__ import annotations

from functools import reduce
from operator import add, mul
from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.recording import Table, tensors_of
from dtorch.legacy.nn.shape import sample_dim

__all__ = [
    "MM", "MV", "CAddTable", "CDivTable", "CMulTable", "CSubTable", "CosineDistance",
    "CriterionTable", "DotProduct", "FlattenTable", "Index", "JoinTable", "MaskedSelect",
    "MixtureTable", "NarrowTable", "PairwiseDistance", "SelectTable", "SplitTable",
]  # fmt: skip


class CAddTable(Module):
    """The sum of all tensors; ``inplace`` overwrites the first."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def compute(self, input: list[Tensor]) -> Any:
        return reduce(add, input)


class CSubTable(Module):
    """The first tensor minus the second."""

    def compute(self, input: list[Tensor]) -> Any:
        return input[0] - input[1]


class CMulTable(Module):
    """The product of all tensors."""

    def compute(self, input: list[Tensor]) -> Any:
        return reduce(mul, input)

    def updateGradInput_efficient(self, input: list[Tensor], gradOutput: Tensor) -> Any:
        """`updateGradInput`, of which Torch7 had two."""
        return self.updateGradInput(input, gradOutput)


class CDivTable(Module):
    """The first tensor divided by the second."""

    def compute(self, input: list[Tensor]) -> Any:
        return input[0] / input[1]


class JoinTable(Module):
    """The tensors, joined along a dim."""

    nInputDims: int | None = None

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def compute(self, input: list[Tensor]) -> Any:
        return functions.cat(input, sample_dim(self.dimension, self.nInputDims, input[0]))


class SplitTable(JoinTable):
    """The table of the slices along a dim."""

    def compute(self, input: Any) -> Table:
        return list(input.unbind(sample_dim(self.dimension, self.nInputDims, input)))


class SelectTable(Module):
    """The part of a table at a place, from 0; negative ones count from the end."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def compute(self, input: list[Table]) -> Table:
        return input[self.index]


class NarrowTable(Module):
    """``length`` parts of a table from ``offset`` on."""

    def __init__(self, offset: int, length: int = 1) -> None:
        super().__init__()
        self.offset = offset
        self.length = length

    def compute(self, input: list[Table]) -> Table:
        return input[self.offset : self.offset + self.length]


class FlattenTable(Module):
    """All tensors of nested tables in one table."""

    def compute(self, input: Table) -> Table:
        return tensors_of(input)


class MixtureTable(Module):
    """Experts, each weighted by its gate and summed.

    The input is a table of the gates, ``(n,)`` or ``(batch, n)``, and of the experts: a table of n
    tensors, or a tensor in which dim ``dim`` is theirs.
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def compute(self, input: Any) -> Any:
        gates, experts = input
        place = gates.ndim - 1
        if isinstance(experts, list):
            experts = functions.stack(experts, place)
        else:
            place = self.dim if place else max(0, self.dim - 1)
        if experts.size(place) != gates.size(-1):
            raise ArgumentError(
                f"MixtureTable: there are {gates.size(-1)} gates for {experts.size(place)} experts"
            )
        sizes = [1] * experts.ndim
        sizes[0], sizes[place] = gates.size(0), gates.size(-1)
        return (experts * gates.view(sizes)).sum(place)


class MM(Module):
    """The product of two matrices, or of two batches of them, transposed if asked for."""

    def __init__(self, transA: bool = False, transB: bool = False) -> None:
        super().__init__()
        self.transA = transA
        self.transB = transB

    def compute(self, input: Any) -> Any:
        a, b = input
        if a.ndim not in (2, 3) or a.ndim != b.ndim:
            raise ArgumentError(
                f"MM: got tensors of {a.ndim} and {b.ndim} dims, expected two matrices, or two "
                "batches of them"
            )
        return (a.mT if self.transA else a) @ (b.mT if self.transB else b)


class MV(Module):
    """The product of a matrix, transposed if asked for, and a vector, or of batches of them."""

    def __init__(self, trans: bool = False) -> None:
        super().__init__()
        self.trans = trans

    def compute(self, input: Any) -> Any:
        matrix, vector = input
        if matrix.ndim not in (2, 3) or vector.ndim != matrix.ndim - 1:
            raise ArgumentError(
                f"MV: got tensors of {matrix.ndim} and {vector.ndim} dims, expected a matrix and a "
                "vector, or batches of them"
            )
        return ((matrix.mT if self.trans else matrix) @ vector.unsqueeze(-1)).squeeze(-1)


class DotProduct(Module):
    """The dot product of two vectors, ``(1,)``, or of each pair of rows, ``(batch,)``."""

    def compute(self, input: Any) -> Any:
        a, b = _rows(input)
        return (a * b).sum(1)


class CosineDistance(Module):
    """The cosine of the angle between two vectors, ``(1,)``, or each pair of rows, ``(batch,)``."""

    def compute(self, input: Any) -> Any:
        a, b = _rows(input)
        return functions.cosine_similarity(a, b, dim=1, eps=1e-12)


class PairwiseDistance(Module):
    """The p-norm of the difference of two vectors, ``(1,)``, or of each pair of rows."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.norm = p

    def compute(self, input: Any) -> Any:
        a, b = _rows(input)
        return (a - b).norm(self.norm, 1)


def _rows(input: Any) -> list[Any]:
    return [part.view(1, -1) if part.ndim == 1 else part for part in input]


class Index(Module):
    """The slices of a tensor that a tensor of indices names: of a table of both."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def compute(self, input: Any) -> Any:
        tensor, index = input
        return tensor.index_select(self.dimension, index.long())


class MaskedSelect(Module):
    """The elements of a tensor where a mask is not 0: of a table of both."""

    def compute(self, input: Any) -> Any:
        tensor, mask = input
        return tensor.masked_select(mask.bool())


class CriterionTable(Module):
    """A criterion as a layer: its input is the table of the criterion's input and target."""

    def __init__(self, criterion: Any) -> None:
        super().__init__()
        self.criterion = criterion
        self.gradInput = [criterion.gradInput]

    def updateOutput(self, input: Table) -> Any:
        self.output = self.criterion.updateOutput(*input)
        return self.output

    def updateGradInput(self, input: Table, gradOutput: Any = None) -> Table:
        self.gradInput = [self.criterion.updateGradInput(*input)]
        return self.gradInput
