"""Programs ask what PyTorch computes with, and set its flags."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import dtorch
from dtorch import backends

NAMES = [module.name for module in pkgutil.iter_modules(backends.__path__)]


def test_each_backend_is_there_when_the_package_is():
    assert sorted([*backends.__all__, "settings"]) == sorted(NAMES)
    for name in backends.__all__:
        assert getattr(backends, name) is importlib.import_module(f"dtorch.backends.{name}")


@pytest.mark.parametrize(
    "name", ["cudnn", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum"]
)
def test_no_library_of_others_is_behind_dtorch(name):
    assert getattr(backends, name).is_available() is False


@pytest.mark.parametrize("name", ["cudnn", "mkldnn", "nnpack"])
def test_flags_hold_for_a_block_and_can_be_set(name):
    module = getattr(backends, name)
    before = {flag: value for flag, value in vars(module).items() if isinstance(value, bool)}
    with module.flags(enabled=False):
        assert module.enabled is False
    assert {flag: getattr(module, flag) for flag in before} == before
    assert module.set_flags(False)[0] is True
    assert module.enabled is False
    module.set_flags(True)
    assert module.enabled is True


def test_flags_of_cudnn_can_be_assigned_and_none_keeps_one(monkeypatch):
    cudnn = backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    assert cudnn.set_flags(None, None, 5) == (True, True, 10, False, True)
    assert (cudnn.enabled, cudnn.benchmark, cudnn.benchmark_limit) == (True, True, 5)
    cudnn.set_flags(_benchmark_limit=10)
    assert cudnn.version() is None
    assert not cudnn.is_acceptable(dtorch.ones(1))


def test_precision_and_attention_flags_are_read_as_they_were_set():
    cuda = backends.cuda
    assert cuda.is_built() is False
    assert cuda.matmul.allow_tf32 is False
    for name in ("flash", "mem_efficient", "math", "cudnn"):
        enable = getattr(cuda, f"enable_{name}_sdp")
        enable(False)
        assert getattr(cuda, f"{name}_sdp_enabled")() is False
        enable(True)
        assert getattr(cuda, f"{name}_sdp_enabled")() is True
    backends.mha.set_fastpath_enabled(False)
    assert backends.mha.get_fastpath_enabled() is False
    backends.mha.set_fastpath_enabled(True)


def test_the_processor_is_named_in_pytorchs_words():
    assert backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
