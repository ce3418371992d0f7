import os
import subprocess
import sys

import pytest

NAMES = ["baseline", "avx2", "avx512"]
REPORT = "from dtorch.core import backend; print(backend.native.cpu_capability())"


def report(capability):
    return subprocess.run(
        [sys.executable, "-c", REPORT],
        env={**os.environ, "DTORCH_CPU_CAPABILITY": capability},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_capability_of_this_machine_has_a_known_name(native):
    assert native.cpu_capability() in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_environment_forces_a_capability_or_says_that_it_is_missing(native, name):
    result = report(name)
    if result.returncode == 0:
        assert result.stdout.strip() == name
    else:
        assert name != "baseline"
        assert f"DTORCH_CPU_CAPABILITY is '{name}', but this processor" in result.stderr


def test_unknown_capability_is_refused_with_the_known_ones(native):
    result = report("sse9")
    assert result.returncode != 0
    assert "is 'sse9', expected baseline, avx2 or avx512" in result.stderr
