"""Where an operation was recorded whose backward goes wrong."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.autograd import Function, detect_anomaly, set_detect_anomaly
from dtorch.autograd.anomaly_mode import is_anomaly_enabled
from dtorch.core.errors import GradError

pytestmark = pytest.mark.filterwarnings("ignore:anomaly mode")


def test_nan_in_a_gradient_names_the_forward_line() -> None:
    x = dtorch.zeros(1, requires_grad=True)
    with detect_anomaly():
        y = (x * 0).sqrt() * 0  # the line that is told
        with pytest.raises(GradError, match=r"(?s)SqrtBackward0.*nan.*the line that is told"):
            y.backward()


def test_nan_is_let_through_on_request() -> None:
    x = dtorch.zeros(1, requires_grad=True)
    with detect_anomaly(check_nan=False):
        ((x * 0).sqrt() * 0).backward()
    assert x.grad.isnan().all()


def test_exception_in_backward_gets_the_forward_line_as_a_note() -> None:
    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise KeyError("in backward")

    x = dtorch.ones(1, requires_grad=True)
    with detect_anomaly(), pytest.raises(KeyError) as caught:
        Fails.apply(x).backward()  # the line with the call
    assert any("the line with the call" in note for note in caught.value.__notes__)


def test_modified_saved_tensor_tells_the_forward_line() -> None:
    x = dtorch.ones(1, requires_grad=True)
    with detect_anomaly():
        y = x * 2
        z = y * y  # where it was saved
        y.add_(1)
        with pytest.raises(RuntimeError) as caught:
            z.backward()
    assert any("where it was saved" in note for note in caught.value.__notes__)


def test_switch_acts_at_once_and_is_undone_by_a_block() -> None:
    assert not is_anomaly_enabled()
    set_detect_anomaly(True)
    assert is_anomaly_enabled()
    set_detect_anomaly(False)
    assert not is_anomaly_enabled()
    with set_detect_anomaly(True):
        assert is_anomaly_enabled()
        with set_detect_anomaly(False):
            assert not is_anomaly_enabled()
        assert is_anomaly_enabled()
    assert not is_anomaly_enabled()


def test_it_warns_that_it_is_slow() -> None:
    with pytest.warns(UserWarning, match="slow"), detect_anomaly():
        pass
