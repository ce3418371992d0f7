"""Whole layers and optimizers in files."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from typing import Any

import pytest

import dtorch
from dtorch import nn, optim
from dtorch.serialization import CheckpointError


def through_file(obj: Any, **options: Any) -> Any:
    file = io.BytesIO()
    dtorch.save(obj, file, **options)
    file.seek(0)
    return dtorch.load(file)


class Foreign(nn.Module):
    pass


LAYERS = [
    nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="circular"), nn.BatchNorm2d(2), nn.ReLU(True)),
    nn.LSTM(3, 4, 2, bidirectional=True),
    nn.TransformerEncoderLayer(4, 2, 8, activation="gelu"),
    nn.Embedding(5, 3, padding_idx=1),
    nn.ModuleDict({"a": nn.ParameterList([nn.Parameter(dtorch.ones(2))])}),
    nn.CrossEntropyLoss(weight=dtorch.ones(3), reduction="sum"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("zipped", [True, False])
def test_layers_come_back_whole(layer: nn.Module, zipped: bool) -> None:
    found = through_file(layer, _use_new_zipfile_serialization=zipped)
    assert type(found) is type(layer)
    assert repr(found) == repr(layer)
    assert set(found.__dict__) == set(layer.__dict__)
    for (name, mine), (same, theirs) in zip(
        layer.named_parameters(), found.named_parameters(), strict=True
    ):
        assert name == same
        assert dtorch.equal(mine, theirs)
        assert theirs.requires_grad
    found.double()


def test_layers_that_share_a_parameter_share_it_still() -> None:
    pair = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    pair[1].weight = pair[0].weight
    found = through_file({"net": pair, "again": pair})
    assert found["net"] is found["again"]
    assert found["net"][0].weight is found["net"][1].weight


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "LBFGS", "Rprop"])
def test_optimizers_come_back_with_their_parameters(name: str) -> None:
    layer = nn.Linear(2, 1)
    optimizer = getattr(optim, name)(layer.parameters(), lr=0.1)

    def step(layer: nn.Module, optimizer: Any) -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = layer(dtorch.ones(1, 2)).pow(2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    step(layer, optimizer)
    layer_again, optimizer_again = through_file([layer, optimizer])
    assert optimizer_again.param_groups[0]["params"][0] is layer_again.weight
    step(layer, optimizer)
    step(layer_again, optimizer_again)
    assert dtorch.equal(layer.weight, layer_again.weight)


# -- files of other versions, as codes ---------------------------------------------------------------


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def state(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def name(path: str) -> bytes:
    module, _, last = path.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def new(path: str, given: bytes) -> bytes:
    """A new object with a state."""
    return name(path) + b")\x81" + given + b"b"


def tables(**members: dict[str, bytes]) -> dict[str, bytes]:
    kinds = ("_parameters", "_buffers", "_modules")
    return {kind: state(**members.get(kind, {})) for kind in kinds}


def load(codes: bytes) -> Any:
    """What a file of 0.1.11 to 1.5 with this pickle gives."""
    file = io.BytesIO()
    for plain in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(plain, file, 2)
    file.write(b"\x80\x02" + codes + b".")
    pickle.dump([], file, 2)
    file.seek(0)
    return dtorch.load(file)


HOOKS = name("collections.OrderedDict") + b")R"
OLD_BACKEND = name("torch.nn.backends.thnn._get_thnn_function_backend") + b")R"
FIVE = b"K\x05"
TEN = b"K\x0a"


def test_attributes_that_files_of_older_versions_lack_are_filled_in() -> None:
    old = {"_backend": OLD_BACKEND, "_forward_hooks": HOOKS, "training": b"\x89", **tables()}
    conv = load(new("torch.nn.modules.conv.Conv2d", state(**old, in_channels=FIVE)))
    assert conv.padding_mode == "zeros"
    assert not conv.training
    assert conv._state_dict_hooks == {}
    upsample = load(new("torch.nn.modules.upsampling.Upsample", state(**old, size=TEN)))
    assert upsample.size == 10
    assert upsample.align_corners is None
    loss = load(new("torch.nn.modules.loss.MSELoss", state(**old, size_average=b"\x89")))
    assert loss.reduction == "sum"
    assert not loss.size_average
    softmax = load(new("dtorch.nn.activation.Softmax", state(**old)))
    assert softmax.dim is None


def test_recurrent_layers_of_pytorch_keep_their_weights_names() -> None:
    names = b"](](" + text("weight_ih_l0") + text("weight_hh_l0") + b"ee"
    rnn = load(new("torch.nn.modules.rnn.GRU", state(**tables(), _all_weights=names)))
    assert rnn._all_weights == [["weight_ih_l0", "weight_hh_l0"]]
    assert rnn.proj_size == 0


LINEAR = "torch.nn.modules.linear.Linear"
REFUSED = {
    "a class of its own": (new("__main__.Net", state()), r"needs __main__\.Net"),
    "a call of a class": (name(LINEAR) + FIVE + TEN + b"\x86R", "damaged|not callable"),
    "a new object with arguments": (name(LINEAR) + FIVE + TEN + b"\x86\x81", "with arguments"),
    "an object without a state": (name(LINEAR) + b")\x81", "has no state"),
    "a state twice": (new(LINEAR, state(**tables())) + state() + b"b", "the state of"),
    "a hook": (
        new(LINEAR, state(_forward_hooks=b"}K\x01" + name("torch.nn.functional.relu") + b"s")),
        "hooks are code",
    ),
    "a hook of another name": (new(LINEAR, state(_my_hooks=b"](K\x01e")), "hooks are code"),
    "a method": (new(LINEAR, state(forward=name("torch.nn.functional.relu"))), "a method"),
    "a special name": (new(LINEAR, state(__class__=FIVE)), "no attribute"),
    "a number as a name": (name(LINEAR) + b")\x81}K\x01K\x01sb", "no attribute"),
    "a class as an attribute": (new(LINEAR, state(kept=name(LINEAR))), "OwnClass"),
    "a rebuilder as an attribute": (
        new(LINEAR, state(kept=name("torch._utils._rebuild_tensor_v2"))),
        "object of type method",
    ),
    "a function within a list": (
        new(LINEAR, state(kept=b"]" + name("torch.nn.functional.relu") + b"a")),
        "OwnFunction",
    ),
    "a call put into a list later": (
        name(LINEAR) + b")\x81}" + text("kept") + b"]q\x07sbh\x07"
        + name("torch._utils._rebuild_tensor_v2") + b"a0",
        "object of type method",
    ),
    "a call of a function": (name("torch.nn.functional.relu") + FIVE + b"\x85R", "damaged"),
    "the state of a class": (name(LINEAR) + state(cls=FIVE) + b"b", "state to the class"),
    "a parameter that is none": (
        new(LINEAR, state(**tables(_parameters={"weight": FIVE}))), "expected a Parameter"),
    "a module that is none": (
        new(LINEAR, state(**tables(_modules={"inner": FIVE}))), "expected a Module"),
    "tables that are none": (new(LINEAR, state(_modules=b"]")), "no dict"),
    "a layer within itself": (
        name(LINEAR) + b")\x81q\x01" + state(_modules=b"}" + text("inner") + b"h\x01s") + b"b",
        "within itself",
    ),
    "an optimizer of no tensors": (
        new("torch.optim.sgd.SGD", state(state=b"}", param_groups=b"]}" + text("params")
            + b"](K\x01esa")), "SGD"),
    "a state of another size": (
        new("torch.optim.Adam", state(state=b"}K\x01K\x01s", param_groups=FIVE)), "damaged"),
    "defaults that are called": (
        name("collections.defaultdict") + name(LINEAR) + b"\x85R", "defaults come from"),
    "layers of other packages": (
        new("torch.nn.quantized.modules.linear.Linear", state()), "not on the list"),
}  # fmt: skip


@pytest.mark.parametrize(("codes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_no_file_may_do_is_refused(codes: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(codes)


def test_layers_within_others_in_very_many_ways_are_refused() -> None:
    codes = new(LINEAR, state(**tables())) + b"q\x010"
    for _ in range(40):
        codes += new(LINEAR, state(**tables(_modules={"a": b"h\x01", "b": b"h\x01"}))) + b"q\x010"
    with pytest.raises(CheckpointError, match="too many ways"):
        load(codes + b"h\x01")


def test_states_of_other_sizes_than_the_parameters_are_refused() -> None:
    layer = nn.Linear(2, 1)
    optimizer = optim.Adam(layer.parameters())
    layer(dtorch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.state[layer.weight]["exp_avg"] = dtorch.ones(1)
    with pytest.raises(CheckpointError, match="exp_avg"):
        through_file(optimizer)


def test_classes_of_the_program_are_refused_by_name_and_hooks_too() -> None:
    with pytest.raises(CheckpointError, match=r"test_objects\.Foreign"):
        through_file(nn.Sequential(Foreign()))
    layer = nn.Linear(1, 1)
    layer.register_forward_hook(print)
    with pytest.raises(CheckpointError, match="ForwardHook"):
        through_file(layer)


def test_the_environment_decides_where_the_caller_does_not(monkeypatch: Any) -> None:
    file = io.BytesIO()
    dtorch.save(OrderedDict(net=Foreign()), file)

    def kind(**options: Any) -> type:
        file.seek(0)
        return type(dtorch.load(file, **options)["net"])

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.warns(UserWarning, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        assert kind() is Foreign
    with pytest.raises(CheckpointError, match="Foreign"):
        kind(weights_only=True)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(RuntimeError, match="both set"):
        kind()
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    with pytest.raises(CheckpointError, match="Foreign"):
        kind(weights_only=False)


def test_optimizers_of_many_views_of_one_storage_are_refused() -> None:
    parameter = nn.Parameter(dtorch.zeros(100_000))
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.9)
    optimizer.state[parameter] = {str(i): parameter.data[:] for i in range(100)}
    with pytest.raises(CheckpointError, match="far more than its"):
        through_file(optimizer)
    expanded = nn.Linear(1, 1)
    expanded.register_buffer("all", dtorch.zeros(1).expand(1 << 40))
    with pytest.raises(CheckpointError, match="far more than its"):
        through_file(expanded)
