"""Loading a state dict: everything is checked, then everything is copied, or nothing is."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from dtorch.core.base import TensorBase
from dtorch.core.errors import DtorchError
from dtorch.core.grad_mode import no_grad
from dtorch.core.parameter import Parameter
from dtorch.nn.parameter import is_lazy

if TYPE_CHECKING:
    from dtorch.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """Keys in which a loaded state dict and a module differ."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )

    def __str__(self) -> str:
        return repr(self)


class StateDictError(DtorchError, RuntimeError, KeyError):
    """A state dict does not fit a module; lists everything that is wrong."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the quoted form


def _remedy(given: Any) -> str:
    if hasattr(given, "state_dict"):
        return "; pass what its state_dict() returns"
    if isinstance(given, (str, PathLike)):
        return "; pass what dtorch.load() makes of the file"
    return "; call it" if callable(given) else ""


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def load(
    module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Copy ``state_dict`` into ``module``; see `Module.load_state_dict`."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"load_state_dict: got {type(state_dict).__name__}, expected a mapping of names to "
            f"tensors{_remedy(state_dict)}"
        )
    metadata = getattr(state_dict, "_metadata", None)
    source = OrderedDict(state_dict)  # modules may rename keys of older versions in it
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    copies: list[tuple[Any, ...]] = []

    def visit(part: Any, prefix: str) -> None:
        local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
        local["pending"] = copies
        local["assign_to_params_buffers"] = assign
        for hook in part._load_state_dict_pre_hooks.values():
            hook(part, source, prefix, local, strict, missing, unexpected, errors)
        part._load_from_state_dict(source, prefix, local, strict, missing, unexpected, errors)
        for name, child in part._modules.items():
            if child is not None:
                visit(child, f"{prefix}{name}.")

    visit(module, "")
    expected = _expected_keys(module)
    unexpected += [key for key in source if key not in expected and key not in unexpected]
    result = IncompatibleKeys(missing, unexpected)
    for part in module.modules():
        for hook in part._load_state_dict_post_hooks.values():
            if hook(part, result) is not None:
                raise TypeError(
                    "load_state_dict: a post hook returned a value, expected None; change the "
                    "lists of its argument in place instead"
                )
    if strict:
        if unexpected:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if errors:
        inside = [k for k, v in state_dict.items() if isinstance(v, Mapping) and set(v) & expected]
        if inside:
            errors.append(
                f"What fits is below the key {inside[0]!r}: pass state_dict[{inside[0]!r}]."
            )
        listing = "\n\t".join(errors)
        raise StateDictError(
            f"Error(s) in loading state_dict for {type(module).__name__}, nothing was loaded:"
            f"\n\t{listing}"
        )
    for entry in copies:
        put(*entry)
    return result


def _expected_keys(module: Module) -> set[str]:
    found: set[str] = set()
    for prefix, part in module.named_modules(remove_duplicate=False):
        lead = f"{prefix}." if prefix else ""
        found.update(lead + name for name in own_state(part))
        if part.has_extra_state():
            found.add(lead + "_extra_state")
    return found


def own_state(module: Module) -> dict[str, Any]:
    """Parameters and persistent buffers of the module itself; None entries are left out."""
    found: dict[str, Any] = {n: p for n, p in module._parameters.items() if p is not None}
    return found | {
        name: buffer
        for name, buffer in module._buffers.items()
        if buffer is not None and name not in module._non_persistent_buffers_set
    }


def check(
    module: Module, state_dict: Mapping[str, Any], prefix: str, local_metadata: dict[str, Any],
    missing_keys: list[str], error_msgs: list[str],
) -> None:  # fmt: skip
    """Compare the state of one module with the entries below ``prefix``; copy what fits.

    Within `load` copies wait until the whole tree was compared.
    """
    pending = local_metadata.get("pending")
    assign = bool(local_metadata.get("assign_to_params_buffers"))
    for name, target in own_state(module).items():
        key = prefix + name
        if key not in state_dict:
            missing_keys.append(key)
            continue
        value = state_dict[key]
        if not isinstance(value, TensorBase):
            error_msgs.append(
                f'"{key}" is {type(value).__name__}, expected a tensor of shape '
                f"{tuple(target.shape)}."
            )
            continue
        if not is_lazy(target) and not is_lazy(value) and not _fits(target, value):
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {tuple(value.shape)} from "  # type: ignore[attr-defined]
                f"checkpoint, the shape in current model is {tuple(target.shape)}."
            )
            continue
        entry = (module, name, target, value, assign)
        if pending is None:
            put(*entry)
        else:
            pending.append(entry)


def _fits(target: Any, value: Any) -> bool:
    a, b = tuple(target.shape), tuple(value.shape)
    return a == b or {a, b} == {(), (1,)}  # one number, as files of 0.1.x have it


def put(module: Module, name: str, target: Any, value: Any, assign: bool) -> None:
    """Copy ``value`` into the parameter or buffer, or put it in its place."""
    if is_lazy(value):
        return
    if assign:
        if name in module._parameters:
            value = (
                value if isinstance(value, Parameter) else Parameter(value, target.requires_grad)
            )
            module._parameters[name] = value
        else:
            module._buffers[name] = value
        return
    if is_lazy(target):
        target.materialize(value.shape, dtype=value.dtype)
    if target.is_meta and not value.is_meta:
        warnings.warn(
            f"load_state_dict: {name}: copying into a meta parameter, which has no memory, changes "
            "nothing; pass assign=True to put the tensors in its place, or to_empty() the module first",
            stacklevel=2,
        )
    with no_grad():
        target.copy_(value.reshape(target.shape) if value.shape != target.shape else value)
