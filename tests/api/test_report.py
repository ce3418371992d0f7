"""``python -m dtorch`` says what a bug report needs."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from dtorch.version import __version__


@pytest.mark.parametrize("native", ["0", "1"])
def test_report_names_versions_and_what_is_in_use(native):
    done = subprocess.run(
        [sys.executable, "-m", "dtorch"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DTORCH_NATIVE": native},
        check=True,
    )
    report = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert report["dtorch"] == __version__
    assert report["NumPy"] == np.__version__
    assert report["Python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert int(report["threads"]) >= 1
    assert "cpu" in report["devices"]
    if native == "0":
        assert "not loaded" in report["native"]
