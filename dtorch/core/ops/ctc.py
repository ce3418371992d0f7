"""Connectionist temporal classification: likelihood of a sequence without its alignment."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.composed import recorded_gradients
from dtorch.core.ops.gathering import gather
from dtorch.core.ops.joining import cat, stack
from dtorch.core.ops.loss import check_reduction
from dtorch.core.ops.reduction import logsumexp, mean, sum
from dtorch.core.tensor import Tensor

_NEVER = -np.inf


def _paths(labels: Any, lengths: Any, blank: int) -> tuple[Any, Any]:
    """Labels with a blank before, between and after; and where two may follow without one."""
    n, longest = labels.shape
    paths = np.full((n, 2 * longest + 1), blank, np.int64)
    paths[:, 1::2] = labels
    skip = np.zeros(paths.shape, bool)
    skip[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    beyond = np.arange(paths.shape[1]) >= 2 * lengths[:, None] + 1
    paths[beyond] = blank
    return paths, skip


def _shifted(scores: Any, by: int) -> Any:
    out = np.full_like(scores, _NEVER)
    out[:, by:] = scores[:, : scores.shape[1] - by]
    return out


def _log_add(*parts: Any) -> Any:
    top = np.maximum.reduce(parts)
    safe = np.where(np.isfinite(top), top, 0)
    return safe + np.log(np.add.reduce([np.exp(p - safe) for p in parts]))


@structured(
    tensors=("log_probs", "labels", "input_lengths", "target_lengths"),
    outputs=("out", "forward"), returns=1, public=False,
)  # fmt: skip
def ctc(
    xp: ArrayModule,
    log_probs: Array,
    labels: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
) -> Any:
    """Negative log-likelihood of each sequence; hidden, the scores of all beginnings.

    Reference: Graves et al. 2006, "Connectionist temporal classification", section 4.1.
    """
    steps, n, _ = log_probs.shape
    paths, skip = _paths(labels, target_lengths, blank)
    size = paths.shape[1]
    forward = np.full((steps + 1, n, size), _NEVER, log_probs.dtype)
    for t in range(steps):
        emitted = np.take_along_axis(log_probs[t], paths, 1)
        if t == 0:
            scores = np.full((n, size), _NEVER, log_probs.dtype)
            scores[:, :2] = 0
        else:
            last = forward[t]
            jumped = np.where(skip, _shifted(last, 2), _NEVER)
            scores = _log_add(last, _shifted(last, 1), jumped)
        forward[t + 1] = scores + emitted
    return -_ends(forward, input_lengths, target_lengths), forward


def _ends(forward: Any, input_lengths: Any, target_lengths: Any) -> Any:
    n = forward.shape[1]
    rows = np.arange(n)
    last = 2 * target_lengths
    final = forward[input_lengths, rows]
    before = np.where(target_lengths > 0, final[rows, np.maximum(last - 1, 0)], _NEVER)
    out = _log_add(final[rows, last], before)
    empty = (input_lengths == 0) & (target_lengths == 0)
    return np.where(empty, 0, np.where(input_lengths == 0, _NEVER, out)).astype(forward.dtype)


@ctc.gradient("log_probs")
def _(grad, log_probs, labels, input_lengths, target_lengths, out, forward, blank):
    if isinstance(grad, TensorBase):
        return recorded_gradients(
            lambda x: _composed(
                x, labels._array, input_lengths._array, target_lengths._array, blank
            ),
            (log_probs,),
            (grad,),
        )[0]
    return _gradient(
        grad, log_probs, labels, input_lengths, target_lengths, out, forward, blank
    )  # fmt: skip


def _gradient(
    grad: Any, log_probs: Any, labels: Any, input_lengths: Any, target_lengths: Any, out: Any,
    forward: Any, blank: int,
) -> Any:  # fmt: skip
    """Share of all paths that pass each label at each step, times the gradient."""
    steps, n, _ = log_probs.shape
    paths, skip = _paths(labels, target_lengths, blank)
    size = paths.shape[1]
    places = np.arange(size)
    last = 2 * target_lengths[:, None]
    ending = (places == last) | ((places == last - 1) & (target_lengths[:, None] > 0))
    reached = np.full((n, size), _NEVER, log_probs.dtype)  # log of all ways from here to the end
    skip_next = np.zeros_like(skip)
    skip_next[:, :-2] = skip[:, 2:]
    result = np.zeros_like(log_probs)
    rows = np.arange(n)[:, None]
    factor = np.where(np.isfinite(out), grad, 0)[:, None]
    for t in range(steps - 1, -1, -1):
        if t + 1 < steps:
            ahead = reached + np.take_along_axis(log_probs[t + 1], paths, 1)
            one, two = np.full_like(ahead, _NEVER), np.full_like(ahead, _NEVER)
            one[:, :-1], two[:, :-2] = ahead[:, 1:], ahead[:, 2:]
            reached = _log_add(ahead, one, np.where(skip_next, two, _NEVER))
        here = (t == input_lengths - 1)[:, None]
        reached = np.where(here, np.where(ending, 0, _NEVER), reached)
        reached = np.where((t >= input_lengths)[:, None], _NEVER, reached)
        share = np.exp(forward[t + 1] + reached + np.where(np.isfinite(out), out, 0)[:, None])
        np.add.at(result[t], (rows, paths), -share * factor)
    return result


def _composed(
    log_probs: Any, labels: Any, input_lengths: Any, target_lengths: Any, blank: int
) -> Any:
    steps, n, _ = log_probs.shape
    paths, skip = _paths(labels, target_lengths, blank)
    kind = log_probs._array.dtype
    size = paths.shape[1]
    never = wrap(np.full((n, 2), -1e30, kind))
    start = np.full((n, size), -1e30, kind)
    start[:, :2] = 0
    barrier = wrap(np.where(skip, 0, -1e30).astype(kind))
    scores: Any = None
    collected = []
    for t in range(steps):
        emitted = gather(log_probs[t], 1, wrap(paths))
        if scores is None:
            scores = wrap(start) + emitted
        else:
            one = cat([never[:, :1], scores[:, :-1]], 1)
            two = cat([never, scores], 1)[:, :size] + barrier
            scores = logsumexp(stack([scores, one, two]), 0) + emitted
        collected.append(scores)
    picked = []
    for i in range(n):
        final = collected[int(input_lengths[i]) - 1][i]
        last = 2 * int(target_lengths[i])
        picked.append(logsumexp(final[max(last - 1, 0) : last + 1], 0))
    return -stack(picked)


def _lengths(name: str, what: str, value: Any, n: int) -> Any:
    array = value._array if isinstance(value, TensorBase) else np.asarray(value)
    array = array.reshape(-1).astype(np.int64)
    if array.shape != (n,):
        raise ShapeError(f"{name}: {what} are {array.size} numbers, expected {n}, one a sequence")
    return array


def _labels(name: str, targets: Any, lengths: Any, n: int) -> Any:
    """Targets as ``(N, longest)``; they come so, or one after the other."""
    array = targets._array
    longest = int(lengths.max()) if n else 0
    out = np.zeros((n, longest), np.int64)
    if array.ndim == 2:
        if array.shape[0] != n or array.shape[1] < longest:
            raise ShapeError(
                f"{name}: targets have shape {array.shape}, expected ({n}, at least {longest})"
            )
        out[...] = array[:, :longest]
        return out
    if array.ndim != 1 or array.size != int(lengths.sum()):
        raise ShapeError(
            f"{name}: targets have shape {array.shape}, expected (N, S), or ({int(lengths.sum())},), "
            "the sum of target_lengths"
        )
    out[np.arange(longest) < lengths[:, None]] = array
    return out


@composite(tensors=("log_probs", "targets"), home="nn", wide=True, takes="f")
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Negative log-likelihood of label sequences under all their alignments.

    Args:
        log_probs: log-probabilities ``(T, N, C)`` or ``(T, C)``.
        targets: labels ``(N, S)``, or one after the other; none is ``blank``.
        input_lengths, target_lengths: of each sequence.
        blank: class that stands for no label.
        reduction: ``"mean"`` divides each loss by the target's length first; ``"sum"``,
            ``"none"``.
        zero_infinity: infinite losses, of targets too long for their input, count as 0.
    """
    name = "ctc_loss"
    check_reduction(name, reduction)
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.reshape((log_probs.shape[0], 1, log_probs.shape[1]))
    if log_probs.ndim != 3:
        raise ShapeError(
            f"{name}: log_probs have shape {tuple(log_probs.shape)}, expected (T, N, C) or (T, C)"
        )
    steps, n, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise ArgumentError(f"{name}: blank is {blank}, expected 0 to {classes - 1}")
    inputs = _lengths(name, "input_lengths", input_lengths, n)
    lengths = _lengths(name, "target_lengths", target_lengths, n)
    if n and (int(inputs.max()) > steps or int(inputs.min()) < 0 or int(lengths.min()) < 0):
        raise ArgumentError(
            f"{name}: input_lengths from {int(inputs.min())} to {int(inputs.max())}, target_lengths "
            f"from {int(lengths.min())}; expected at most {steps} steps and nothing negative"
        )
    labels = _labels(name, targets, lengths, n)
    used = lengths[:, None] > np.arange(labels.shape[1])
    if used.any() and not (int(labels[used].min()) >= 0 and int(labels[used].max()) < classes):
        raise DimensionError(
            f"{name}: targets from {int(labels[used].min())} to {int(labels[used].max())} are out "
            f"of range for {classes} classes"
        )
    losses = ctc(log_probs, wrap(labels), wrap(inputs), wrap(lengths), blank)
    if zero_infinity:
        losses = keep(losses, wrap(~np.isinf(losses._array)))
    if reduction == "none":
        return losses.reshape(()) if single else losses
    if reduction == "sum":
        return sum(losses)
    return mean(losses / wrap(np.maximum(lengths, 1).astype(losses._array.dtype)))


@ctc_loss.samples
def _(make):
    from dtorch.core.ops.softmax import log_softmax  # noqa: PLC0415

    def scores(*shape):
        return log_softmax(make(*shape), -1)

    target = make.index(2, 3, high=1)
    target._array[...] = [[1, 2, 2], [3, 1, 0]]
    lengths = (wrap(np.array([6, 5])), wrap(np.array([3, 2])))
    yield (scores(6, 2, 4), target, *lengths), {}
    yield (scores(6, 2, 4), target, *lengths), {"reduction": "none"}
    flat = wrap(np.array([1, 2, 2, 3, 1]))
    yield (scores(6, 2, 4), flat, [6, 5], [3, 2]), {"reduction": "sum"}


@ctc_loss.expect
def _(log_probs, targets, input_lengths, target_lengths, reduction="mean"):
    losses, start = [], 0
    for i, (steps, length) in enumerate(zip(input_lengths, target_lengths, strict=True)):
        if targets.ndim == 2:
            label = list(targets[i, :length])
        else:
            label = list(targets[start : start + length])
            start += length
        total = 0.0
        for path in np.ndindex(*(log_probs.shape[2],) * steps):
            merged = [c for t, c in enumerate(path) if t == 0 or path[t - 1] != c]
            if [c for c in merged if c != 0] == label:
                total += np.exp(np.sum([log_probs[t, i, c] for t, c in enumerate(path)]))
        losses.append(-np.log(total))
    found = np.array(losses)
    if reduction == "mean":
        return (found / np.asarray(target_lengths)).mean()
    return found if reduction == "none" else found.sum()
