"""The thread pool and the allocator under the thread sanitizer."""

import pathlib
import shutil

import pytest
from compiled_checks import COMPILER, compiled, run

HERE = pathlib.Path(__file__).parent
SOURCES = {
    "thread_pool_check.cpp": ("thread_pool.cpp", "system_limits.cpp"),
    "allocator_check.cpp": (
        "allocator.cpp",
        "small_blocks.cpp",
        "large_blocks.cpp",
        "system_limits.cpp",
    ),
}


@pytest.mark.parametrize("check", SOURCES)
def test_no_two_threads_touch_the_same_memory_unordered(check, tmp_path):
    sanitize = ("-O1", "-g", "-fsanitize=thread")
    try_it = tmp_path / "try_it.cpp"
    try_it.write_text("int main() {}")
    # The sanitizer needs addresses where it expects them.
    steady = [setarch, "-R"] if (setarch := shutil.which("setarch")) else []
    if COMPILER is None or run(COMPILER, *sanitize, "-o", tmp_path / "a", try_it).returncode:
        pytest.skip("needs a compiler with the thread sanitizer")
    if run(*steady, tmp_path / "a").returncode:
        pytest.skip("the thread sanitizer does not run on this system")
    program = compiled(tmp_path, HERE / check, *SOURCES[check], options=sanitize)
    result = run(*steady, program, TSAN_OPTIONS="halt_on_error=1", timeout=300)
    assert (result.returncode, result.stdout, result.stderr) == (0, "all checks hold\n", "")
