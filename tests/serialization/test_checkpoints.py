"""A folder of checkpoints: what is kept, what is found, and what a crash leaves."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from collections import OrderedDict

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.serialization import CheckpointError, CheckpointManager


@contextlib.contextmanager
def limited_files(nbytes):
    """No file may become larger, as on a disc that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def steps(manager):
    return [checkpoint.step for checkpoint in manager.checkpoints()]


def test_the_newest_are_kept_and_loaded(tmp_path):
    manager = CheckpointManager(tmp_path, keep_last=2)
    for step in (1, 2, 10):
        manager.save(step, {"w": dtorch.full((3,), float(step)), "epoch": step})
    assert steps(manager) == [2, 10]
    assert manager.load()["epoch"] == 10
    assert manager.load(2)["w"].tolist() == [2.0] * 3
    assert sorted(os.listdir(tmp_path)) == ["step-0000000002", "step-0000000010"]


@pytest.mark.parametrize(("mode", "best"), [("min", 1), ("max", 3)])
def test_the_best_are_kept_besides(tmp_path, mode, best):
    manager = CheckpointManager(tmp_path, keep_last=1, keep_best=1, mode=mode)
    for step, metric in enumerate([5.0, 1.0, 3.0, 9.0, 4.0, 2.0]):
        manager.save(step, {}, metric=metric)
    assert manager.best().step == best
    assert steps(manager) == [best, 5]


def test_objects_with_states_are_saved_and_restored(tmp_path):
    generator = dtorch.Generator().manual_seed(1)
    loader = dtorch.utils.data.DataLoader(range(8), 2, shuffle=True, generator=generator)
    next(iter(loader))
    manager = CheckpointManager(tmp_path)
    manager.save(3, {"loader": loader, "step": 3})
    again = dtorch.utils.data.DataLoader(range(8), 2, shuffle=True, generator=dtorch.Generator())
    assert manager.restore({"loader": again})["step"] == 3
    assert again.state_dict() is not None
    assert len(list(again)) == 3
    with pytest.raises(CheckpointError, match=r"no \['model'\]"):
        manager.restore({"model": again})


def test_a_state_keeps_sharing_and_kinds_of_containers(tmp_path):
    base = dtorch.arange(4.0)
    state = {"model": OrderedDict(a=base, b=base[1:], c=base), "list": [base, (1, base)]}
    manager = CheckpointManager(tmp_path)
    manager.save(0, state)
    back = manager.load()
    assert type(back["model"]) is OrderedDict
    assert back["model"]["a"] is back["model"]["c"] is back["list"][1][1]
    back["model"]["a"][1] = 9.0
    assert back["model"]["b"][0].item() == 9.0


def test_a_step_saved_again_is_the_newer_one(tmp_path):
    manager = CheckpointManager(tmp_path)
    manager.save(1, {"n": 1})
    manager.save(1, {"n": 2})
    assert manager.load()["n"] == 2


def test_damage_is_noticed_and_the_one_before_is_taken(tmp_path):
    manager = CheckpointManager(tmp_path)
    for step in (1, 2):
        manager.save(step, {"w": dtorch.full((100,), float(step))})
    victim = tmp_path / "step-0000000002" / "rank-0.pt"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.warns(UserWarning, match="differs from its manifest"):
        assert manager.load()["w"][0].item() == 1.0
    with pytest.raises(CheckpointError, match="differs"):
        manager.load(2)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        CheckpointManager(tmp_path / "new").load()


def test_an_asynchronous_save_has_the_state_of_its_moment(tmp_path):
    manager = CheckpointManager(tmp_path, asynchronous=True)
    weight, numbers = dtorch.zeros(200_000), [1]
    manager.save(1, {"w": weight, "tied": weight, "part": weight[5:7], "numbers": numbers})
    weight += 1
    numbers.append(2)
    back = manager.load()
    assert back["w"].sum().item() == 0.0
    assert back["w"] is back["tied"]
    back["w"][6] = 3.0
    assert back["part"].tolist() == [0.0, 3.0]
    assert back["numbers"] == [1]


def test_an_asynchronous_failure_is_raised_by_the_next_call(tmp_path):
    manager = CheckpointManager(tmp_path, asynchronous=True)
    with pytest.raises(Exception, match="lambda"):  # what cannot be pickled is told at once
        manager.save(1, {"bad": lambda: None})
    with limited_files(1 << 16):
        manager.save(1, {"large": dtorch.zeros(1 << 16)})
        with pytest.raises(OSError, match="large"):
            manager.wait()
    manager.save(2, {"good": 1})
    assert manager.load()["good"] == 1


def training(folder, steps, save_at=None, resume=False):
    """Train a small model with all that has a state; its weights at the end."""
    dtorch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = dtorch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = dtorch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    inputs = dtorch.randn(12, 4)
    loader = dtorch.utils.data.DataLoader(inputs, 2, shuffle=True, generator=dtorch.Generator())
    objects = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader,
               "rng": dtorch.default_generator}  # fmt: skip
    manager = CheckpointManager(folder, asynchronous=True)
    step = manager.restore(objects)["step"] if resume else 0
    while step < steps:
        for batch in loader:
            optimizer.zero_grad()
            model(batch).pow(2).mean().backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if step == save_at:
                manager.save(step, {**objects, "step": step})
            if step == steps:
                break
    manager.wait()
    return [tensor.tolist() for tensor in model.state_dict().values()]


def test_a_resumed_training_ends_like_one_that_was_not_interrupted(tmp_path):
    expected = training(tmp_path, 14, save_at=9)
    assert training(tmp_path, 14, resume=True) == expected


@pytest.mark.parametrize("options", [{"keep_last": 0}, {"mode": "middle"}, {"rank": 2}])
def test_wrong_arguments_are_named(tmp_path, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}"):
        CheckpointManager(tmp_path, **options)


# -- several ranks -------------------------------------------------------------------------------


def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return pid


def a_model():
    tensors = {f"layer{i}": dtorch.full((100 * (i + 1),), float(i)) for i in range(6)}
    return {"model": {**tensors, "tied": tensors["layer0"]}, "epoch": 4}


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_writing_and_anybody_loads(tmp_path, world_size):
    def save(rank):
        CheckpointManager(tmp_path, rank=rank, world_size=world_size, timeout=20).save(7, a_model())

    pids = [in_child(lambda rank=rank: save(rank)) for rank in range(1, world_size)]
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    save(0)
    back = CheckpointManager(tmp_path).load()
    assert back["epoch"] == 4
    assert all(back["model"][f"layer{i}"].tolist() == [float(i)] * 100 * (i + 1) for i in range(6))
    assert back["model"]["tied"] is back["model"]["layer0"]
    folder = tmp_path / "step-0000000007"
    sizes = [(folder / f"rank-{rank}.pt").stat().st_size for rank in range(world_size)]
    assert max(sizes) < 0.8 * sum(sizes)


def test_shares_of_an_earlier_start_of_the_job_are_removed(tmp_path, monkeypatch):
    CheckpointManager(tmp_path, rank=1, world_size=2).save(1, {"n": 1})
    monkeypatch.setenv("DTORCH_RESTART_COUNT", "1")
    manager = CheckpointManager(tmp_path, rank=0, world_size=2, timeout=0.1)
    assert os.listdir(tmp_path) == []
    with pytest.raises(TimeoutError):
        manager.save(1, {"n": 1})


def test_a_missing_rank_is_named(tmp_path):
    manager = CheckpointManager(tmp_path, rank=0, world_size=2, timeout=0.1)
    with pytest.raises(TimeoutError, match="rank 1"):
        manager.save(1, {"n": 1})
    assert manager.checkpoints() == []


# -- crashes -------------------------------------------------------------------------------------


def save_forever(folder, first):
    manager = CheckpointManager(folder, keep_last=2)
    for step in range(first, first + 10_000):
        manager.save(step, {"w": dtorch.from_numpy(np.full(5000, step)), "step": step})


def newest_in(folder):
    return max(int(name[5:15]) for name in os.listdir(folder) if name.startswith("step-"))


def test_a_kill_at_any_moment_leaves_the_newest_loadable(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # a kill does not lose what was written
    source, newest = random.Random(3), 0
    CheckpointManager(tmp_path).save(0, {"w": dtorch.zeros(5000), "step": 0})
    for _ in range(50):
        pid = in_child(lambda first=newest + 1: save_forever(tmp_path, first))
        deadline = time.monotonic() + 60
        while newest_in(tmp_path) <= newest and time.monotonic() < deadline:
            time.sleep(0.001)  # until it is at work, however slow the machine
        time.sleep(source.uniform(0, 0.01))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        state = CheckpointManager(tmp_path).load()
        assert (state["w"] == state["step"]).all()
        assert state["step"] > newest
        newest = state["step"]
    leftovers = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert leftovers == []


def test_a_full_disc_leaves_the_checkpoints_before(tmp_path):
    manager = CheckpointManager(tmp_path)
    manager.save(1, {"n": 1})
    with limited_files(1 << 16), pytest.raises(OSError, match="large"):
        manager.save(2, {"w": dtorch.zeros(1 << 16)})
    assert manager.load()["n"] == 1
    assert os.listdir(tmp_path) == ["step-0000000001"]
