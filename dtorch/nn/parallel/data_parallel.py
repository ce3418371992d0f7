"""One module on several devices of one process: a share of the batch for each."""

from __future__ import annotations

import contextlib
import copy
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core import backend
from dtorch.core.base import TensorBase
from dtorch.core.device import as_device, device
from dtorch.core.errors import ArgumentError, DeviceError
from dtorch.core.functions import cat, stack
from dtorch.core.grad_mode import is_grad_enabled, set_grad_enabled
from dtorch.nn.module import Module


def _place(value: Any) -> device:
    """A device from one, its name, or the number of a CUDA device."""
    if isinstance(value, int):
        return as_device("cpu" if value == -1 else f"cuda:{value}")
    return as_device(value)


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> list[Any]:
    """Tensors in nested tuples, lists and dicts cut along ``dim`` into one piece a device.

    Other objects are given to every device; there may be fewer pieces than devices.
    """
    places = [_place(d) for d in target_gpus]

    def cut(value: Any) -> list[Any]:
        if isinstance(value, TensorBase):
            pieces = value.chunk(len(places), dim)  # type: ignore[attr-defined]  # an operation
            return [p.to(d) for p, d in zip(pieces, places, strict=False)]
        if isinstance(value, tuple) and hasattr(value, "_fields") and value:
            return [type(value)(*parts) for parts in zip(*map(cut, value), strict=False)]
        if isinstance(value, (tuple, list)) and value:
            return [type(value)(parts) for parts in zip(*map(cut, value), strict=False)]
        if isinstance(value, dict) and value:
            cuts = zip(*map(cut, value.values()), strict=False)
            return [type(value)(zip(value.keys(), parts, strict=True)) for parts in cuts]
        return [value for _ in places]

    return cut(inputs)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """Pieces of one device each concatenated on ``target_device`` (-1: the CPU)."""
    place = _place(target_device)
    first = outputs[0]
    if isinstance(first, TensorBase):
        moved = [out.to(place) for out in outputs]
        if first.array.ndim == 0:
            warnings.warn(
                "gather: numbers were gathered; they are stacked to a vector", stacklevel=2
            )
            return stack(moved, 0)
        return cat(moved, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(out.keys() != first.keys() for out in outputs):
            raise ArgumentError("gather: the dicts have different keys")
        return type(first)((k, gather([out[k] for out in outputs], place, dim)) for k in first)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(gather(p, place, dim) for p in zip(*outputs, strict=True)))
    if isinstance(first, (tuple, list)):
        return type(first)(gather(p, place, dim) for p in zip(*outputs, strict=True))
    raise TypeError(f"gather: outputs are {type(first).__name__}, expected tensors or collections")


def replicate(network: Module, devices: Sequence[Any], detach: bool = False) -> list[Module]:
    """Copies of a module with its parameters on other devices; gradients reach the original.

    Args:
        detach: cut the connection, so that gradients do not.
    """
    return [_replica(network, _place(d), detach, {}) for d in devices]


def _replica(module: Module, place: device, detach: bool, memo: dict[int, Any]) -> Module:
    if id(module) in memo:
        return memo[id(module)]  # type: ignore[no-any-return]
    twin = memo[id(module)] = copy.copy(module)
    own = twin.__dict__
    own["_parameters"] = {
        name: None if p is None else _moved(p.detach() if detach else p, place, memo)
        for name, p in module._parameters.items()
    }
    own["_buffers"] = {
        name: None if b is None else _moved(b, place, memo) for name, b in module._buffers.items()
    }
    own["_modules"] = {
        name: None if m is None else _replica(m, place, detach, memo)
        for name, m in module._modules.items()
    }
    return twin


def _moved(tensor: Any, place: device, memo: dict[int, Any]) -> Any:
    if id(tensor) not in memo:
        memo[id(tensor)] = tensor.to(place)
    return memo[id(tensor)]


def parallel_apply(
    modules: Sequence[Callable[..., Any]], inputs: Sequence[Any], kwargs_tup: Any = None,
    devices: Any = None,
) -> list[Any]:  # fmt: skip
    """Call each module with its inputs, each in a thread of its own.

    Raises: what a module raised, the first one.
    """
    kwargs_tup = [{}] * len(modules) if kwargs_tup is None else kwargs_tup
    if not len(modules) == len(inputs) == len(kwargs_tup):
        raise ArgumentError(
            f"parallel_apply: {len(modules)} modules, {len(inputs)} inputs and {len(kwargs_tup)} "
            "keyword arguments, expected equal numbers"
        )
    results: list[Any] = [None] * len(modules)
    failures: list[BaseException | None] = [None] * len(modules)
    recording = is_grad_enabled()
    from dtorch.amp.autocast import regions_here  # noqa: PLC0415 - few need it

    regions: list[Any] = regions_here()  # threads record and cast as the calling one does

    def run(i: int) -> None:
        backend.install_allocator_in_this_thread()
        args = inputs[i] if isinstance(inputs[i], (tuple, list)) else (inputs[i],)
        try:
            with contextlib.ExitStack() as stack:
                for context in (set_grad_enabled(recording), *regions):
                    stack.enter_context(context)
                results[i] = modules[i](*args, **kwargs_tup[i])
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            failures[i] = error

    if len(modules) == 1:
        run(0)
    else:
        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(modules))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for failure in failures:
        if failure is not None:
            raise failure
    return results


def _cuda_devices() -> list[int]:
    try:
        return list(range(backend.xp_for(as_device("cuda")).cuda.runtime.getDeviceCount()))
    except DeviceError:
        return []


def data_parallel(
    module: Module, inputs: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0,
    module_kwargs: Any = None,
) -> Any:  # fmt: skip
    """Call a module on several devices, each with a share of the inputs, and gather the outputs.

    Args:
        device_ids: the devices. Default: all CUDA devices; without any the module is called as it
            is.
        output_device: where the outputs go. Default: the first device.
        dim: along which inputs are cut.
    """
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    devices = _cuda_devices() if device_ids is None else list(device_ids)
    kwargs = module_kwargs or {}
    if not devices:
        return module(*inputs, **kwargs)
    shares = scatter(inputs, devices, dim)
    options = scatter(kwargs, devices, dim) if kwargs else [{} for _ in shares]
    if len(devices) == 1:
        return module(*shares[0], **options[0])
    used = devices[: len(shares)]
    outputs = parallel_apply(replicate(module, used), shares, options[: len(shares)], used)
    return gather(outputs, devices[0] if output_device is None else output_device, dim)


class DataParallel(Module):
    """A module whose batches are divided among devices.

    Args:
        module: its parameters stay on the first device.
        device_ids, output_device, dim: as in `data_parallel`.

    Example:
        >>> import dtorch
        >>> model = DataParallel(dtorch.nn.Linear(3, 2))
        >>> tuple(model(dtorch.ones(4, 3)).shape)
        (4, 2)
    """

    output_device: Any = None  # in files that PyTorch wrote where there was no card
    dim = 0

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        cards = _cuda_devices()  # where there are none the module runs as it is, whatever is asked
        self.device_ids = list(cards if device_ids is None or not cards else device_ids)
        self.dim = dim
        self.module = module
        self.output_device = output_device
        if self.device_ids:
            if output_device is None:
                self.output_device = self.device_ids[0]
            place = _place(self.device_ids[0])
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.device.type != place.type:
                    raise DeviceError(
                        f"DataParallel: the module lies on {tensor.device}, expected the first of "
                        f"device_ids, {place}"
                    )

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        shares = self.scatter(inputs, kwargs, self.device_ids)
        if len(self.device_ids) == 1:
            return self.module(*shares[0][0], **shares[1][0])
        used = self.device_ids[: len(shares[0])]
        outputs = self.parallel_apply(self.replicate(self.module, used), *shares)
        return self.gather(outputs, self.output_device)

    def replicate(self, module: Module, device_ids: Sequence[Any]) -> list[Module]:
        """Copies of the module, one a device."""
        return replicate(module, device_ids, detach=not is_grad_enabled())

    def scatter(self, inputs: Any, kwargs: Any, device_ids: Sequence[Any]) -> tuple[Any, Any]:
        """Inputs and keyword arguments cut to one piece a device."""
        shares = scatter(inputs, device_ids, self.dim) if inputs else []
        options = scatter(kwargs, device_ids, self.dim) if kwargs else []
        count = max(len(shares), len(options), 1)
        shares += [()] * (count - len(shares))
        options += [{} for _ in range(count - len(options))]
        return shares, options

    def parallel_apply(self, replicas: Sequence[Module], inputs: Any, kwargs: Any) -> list[Any]:
        """The outputs of all replicas."""
        return parallel_apply(replicas, inputs, kwargs, self.device_ids[: len(replicas)])

    def gather(self, outputs: Sequence[Any], output_device: Any) -> Any:
        """The outputs put together."""
        return gather(outputs, output_device, self.dim)
