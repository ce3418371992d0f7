"""The switch of recording: block, decorator, generator, thread."""

from __future__ import annotations

import threading

import pytest

import dtorch
from dtorch.core.errors import GradError

x = dtorch.ones(2, requires_grad=True)


def recorded() -> bool:
    return (x * 2).requires_grad


def test_no_grad_block_records_nothing() -> None:
    with dtorch.no_grad():
        assert not recorded()
        assert (x * 2).grad_fn is None
    assert recorded()


def test_enable_grad_records_inside_no_grad() -> None:
    with dtorch.no_grad(), dtorch.enable_grad():
        assert recorded()
    assert recorded()


def test_mode_is_restored_after_an_exception() -> None:
    with pytest.raises(KeyError), dtorch.no_grad():
        raise KeyError
    assert recorded()


def test_one_object_can_be_entered_again_inside_itself() -> None:
    mode = dtorch.no_grad()
    with mode, dtorch.enable_grad(), mode:
        assert not recorded()
    assert recorded()


def test_set_grad_enabled_acts_at_once() -> None:
    dtorch.set_grad_enabled(False)
    try:
        assert not recorded()
    finally:
        dtorch.set_grad_enabled(True)
    assert recorded()


@pytest.mark.parametrize("wanted", [True, False])
def test_set_grad_enabled_as_a_block(wanted: bool) -> None:
    with dtorch.set_grad_enabled(wanted):
        assert recorded() is wanted
    assert recorded()


def test_decorators() -> None:
    assert dtorch.no_grad()(recorded)() is False
    assert dtorch.no_grad(recorded)() is False
    assert dtorch.set_grad_enabled(False)(recorded)() is False
    assert recorded()
    with dtorch.no_grad():
        assert dtorch.enable_grad()(recorded)() is True
    assert dtorch.no_grad()(recorded).__name__ == "recorded"


def test_decorated_generator_switches_only_while_it_runs() -> None:
    @dtorch.no_grad()
    def steps():
        got = yield recorded()
        try:
            yield got, recorded()
        except KeyError:
            yield "caught", recorded()
        return "end"

    run = steps()
    assert next(run) is False
    assert recorded()
    assert run.send("sent") == ("sent", False)
    assert recorded()
    assert run.throw(KeyError()) == ("caught", False)
    with pytest.raises(StopIteration) as end:
        next(run)
    assert end.value.value == "end"
    assert recorded()


def test_closing_a_decorated_generator_closes_the_inner_one() -> None:
    closed = []

    @dtorch.no_grad()
    def steps():
        try:
            yield 1
        finally:
            closed.append(recorded())

    run = steps()
    next(run)
    run.close()
    assert closed == [False]


def test_each_thread_has_a_mode_of_its_own() -> None:
    seen = []
    with dtorch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(recorded()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_leaf_may_be_changed_in_place_under_no_grad() -> None:
    w = dtorch.ones(2, requires_grad=True)
    with dtorch.no_grad():
        w.mul_(3)
    assert w.is_leaf
    assert w.requires_grad
    assert w.tolist() == [3.0, 3.0]


# -- inference mode -----------------------------------------------------------------------------------


def test_inference_mode_records_nothing() -> None:
    with dtorch.inference_mode():
        assert dtorch.is_inference_mode_enabled()
        assert not dtorch.is_grad_enabled()
        y = x * 2
        y.add_(1)
    assert not dtorch.is_inference_mode_enabled()
    assert dtorch.is_grad_enabled()
    assert y.is_inference()
    assert not x.is_inference()


def test_inference_mode_false_leaves_it() -> None:
    with dtorch.inference_mode(), dtorch.inference_mode(False):
        assert not dtorch.is_inference_mode_enabled()
        assert recorded()


def test_inference_tensor_cannot_be_saved_for_backward() -> None:
    with dtorch.inference_mode():
        y = x * 2
    with pytest.raises(GradError, match=r"mul.*inference.*clone\(\)"):
        x * y
    assert (x * y.clone()).requires_grad
    assert (x + y).requires_grad  # saves nothing


def test_inference_tensor_cannot_be_changed_outside() -> None:
    with dtorch.inference_mode():
        y = x * 2
    with pytest.raises(GradError, match="inference"):
        y.add_(1)
    assert y.tolist() == [2.0, 2.0]


def test_inference_mode_as_a_decorator() -> None:
    @dtorch.inference_mode()
    def double(t: dtorch.Tensor) -> dtorch.Tensor:
        return t * 2

    assert double(x).is_inference()
