"""Jobs whose workers talk to each other."""

from __future__ import annotations

import os
import signal
import time

import pytest


def test_workers_meet_and_reduce(launcher):
    script = launcher.script(
        """
        import dtorch
        import dtorch.distributed as dist
        dist.init_process_group("shm")
        total = dtorch.ones(3) * (dist.get_rank() + 1)
        dist.all_reduce(total)
        print(total.tolist())
        dist.destroy_process_group()
        """
    )
    result = launcher.run("--nproc-per-node", "2", script)
    assert result.stderr == ""
    assert sorted(result.stdout.splitlines()) == [f"[rank{r}] [3.0, 3.0, 3.0]" for r in (0, 1)]


def test_workers_meet_again_after_a_restart(launcher):
    script = launcher.script(
        """
        import os, signal
        import dtorch.distributed as dist
        dist.init_process_group("shm")
        dist.barrier()
        if os.environ["DTORCH_RESTART_COUNT"] == "0" and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.barrier()
        print("met")
        """
    )
    result = launcher.run("--nproc-per-node", "2", "--max-restarts", "1", script)
    assert result.code == 0
    assert result.stdout.count("met") == 2


def test_worker_killed_inside_a_collective_is_told_as_the_cause(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal
        import dtorch
        import dtorch.distributed as dist
        dist.init_process_group("shm")
        dist.barrier()
        pathlib.Path("up" + os.environ["RANK"]).touch()
        if dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.all_reduce(dtorch.ones(1000))
        dist.all_reduce(dtorch.ones(1000))
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    result = launcher.finish(process)
    assert result.code == 128 + signal.SIGKILL
    last = result.stderr.splitlines()[-1]
    assert last.startswith("dtorch-launch: rank 1 of 2 (pid ")
    assert last.endswith(f"was killed by SIGKILL: {script}")


CAUSES = {
    "raise ValueError('the cause')": (1, "ValueError: the cause"),
    "raise SystemExit(3)": (3, "failed with exit code 3"),
    "os._exit(7)": (7, "failed with exit code 7"),
    "ctypes.string_at(0)": (128 + signal.SIGSEGV, "was killed by SIGSEGV"),
    "os.kill(os.getpid(), signal.SIGTERM)": (143, "was killed by SIGTERM"),
    "dist.group.WORLD.run(lambda transport: transport.all_gather([1, 2], tensor.numpy()))": (
        1,
        "AttributeError",
    ),
}


@pytest.mark.parametrize(("rank", "cause"), [(i % 2, cause) for i, cause in enumerate(CAUSES)])
def test_rank_that_the_others_lost_is_told_as_the_cause(launcher, rank, cause):
    script = launcher.script(
        f"""
        import ctypes, os, signal
        import dtorch
        import dtorch.distributed as dist
        dist.init_process_group("shm")
        tensor = dtorch.ones(3)
        dist.all_reduce(tensor)
        if dist.get_rank() == {rank}:
            {cause}
        dist.all_reduce(tensor)
        """
    )
    code, text = CAUSES[cause]
    result = launcher.run("--nproc-per-node", "2", script)
    lines = result.stderr.splitlines()
    told = [line for line in lines if line.startswith("dtorch-launch: ")]
    assert result.code == code
    assert told[-1].startswith(f"dtorch-launch: rank {rank} of 2 (pid ")
    assert all(f"lost rank {rank} (pid " in line for line in told[:-1])
    assert text in result.stderr


@pytest.mark.parametrize("stopped", [0, 1])
def test_stopped_rank_that_does_not_come_is_named_with_its_process(launcher, stopped):
    script = launcher.script(
        f"""
        import os, pathlib, signal
        pathlib.Path("pid" + os.environ["RANK"]).write_text(str(os.getpid()))
        if os.environ["RANK"] == "{stopped}":
            os.rename("pid{stopped}", "stopping")
            os.kill(os.getpid(), signal.SIGSTOP)
        while not pathlib.Path("stopping").exists():
            pass
        pid = pathlib.Path("stopping").read_text()
        while " T " not in pathlib.Path(f"/proc/{{pid}}/stat").read_text():
            pass
        import dtorch.distributed as dist
        dist.init_process_group(timeout=1)
        """
    )
    result = launcher.run("--nproc-per-node", "2", script)
    assert result.code == 1
    pid = (launcher.directory / "stopping").read_text()
    assert f"rank {stopped} is pid {pid}, stopped by a signal" in result.stderr


def test_stopped_rank_is_named_by_those_who_wait_for_it_in_a_collective(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal
        import dtorch
        import dtorch.distributed as dist
        dist.init_process_group("gloo")
        pathlib.Path("pid" + os.environ["RANK"]).write_text(str(os.getpid()))
        group = dist.new_group(timeout=2)
        if dist.get_rank() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        dist.all_reduce(dtorch.ones(1000), group=group)
        """
    )
    result = launcher.run("--nproc-per-node", "3", script)
    assert result.code == 1
    pid = (launcher.directory / "pid0").read_text()
    assert f"rank 0 (pid {pid}, stopped by a signal) did not join" in result.stderr
    assert result.stderr.count("backend 'gloo' becomes 'shm'") == 1


def test_interrupts_at_any_moment_of_collectives_leave_nothing(launcher):
    script = launcher.script(
        """
        import os, pathlib
        import dtorch
        import dtorch.distributed as dist
        pathlib.Path("up" + os.environ["RANK"]).touch()
        dist.init_process_group("shm")
        while True:
            dist.all_reduce(dtorch.ones(100_000))
            dist.barrier()
        """
    )
    before = set(os.listdir("/dev/shm"))
    for delay in (0.0, 0.3, 1.0):
        for name in ("up0", "up1"):
            (launcher.directory / name).unlink(missing_ok=True)
        process = launcher.start("--nproc-per-node", "2", script)
        launcher.wait_for_files("up0", "up1")
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        result = launcher.finish(process)
        assert result.code == 130
        assert result.stderr.endswith("stopped by SIGINT\n")
        assert launcher.processes() == []
    assert {name for name in set(os.listdir("/dev/shm")) - before if "dtorch" in name} == set()
