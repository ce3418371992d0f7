"""A function of single elements over a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from dtorch.core.functions import stack
from dtorch.core.generator import get_rng_state, set_rng_state
from dtorch.core.tensor import Tensor
from dtorch.pytree import TreeSpec, tree_flatten, tree_unflatten
from dtorch.pytree.leaves import broadcast_to_and_flatten


def _is_dim(value: Any) -> bool:
    return value is None or isinstance(value, int)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that calls ``func`` for each slice of its arguments and joins the results.

    Keyword arguments are handed on whole.

    It is a loop: ``func`` runs once for each slice, on ordinary tensors, and may do anything. It
    takes no less time than the loop written out.

    Args:
        func: takes and returns tensors, or containers of them.
        in_dims: along which dim arguments are sliced; None for those that stay whole. One for all,
            or containers like the arguments.
        out_dims: which dim of the results the slices become; None for a result of which the first is
            taken. One for all, or containers like the results.
        randomness: "different" draws anew for each slice, "same" the same for all, "error" refuses
            functions that draw.
        chunk_size: taken, and without effect.

    Raises:
        ValueError: dims that do not fit the arguments, or nothing to slice.
        RuntimeError: ``func`` has drawn random numbers, and ``randomness`` is "error".

    Example:
        >>> import dtorch
        >>> vmap(dtorch.dot)(dtorch.ones(2, 3), dtorch.ones(2, 3))
        tensor([3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = getattr(func, "__name__", repr(func))

    @wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, dims, spec = _arguments(name, in_dims, args)
        size = _size(leaves, dims)
        results: list[list[Any]] = []
        out_spec: TreeSpec | None = None
        start = get_rng_state() if randomness != "different" else None
        for index in range(max(size, 1)):
            if index and randomness == "same":
                set_rng_state(start)  # type: ignore[arg-type]
            # Of an empty batch one slice of zeros shows the shapes of the results.
            slices = _slices(leaves, dims, index) if size else _zeros(leaves, dims)
            flat, out_spec = tree_flatten(func(*tree_unflatten(slices, spec), **kwargs))
            if randomness == "error" and not (get_rng_state() == start).all():  # type: ignore[union-attr]
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either "
                    "use the 'same' or 'different' randomness flags on vmap or perform the random "
                    "operation outside"
                )
            results.append(flat)
        return _joined(name, results, size, out_dims, out_spec)

    return mapped


def _arguments(
    name: str, in_dims: Any, args: tuple[Any, ...]
) -> tuple[list[Any], list[Any], TreeSpec]:
    """The leaves of the arguments, and the dim of each."""
    if not isinstance(in_dims, (int, list, tuple)):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...): expected `in_dims` to be int or a (potentially "
            f"nested) tuple matching the structure of inputs, got: {type(in_dims)}"
        )
    leaves, spec = tree_flatten(args)
    if not args:
        raise ValueError(f"vmap({name}): got no inputs; there is nothing to map over")
    wanted = tuple(in_dims) if isinstance(in_dims, list) else in_dims
    dims = broadcast_to_and_flatten(wanted, spec, _is_dim)
    if dims is None:
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the "
            f"structure of `inputs`, which is {spec!r}"
        )
    for value, dim in zip(leaves, dims, strict=True):
        if not _is_dim(dim):
            raise ValueError(f"vmap({name}): in_dims has {dim!r}, expected ints and None")
        if dim is None:
            continue
        if not isinstance(value, Tensor):
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for an input but "
                f"the input is of type {type(value)}; use None as the respective in_dim"
            )
        if not -value.dim() <= dim < value.dim():
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for some input, "
                f"but that input is a Tensor of dimensionality {value.dim()}"
            )
    return leaves, dims, spec


def _size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = [v.size(d) for v, d in zip(leaves, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return int(sizes[0])


def _slices(leaves: list[Any], dims: list[Any], index: int) -> list[Any]:
    return [
        value if dim is None else value.select(dim, index)
        for value, dim in zip(leaves, dims, strict=True)
    ]


def _zeros(leaves: list[Any], dims: list[Any]) -> list[Any]:
    return [
        value if dim is None else value.new_zeros(value.movedim(dim, 0).shape[1:])
        for value, dim in zip(leaves, dims, strict=True)
    ]


def _joined(name: str, results: list[list[Any]], size: int, out_dims: Any, spec: Any) -> Any:
    dims = broadcast_to_and_flatten(out_dims, spec, _is_dim)
    if (
        dims is None
        and isinstance(out_dims, (tuple, list))
        and len(out_dims) == 1
        and spec.is_leaf()
    ):
        dims = list(out_dims)
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the "
            f"structure of `outputs`, which is {spec!r}"
        )
    joined = []
    for dim, column in zip(dims, zip(*results, strict=True), strict=True):
        if dim is None:
            joined.append(column[0])
            continue
        for value in column:
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. "
                    "Did you mean to set out_dims= to None for output?"
                )
        whole = stack(list(column), dim)
        joined.append(whole if size else whole.narrow(dim, 0, 0))
    return tree_unflatten(joined, spec)
