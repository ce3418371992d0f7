"""A folder of checkpoints: what is kept, what is found, and what a crash leaves."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import OrderedDict

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.serialization import CheckpointError, CheckpointManager, presence
from dtorch.serialization.checkpoints import verify


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


def test_ctrl_c_while_a_save_is_waited_for_does_not_cut_it_off(tmp_path):
    script = (
        "import os, signal, sys, time, dtorch\n"
        "from dtorch.serialization import CheckpointManager\n"
        "manager = CheckpointManager(sys.argv[1], asynchronous=True)\n"
        "write = manager._write\n"
        "def write_later(*args):\n"
        "    while not waits: pass\n"
        "    time.sleep(0.05)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.2)\n"
        "    write(*args)\n"
        "manager._write, waits = write_later, []\n"
        "manager.save(1, {'n': dtorch.ones(3)})\n"
        "waits.append(1)\n"
        "manager.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.stderr.endswith("KeyboardInterrupt\n")
    assert os.listdir(tmp_path) == ["step-0000000001"]
    assert CheckpointManager(tmp_path).load(1)["n"].tolist() == [1, 1, 1]


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
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".rank-0.")] == []
    with pytest.raises(TimeoutError):
        manager.save(1, {"n": 1})


def test_a_rank_that_begins_late_leaves_the_folders_of_those_that_save_already(
    tmp_path, monkeypatch
):
    other = CheckpointManager(tmp_path, rank=1, world_size=2)
    other.save(1, {"n": 1})
    complete = next(tmp_path.glob(".step-*"))
    empty, new = (
        tmp_path / complete.name.replace("-0000000001.", f"-000000000{n}.") for n in (2, 3)
    )
    empty.mkdir()  # where rank 1 is about to write
    seen_in = presence.seen_in

    def seen_meanwhile(*args):
        new.mkdir(exist_ok=True)
        return seen_in(*args)

    monkeypatch.setattr(presence, "seen_in", seen_meanwhile)
    CheckpointManager(tmp_path, rank=0, world_size=2)
    assert complete.is_dir()
    assert empty.is_dir()
    assert new.is_dir()


def test_a_missing_rank_is_named(tmp_path):
    manager = CheckpointManager(tmp_path, rank=0, world_size=2, timeout=0.1)
    with pytest.raises(TimeoutError, match="rank 1"):
        manager.save(1, {"n": 1})
    assert manager.checkpoints() == []


@contextlib.contextmanager
def running(function):
    """A child that runs ``function(say)`` and then waits; gives it once it has said something."""
    reading, writing = os.pipe()

    def run():
        os.close(reading)
        function(lambda: os.write(writing, b"."))
        time.sleep(600)

    pid = in_child(run)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"."
        yield pid
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def killed(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def saving(folder, number, step=1, rank=1):
    """For `running`: saves a share and stays."""

    def run(say):
        manager = CheckpointManager(folder, rank=rank, world_size=2)
        manager.save(step, {"model": [dtorch.full((5,), float(number)) for _ in range(4)]})
        say()
        time.sleep(600)

    return run


def save_as_rank_0(folder, number, step=1, manager=None):
    manager = manager or CheckpointManager(folder, rank=0, world_size=2, timeout=600)
    manager.save(step, {"model": [dtorch.full((5,), float(number)) for _ in range(4)]})
    return manager


def numbers_in(folder):
    return {tensor[0].item() for tensor in CheckpointManager(folder).load()["model"]}


def test_shares_of_a_run_that_was_killed_are_not_mixed_with_those_of_the_next(tmp_path):
    with running(saving(tmp_path, 1)) as pid:
        killed(pid)
    with running(saving(tmp_path, 2)):
        manager = save_as_rank_0(tmp_path, 2)
        assert numbers_in(tmp_path) == {2.0}
    assert steps(manager) == [1]


def test_a_share_is_not_taken_from_a_run_that_ended_before_this_process_began(tmp_path):
    pid = in_child(lambda: saving(tmp_path, 1)(lambda: os._exit(0)))
    os.waitpid(pid, 0)
    script = (
        "import sys, dtorch\n"
        "from dtorch.serialization import CheckpointManager\n"
        "manager = CheckpointManager(sys.argv[1], rank=0, world_size=2, timeout=4)\n"
        "manager.save(1, {'model': [dtorch.zeros(5)] * 4})\n"
    )
    time.sleep(0.05)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert "TimeoutError: checkpoint 1: no share of rank 1" in done.stderr


def test_a_rank_whose_file_is_looked_at_while_it_is_made_makes_another(tmp_path, monkeypatch):
    tries, hold = [], presence.hold

    def looked_at(path, flags):
        tries.append(path)
        if len(tries) == 1:
            path.touch()
            return None
        return hold(path, flags)

    monkeypatch.setattr(presence, "hold", looked_at)
    manager = CheckpointManager(tmp_path, rank=1, world_size=2)
    assert os.listdir(tmp_path) == [tries[1].name]
    del manager
    assert os.listdir(tmp_path) == []


def test_two_runs_at_once_in_one_folder_are_told(tmp_path):
    match = "two runs save into .*: rank 1 is process .* and process"
    with (
        running(saving(tmp_path, 1)),
        running(saving(tmp_path, 2)),
        pytest.raises(CheckpointError, match=match),
    ):
        save_as_rank_0(tmp_path, 1)


STARTS_AGAIN = """
import sys
from dtorch.serialization import CheckpointManager
CheckpointManager(sys.argv[1], rank=0, world_size=2)
"""
SAVES_FOR_EVER = """
import sys, dtorch
from dtorch.serialization import CheckpointManager
manager = CheckpointManager(sys.argv[1], rank=int(sys.argv[2]), world_size=2, asynchronous=True)
for step in range(1, 10**6):
    manager.save(step, {"n": [dtorch.ones(3), dtorch.ones(4)]})
    if step == 2:
        print("up", flush=True)
"""


@pytest.mark.parametrize("first", [0, 1])
def test_ranks_that_are_interrupted_leave_complete_checkpoints_only(tmp_path, first):
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", SAVES_FOR_EVER, str(tmp_path), str(rank)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        for rank in ranks:
            assert rank.stdout.readline() == b"up\n"
        for rank in (first, 1 - first):
            ranks[rank].send_signal(signal.SIGINT)
            time.sleep(0.1 * random.random())
        assert ranks[first].communicate()[1].endswith(b"KeyboardInterrupt\n")
        assert ranks[first].returncode == -signal.SIGINT
        # The other may have found the folder gone that it was writing into.
        said = ranks[1 - first].communicate()[1]
        assert said.endswith(b"KeyboardInterrupt\n") or b"Error" in said
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()
    # A share that was being written when the other rank left may stay until the next start.
    subprocess.run([sys.executable, "-c", STARTS_AGAIN, str(tmp_path)], check=True)
    assert [name for name in os.listdir(tmp_path) if not name.startswith("step-")] == []


def test_a_rank_that_died_is_told_at_once(tmp_path):
    def begin(say):
        manager = CheckpointManager(tmp_path, rank=1, world_size=2)
        say()
        time.sleep(600)
        manager.wait()

    manager = CheckpointManager(tmp_path, rank=0, world_size=2, timeout=600)
    with running(begin) as pid:
        killed(pid)
    with pytest.raises(CheckpointError, match=rf"rank 1 \(process {pid} on .*\) has died"):
        save_as_rank_0(tmp_path, 1, manager=manager)


@pytest.mark.parametrize("end", ["died", "ended"])
def test_a_rank_that_went_after_the_first_save_is_told_at_once(tmp_path, end):
    reading, writing = os.pipe()

    def save_and_wait(say):
        manager = CheckpointManager(tmp_path, rank=1, world_size=2)
        manager.save(1, {"model": [dtorch.full((5,), 1.0) for _ in range(4)]})
        say()
        os.read(reading, 1)

    def leave(say):
        save_and_wait(say)
        say()

    with running(leave) as pid:
        manager = save_as_rank_0(tmp_path, 1)
        if end == "died":
            killed(pid)
        else:
            os.write(writing, b".")
        with pytest.raises(CheckpointError, match=f"rank 1 .*has {end}"):
            save_as_rank_0(tmp_path, 1, step=2, manager=manager)
    os.close(reading)
    os.close(writing)
    assert numbers_in(tmp_path) == {1.0}


def test_another_process_that_saves_into_the_folder_is_an_error_and_reading_is_not(tmp_path):
    def save(say):
        manager = CheckpointManager(tmp_path)
        manager.save(1, {"n": 1})
        say()
        time.sleep(600)

    with running(save) as pid:
        manager = CheckpointManager(tmp_path)
        assert manager.load() == {"n": 1}
        with pytest.raises(CheckpointError, match="another process saves into"):
            manager.save(2, {"n": 2})
        assert os.listdir(tmp_path) == ["step-0000000001"]
        killed(pid)
        manager.save(2, {"n": 2})
    assert CheckpointManager(tmp_path).load() == {"n": 2}


def test_two_managers_of_one_process_leave_each_other_what_they_write(tmp_path):
    one = CheckpointManager(tmp_path, asynchronous=True, keep_last=50)
    for step in range(20):
        one.save(step, {"w": dtorch.full((50_000,), float(step))})
        other = CheckpointManager(tmp_path, keep_last=50)
        other.save(100 + step, {"w": dtorch.zeros(1)})
    one.wait()
    steps = {checkpoint.step for checkpoint in one.checkpoints()}
    assert steps == {*range(20), *range(100, 120)}


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"files": 3}', '{"files": {"../a.pt": {}}}', '{"files": {"rank-0.pt": 1}}'],
)
def test_a_damaged_manifest_is_told(tmp_path, manifest):
    CheckpointManager(tmp_path).save(1, {"n": 1})
    (tmp_path / "step-0000000001" / "manifest.json").write_text(manifest)
    with pytest.raises(CheckpointError, match="manifest is damaged"):
        verify(tmp_path / "step-0000000001")
    with pytest.raises(FileNotFoundError):
        CheckpointManager(tmp_path).load()


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
        try:
            while newest_in(tmp_path) <= newest and os.waitpid(pid, os.WNOHANG) == (0, 0):
                time.sleep(0.001)  # until it is at work, however slow the machine
            time.sleep(source.uniform(0, 0.01))
        finally:
            killed(pid)
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
