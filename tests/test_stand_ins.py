"""Packages whose names programs import: what is there works, what is not says so."""

from __future__ import annotations

import threading

import pytest

import dtorch
from dtorch import futures, fx, nn, onnx, overrides, package, types
from dtorch.backends import cuda


def test_onnx_says_that_it_is_not_there_yet(tmp_path) -> None:
    with pytest.raises(NotImplementedError, match="does not write ONNX files yet"):
        onnx.export(nn.Linear(2, 2), (dtorch.ones(1, 2),), tmp_path / "model.onnx")
    with pytest.raises(onnx.OnnxExporterError):
        onnx.dynamo_export(nn.Linear(2, 2))
    assert not onnx.is_in_onnx_export()
    assert list(tmp_path.iterdir()) == []


def test_functions_are_wrapped_and_run_as_they_are() -> None:
    @fx.wrap
    def double(x):
        return 2 * x

    assert double(2) == 4
    assert fx.wrap("double") == "double"
    with pytest.raises(RuntimeError, match="expected a function"):
        fx.wrap(3)
    module = nn.Linear(2, 2)
    assert not isinstance(module, fx.GraphModule)
    for use in (lambda: fx.symbolic_trace(module), fx.Tracer, lambda: fx.GraphModule(module, None)):
        with pytest.raises(NotImplementedError, match="does not trace"):
            use()


def test_nothing_is_overridden() -> None:
    class Own(dtorch.Tensor):
        pass

    x = dtorch.ones(1).as_subclass(Own)
    assert not overrides.has_torch_function((x,))
    assert not overrides.has_torch_function_unary(x)
    assert not overrides.has_torch_function_variadic(x, x)
    assert overrides.is_tensor_like(x)
    assert overrides.is_tensor_method_or_property(dtorch.Tensor.backward)
    with pytest.raises(NotImplementedError, match="device"), overrides.TorchFunctionMode():
        pass


def test_packages_of_code_are_refused(tmp_path) -> None:
    for use in (package.PackageExporter, package.PackageImporter):
        with pytest.raises(NotImplementedError, match=r"dtorch\.save"):
            use(tmp_path / "file")


def test_kinds_of_arguments_are_classes() -> None:
    assert isinstance(1.5, types.Number)
    assert isinstance(dtorch.device("cpu"), types.Device)
    assert isinstance(dtorch.ones(1).untyped_storage(), types.Storage)


def test_backends_of_attention_are_flags() -> None:
    from dtorch.nn.attention import SDPBackend, sdpa_kernel  # noqa: PLC0415

    q = dtorch.rand(1, 2, 3, 4)
    expected = nn.functional.scaled_dot_product_attention(q, q, q)
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.EFFICIENT_ATTENTION]):
        assert (cuda.math_sdp_enabled(), cuda.flash_sdp_enabled()) == (True, False)
        assert nn.functional.scaled_dot_product_attention(q, q, q).equal(expected)
    assert cuda.flash_sdp_enabled()
    with pytest.raises(AssertionError, match="SDPBackend"), sdpa_kernel("math"):
        pass


# -- results that are not there yet -----------------------------------------------------------------


def test_a_result_is_waited_for() -> None:
    future = futures.Future()
    assert not future.done()
    with pytest.raises(RuntimeError, match="no result yet"):
        future.value()
    seen = []
    future.add_done_callback(lambda done: seen.append(done.value()))
    thread = threading.Thread(target=future.set_result, args=(3,))
    thread.start()
    assert future.wait() == 3
    thread.join()
    assert seen == [3]
    with pytest.raises(RuntimeError, match="already"):
        future.set_result(4)


def test_errors_come_through() -> None:
    future = futures.Future()
    following = future.then(lambda done: done.wait() + 1)
    future.set_exception(KeyError("mine"))
    with pytest.raises(KeyError, match="mine"):
        following.wait()


def test_several_are_collected() -> None:
    several = [futures.Future() for _ in range(3)]
    collected = futures.collect_all(several)
    for number, future in enumerate(several):
        assert not collected.done()
        future.set_result(number)
    assert [future.value() for future in collected.wait()] == futures.wait_all(several) == [0, 1, 2]
    assert futures.collect_all([]).wait() == []


def test_no_tensor_is_divided_between_processes() -> None:
    from dtorch.distributed import tensor as divided  # noqa: PLC0415

    assert not isinstance(dtorch.ones(1), divided.DTensor)
    assert divided.Shard(1).dim == 1
    for use in (divided.DTensor, lambda: divided.distribute_tensor(dtorch.ones(1)),
                lambda: divided.init_device_mesh("cpu", (1,))):  # fmt: skip
        with pytest.raises(NotImplementedError, match="does not divide"):
            use()


def test_joining_processes_is_refused_where_it_begins() -> None:
    from dtorch.distributed.algorithms import Join, JoinHook  # noqa: PLC0415

    JoinHook().main_hook()
    with pytest.raises(NotImplementedError, match="DistributedSampler"), Join([]):
        pass


def test_an_optimizer_around_another_need_not_be_set_up() -> None:
    class Around(dtorch.optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer

        def step(self, closure=None):
            return self.optimizer.step(closure)

    weight = nn.Parameter(dtorch.ones(1))
    weight.sum().backward()
    Around(dtorch.optim.SGD([weight], lr=0.5)).step()
    assert weight.tolist() == [0.5]
