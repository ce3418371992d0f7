"""One drawn call, carried out by whichever library is given; run as a script it serves PyTorch.

A call is plain data that JSON can hold, so that two processes make the same inputs of it::

    {"name": "F.relu", "args": [{"array": "float32", "shape": [2, 3], "kind": "plain", "seed": 1}]}

As a script (``python evaluation.py``) it reads a call from each line of standard input, carries it
out with PyTorch and writes a pickled outcome behind its length to standard output.
"""

from __future__ import annotations

import json
import pickle
import struct
import sys
import warnings
from typing import Any

import numpy as np

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-30, -1e30, np.inf, -np.inf, np.nan, 3.0]


def numbers(dtype: str, shape: list[int], kind: str, seed: int) -> np.ndarray[Any, Any]:
    """Elements of a kind: plain ones, whole ones with many ties, special or positive ones."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        low, high = max(info.min, -9), 9
        if kind == "special":
            extremes = np.array([info.min, info.max, 0, 1, info.max - 1, 2], dtype)
            return rng.choice(extremes, shape)
        return rng.integers(0 if kind == "positive" else low, high, shape).astype(dtype)
    if kind == "special":
        values = rng.choice(SPECIAL, shape)
    elif kind == "ties":
        values = rng.integers(-2, 3, shape).astype(float)
    elif kind == "positive":
        values = rng.uniform(0.1, 2, shape)
    else:
        values = rng.uniform(-2, 2, shape)
    if dtype.startswith("complex"):
        return (values + 1j * rng.uniform(-2, 2, shape)).astype(dtype)
    return values.astype(np.float32 if dtype == "bfloat16" else dtype)


def tensor(api: Any, spec: dict[str, Any]) -> Any:
    """The tensor that a description asks for, laid out in memory as it says."""
    shape, dtype = spec["shape"], spec["array"]
    if "values" in spec:
        elements = np.array(spec["values"], np.float32 if dtype == "bfloat16" else dtype)
        elements = elements.reshape(shape)
    else:
        elements = numbers(dtype, shape, spec.get("kind", "plain"), spec.get("seed", 0))
    layout = spec.get("layout", "dense")
    if layout == "expanded" and shape:
        elements = np.broadcast_to(elements[:1], shape).copy()
    result = api.from_numpy(np.ascontiguousarray(elements).reshape(shape))
    if dtype == "bfloat16":
        result = result.to(api.bfloat16)
    if layout == "transposed" and len(shape) > 1:
        result = result.transpose(0, -1).contiguous().transpose(0, -1)
    elif layout == "gaps" and shape:
        wide = api.zeros([*shape[:-1], 2 * shape[-1]], dtype=result.dtype)
        wide[..., ::2] = result
        result = wide[..., ::2]
    elif layout == "offset":
        flat = api.zeros([result.numel() + 3], dtype=result.dtype)
        flat[3:] = result.reshape(-1)
        result = flat[3:].view(shape)
    elif layout == "expanded" and shape and shape[0]:
        result = result[:1].expand(shape)
    if spec.get("exact"):
        result = result.to(api.float64)
    if spec.get("grad") and dtype.startswith(("float", "bfloat", "complex")):
        result.requires_grad_()
    return result


def built(api: Any, value: Any, leaves: list[Any]) -> Any:
    """An argument from its description."""
    if isinstance(value, dict):
        if "array" in value:
            made = tensor(api, value)
            if made.requires_grad:
                leaves.append(made)
            return made
        if "dtype" in value:
            return getattr(api, value["dtype"])
        if "slice" in value:
            return slice(*value["slice"])
        if "tuple" in value:
            return tuple(built(api, v, leaves) for v in value["tuple"])
        if "complex" in value:
            return complex(*value["complex"])
        if "ellipsis" in value:
            return ...
    if isinstance(value, list):
        return [built(api, v, leaves) for v in value]
    return value


def found(api: Any, name: str) -> Any:
    """The function that a name stands for; ``.name`` is a method."""
    if name.startswith("."):
        return lambda self, *args, **kwargs: getattr(self, name[1:])(*args, **kwargs)
    place = api
    if name.startswith("F."):
        place, name = api.nn.functional, name[2:]
    for part in name.split("."):
        place = getattr(place, part)
    return place


def plain(value: Any, api: Any) -> Any:
    """A result as data: ``(dtype, strides of no matter, array)`` for a tensor."""
    if isinstance(value, api.Tensor):
        value = value.detach()
        dtype = str(value.dtype).rsplit(".", 1)[-1]
        if dtype == "bfloat16":
            value = value.to(api.float32)
        if value.is_complex():
            value = value * 1  # PyTorch conjugates lazily, which NumPy is not told
        return ("tensor", dtype, np.array(value.numpy()))
    if isinstance(value, (list, tuple)):
        return ("list", [plain(v, api) for v in value])
    if isinstance(value, (bool, int, float, complex)) or value is None:
        return ("number", type(value).__name__, value)
    return ("other", str(value))


def tensors_of(value: Any, api: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_of(v, api)]
    return [value] if isinstance(value, api.Tensor) else []


def gradients(api: Any, result: Any, leaves: list[Any]) -> list[Any]:
    """Gradients of a weighted sum of all outputs."""
    total = None
    for k, output in enumerate(tensors_of(result, api)):
        if not output.requires_grad:
            continue
        rng = np.random.default_rng(100 + k)
        weight = api.from_numpy(np.array(rng.uniform(0.5, 1.5, tuple(output.shape)))).to(
            output.real.dtype if output.is_complex() else output.dtype
        )
        parts = (output.real, output.imag) if output.is_complex() else (output,)
        for part in parts:
            term = (part * weight).sum().to(api.float64)
            total = term if total is None else total + term
    if total is None:
        return []
    total.backward()
    return [None if leaf.grad is None else plain(leaf.grad, api) for leaf in leaves]


def evaluate(api: Any, call: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a call: its value and gradients, or the error it ended in."""
    leaves: list[Any] = []
    stage = "value"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            args = built(api, call.get("args", []), leaves)
            kwargs = {k: built(api, v, leaves) for k, v in call.get("kwargs", {}).items()}
            for name in call.get("chain", []):  # views taken of the first argument before the call
                args[0] = found(api, name)(args[0])
            function = found(api, call["name"])
            result = function(*args, **kwargs)
            outcome = {"value": plain(args[0] if call.get("look") == "target" else result, api)}
            if leaves and call.get("gradients", True):
                stage = "gradients"
                outcome["gradients"] = gradients(api, result, leaves)
    except Exception as error:  # noqa: BLE001 - an error is an outcome
        names = [cls.__name__ for cls in type(error).__mro__]
        return {"error": names, "message": str(error)[:300], "stage": stage}
    return outcome


def serve() -> None:
    import torch  # noqa: PLC0415 - only here, in an interpreter that has it

    torch.set_num_threads(1)
    output = sys.stdout.buffer
    sys.stdout = sys.stderr
    for line in sys.stdin:
        reply = pickle.dumps(evaluate(torch, json.loads(line)))
        output.write(struct.pack("<q", len(reply)) + reply)
        output.flush()


if __name__ == "__main__":
    serve()
