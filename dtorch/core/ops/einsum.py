"""Sums of products by Einstein's convention."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.diagonal import diagonal
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.reduction import sum
from dtorch.core.ops.view import permute
from dtorch.core.tensor import Tensor


@composite(tensors=("operands",), variadic="operands", method=False, takes="ifc")
def einsum(equation: str, operands: Tensor) -> Tensor:
    """Sums of products of elements, written with one letter for each dim.

    Args:
        equation: letters of the operands' dims, separated by commas, and after ``->`` those of the
            result. ``...`` stands for dims that broadcast; without ``->`` the letters that occur
            once, in alphabetical order, are the result's.
        operands: tensors, or one list of them.

    Example:
        >>> import dtorch
        >>> einsum("ij,jk->ik", dtorch.ones(2, 3), dtorch.ones(3, 1)).tolist()
        [[3.0], [3.0]]
    """
    inputs, output = _parse(equation, operands)
    terms = []
    for position, (labels, operand) in enumerate(zip(inputs, operands, strict=True)):
        others = set(output).union(*(inputs[:position] + inputs[position + 1 :]))
        terms.append(_reduced(labels, operand, others))
    while len(terms) > 1:
        (left, a), (right, b), *rest = terms
        kept = set(output).union(*(labels for labels, _ in rest))
        terms = [_contract(left, a, right, b, kept), *rest]
    labels, result = terms[0]
    return permute(result, tuple(labels.index(label) for label in output))


def _parse(equation: str, operands: Any) -> tuple[list[str], str]:
    """The labels of each operand and of the result, with letters in place of ``...``."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise ArgumentError(
            f"einsum: {equation!r} names {len(inputs)} operands, got {len(operands)}"
        )
    unknown = set(left.replace("...", "").replace(",", "") + right.replace("...", "")) - set(
        string.ascii_letters
    )
    if unknown:
        raise ArgumentError(f"einsum: {equation!r} has the characters {sorted(unknown)}")
    free = [letter for letter in string.ascii_letters if letter not in text]
    spare = max(
        op.ndim - len(term.replace("...", "")) for op, term in zip(operands, inputs, strict=True)
    )
    broadcast = "".join(free[: max(spare, 0)])
    expanded = []
    for position, (term, operand) in enumerate(zip(inputs, operands, strict=True)):
        missing = operand.ndim - len(term.replace("...", ""))
        if missing < 0 or (missing and "..." not in term):
            raise ShapeError(
                f"einsum: operand {position} has shape {tuple(operand.shape)}, which {term!r} of "
                f"{equation!r} does not fit"
            )
        expanded.append(term.replace("...", broadcast[len(broadcast) - missing :]))
    if arrow:
        output = right.replace("...", broadcast)
    else:
        letters = left.replace("...", "").replace(",", "")
        once = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
        output = (broadcast if "..." in left else "") + once
    strange = set(output) - set("".join(expanded))
    if strange or len(set(output)) < len(output):
        raise ArgumentError(f"einsum: the result of {equation!r} must name dims of operands, once")
    return expanded, output


def _reduced(labels: str, operand: Any, others: set[str]) -> tuple[str, Any]:
    """Without labels named twice (a diagonal is taken) or nowhere else (their dim is summed)."""
    for label in sorted(set(labels)):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if operand.shape[first] != operand.shape[second]:
                raise ShapeError(
                    f"einsum: {label!r} stands for sizes {operand.shape[first]} and "
                    f"{operand.shape[second]} of one operand"
                )
            operand = diagonal(operand, 0, first, second)
            labels = "".join(c for i, c in enumerate(labels) if i not in (first, second)) + label
    lonely = [label for label in labels if label not in others]
    if lonely:
        operand = sum(operand, tuple(labels.index(label) for label in lonely))
        labels = "".join(label for label in labels if label in others)
    return labels, operand


def _contract(left: str, a: Any, right: str, b: Any, kept: set[str]) -> tuple[str, Any]:
    """The product of two terms, summed over the labels that are not ``kept``, by `matmul`."""
    sizes: dict[str, int] = {}
    for label, size in [*zip(left, a.shape, strict=True), *zip(right, b.shape, strict=True)]:
        if sizes.setdefault(label, size) != size and 1 not in (size, sizes[label]):
            raise ShapeError(f"einsum: {label!r} stands for sizes {sizes[label]} and {size}")
        sizes[label] = size if sizes[label] == 1 else sizes[label]
    both = [label for label in left if label in right]
    batch = [label for label in both if label in kept]
    summed = [label for label in both if label not in kept]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]

    def shaped(labels: str, t: Any, first: list[str], second: list[str]) -> Any:
        order = [*batch, *first, *second]
        t = permute(t, tuple(labels.index(label) for label in order))
        t = t.expand(
            [t.shape[i] if label in batch else sizes[label] for i, label in enumerate(order)]
        )
        counts = [int(np.prod([sizes[c] for c in part], dtype=int)) for part in (first, second)]
        return t.reshape([*t.shape[: len(batch)], *counts])

    out = matmul(shaped(left, a, rows, summed), shaped(right, b, summed, columns))
    labels = "".join([*batch, *rows, *columns])
    return labels, out.reshape([sizes[label] for label in labels])


@einsum.samples
def _(make):
    yield ("ij,jk->ik", make(2, 3), make(3, 4)), {}
    yield ("bij,bjk->bik", make(2, 2, 3), make(2, 3, 2)), {}
    yield ("ij,jk,kl->il", make(2, 3), make(3, 2), make(2, 2)), {}
    yield ("...ij,...jk->...ik", make(2, 2, 3), make(3, 2)), {}
    yield ("ii->i", make(3, 3)), {}
    yield ("ii", make(3, 3)), {}
    yield ("ij->j", make(2, 3)), {}
    yield ("i,j->ij", make(2), make(3)), {}
    yield ("ij,ij->", make(2, 3), make(2, 3)), {}
    yield ("bn,anm,bm->ba", make(2, 3), make(2, 3, 2), make(2, 2)), {}
    yield ("ji,j", make(2, 3), make(2)), {}


@einsum.expect
def _(equation, *operands):
    return np.einsum(equation, *operands)
