"""Jobs whose workers talk to each other."""

from __future__ import annotations

import signal
import time


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
    result = launcher.finish(process, time.monotonic())
    assert result.code == 128 + signal.SIGKILL
    last = result.stderr.splitlines()[-1]
    assert last.startswith("dtorch-launch: rank 1 of 2 (pid ")
    assert last.endswith(f"was killed by SIGKILL: {script}")
    assert result.seconds < 2.0
