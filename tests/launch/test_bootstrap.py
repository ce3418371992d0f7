"""A program started by the bootstrap sees what it would see when started by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from dtorch.launch.job import BOOTSTRAP

LOOK = """
import json, sys
seen = {
    "argv": sys.argv, "path": sys.path[0], "name": __name__, "file": __file__,
    "package": __package__, "spec": bool(__spec__), "loader": type(__loader__).__name__,
    "names": sorted(globals()), "main": sys.modules["__main__"].__dict__ is globals(),
}
print(json.dumps(seen))
"""


def python(*args: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DTORCH_")}
    return subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**kept, "RANK": "0", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write(directory: Path, name: str, source: str) -> str:
    path = directory / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(textwrap.dedent(source))
    return name


@pytest.mark.parametrize(
    ("kind", "plain", "target"),
    [
        ("script", [], "sub/look.py"),
        ("script", [], "sub/link.py"),
        ("script", [], "app"),
        ("script", [], "app.zip"),
        ("module", ["-m"], "sub.look"),
        ("module", ["-m"], "app"),
    ],
)
def test_program_sees_what_plain_python_shows_it(tmp_path, kind, plain, target):
    write(tmp_path, "sub/look.py", LOOK)
    write(tmp_path, "app/__main__.py", LOOK)
    write(tmp_path, "link_target.py", LOOK)
    (tmp_path / "sub/link.py").symlink_to(tmp_path / "link_target.py")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", LOOK)
    expected = python(*plain, target, "a", "--b", cwd=tmp_path)
    got = python(BOOTSTRAP, kind, target, "a", "--b", cwd=tmp_path)
    assert expected.returncode == got.returncode == 0, got.stderr
    assert json.loads(got.stdout) == json.loads(expected.stdout)


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('x')",
        "def f(): return 1 / 0\ntry: f()\nexcept ZeroDivisionError as e: raise KeyError(1) from e",
        "x = = 1",
        "import sys; sys.exit('a message')",
        "import sys; sys.exit(7)",
        "import sys; sys.exit()",
        "import os; os._exit(9)",
        "raise KeyboardInterrupt",
        "import sys; sys.excepthook = lambda *a: print('own hook', a[0])\nraise ValueError",
        "import atexit; atexit.register(print, 'bye'); raise ValueError",
    ],
)
def test_program_ends_as_under_plain_python(tmp_path, source):
    write(tmp_path, "end.py", source)
    expected = python("end.py", cwd=tmp_path)
    got = python(BOOTSTRAP, "script", "end.py", cwd=tmp_path)
    assert (got.returncode, got.stdout) == (expected.returncode, expected.stdout)
    if "KeyboardInterrupt" not in source:
        assert got.stderr == expected.stderr


def test_uncaught_exception_is_recorded_instead_of_printed(tmp_path):
    write(tmp_path, "end.py", "def f():\n    raise ValueError('bad')\nf()\n")
    expected = python("end.py", cwd=tmp_path)
    file = tmp_path / "made" / "rank0.json"
    got = python(BOOTSTRAP, "script", "end.py", cwd=tmp_path, DTORCH_ERROR_FILE=str(file))
    assert (got.returncode, got.stderr) == (1, "")
    record = json.loads(file.read_text())
    assert record["traceback"] == expected.stderr
    assert record["message"] == "ValueError: bad"
    assert record["where"] == f"{tmp_path}/end.py:2 in f"
    assert record["rank"] == 0


def test_exit_message_is_recorded_instead_of_printed(tmp_path):
    write(tmp_path, "end.py", "raise SystemExit('no data')")
    file = tmp_path / "rank0.json"
    got = python(BOOTSTRAP, "script", "end.py", cwd=tmp_path, DTORCH_ERROR_FILE=str(file))
    assert (got.returncode, got.stderr) == (1, "")
    record = json.loads(file.read_text())
    assert (record["message"], record["traceback"]) == ("no data", "")


def test_exception_is_printed_where_it_cannot_be_recorded(tmp_path):
    write(tmp_path, "end.py", "raise ValueError('bad')")
    file = "/proc/none/rank0.json"
    got = python(BOOTSTRAP, "script", "end.py", cwd=tmp_path, DTORCH_ERROR_FILE=file)
    assert got.stderr == python("end.py", cwd=tmp_path).stderr


def test_process_forked_by_the_program_records_nothing(tmp_path):
    write(
        tmp_path,
        "end.py",
        """
        import os
        if os.fork() == 0:
            raise ValueError("in the child")
        os.wait()
        """,
    )
    file = tmp_path / "rank0.json"
    got = python(BOOTSTRAP, "script", "end.py", cwd=tmp_path, DTORCH_ERROR_FILE=str(file))
    assert got.returncode == 0
    assert "in the child" in got.stderr
    assert not file.exists()


def test_classes_of_the_program_travel_to_spawned_processes(tmp_path):
    write(
        tmp_path,
        "end.py",
        """
        import multiprocessing
        class Point:
            pass
        def check(point):
            assert type(point) is Point
        if __name__ == "__main__":
            child = multiprocessing.get_context("spawn").Process(target=check, args=(Point(),))
            child.start()
            child.join()
            print(child.exitcode)
        """,
    )
    got = python(BOOTSTRAP, "script", "end.py", cwd=tmp_path)
    assert (got.stdout, got.stderr) == ("0\n", "")


def test_threads_of_the_program_find_its_names_after_its_end(tmp_path):
    write(
        tmp_path,
        "end.py",
        """
        import threading, time
        word = "still here"
        def late():
            time.sleep(0.2)
            print(word)
        threading.Thread(target=late).start()
        """,
    )
    assert python(BOOTSTRAP, "script", "end.py", cwd=tmp_path).stdout == "still here\n"


def test_no_thread_is_started_for_the_launcher(tmp_path):
    # A fork in a process with threads is deprecated, and risky.
    write(tmp_path, "end.py", "import os; print(len(os.listdir('/proc/self/task')))")
    read, write_end = os.pipe()
    got = subprocess.run(
        [sys.executable, BOOTSTRAP, "script", "end.py"],
        cwd=tmp_path,
        env={**os.environ, "DTORCH_LIFELINE_FD": str(read)},
        pass_fds=(read,),
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
        check=False,
    )
    os.close(read)
    os.close(write_end)
    assert got.stdout == "1\n"
