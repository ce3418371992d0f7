"""The protocol of modules: registration, walking, state, conversion, hooks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import dtorch
from dtorch import nn
from dtorch.nn.state_dict import StateDictError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2, bias=False)

    def forward(self, input: Any) -> Any:
        return self.last(self.norm(self.first(input)).relu())


def test_assignment_before_init_names_the_remedy() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(dtorch.zeros(2))

    with pytest.raises(AttributeError, match=r"super\(\).__init__"):
        Early()


def test_assigned_parameters_and_modules_are_found_in_order() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "first.weight", "first.bias", "norm.weight", "norm.bias", "last.weight",
    ]  # fmt: skip
    assert [name for name, _ in net.named_modules()] == ["", "first", "norm", "last"]
    assert [name for name, _ in net.named_children()] == ["first", "norm", "last"]
    assert [name for name, _ in net.named_buffers()] == [
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip


def test_shared_parameters_are_listed_once() -> None:
    net = Net()
    net.twin = net.first
    assert sum(1 for _ in net.parameters()) == 5
    assert sum(1 for _ in net.modules()) == 4
    assert "twin.weight" in net.state_dict()


def test_registered_names_take_only_their_kind() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="Parameter or None"):
        net.weight = dtorch.zeros(2, 2)
    net.weight = None
    assert net.weight is None
    parent = Net()
    with pytest.raises(TypeError, match="Module or None"):
        parent.first = 3
    with pytest.raises(TypeError, match="tensor or None"):
        parent.norm.running_mean = 3
    with pytest.raises(KeyError, match="dot"):
        parent.register_parameter("a.b", None)
    with pytest.raises(KeyError, match="exists"):
        parent.register_buffer("training", dtorch.zeros(1))
    with pytest.raises(ValueError, match="leaf"):
        parent.register_parameter("w", _computed())
    with pytest.raises(TypeError, match="Parameter"):
        parent.register_parameter("w", dtorch.zeros(2))


def _computed() -> Any:
    parameter = nn.Parameter(dtorch.zeros(2))
    made = nn.Parameter(dtorch.zeros(2))
    made._grad_fn = (parameter * 2)._grad_fn
    return made


def test_deleted_attributes_are_gone() -> None:
    net = Net()
    del net.first
    assert not hasattr(net, "first")
    assert "first.weight" not in net.state_dict()


def test_state_dict_shares_memory_and_survives_a_round_trip() -> None:
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state) == [
        "first.weight", "first.bias", "norm.weight", "norm.bias", "norm.running_mean",
        "norm.running_var", "norm.num_batches_tracked", "last.weight",
    ]  # fmt: skip
    assert not state["first.weight"].requires_grad
    state["first.bias"].fill_(7)
    assert net.first.bias.tolist() == [7.0] * 4
    result = other.load_state_dict(state)
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert other.first.bias.tolist() == [7.0] * 4


def test_load_lists_every_problem_and_loads_nothing() -> None:
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = Net().state_dict()
    del state["first.bias"]
    state["first.weight"] = dtorch.zeros(1, 1)
    state["other"] = dtorch.zeros(1)
    with pytest.raises(StateDictError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert 'Missing key(s) in state_dict: "first.bias"' in text
    assert 'Unexpected key(s) in state_dict: "other"' in text
    assert "size mismatch for first.weight" in text
    assert "(1, 1)" in text
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, RuntimeError)
    for name, value in net.state_dict().items():
        assert (value == before[name]).all()


def test_load_without_strict_reports_keys_but_not_sizes() -> None:
    net = Net()
    result = net.load_state_dict({"first.bias": dtorch.ones(4), "x": dtorch.ones(1)}, strict=False)
    assert result.unexpected_keys == ["x"]
    assert "first.weight" in result.missing_keys
    assert net.first.bias.tolist() == [1.0] * 4
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"first.bias": dtorch.ones(5)}, strict=False)


def test_load_can_assign() -> None:
    net = Net()
    state = Net().double().state_dict()
    net.load_state_dict(state, assign=True)
    assert net.first.weight.dtype is dtorch.float64
    assert isinstance(net.first.weight, nn.Parameter)


def test_old_batch_norms_lack_a_counter() -> None:
    norm = nn.BatchNorm1d(2)
    state = {k: v for k, v in norm.state_dict().items() if k != "num_batches_tracked"}
    norm.load_state_dict(state)


def test_conversion_keeps_parameter_objects_and_integers() -> None:
    net = Net()
    weight = net.first.weight
    net(dtorch.ones(4, 3)).sum().backward()
    net.double()
    assert net.first.weight is weight
    assert weight.dtype is dtorch.float64
    assert weight.grad is not None
    assert weight.grad.dtype is dtorch.float64
    assert net.norm.num_batches_tracked.dtype is dtorch.int64
    assert net.to(dtorch.float16).first.weight.dtype is dtorch.float16
    with pytest.raises(TypeError, match="floating"):
        net.to(dtorch.int64)
    assert net.type("dtorch.DoubleTensor").norm.num_batches_tracked.dtype is dtorch.float64


def test_share_memory_moves_parameters() -> None:
    net = nn.Linear(2, 2).share_memory()
    assert all(p.is_shared() for p in net.parameters())


def test_modes_and_gradients_are_set_recursively() -> None:
    net = Net()
    assert not net.eval().norm.training
    assert net.train().norm.training
    with pytest.raises(ValueError, match="mode"):
        net.train(3)  # type: ignore[arg-type]
    net(dtorch.ones(4, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.first.weight.grad is not None
    assert not net.first.weight.grad.any()
    net.zero_grad()
    assert net.first.weight.grad is None
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    Net().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "BatchNorm1d", "Linear", "Net"]


def test_copies_and_pickles_are_independent() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert (twin(dtorch.ones(1, 2)) == net(dtorch.ones(1, 2))).all()
        twin[0].weight.data.fill_(0)
        assert net[0].weight.any()
        assert isinstance(twin[0].weight, nn.Parameter)


def test_forward_hooks_see_and_replace() -> None:
    net = nn.Linear(2, 2)
    seen: list[Any] = []
    before = net.register_forward_pre_hook(lambda module, args: (args[0] * 0,))
    after = net.register_forward_hook(lambda module, args, out: seen.append((args, out)))
    assert net(dtorch.ones(1, 2)).tolist() == [net.bias.tolist()]
    assert seen[0][0][0].tolist() == [[0.0, 0.0]]
    before.remove()
    after.remove()
    with net.register_forward_hook(lambda module, args, out: out * 0):
        assert not net(dtorch.ones(1, 2)).any()
    assert net(dtorch.ones(1, 2)).any()


def test_hooks_can_take_keyword_arguments() -> None:
    class Scale(nn.Module):
        def forward(self, input: Any, factor: float = 1.0) -> Any:
            return input * factor

    net = Scale()
    net.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"factor": 3.0}), with_kwargs=True
    )
    assert net(dtorch.ones(1), factor=2.0).item() == 3.0


def test_full_backward_hook_sees_and_replaces_gradients() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    seen: list[Any] = []

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen.append((grad_input, grad_output))
        return (grad_input[0] * 0,)

    net.register_full_backward_hook(hook)
    x = dtorch.ones(4, 2, requires_grad=True)
    net(x).sum().backward()
    (grad_input, grad_output) = seen[0]
    assert tuple(grad_input[0].shape) == (4, 2)
    assert grad_output[0].tolist() == [[1.0] * 3] * 4
    assert x.grad is not None
    assert not x.grad.any()
    with pytest.raises(RuntimeError, match="other kind"):
        net.register_backward_hook(lambda *_: None)


def test_backward_pre_hook_changes_the_gradient() -> None:
    net = nn.Linear(2, 1, bias=False)
    net.register_full_backward_pre_hook(lambda module, grad: (grad[0] * 2,))
    net(dtorch.ones(1, 2)).sum().backward()
    assert net.weight.grad is not None
    assert net.weight.grad.tolist() == [[2.0, 2.0]]


def test_classic_backward_hook_sees_the_last_operation() -> None:
    net = nn.Linear(2, 3)
    seen: list[Any] = []
    net.register_backward_hook(lambda module, gi, go: seen.append(go))
    net(dtorch.ones(4, 2)).sum().backward()
    assert tuple(seen[0][0].shape) == (4, 3)


def test_submodules_are_found_by_dotted_name() -> None:
    net = nn.Sequential(Net())
    assert isinstance(net.get_submodule("0.first"), nn.Linear)
    assert net.get_parameter("0.first.bias") is net[0].first.bias
    assert net.get_buffer("0.norm.running_var") is net[0].norm.running_var
    with pytest.raises(AttributeError, match="nothing"):
        net.get_submodule("0.nothing")


def test_buffers_can_stay_out_of_the_state() -> None:
    net = nn.Module()
    net.register_buffer("kept", dtorch.zeros(1))
    net.register_buffer("dropped", dtorch.zeros(1), persistent=False)
    net.assigned = nn.Buffer(dtorch.zeros(2))
    assert list(net.state_dict()) == ["kept", "assigned"]
    assert [name for name, _ in net.named_buffers()] == ["kept", "dropped", "assigned"]


def test_repr_nests() -> None:
    assert repr(nn.Sequential(nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Sequential(\n    (0): ReLU()\n  )\n)"
    )


def test_missing_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


@pytest.mark.parametrize(("args", "kwargs", "kind"), [
    (("cpu",), {"copy": True}, RuntimeError), ((dtorch.int64,), {}, TypeError),
    (("cpu", "cpu"), {}, TypeError), ((dtorch.float64, "cpu"), {}, TypeError),
])  # fmt: skip
def test_arguments_that_to_does_not_take_are_refused(args, kwargs, kind) -> None:
    with pytest.raises(kind, match="to: "):
        nn.Linear(1, 1).to(*args, **kwargs)


def test_classic_hooks_of_state_dicts_are_called() -> None:
    layer, seen = nn.Linear(1, 1), []
    layer._register_state_dict_hook(lambda module, state, prefix, local: {**state, "more": 1})
    layer._register_load_state_dict_pre_hook(lambda state, prefix, *rest: state.pop("more"))
    layer._register_load_state_dict_pre_hook(lambda m, *rest: seen.append(m), with_module=True)
    assert "more" in layer.state_dict()
    assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"
    assert seen == [layer]
    wrong = {"weight": dtorch.ones(2, 2), "other": dtorch.ones(1)}
    with pytest.raises(RuntimeError) as error:
        nn.Linear(1, 1).load_state_dict(wrong)
    for words in (
        "Error(s) in loading state_dict for Linear", "Missing key(s) in state_dict: \"bias\".",
        "Unexpected key(s) in state_dict: \"other\".",
        "size mismatch for weight: copying a param with shape (2, 2) from checkpoint",
    ):  # fmt: skip
        assert words in str(error.value)


def test_base_classes_are_found_where_programs_ask_for_them() -> None:
    for name, layer in (("_BatchNorm", nn.BatchNorm2d(1)), ("_DropoutNd", nn.Dropout2d()),
                        ("_ConvNd", nn.Conv1d(1, 1, 1)), ("_Loss", nn.MSELoss())):  # fmt: skip
        assert isinstance(layer, getattr(nn.modules, name))
    with pytest.raises(AttributeError, match="_Nothing"):
        nn.modules._Nothing  # noqa: B018 - that it is not there


def test_hooks_of_all_modules_run_before_those_of_one():
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    log = []

    def note(what):
        return lambda layer, *_: log.append((what, type(layer).__name__))

    module[0].register_forward_hook(note("own"))
    module[0].register_full_backward_hook(note("own backward"))
    x = dtorch.ones(1, 2, requires_grad=True)
    hooks = nn.modules.module
    with (
        hooks.register_module_forward_pre_hook(note("before")),
        hooks.register_module_forward_hook(note("after")),
        hooks.register_module_full_backward_pre_hook(note("before backward")),
        hooks.register_module_full_backward_hook(note("backward")),
    ):
        module(x).sum().backward()
    layers = [("after", "Linear"), ("own", "Linear"), ("before", "ReLU"), ("after", "ReLU")]
    back = [(f"{when}backward", name) for name in ("ReLU", "Linear") for when in ("before ", "")]
    assert log == [
        ("before", "Sequential"), ("before", "Linear"), *layers, ("after", "Sequential"),
        ("before backward", "Sequential"), *back, ("own backward", "Linear"),
        ("backward", "Sequential"),
    ]  # fmt: skip
    log.clear()
    module(x).sum().backward()
    assert log == [("own", "Linear"), ("own backward", "Linear")]


def test_hook_of_all_modules_replaces_output():
    with nn.modules.module.register_module_forward_hook(lambda layer, args, out: out * 0 + 7):
        assert nn.ReLU()(dtorch.ones(1)).item() == 7
    assert nn.ReLU()(dtorch.ones(1)).item() == 1


def test_hook_of_all_modules_sees_layers_that_are_otherwise_computed_at_once():
    module = nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1), nn.ReLU()).eval()
    seen = []
    with (
        dtorch.no_grad(),
        nn.modules.module.register_module_forward_hook(lambda layer, *_: seen.append(layer)),
    ):
        module(dtorch.ones(1, 1, 4))
    assert seen == [*module, module]


def test_two_kinds_of_backward_hooks_of_all_modules_are_refused():
    module, x, log = nn.Linear(2, 1), dtorch.ones(1, 2, requires_grad=True), []
    hooks = nn.modules.module
    with hooks.register_module_backward_hook(lambda layer, *grads: log.append(layer)):
        module(x).sum().backward()
        with pytest.raises(RuntimeError, match="register_module_full_backward_hook cannot both"):
            hooks.register_module_full_backward_hook(lambda *_: None)
    assert log == [module]
