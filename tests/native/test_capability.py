import os
import pathlib
import platform
import subprocess
import sys

import pytest
from compiled_checks import compiled, program, run

HERE = pathlib.Path(__file__).parent
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="about x86-64")
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


# What the compiler may use for x86-64-v3 and v4, as Linux calls it.
V3 = [
    "pni",
    "ssse3",
    "cx16",
    "sse4_1",
    "sse4_2",
    "popcnt",
    "lahf_lm",
    "avx",
    "avx2",
    "bmi1",
    "bmi2",
    "f16c",
    "fma",
    "abm",
    "movbe",
]
V4 = ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]


@on_x86
def test_capabilities_are_those_that_the_system_finds(native):
    text = pathlib.Path("/proc/cpuinfo").read_text()
    flags = set(next(line for line in text.splitlines() if line.startswith("flags")).split())
    expected = ["baseline"]
    if flags.issuperset(V3):
        expected += ["avx2", "avx512"] if flags.issuperset(V4) else ["avx2"]
    assert native.cpu_capabilities() == expected
    assert native.cpu_capability() == os.environ.get("DTORCH_CPU_CAPABILITY", expected[-1])
    bfloat16 = native.cpu_capability() == "avx512" and "avx512_bf16" in flags
    assert native.has_bfloat16_products() == bfloat16


@on_x86
def test_a_processor_that_lacks_anything_of_a_capability_does_not_get_it(tmp_path):
    emulator = program("qemu-x86_64", "qemu-user")
    check = compiled(tmp_path, HERE / "capability_check.cpp", "capability.cpp")
    if "avx2" not in run(emulator, "-cpu", "max", check).stdout:
        pytest.skip("this qemu emulates no processor with AVX2")
    for lacking in ("ssse3", "sse4.2", "popcnt", "cx16", "lahf-lm", "avx", "avx2", "bmi1", "bmi2",
                    "f16c", "fma", "abm", "movbe", "xsave"):  # fmt: skip
        result = run(emulator, "-cpu", f"max,-{lacking}", check)
        assert (lacking, result.returncode, result.stdout) == (lacking, 0, "baseline\n")
