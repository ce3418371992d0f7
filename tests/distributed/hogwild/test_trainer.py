"""Hogwild: shared training, and what happens when a worker fails."""

import faulthandler
import gc
import os
import signal
import time
from pathlib import Path

import pytest

import dtorch
from dtorch import nn
from dtorch.core.errors import ArgumentError
from dtorch.distributed.hogwild import Hogwild
from dtorch.distributed.hogwild.progress import Progress
from dtorch.distributed.hogwild.trainer import _Run
from dtorch.multiprocessing import ProcessExitedException, ProcessRaisedException, arena


@pytest.fixture(autouse=True)
def nothing_left():
    """Neither processes nor descriptors nor shared memory."""
    gc.collect()
    blocks, processes = arena.usage().blocks, children()
    yield
    gc.collect()
    assert arena.usage().blocks <= blocks
    assert children() <= processes


def children():
    """Processes started from here and not yet waited for, zombies among them."""
    return {
        pid
        for tasks in Path("/proc/self/task").glob("*/children")
        for pid in tasks.read_text().split()
    }


def hogwild(train, model=None, **options):
    options = {"nprocs": 2, "progress": False, "start_method": "fork", "grace": 60.0, **options}
    return Hogwild(train, nn.Linear(1, 1) if model is None else model, **options)


def count_to_ten(worker):
    for _ in worker.steps(10):
        pass
    return worker.rank


def test_every_worker_does_its_steps_and_returns_its_value():
    result = hogwild(count_to_ten, nprocs=3).run()
    assert result.steps_by_worker == [10, 10, 10]
    assert result.values == [0, 1, 2]
    assert not result.stopped


def add_one(worker):
    for _ in worker.steps(1):
        worker.model.weight.data[worker.rank, 0] += 1


def test_the_model_is_one_for_all():
    model = nn.Linear(1, 3)
    nn.init.zeros_(model.weight)
    hogwild(add_one, model, nprocs=3).run()
    assert model.weight.tolist() == [[1], [1], [1]]


def climb(worker):
    for _ in worker.steps(5):
        worker.model.weight.grad = dtorch.ones(1, 1)
        worker.model.bias.grad = dtorch.ones(1)
        worker.optimizer.step()


def test_the_state_of_the_optimizer_is_one_for_all():
    model = nn.Linear(1, 1)
    optimizer = dtorch.optim.SharedAdam(model.parameters())
    hogwild(climb, model, optimizer=optimizer).run()
    assert float(optimizer.state[model.weight]["step"]) > 5  # unlocked: of 10, a few may be lost


def draw(worker):
    return float(dtorch.rand(1)), worker.seed


def test_workers_draw_different_numbers_and_the_same_in_every_run():
    one, other = hogwild(draw).run().values, hogwild(draw).run().values
    assert one == other
    assert one[0] != one[1]
    assert hogwild(draw, seed=1).run().values != one


def tell(worker):
    for step in worker.steps(4):
        worker.report(loss=dtorch.tensor(float(step)), rank=worker.rank)


def test_metrics_come_as_means(monkeypatch):
    # All steps go into one report, however long they take; the workers are forked and have it, too.
    monkeypatch.setattr("dtorch.distributed.hogwild.worker.REPORT_EVERY_S", 1e9)
    heard = []
    result = hogwild(tell, on_metrics=lambda rank, metrics: heard.append((rank, metrics))).run()
    assert result.metrics == [{"loss": 1.5, "rank": 0}, {"loss": 1.5, "rank": 1}]
    assert sorted(heard, key=lambda entry: entry[0])[0] == (0, {"loss": 1.5, "rank": 0})


def for_ever(worker):
    for step in worker.steps():
        worker.report(step=step)
        time.sleep(0.001)


def test_a_time_limit_ends_the_run_in_order():
    result = hogwild(for_ever).run(timeout=1)
    assert result.stopped
    assert result.seconds >= 1
    assert result.steps > 0


def test_stop_from_a_callback_ends_the_run():
    trainer = hogwild(for_ever, on_metrics=lambda rank, metrics: trainer.stop())
    assert trainer.run().stopped


def signalling(number):
    """A callback that sends the trainer a signal once."""
    unsent = [number]

    def send(rank, metrics):
        if unsent:
            os.kill(os.getpid(), unsent.pop())

    return send


def test_sigterm_ends_the_run_in_order():
    assert hogwild(for_ever, on_metrics=signalling(signal.SIGTERM)).run().stopped


def test_ctrl_c_ends_the_run_in_order_and_is_passed_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        hogwild(
            for_ever, checkpoint=tmp_path / "last.pth", on_metrics=signalling(signal.SIGINT)
        ).run()
    assert dtorch.load(tmp_path / "last.pth")["steps"] > 0


def terminate_the_group(worker):
    for step in worker.steps():
        if worker.rank == 0 and step == 5:
            os.kill(os.getppid(), signal.SIGTERM)  # as a job manager does to all of a job
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.001)


def test_a_signal_to_all_processes_is_no_crash():
    result = hogwild(terminate_the_group).run()
    assert result.stopped
    assert result.crashes == []


def return_much(worker):
    for _ in worker.steps():
        time.sleep(0.001)
    return bytes(1 << 20)


def test_a_large_value_arrives_also_after_the_stop():
    result = hogwild(return_much).run(timeout=0.1)
    assert [len(value) for value in result.values] == [1 << 20] * 2


def test_another_run_starts_anew():
    trainer = hogwild(count_to_ten)
    assert [trainer.run().steps_by_worker for _ in range(2)] == [[10, 10], [10, 10]]


def raise_at_three(worker):
    for step in worker.steps(6):
        if worker.rank == 1 and step == 3:
            raise ValueError("no such thing as 41")
        time.sleep(0.01)


def test_a_crash_ends_the_run_with_its_traceback():
    with pytest.raises(ProcessRaisedException, match="no such thing as 41") as info:
        hogwild(raise_at_three).run()
    assert info.value.error_index == 1
    assert "in raise_at_three" in str(info.value)


def crash_once(worker):
    for step in worker.steps(6):
        if worker.rank == 1 and step == 3 and float(worker.model.bias) == 0:
            worker.model.bias.data += 1
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_replacement_goes_on_where_the_crashed_worker_was(capsys):
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.bias)
    result = hogwild(crash_once, model, on_crash="replace").run()
    assert result.steps_by_worker == [6, 6]
    (crash,) = result.crashes
    assert (crash.rank, crash.steps) == (1, 3)
    assert "SIGKILL" in crash.reason
    assert "goes on at step 3" in capsys.readouterr().err


def test_replacing_gives_up_after_so_many():
    with pytest.raises(ProcessRaisedException, match="41") as info:
        hogwild(raise_at_three, on_crash="replace", max_replacements=2).run()
    assert info.value.__notes__ == ["2 workers had been replaced before"]


def be_stopped(worker):
    if worker.rank == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    for _ in worker.steps():
        time.sleep(0.001)


def test_a_worker_that_was_stopped_is_named_and_killed_without_grace(capsys):
    result = hogwild(be_stopped, grace=600).run(timeout=0.2)
    assert result.stopped
    assert result.steps_by_worker[0] == 0
    text = capsys.readouterr().err
    assert "hogwild: killed worker 0 (pid " in text
    assert ", stopped by a signal), which did not end its step" in text


def hang(worker):
    for step in worker.steps():
        worker.report(step=step)
        time.sleep(600)


def test_a_worker_that_does_not_react_is_named_and_killed_after_the_grace(capsys):
    result = hogwild(hang, grace=0.3).run(timeout=0.2)
    assert result.stopped
    assert "hogwild: killed worker 0 (pid " in capsys.readouterr().err


def test_a_second_ctrl_c_ends_the_grace(monkeypatch):
    monkeypatch.setattr("dtorch.distributed.hogwild.worker.REPORT_EVERY_S", 0)
    sent = []

    def send(rank, metrics):
        for _ in range(0 if sent else 2):
            os.kill(os.getpid(), signal.SIGINT)
            sent.append(rank)

    with pytest.raises(KeyboardInterrupt):
        hogwild(hang, grace=600, on_metrics=send).run()


def be_stopped_while_sending(worker):
    for _ in worker.steps():
        time.sleep(0.001)
    if worker.rank == 0:
        pid = os.getpid()
        if os.fork() == 0:
            time.sleep(0.05)
            os.kill(pid, signal.SIGSTOP)
            os._exit(0)
    return bytes(200_000_000)


def test_a_worker_that_is_stopped_while_it_sends_holds_up_nobody():
    result = hogwild(be_stopped_while_sending, grace=3).run(timeout=0.1)
    assert result.stopped


def _stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_worker_that_does_not_begin_is_named_and_ended(monkeypatch, capsys):
    monkeypatch.setattr("dtorch.distributed.hogwild.trainer._STALLED_S", 1.0)
    monkeypatch.setattr("dtorch.distributed.hogwild.trainer._BEGIN_S", 2.0)
    monkeypatch.setattr("dtorch.distributed.hogwild.worker.manual_seed", lambda seed: _stop())
    result = hogwild(count_to_ten, grace=0.1).run(timeout=0.1)
    assert result.stopped
    text = capsys.readouterr().err
    assert "has not begun for" in text
    assert "it is stopped by a signal" in text


def test_a_checkpoint_that_cannot_be_written_does_not_hide_a_crash(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ProcessRaisedException, match="41") as info:
        hogwild(raise_at_three, checkpoint=tmp_path / "file" / "last.pth").run()
    assert "the last checkpoint was not written" in info.value.__notes__[0]


def be_stopped_in_step_three(worker):
    for step in worker.steps():
        if worker.rank == 1 and step == 3:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.001)


def test_a_worker_that_does_no_more_steps_is_named_once(monkeypatch, capsys):
    monkeypatch.setattr("dtorch.distributed.hogwild.trainer._STALLED_S", 0.2)
    trainer = hogwild(be_stopped_in_step_three, grace=0.1)
    ticks = []  # since it was named

    def report_stalls(run):
        report(run)
        ticks.extend([1] if ticks or "in step 3 for" in "".join(told) else [])
        if len(ticks) == 4:
            trainer.stop()

    told, say, report = [], Progress.say, _Run._report_stalls
    monkeypatch.setattr(Progress, "say", lambda self, text: told.append(text) or say(self, text))
    monkeypatch.setattr(_Run, "_report_stalls", report_stalls)
    trainer.run()
    (text,) = (text for text in told if "in step 3 for" in text)
    assert text.startswith("hogwild: worker 1 (pid ")
    assert "stopped by a signal" in text


def end_by_a_real_time_signal(worker):
    if worker.rank == 0:
        os.kill(os.getpid(), 40)
    for _ in worker.steps():
        time.sleep(0.001)


def test_a_signal_without_a_name_is_reported_by_its_number():
    with pytest.raises(ProcessExitedException, match="ended by signal 40"):
        hogwild(end_by_a_real_time_signal).run()


def fail_at_the_end(worker):
    for _ in worker.steps():
        time.sleep(0.001)
    raise ValueError("no such thing as 41")


def test_an_exception_after_the_stop_is_raised_too():
    with pytest.raises(ProcessRaisedException, match="41"):
        hogwild(fail_at_the_end).run(timeout=0.1)


def segfault(worker):
    if worker.rank == 0:
        faulthandler.disable()  # of the test runner
        os.kill(os.getpid(), signal.SIGSEGV)
    for _ in worker.steps():
        time.sleep(0.001)


def test_a_segmentation_fault_is_reported_by_name():
    with pytest.raises(ProcessExitedException, match=r"worker 0 .* SIGSEGV"):
        hogwild(segfault).run()


def test_checkpoints_are_written_now_and_then_and_at_the_end(tmp_path):
    model = nn.Linear(1, 1)
    optimizer = dtorch.optim.SharedSGD(model.parameters(), momentum=0.9)
    path = tmp_path / "new" / "last.pth"
    seen = []

    def look(rank, metrics):
        if path.exists():
            seen.append(dtorch.load(path)["steps"])
            trainer.stop()

    trainer = hogwild(
        for_ever, model, optimizer=optimizer, checkpoint=path, checkpoint_every=0.1, on_metrics=look
    )
    trainer.run()
    state = dtorch.load(path)
    assert state["steps"] >= seen[0]
    assert state["steps"] > 0
    assert state["model"]["weight"].tolist() == model.weight.tolist()
    assert set(state["optimizer"]) == {"state", "param_groups"}


def test_the_number_of_workers_comes_from_the_launcher(monkeypatch):
    monkeypatch.setenv("DTORCH_HOGWILD_WORKERS", "3")
    assert hogwild(count_to_ten, nprocs=None).run().steps == 30
    monkeypatch.setenv("DTORCH_HOGWILD_WORKERS", "many")
    with pytest.raises(ArgumentError, match="'many'"):
        hogwild(count_to_ten, nprocs=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nprocs": 0}, "nprocs is 0"),
        ({"on_crash": "ignore"}, "'ignore'"),
        ({"start_method": "magic"}, "'magic'"),
        ({"seed": -1}, "seed is -1"),
        ({"max_replacements": -1}, "max_replacements is -1"),
        ({"grace": -0.5}, "grace is -0.5"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        hogwild(count_to_ten, **options)
