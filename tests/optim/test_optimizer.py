"""What all optimizers share: groups, states, hooks, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import dtorch
from dtorch import nn, optim


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(dtorch.ones(*shape))


def stepped(optimizer: Any) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = dtorch.ones_like(p)
    optimizer.step()


def test_wrong_parameters_are_refused() -> None:
    p = parameter(2)
    with pytest.raises(TypeError, match="expected several"):
        optim.SGD(p)
    with pytest.raises(ValueError, match="empty"):
        optim.SGD([])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])
    with pytest.raises(ValueError, match="twice"):
        optim.SGD([{"params": [p]}, {"params": p}])
    with pytest.raises(ValueError, match="leaf"):
        optim.SGD([p * 2])
    with pytest.raises(TypeError, match="int"):
        optim.SGD([3])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: optim.SGD(p, lr=-1), "lr is -1"),
        (lambda p: optim.SGD(p, nesterov=True), "nesterov"),
        (lambda p: optim.Adam(p, betas=(1.0, 0.9)), "betas"),
        (lambda p: optim.Adam(p, eps=-1e-8), "eps"),
        (lambda p: optim.RMSprop(p, momentum=-0.1), "momentum"),
        (lambda p: optim.Rprop(p, etas=(2, 3)), "etas"),
        (lambda p: optim.LBFGS(p, line_search_fn="x"), "strong_wolfe"),
        (lambda p: optim.AdamW(p, weight_decay=float("nan")), "weight_decay"),
        (lambda p: optim.Adafactor(p, eps=(-1.0, 1.0)), r"eps\[0\] is -1"),
    ],
)
def test_options_out_of_range_are_named(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make([parameter(2)])


def test_groups_have_their_own_options() -> None:
    optimizer = optim.SGD([{"params": [parameter(1)], "lr": 0.5}, {"params": parameter(1)}], lr=0.1)
    optimizer.add_param_group({"params": [parameter(1)], "momentum": 0.9})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1, 0.1]
    stepped(optimizer)
    values = [g["params"][0].item() for g in optimizer.param_groups]
    assert values == pytest.approx([0.5, 0.9, 0.9])


def test_named_parameters_keep_their_names() -> None:
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


def test_parameters_without_gradient_are_skipped() -> None:
    p, frozen = parameter(1), nn.Parameter(dtorch.ones(1), requires_grad=False)
    optimizer = optim.Adam([p, frozen])
    p.grad = dtorch.ones(1)
    optimizer.step()
    assert frozen.item() == 1
    assert frozen not in optimizer.state


def test_state_is_loaded_by_position_and_copied() -> None:
    first = optim.Adam([parameter(2), parameter(3)])
    stepped(first)
    second = optim.Adam([parameter(2), parameter(3)], lr=0.5)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["lr"] == 0.001
    a, b = (o.state[o.param_groups[0]["params"][1]]["exp_avg"] for o in (first, second))
    assert (a == b).all()
    stepped(first)
    assert not (a == b).all()
    with pytest.raises(ValueError, match="2 parameters"):
        optim.Adam([parameter(2)]).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    "name", [n for n in optim.__all__ if n[0].isupper() and n not in ("Optimizer", "LBFGS")]
)
def test_states_of_other_sizes_are_refused_when_they_are_loaded(name: str) -> None:
    def made(*shape: int) -> Any:
        p = parameter(*shape)
        options = {"momentum": 0.5} if name in ("SGD", "SharedSGD", "RMSprop") else {}
        return p, getattr(optim, name)([p], lr=0.1, **options)

    p, first = made(3, 4)
    p.grad = dtorch.ones(3, 4)
    if name == "SparseAdam":
        p.grad = p.grad.to_sparse()
    first.step()
    state = first.state_dict()
    for shape in ((4, 3), (1, 4)):
        p, second = made(*shape)
        before = copy.deepcopy(second.state_dict())
        with pytest.raises(ValueError, match=r"load_state_dict: '\w+' of parameter 0 has shape"):
            second.load_state_dict(state)
        assert repr(second.state_dict()) == repr(before)
    made(3, 4)[1].load_state_dict(state)


def test_options_that_would_stand_still_or_divide_by_zero_are_refused() -> None:
    for options in ({"lr": 0.0}, {"eps": 0.0}, {"lr": dtorch.tensor(0.0)}):
        with pytest.raises(ValueError, match="expected more than 0"):
            optim.SparseAdam([parameter(2)], **options)


def test_loaded_state_takes_the_dtype_of_the_parameter() -> None:
    first = optim.Adam([parameter(2)])
    stepped(first)
    p = nn.Parameter(dtorch.ones(2).double())
    second = optim.Adam([p])
    second.load_state_dict(first.state_dict())
    assert second.state[p]["exp_avg"].dtype is dtorch.float64
    assert second.state[p]["step"].dtype is dtorch.float32


def test_closure_runs_with_recording_and_gives_the_loss() -> None:
    p = parameter(2)
    optimizer = optim.SGD([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with dtorch.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 2
    assert p.tolist() == pytest.approx([0.8, 0.8])


def test_zero_grad_forgets_or_zeroes() -> None:
    p = parameter(2)
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = dtorch.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is not None
    assert p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_step_counts_as_a_change_for_autograd() -> None:
    p = parameter(2)
    out = (p * p).sum()
    optimizer = optim.SGD([p], lr=0.1)
    stepped(optimizer)
    with pytest.raises(RuntimeError, match="modified in place"):
        out.backward()


def test_sparse_gradients_move_their_rows_alone() -> None:
    for name in ("SGD", "Adagrad", "SparseAdam"):
        table = nn.Embedding(5, 2, sparse=True)
        before = table.weight.detach().clone()
        optimizer = getattr(optim, name)(table.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            table(dtorch.tensor([1, 3, 1])).sum().backward()
            assert table.weight.grad is not None
            assert table.weight.grad.is_sparse
            optimizer.step()
        moved = (table.weight != before).any(1)
        assert moved.tolist() == [False, True, False, True, False]
    with pytest.raises(RuntimeError, match="SparseAdam, SGD"):
        optim.RMSprop(table.parameters()).step()
    with pytest.raises(RuntimeError, match="dense"):
        stepped(optim.SparseAdam([parameter(2)]))


def test_hooks_run_around_the_step() -> None:
    optimizer = optim.SGD([parameter(1)], lr=0.1)
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    handle = optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    stepped(optimizer)
    handle.remove()
    stepped(optimizer)
    assert seen == ["before", "after", "before"]


def test_optimizers_can_be_pickled_and_copied() -> None:
    optimizer = optim.SGD([parameter(2)], lr=0.1, momentum=0.9)
    stepped(optimizer)
    for twin in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        stepped(twin)
        assert twin.param_groups[0]["params"][0].tolist() == pytest.approx([0.71, 0.71])


def test_schedule_before_optimizer_warns_once() -> None:
    optimizer = optim.SGD([parameter(1)], lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with pytest.warns(UserWarning, match=r"before optimizer\.step"):
        schedule.step()
    schedule.step()


def test_plateau_reduces_after_patience() -> None:
    optimizer = optim.SGD([parameter(1)], lr=1.0)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.5, cooldown=1)
    rates = []
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1):
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_schedules_go_on_from_their_state() -> None:
    def made() -> Any:
        optimizer = optim.SGD([parameter(1)], lr=1.0)
        return optimizer, optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

    first, schedule = made()
    for _ in range(3):
        first.step()
        schedule.step()
    second, again = made()
    second.load_state_dict(first.state_dict())
    again.load_state_dict(schedule.state_dict())
    for optimizer, s in ((first, schedule), (second, again)):
        optimizer.step()
        s.step()
    assert again.get_last_lr() == schedule.get_last_lr() == [0.25]


def test_average_of_models() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    average = optim.swa_utils.AveragedModel(net)
    for value in (1.0, 2.0, 6.0):
        nn.init.constant_(net[0].weight, value)
        average.update_parameters(net)
    assert average.module[0].weight.item() == 3.0
    assert int(average.n_averaged) == 3
    optim.swa_utils.update_bn([dtorch.randn(8, 1) for _ in range(3)], average)
    assert int(average.module[1].num_batches_tracked) == 3
    assert average.module[1].momentum == 0.1
    ema = optim.swa_utils.AveragedModel(net, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.5))
    ema.update_parameters(net)
    nn.init.constant_(net[0].weight, 2.0)
    ema.update_parameters(net)
    assert ema.module[0].weight.item() == 4.0


def test_schedules_can_be_pickled() -> None:
    optimizer = optim.SGD([nn.Parameter(dtorch.ones(1))], lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    optimizer.step()
    schedule.step()
    twin = pickle.loads(pickle.dumps(schedule))
    twin.optimizer.step()
    twin.step()
    assert (schedule.get_last_lr(), twin.get_last_lr()) == ([0.5], [0.25])


def test_schedules_pickled_under_the_name_of_the_package_are_found() -> None:
    assert pickle.loads(b"cdtorch.optim.lr_scheduler\nStepLR\n.") is optim.lr_scheduler.StepLR


ADAPTIVE = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


@pytest.mark.parametrize(
    "name", [n for n in optim.__all__ if n[0].isupper() and n not in ("Optimizer", "LBFGS")]
)
def test_numbers_may_be_tensors(name: str) -> None:
    def run(**options: Any) -> list[float]:
        p = parameter(2)
        optimizer = getattr(optim, name)([p], **options)
        for _ in range(7):
            p.grad = dtorch.tensor([0.5, -1.0])
            if name == "SparseAdam":
                p.grad = p.grad.to_sparse()
            optimizer.step()
        return p.tolist()  # type: ignore[no-any-return]

    assert run(lr=dtorch.tensor(0.25)) == run(lr=0.25)
    if name in ADAPTIVE:
        betas = (dtorch.tensor(0.75), dtorch.tensor(0.875))
        assert run(betas=betas) == run(betas=(0.75, 0.875))
    with pytest.raises(TypeError, match="lr is str"):
        run(lr="0.1")


def test_a_rate_that_is_a_tensor_stays_the_same_tensor() -> None:
    schedules = optim.lr_scheduler
    for make in (
        lambda o: schedules.ExponentialLR(o, 0.5),
        lambda o: schedules.CyclicLR(o, 0.25, 0.5, 2),
        lambda o: schedules.SequentialLR(
            o, [schedules.ConstantLR(o, 0.5, 1), schedules.ExponentialLR(o, 0.5)], [1]
        ),
    ):
        lr = dtorch.tensor(0.5)
        optimizer = optim.SGD([parameter(1)], lr=lr, momentum=0.9)
        plain = optim.SGD([parameter(1)], lr=0.5, momentum=0.9)
        for o in (optimizer, plain):
            schedule = make(o)
            for _ in range(3):
                o.step()
                schedule.step()
        assert optimizer.param_groups[0]["lr"] is lr
        assert lr.item() == pytest.approx(plain.param_groups[0]["lr"])
    lr = dtorch.tensor(0.5)
    optimizer = optim.SGD([parameter(1)], lr=lr)
    plateau = schedules.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    for _ in range(2):
        plateau.step(1.0)
    assert lr.item() == 0.25


def test_lbfgs_needs_a_closure() -> None:
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([parameter(1)]).step()  # type: ignore[call-arg]
