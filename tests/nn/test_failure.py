"""Errors that leave a module say which one, and show the user's lines alone."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import numpy as np
import pytest

import dtorch
from dtorch import nn, optim
from dtorch.core import entry

PACKAGE = str(Path(dtorch.__file__).parent)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
        self.layers = nn.ModuleList([nn.Linear(7, 2)])

    def forward(self, x):
        return self.layers[0](self.body(x))


def raised(function) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the test looks at it
        function()
    return caught.value


def frames_of_ours(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if frame.filename.startswith(PACKAGE)]


x = dtorch.ones(4, 3)
labels = dtorch.tensor([0, 1, 2, 0])
images = dtorch.ones(2, 4, 8, 8)

PLACES = {
    "a layer alone": (lambda: nn.Linear(4, 2)(x), "in Linear(in_features=4, "),
    "a layer by its index": (
        lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(3, 8, 3))(images),
        "in Sequential.1: Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))",
    ),
    "a layer below others": (
        lambda: Net()(dtorch.ones(4, 5)),
        "in Net.body.0: Linear(in_features=3, ",
    ),
    "a layer of a list": (lambda: Net()(x), "in Net.layers.0: Linear(in_features=7, "),
}


@pytest.mark.parametrize("case", PLACES)
def test_an_error_names_the_layer_and_where_it_is(case):
    error = raised(PLACES[case][0])
    (note,) = error.__notes__
    assert note.startswith(PLACES[case][1])


@pytest.mark.parametrize("case", PLACES)
def test_an_error_of_a_layer_shows_no_lines_of_dtorch(case):
    error = raised(PLACES[case][0])
    assert isinstance(error, dtorch.core.errors.ShapeError)
    assert frames_of_ours(error) == []


def test_lines_of_users_modules_stay():
    names = [frame.name for frame in traceback.extract_tb(raised(lambda: Net()(x)).__traceback__)]
    assert names[-2:] == ["<lambda>", "forward"]


def test_all_lines_are_shown_where_the_environment_asks_for_them(monkeypatch):
    monkeypatch.setattr(entry, "SHOWS_ALL_CALLS", True)
    assert {"__call__", "forward"} <= set(frames_of_ours(raised(lambda: Net()(x))))


def test_an_error_that_the_user_catches_further_in_is_as_it_was():
    class Careful(nn.Module):
        def forward(self, x):
            try:
                return nn.Linear(7, 2)(x)
            except dtorch.core.errors.ShapeError as error:
                return error

    assert not hasattr(Careful()(x), "__notes__")


def test_errors_of_the_user_get_no_note_and_keep_their_lines():
    class Wrong(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    error = raised(lambda: nn.Sequential(Wrong())(x))
    assert isinstance(error, KeyError)
    assert not hasattr(error, "__notes__")
    assert "in_order" in frames_of_ours(error)


def test_an_error_with_hooks_around_the_layer_names_it_too():
    layer = nn.Linear(4, 2)
    layer.register_forward_hook(lambda module, args, out: None)
    error = raised(lambda: layer(x))
    assert error.__notes__[0].startswith("in Linear(")
    assert frames_of_ours(error) == []


def test_an_error_with_its_note_can_be_pickled():
    error = pickle.loads(pickle.dumps(raised(lambda: Net()(x))))
    assert error.__notes__[0].startswith("in Net.layers.0: ")


MISTAKES = {
    "a list": (lambda: nn.Linear(3, 5)([[1.0]]), "Linear: input is list, .*dtorch.tensor"),
    "an array": (lambda: nn.Linear(3, 5)(np.ones((4, 3))), "a NumPy array, .*dtorch.from_numpy"),
    "an array for a convolution": (
        lambda: nn.Conv2d(1, 4, 3)(np.ones((1, 1, 8, 8))),
        "Conv2d: input is a NumPy array",
    ),
    "None": (lambda: nn.Linear(3, 5)(None), "Linear: input is None, expected a tensor"),
    "an array for ReLU": (lambda: nn.ReLU()(np.ones(2)), "ReLU: input is a NumPy array"),
    "a number to flatten": (lambda: nn.Flatten()(3), "Flatten: input is int"),
    "a list for a loss": (lambda: nn.MSELoss()(x, [1.0]), "MSELoss: target is list"),
    "float64": (lambda: nn.Linear(3, 5)(x.double()), r"input is dtorch.float64.*input\.float\(\)"),
    "float64 for a convolution": (
        lambda: nn.Conv2d(4, 4, 3)(images.double()),
        r"conv2d: input is dtorch.float64.*input\.float\(\)",
    ),
    "too many arguments": (lambda: nn.Linear(3, 5)(x, x), r"Linear: too many .*\(input\)"),
    "no argument": (lambda: nn.Linear(3, 5)(), "Linear: missing .*'input'"),
    "an unknown argument": (lambda: nn.Linear(3, 5)(x, scale=2), "Linear: .*'scale'"),
    "an unknown setting": (lambda: nn.Linear(3, 5, biass=1), r"Linear\.__init__.*'biass'"),
    "no kernel size": (lambda: nn.Conv2d(3, 8), r"Conv2d\.__init__\(\) missing .*'kernel_size'"),
    "no size of windows": (lambda: nn.MaxPool2d(), r"MaxPool2d\.__init__\(\) missing"),
    "a kernel size in words": (lambda: nn.Conv2d(3, 8, "3"), "Conv2d: kernel_size is '3'"),
    "a size that is no int": (lambda: nn.Linear(3.0, 5), "Linear: in_features is 3.0"),
    "channels that are no int": (lambda: nn.Conv2d(3, 8.0, 3), "Conv2d: out_channels is 8.0"),
    "features that are no int": (lambda: nn.BatchNorm1d("3"), "BatchNorm1d: num_features is '3'"),
    "rows that are no int": (lambda: nn.Embedding(3.5, 2), "Embedding: num_embeddings is 3.5"),
    "tensors when a loss is made": (
        lambda: nn.CrossEntropyLoss(x, labels),
        r"CrossEntropyLoss\(\)\(input, target\)",
    ),
    "tensors when another is made": (lambda: nn.MSELoss(x, x), r"MSELoss\(\)\(input, target\)"),
    "a list of weights": (
        lambda: nn.CrossEntropyLoss(weight=[1.0]),
        "CrossEntropyLoss: weight is list, expected a tensor",
    ),
    "labels of floats": (
        lambda: nn.CrossEntropyLoss()(x, labels.float()),
        r"cross_entropy: target is dtorch.float32.*target\.long\(\).*\(4, 3\)",
    ),
    "labels of floats for nll": (lambda: nn.NLLLoss()(x, x), r"target\.long\(\)"),
    "no module": (lambda: nn.Sequential(3), "Sequential: argument 0 is int"),
    "a list of modules": (lambda: nn.Sequential([nn.ReLU()]), r"Sequential\(\*modules\)"),
    "one module for a list": (lambda: nn.ModuleList(nn.ReLU()), "ModuleList: got ReLU"),
    "a module as state": (
        lambda: Net().load_state_dict(Net()),
        r"got Net, .*what its state_dict\(\) returns",
    ),
    "a file name as state": (lambda: Net().load_state_dict("a.pt"), r"dtorch\.load\(\)"),
    "a state inside of another": (
        lambda: Net().load_state_dict({"model": Net().state_dict()}),
        r"pass state_dict\['model'\]",
    ),
    "a module to clip": (lambda: nn.utils.clip_grad_norm_(Net(), 1.0), r"model\.parameters\(\)"),
    "a module to optimize": (lambda: optim.SGD(Net(), lr=0.1), r"model\.parameters\(\)"),
    "a method to optimize": (
        lambda: optim.SGD(Net().parameters, lr=0.1),
        r"params is method, .*call it: parameters\(\)",
    ),
    "parameters used up": (
        lambda: optim.SGD(iter([]), lr=0.1),
        "empty list of parameters; an iterator",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_messages_of_common_mistakes_name_what_was_given_and_the_remedy(mistake):
    function, message = MISTAKES[mistake]
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        function()


def test_what_replaces_an_error_does_not_show_it():
    error = raised(lambda: nn.Linear(3, 5)([[1.0]]))
    assert error.__suppress_context__
    assert frames_of_ours(error) == ["__call__"]
