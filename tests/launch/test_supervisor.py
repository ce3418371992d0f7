"""Whole jobs: output, signals, and each way of failing.

What must not be waited for takes longer in the programs here than a test waits for anything, so that no test
depends on how fast the machine is.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time

import pytest

WAIT = """
import os, pathlib, time
pathlib.Path("up" + os.environ["RANK"]).touch()
time.sleep(600)
"""


def test_every_worker_runs_and_its_lines_carry_its_rank(launcher):
    script = launcher.script(
        """
        import os, sys
        print("hello", os.environ["RANK"], *sys.argv[1:])
        print("problem", file=sys.stderr)
        print("no newline", end="")
        """
    )
    result = launcher.run("--nproc-per-node", "2", script, "--lr", "1")
    assert result.code == 0
    assert sorted(result.stdout.splitlines()) == [
        "[rank0] hello 0 --lr 1",
        "[rank0] no newline",
        "[rank1] hello 1 --lr 1",
        "[rank1] no newline",
    ]
    assert sorted(result.stderr.splitlines()) == ["[rank0] problem", "[rank1] problem"]


def test_long_lines_of_many_workers_are_never_mixed(launcher):
    script = launcher.script(
        """
        import os
        for _ in range(50):
            os.write(1, os.environ["RANK"].encode() * 30_000)
            os.write(1, os.environ["RANK"].encode() * 30_000 + b"\\n")
        """
    )
    result = launcher.run("--nproc-per-node=3", "--no-prefix", script)
    lines = result.stdout.splitlines()
    assert len(lines) == 150
    assert {len(line) for line in lines} == {60_000}
    assert all(len(set(line)) == 1 for line in lines)


def test_single_worker_is_passed_through(launcher):
    script = launcher.script("import sys; print(sys.stdin.read(), end='\\rx\\r')")
    (launcher.directory / "input").write_text("typed")
    with (launcher.directory / "input").open() as stdin:
        result = launcher.run(script, stdin=stdin)
    assert (result.code, result.stdout) == (0, "typed\rx\r")


def test_module_and_executable_can_be_run(launcher):
    launcher.script("print(__name__, __file__)", "job.py")
    result = launcher.run("-m", "job")
    assert result.stdout == f"__main__ {launcher.directory}/job.py\n"
    result = launcher.run("--nproc-per-node=2", "--no-python", "sh", "-c", "echo $RANK/$WORLD_SIZE")
    assert sorted(result.stdout.splitlines()) == ["[rank0] 0/2", "[rank1] 1/2"]


def test_variables_can_be_given(launcher):
    script = launcher.script("import os; print(os.environ['COLOR'])")
    assert launcher.run("--env", "COLOR=red=1", script).stdout == "red=1\n"


def test_dry_run_starts_nothing(launcher):
    script = launcher.script("open('started', 'w')")
    result = launcher.run("--dry-run", "--nproc-per-node=2", script)
    first, second = result.stdout.splitlines()
    assert first.startswith("[rank0] ")
    assert " RANK=1 " in second
    assert script in second
    assert not (launcher.directory / "started").exists()


def test_log_directory_gets_raw_output_and_the_traceback(launcher):
    script = launcher.script(
        """
        import os, sys
        os.write(1, b"\\r1%\\r2%\\n")
        if os.environ["RANK"] == "1":
            raise ValueError("bad")
        """
    )
    result = launcher.run("--nproc-per-node=2", "--log-dir", "logs", script)
    assert result.code == 1
    logs = launcher.directory / "logs"
    assert (logs / "rank0.stdout.log").read_bytes() == b"\r1%\r2%\n"
    assert (logs / "rank1.stderr.log").read_text().endswith("ValueError: bad\n")
    assert json.loads((logs / "rank1.error.json").read_text())["message"] == "ValueError: bad"


def test_log_directory_that_cannot_be_made_is_named(launcher):
    result = launcher.run("--log-dir", "/proc/none", launcher.script(""))
    assert result.code == 2
    assert result.stderr == (
        "dtorch-launch: error: --log-dir /proc/none: No such file or directory\n"
    )


def test_traceback_of_the_rank_that_raises_is_the_last_thing_printed(launcher):
    script = launcher.script(
        """
        import os, time
        def train():
            raise ValueError("bad learning rate")
        if os.environ["RANK"] == "1":
            train()
        time.sleep(600)
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    result = launcher.finish(process)
    head, *traceback = result.stderr.splitlines()
    assert head.startswith("dtorch-launch: rank 1 of 2 (pid ")
    assert head.endswith(f") failed with exit code 1: {script}")
    assert traceback == [
        "Traceback (most recent call last):",
        f'  File "{script}", line 6, in <module>',
        "    train()",
        f'  File "{script}", line 4, in train',
        '    raise ValueError("bad learning rate")',
        "ValueError: bad learning rate",
    ]
    assert result.code == 1


def test_cause_is_told_after_its_consequences(launcher):
    # Rank 0 sees the closed connection and fails, and its process ends before that of rank 1.
    script = launcher.script(
        """
        import os, signal, socket, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.environ["RANK"] == "1":
            peer = socket.socket(socket.AF_UNIX)
            while peer.connect_ex("meet"):
                time.sleep(0.01)
            import atexit
            atexit.register(time.sleep, 0.3)
            peer.close()
            raise ValueError("the cause")
        server = socket.socket(socket.AF_UNIX)
        server.bind("meet")
        server.listen()
        peer, _ = server.accept()
        peer.recv(1)
        time.sleep(0.05)
        raise ConnectionError("peer lost")
        """
    )
    result = launcher.run("--nproc-per-node", "2", script)
    lines = result.stderr.splitlines()
    assert lines[0].startswith("dtorch-launch: rank 0 (pid ")
    assert lines[0].endswith(") after that: ConnectionError: peer lost")
    assert lines[1].startswith("dtorch-launch: rank 1 of 2 (pid ")
    assert lines[-1] == "ValueError: the cause"


def test_survivors_that_ignore_the_request_to_stop_are_killed(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "600"])
        pathlib.Path("up" + os.environ["RANK"]).touch()
        while not pathlib.Path("up0").exists():
            time.sleep(0.01)
        if os.environ["RANK"] == "1":
            raise SystemExit(5)
        time.sleep(600)
        """
    )
    process = launcher.start("--nproc-per-node", "2", "--grace", "0.5", script)
    launcher.wait_for_files("up0", "up1")
    result = launcher.finish(process)
    assert result.code == 5
    assert "failed with exit code 5" in result.stderr


def test_exit_message_is_shown_once(launcher):
    script = launcher.script("import sys; sys.exit('no data in ./digits')")
    result = launcher.run(script)
    head, message = result.stderr.splitlines()
    assert head.endswith(f"failed with exit code 1: {script}")
    assert message == "no data in ./digits"
    assert result.code == 1


def test_crash_shows_the_python_stack(launcher):
    script = launcher.script("import ctypes\ndef crash():\n    ctypes.string_at(0)\ncrash()")
    result = launcher.run(script)
    assert result.code == 128 + signal.SIGSEGV
    assert "was killed by SIGSEGV" in result.stderr
    assert f'File "{script}", line 3 in crash' in result.stderr
    assert "bootstrap.py" not in result.stderr


def test_whatever_goes_on_after_a_program_is_waited_for(launcher):
    script = launcher.script(
        """
        import atexit, multiprocessing, os, pathlib, subprocess, sys, threading, time
        def finish():
            time.sleep(3)
            print("done", flush=True)
        rank = int(os.environ["RANK"])
        if rank == 0:
            threading.Thread(target=finish).start()
        elif rank == 1:
            atexit.register(finish)
        elif rank == 2:
            multiprocessing.get_context("fork").Process(target=finish).start()
        elif rank == 3:
            subprocess.Popen(["sh", "-c", "sleep 3; echo done"])
        elif rank == 4:
            time.sleep(4)
            print("done")
        sys.exit()
        """
    )
    result = launcher.run("--nproc-per-node", "6", script)
    assert (result.code, result.stderr) == (0, "")
    assert sorted(result.stdout.splitlines()) == [f"[rank{rank}] done" for rank in range(5)]


def test_thread_that_hangs_at_exit_is_shown_and_killed_after_the_time_asked_for(launcher):
    script = launcher.script(
        """
        import os, pathlib, threading, time
        def serve_forever():
            while True:
                time.sleep(1)
        threading.Thread(target=serve_forever).start()
        pathlib.Path("up" + os.environ["RANK"]).touch()
        """
    )
    process = launcher.start("--nproc-per-node", "2", "--exit-timeout", "0.5", script)
    result = launcher.finish(process)
    assert result.code == 1
    # Both ranks may be found at once; what followed the first failure is told before it.
    lines = [line for line in result.stderr.splitlines() if "hangs at exit" in line]
    summary = lines[-1]
    assert all("after that" in line for line in lines[:-1])
    assert summary.startswith("dtorch-launch: rank ")
    assert "hangs at exit: its program has ended (exit code 0)" in summary
    assert summary.endswith(script)
    assert f'File "{script}", line 5 in serve_forever' in result.stderr
    assert 1 <= len(lines) <= 2


SAVING = """
import os, pathlib, threading, time
def save():
    until = time.monotonic() + 3
    while time.monotonic() < until or not pathlib.Path("failing").exists():
        pass
    print("saved")
if os.environ["RANK"] == "0":
    threading.Thread(target=save).start()
    pathlib.Path("ended").touch()
else:
    while not pathlib.Path("ended").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    pathlib.Path("failing").touch()
    raise ValueError("bad")
"""


def test_worker_that_works_on_after_its_program_is_left_alone(launcher):
    (launcher.directory / "failing").touch()
    result = launcher.run("--exit-timeout", "1", launcher.script(SAVING))
    assert (result.code, result.stdout, result.stderr) == (0, "saved\n", "")


def test_worker_that_works_on_after_its_program_is_left_alone_by_failures_of_others(launcher):
    result = launcher.run("--nproc-per-node", "2", "--grace", "1", launcher.script(SAVING))
    assert (result.code, result.stdout) == (1, "[rank0] saved\n")
    assert result.stderr.endswith("ValueError: bad\n")


def test_hang_after_a_failure_holds_up_the_job_for_the_grace_alone(launcher):
    script = launcher.script(
        """
        import os, threading, time
        if os.environ["RANK"] == "1":
            threading.Thread(target=time.sleep, args=(600,)).start()
            raise ValueError("bad")
        time.sleep(600)
        """
    )
    result = launcher.run("--nproc-per-node", "2", "--grace", "0.5", script)
    assert result.code == 1
    assert result.stderr.endswith("ValueError: bad\n")


def test_what_a_finished_worker_left_idle_is_stopped(launcher):
    script = launcher.script("import subprocess; subprocess.Popen(['sleep', '600'])")
    result = launcher.run("--nproc-per-node", "2", "--exit-timeout", "0.5", script)
    assert result.code == 0  # and the fixture finds no process


def test_named_shared_memory_of_a_killed_worker_is_removed(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal
        from multiprocessing.shared_memory import SharedMemory
        pathlib.Path("name").write_text(SharedMemory(create=True, size=100).name)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert launcher.run(script).code == 128 + signal.SIGKILL
    name = (launcher.directory / "name").read_text()
    assert not os.path.exists(f"/dev/shm/{name}")


def test_lack_of_descriptors_is_told_and_leaves_nothing(launcher):
    result = launcher.run(
        "--nproc-per-node",
        "20",
        launcher.script(WAIT),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50)),
    )
    assert result.code == 126
    (message,) = result.stderr.splitlines()
    assert message.startswith("dtorch-launch: cannot start rank ")
    assert message.endswith(": Too many open files")


def test_program_that_cannot_be_executed_is_named(launcher):
    path = launcher.directory / "noformat"
    path.write_bytes(b"\0\0")
    path.chmod(0o755)
    result = launcher.run("--no-python", str(path))
    assert result.code == 126
    head, message = result.stderr.splitlines()
    assert head.endswith(f"failed with exit code 126: {path}")
    assert message == f"cannot execute {path}: Exec format error"


def test_all_workers_are_restarted_after_a_failure(launcher):
    script = launcher.script(
        """
        import os, time
        count = os.environ["DTORCH_RESTART_COUNT"]
        print("start", count)
        if os.environ["RANK"] == "1" and count == "0":
            raise ValueError("once")
        """
    )
    result = launcher.run("--nproc-per-node", "2", "--max-restarts", "3", script)
    assert result.code == 0
    assert sorted(result.stdout.splitlines())[-1] == "[rank1] start 1"
    assert "ValueError: once" in result.stderr
    assert result.stderr.endswith("dtorch-launch: restarting all workers (restart 1 of 3)\n")


def test_restarts_end_with_the_failure_of_the_last(launcher):
    script = launcher.script("raise SystemExit(4)")
    result = launcher.run("--max-restarts", "2", script)
    assert result.code == 4
    assert result.stderr.count("failed with exit code 4") == 3
    assert result.stderr.count("restarting") == 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_the_job_with_its_code(launcher, signum):
    process = launcher.start("--nproc-per-node", "2", launcher.script(WAIT))
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signum)
    result = launcher.finish(process)
    assert result.code == 128 + signum
    assert result.stderr.splitlines()[-1] == f"dtorch-launch: stopped by {signum.name}"
    assert "Traceback" not in result.stderr


def test_interrupt_shows_where_each_rank_was(launcher):
    script = launcher.script(WAIT)
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGINT)
    result = launcher.finish(process)
    for rank in (0, 1):
        place = f"{script}:4 in <module>"
        assert f"dtorch-launch: rank {rank} was interrupted at {place}\n" in result.stderr


def test_worker_may_finish_in_its_own_time_after_a_signal(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal, sys, time
        def save(*_):
            time.sleep(0.5)
            print("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        pathlib.Path("up" + os.environ["RANK"]).touch()
        time.sleep(600)
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGTERM)
    result = launcher.finish(process)
    assert result.code == 0
    assert sorted(result.stdout.splitlines()) == ["[rank0] saved", "[rank1] saved"]


STUBBORN = """
import os, pathlib, signal, time
for signum in (signal.SIGINT, signal.SIGTERM):
    signal.signal(signum, lambda *_: pathlib.Path("asked" + os.environ["RANK"]).touch())
pathlib.Path("up" + os.environ["RANK"]).touch()
while True:
    time.sleep(600)
"""


def test_second_interrupt_kills_at_once(launcher):
    process = launcher.start("--nproc-per-node", "2", launcher.script(STUBBORN))
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGINT)
    launcher.wait_for_files("asked0", "asked1")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    result = launcher.finish(process)
    assert result.code == 128 + signal.SIGINT


def test_grace_bounds_the_wait_after_a_signal(launcher):
    script = launcher.script(STUBBORN)
    process = launcher.start("--nproc-per-node", "2", "--grace", "0.2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGTERM)
    result = launcher.finish(process)
    assert result.code == 128 + signal.SIGTERM


def test_user_signals_reach_the_workers_and_stop_nothing(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal, time
        signal.signal(signal.SIGUSR1, lambda *_: print("checkpoint"))
        got = []
        signal.signal(signal.SIGUSR2, lambda *_: got.append(1))
        pathlib.Path("up" + os.environ["RANK"]).touch()
        while not got:
            time.sleep(0.01)
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    process.send_signal(signal.SIGUSR2)
    result = launcher.finish(process)
    assert result.code == 0
    assert sorted(result.stdout.splitlines()) == ["[rank0] checkpoint", "[rank1] checkpoint"]


def test_hangup_ignored_by_nohup_stays_ignored(launcher):
    process = launcher.start(
        "--nproc-per-node",
        "2",
        launcher.script(WAIT),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert launcher.finish(process).code == 128 + signal.SIGTERM


def test_stopped_job_stops_its_workers_and_goes_on_with_them(launcher):
    script = launcher.script(
        """
        import os, pathlib, time
        pathlib.Path("up" + os.environ["RANK"]).touch()
        while not pathlib.Path("done").exists():
            time.sleep(0.01)
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGTSTP)
    launcher.wait_until(lambda: states(launcher) == {"T"})
    (launcher.directory / "done").touch()
    process.send_signal(signal.SIGCONT)
    assert launcher.finish(process).code == 0


def test_nothing_survives_a_killed_launcher(launcher):
    script = launcher.script(
        """
        import os, pathlib, signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "600"])
        pathlib.Path("up" + os.environ["RANK"]).touch()
        time.sleep(600)
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    assert len(launcher.processes()) == 5
    process.kill()
    launcher.wait_until(lambda: not launcher.processes())


def test_jobs_work_where_the_system_lacks_what_linux_has(launcher):
    # As on macOS: no pidfd, no SIGKILL from the kernel when a pipe closes, no memfd, no SEQPACKET.
    source = """
        import os, runpy, sys
        del os.pidfd_open, os.memfd_create
        sys.platform = "darwin"
        import fcntl
        del fcntl.F_SETSIG
        if sys.argv[1] == "-m":
            from dtorch.launch import job
            from dtorch.launch.__main__ import main
            job.BOOTSTRAP = __file__
            sys.exit(main(sys.argv[2:]))
        import importlib.util
        spec = importlib.util.find_spec("dtorch.launch")
        sys.argv[0] = os.path.join(spec.submodule_search_locations[0], "bootstrap.py")
        runpy.run_path(sys.argv[0], run_name="__main__")
        """
    entry = (launcher.script(source, "other_system.py"), "-m")
    failing = launcher.script(
        """
        import os, pathlib, time
        print("out")
        pathlib.Path("done" + os.environ["RANK"]).touch()
        while not pathlib.Path("done0").exists():
            time.sleep(0.01)
        exit(int(os.environ["RANK"]) * 3)
        """,
        "failing.py",
    )
    result = launcher.run("--nproc-per-node", "2", failing, entry=entry)
    assert result.code == 3
    assert sorted(result.stdout.splitlines()) == ["[rank0] out", "[rank1] out"]

    process = launcher.start("--nproc-per-node", "2", launcher.script(WAIT), entry=entry)
    launcher.wait_for_files("up0", "up1")
    process.kill()
    launcher.wait_until(lambda: not launcher.processes())


def test_executables_do_not_survive_a_killed_launcher_either(launcher):
    process = launcher.start("--nproc-per-node=2", "--no-python", "sleep", "600")
    launcher.wait_until(lambda: len(launcher.processes()) == 3)
    process.kill()
    launcher.wait_until(lambda: not launcher.processes())


def test_worker_gets_no_descriptors_that_are_not_its_own(launcher):
    script = launcher.script(
        """
        import os
        fds = [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
        inheritable = [int(fd) for fd in fds if os.get_inheritable(int(fd))]
        print(len(fds), inheritable)
        """
    )
    result = launcher.run("--nproc-per-node", "3", script)
    # Standard streams, control channel, lifeline and stacks: the same for every rank.
    assert {line.split(maxsplit=1)[1] for line in result.stdout.splitlines()} == {"6 [0, 1, 2]"}


def test_reader_of_the_output_that_leaves_ends_the_job_quietly(launcher):
    script = launcher.script("while True: print('x' * 1000)")
    reader, output = socket.socketpair()
    with reader, output:
        process = launcher.start("--nproc-per-node=2", script, stdout=output)
        output.close()
        reader.recv(1000)
    result = launcher.finish(process)
    assert result.code == 128 + signal.SIGPIPE
    assert result.stderr == ""


def test_slow_reader_of_the_output_does_not_hold_up_supervision(launcher):
    script = launcher.script(
        """
        import os, pathlib, time
        pathlib.Path("up" + os.environ["RANK"]).touch()
        if os.environ["RANK"] == "0":
            while True:
                print("x" * 1000)
        time.sleep(0.5)
        raise ValueError("bad")
        """
    )
    reader, output = socket.socketpair()
    with reader:
        process = launcher.start("--nproc-per-node=2", script, stdout=output)
        output.close()
        launcher.wait_for_files("up0", "up1")
        # The launcher itself waits for its reader.
        launcher.wait_until(lambda: len(launcher.processes()) == 1)
        while reader.recv(1 << 16):
            pass
    result = launcher.finish(process)
    assert result.stderr.endswith("ValueError: bad\n")
    assert result.code == 1


def states(launcher) -> set[str]:
    found = set()
    for pid in launcher.processes():
        with open(f"/proc/{pid}/stat") as file:
            found.add(file.read().rpartition(")")[2].split()[0])
    return found


def test_in_hogwild_mode_the_program_runs_once_and_is_told_how_many_workers(launcher):
    script = launcher.script(
        """
        import os
        print(os.environ["WORLD_SIZE"], os.environ["DTORCH_HOGWILD_WORKERS"])
        """
    )
    result = launcher.run("--mode", "hogwild", "--nproc-per-node", "3", script)
    assert result.code == 0
    assert result.stdout == "1 3\n"


def test_failure_is_told_by_its_own_code_though_the_launcher_stopped_its_process(launcher):
    # Rank 1 has recorded its failure and is stopped before it can end by itself.
    script = launcher.script(
        """
        import os, pathlib, time
        if os.environ["RANK"] == "1":
            os.write = lambda fd, data: time.sleep(600)
            raise ValueError("the cause")
        while not pathlib.Path(os.environ["DTORCH_ERROR_FILE"].replace("rank0", "rank1")).exists():
            time.sleep(0.01)
        raise RuntimeError("a consequence")
        """
    )
    result = launcher.run("--nproc-per-node", "2", script)
    assert result.code == 1
    consequence, head, *_, last = result.stderr.splitlines()
    assert consequence.endswith("after that: RuntimeError: a consequence")
    assert head.startswith("dtorch-launch: rank 1 of 2 (pid ")
    assert head.endswith(f") failed with exit code 1: {script}")
    assert last == "ValueError: the cause"


def test_worker_that_another_one_blames_is_given_time_to_tell(launcher):
    script = launcher.script(
        """
        import os, pathlib, time
        class PeerLost(Exception):
            pid = None
        if os.environ["RANK"] == "1":
            pathlib.Path("pid.part").write_text(str(os.getpid()))
            os.rename("pid.part", "pid")
            time.sleep(1)
            raise ValueError("the cause")
        while not pathlib.Path("pid").exists():
            time.sleep(0.01)
        error = PeerLost("lost rank 1")
        error.pid = int(pathlib.Path("pid").read_text())
        raise RuntimeError("a consequence") from error
        """
    )
    result = launcher.run("--nproc-per-node", "2", script)
    assert result.code == 1
    assert result.stderr.startswith("dtorch-launch: rank 0 (pid ")
    assert result.stderr.endswith("ValueError: the cause\n")


@pytest.mark.parametrize("code", [3, 77, 130, 137, 143, 255])
def test_exit_code_is_that_of_the_program(launcher, code):
    assert launcher.run(launcher.script(f"raise SystemExit({code})")).code == code


def test_interrupt_of_one_worker_is_its_failure(launcher):
    script = launcher.script(
        """
        import os, signal, time
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
        """
    )
    assert launcher.run("--nproc-per-node", "2", script).code == 130


def test_what_a_program_writes_into_the_launchers_channels_does_no_harm(launcher):
    script = launcher.script(
        """
        import os, pathlib
        pathlib.Path(os.environ["DTORCH_ERROR_FILE"]).parent.mkdir(exist_ok=True)
        pathlib.Path(os.environ["DTORCH_ERROR_FILE"]).write_text("[" * 60_000)
        for message in (b"ended", b"ended x y", b"\\xff\\0", b"ended 1e9 2", b"x" * 100_000):
            os.write(int(os.environ["DTORCH_CONTROL_FD"]), message)
        print("done")
        """
    )
    result = launcher.run("--nproc-per-node", "2", script)
    assert (result.code, result.stderr) == (0, "")
    assert sorted(result.stdout.splitlines()) == ["[rank0] done", "[rank1] done"]


def test_traceback_reaches_stderr_also_where_stdout_was_closed(launcher):
    script = launcher.script("print('out'); raise ValueError('bad')")
    result = launcher.run("--nproc-per-node=2", script, preexec_fn=lambda: os.close(1))
    assert result.code == 1
    assert result.stderr.endswith("ValueError: bad\n")


def test_files_that_cannot_be_written_are_no_reason_to_fail(launcher):
    for name in ("rank0.stdout.log", "rank1.error.json"):
        (launcher.directory / "logs" / name).mkdir(parents=True)
    script = launcher.script("import os; print('out'); exit(int(os.environ['RANK']) * 3)")
    result = launcher.run("--nproc-per-node=2", "--log-dir", "logs", script)
    assert result.code == 3
    assert "[rank0] out" in result.stdout
    assert "rank0.stdout.log: Is a directory; this log file is not written" in result.stdout


def test_worker_that_closed_all_its_descriptors_does_not_survive_a_killed_launcher(launcher):
    script = launcher.script("import os; os.closerange(3, 1000)" + WAIT)
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.kill()
    launcher.wait_until(lambda: not launcher.processes())


def test_interrupt_that_python_drops_is_repeated(launcher):
    script = launcher.script(
        """
        import os, pathlib, time
        class Forgetful:
            def __del__(self):
                pathlib.Path("up" + os.environ["RANK"]).touch()
                time.sleep(600)
        del [Forgetful()][0]
        time.sleep(600)
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGINT)
    result = launcher.finish(process)
    assert result.code == 130
    assert result.stderr.endswith("dtorch-launch: stopped by SIGINT\n")


def test_exception_on_the_way_out_after_a_signal_is_not_its_code(launcher):
    script = launcher.script(
        """
        import os, pathlib, time
        pathlib.Path("up" + os.environ["RANK"]).touch()
        try:
            time.sleep(600)
        finally:
            raise ImportError("interrupted in the middle")
        """
    )
    process = launcher.start("--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGINT)
    assert launcher.finish(process).code == 130
