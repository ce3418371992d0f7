"""Sharing the tensors of a state out to several files, and putting them together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.serialization.errors import CheckpointError

_PLACE = "tensor of another file"  # marks in the skeleton of the state where a tensor belongs


def split(state: Any, rank: int, world_size: int) -> dict[str, Any]:
    """What ``rank`` writes: its share of the tensors, and if it is 0 the state without them.

    Tensors over one storage go to one rank, so that they come back sharing it.
    """
    tensors: dict[int, Any] = {}
    skeleton = _without_tensors(state, tensors, {})
    owners = _owners(tensors, world_size)
    own = {number: tensor for number, tensor in tensors.items() if owners[number] == rank}
    return {"skeleton": skeleton if rank == 0 else None, "tensors": own}


def merge(shares: Sequence[Any]) -> Any:
    """The state of which these are all shares."""
    tensors: dict[int, Any] = {}
    try:
        for share in shares:
            tensors.update(share["tensors"])
        return _with_tensors(shares[0]["skeleton"], tensors, {})
    except (TypeError, LookupError, RecursionError) as error:
        raise CheckpointError(
            f"checkpoint: its files are no shares of a state: {type(error).__name__}: {error}"
        ) from error


def _owners(tensors: dict[int, Any], world_size: int) -> dict[int, int]:
    """Ranks for tensors, such that every rank writes about the same number of bytes."""
    groups: dict[int, list[int]] = {}
    for number, tensor in tensors.items():
        groups.setdefault(id(tensor.untyped_storage()), []).append(number)
    load, owners = [0] * world_size, {}
    for numbers in sorted(groups.values(), key=lambda g: -tensors[g[0]].nbytes):
        rank = load.index(min(load))
        load[rank] += tensors[numbers[0]].untyped_storage().nbytes()
        owners.update(dict.fromkeys(numbers, rank))
    return owners


def _without_tensors(value: Any, tensors: dict[int, Any], known: dict[int, int]) -> Any:
    if isinstance(value, Tensor):
        number = known.setdefault(id(value), len(known))
        tensors[number] = value
        return {_PLACE: number}
    if isinstance(value, dict):
        changed = value.copy()  # keeps its class and attributes
        for key, item in value.items():
            changed[key] = _without_tensors(item, tensors, known)
        return changed
    if type(value) in (list, tuple):
        return type(value)(_without_tensors(item, tensors, known) for item in value)
    return value


def _with_tensors(value: Any, tensors: dict[int, Any], known: dict[int, Any]) -> Any:
    # What stands in several places is made once, however often these are nested.
    if id(value) in known:
        return known[id(value)][1]
    if isinstance(value, dict):
        if len(value) == 1 and _PLACE in value:
            number = value[_PLACE]
            if number not in tensors:
                raise CheckpointError(f"checkpoint: its tensor {number} is in none of its files")
            return tensors[number]
        for key, item in value.items():
            value[key] = _with_tensors(item, tensors, known)
        return value
    if type(value) in (list, tuple):
        made = type(value)(_with_tensors(item, tensors, known) for item in value)
        known[id(value)] = value, made  # kept, so that no other gets its id
        return made
    return value
