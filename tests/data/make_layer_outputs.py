"""Stores what PyTorch computes for every case of tests/nn/cases.py: ``layer_outputs.npz``.

Run with an interpreter that has PyTorch:  python tests/data/make_layer_outputs.py
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "nn"))
from cases import CASES  # noqa: E402


def drawn(rng, kind, shape, *limits):
    if kind == "index":
        return torch.from_numpy(rng.integers(0, limits[0], shape))
    if kind in ("fraction", "chance"):
        return torch.from_numpy(rng.uniform(0.05, 0.95, shape))
    if kind == "positive":
        return torch.from_numpy(rng.uniform(0.2, 2.0, shape))
    if kind == "sign":
        return torch.from_numpy(rng.choice([-1.0, 1.0], shape))
    scale = 1.2 if kind == "wide" else 1.0
    return torch.from_numpy(rng.standard_normal(shape) * scale)


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if value is None:
        return []
    return [t for part in value for t in flat(part)]


def main():
    warnings.simplefilter("ignore")
    names = {name: getattr(nn, name) for name in dir(nn)}
    names |= {"torch": torch, "F": nn.functional, "utils": nn.utils}
    stored = {}
    for number, (name, expression, inputs) in enumerate(CASES):
        torch.manual_seed(number)
        rng = np.random.default_rng(number)
        layer = eval(expression, names)
        if isinstance(layer, nn.Module):
            layer = layer.double()
            for key, value in layer.state_dict().items():
                stored[f"{name}/state/{key}"] = value.numpy().copy()
        args = [drawn(rng, *spec) for spec in inputs]
        for i, arg in enumerate(args):
            stored[f"{name}/input/{i}"] = arg.numpy().copy()
            if arg.is_floating_point() and inputs[i][0] not in ("sign", "chance"):
                arg.requires_grad_()
        outs = flat(layer(*args))
        total = sum((out * torch.cos(torch.arange(out.numel()).double().reshape(out.shape))).sum()
                    for out in outs if out.requires_grad)  # fmt: skip
        total.backward()
        for i, out in enumerate(outs):
            stored[f"{name}/output/{i}"] = out.detach().numpy().copy()
        for i, arg in enumerate(args):
            if arg.requires_grad and arg.grad is not None:
                stored[f"{name}/input_grad/{i}"] = arg.grad.numpy().copy()
        if isinstance(layer, nn.Module):
            for key, p in layer.named_parameters():
                if p.grad is not None:
                    stored[f"{name}/grad/{key}"] = p.grad.numpy().copy()
            for key, value in layer.named_buffers():
                stored[f"{name}/after/{key}"] = value.numpy().copy()
    np.savez_compressed(HERE / "layer_outputs.npz", **stored)


main()
