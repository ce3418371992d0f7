"""Modules as functions of their parameters, as programs of before ``torch.func`` have them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dtorch
from dtorch import nn
from dtorch.compat import functorch

X = dtorch.tensor([[1.0, 2.0], [3.0, 5.0]])


def test_function_of_parameters_computes_what_the_module_does():
    layer = nn.Linear(2, 1)
    call, parameters = functorch.make_functional(layer)
    assert dtorch.equal(call(parameters, X), layer(X))
    call(parameters, X).sum().backward()
    assert parameters[0].grad.tolist() == [[4, 7]]
    assert layer.weight.grad is None
    slopes = functorch.grad(lambda parameters: call(parameters, X).sum())(parameters)
    assert slopes[1].tolist() == [2]
    _, parameters = functorch.make_functional(layer, disable_autograd_tracking=True)
    assert not any(parameter.requires_grad for parameter in parameters)


def test_buffers_are_those_given():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with pytest.raises(RuntimeError, match="has buffers; use make_functional_with_buffers"):
        functorch.make_functional(net)
    call, parameters, buffers = functorch.make_functional_with_buffers(net)
    assert tuple(call(parameters, buffers, X).shape) == (2, 2)
    assert (buffers[2].item(), net[1].num_batches_tracked.item()) == (1, 0)


def test_ensemble_is_one_function_over_stacked_parameters():
    layers = [nn.Linear(2, 1) for _ in range(3)]
    call, parameters, buffers = functorch.combine_state_for_ensemble(layers)
    out = functorch.vmap(call, in_dims=(0, 0, None))(parameters, buffers, X)
    assert dtorch.allclose(out, dtorch.stack([layer(X) for layer in layers]))


def test_programs_find_the_package_by_its_name():
    code = (
        "import dtorch.compat; dtorch.compat.install(); import functorch, torch; "
        "from functorch import vmap, make_functional; from torch.testing._comparison import "
        "assert_close; assert vmap is torch.vmap; assert functorch.__version__ == torch.__version__"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
