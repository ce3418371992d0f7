"""Operations drawn at random give what PyTorch gives: values, dtypes, gradients, kinds of errors.

``make test-torch TORCH_PYTHON=...`` runs it; DTORCH_TEST_DRAWS sets how many calls are drawn.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from differential.cases import CALLS
from differential.comparison import difference
from differential.differences import intended
from differential.evaluation import evaluate
from hypothesis import HealthCheck, Phase, given, settings

import dtorch

DRAWS = int(os.environ.get("DTORCH_TEST_DRAWS", "10000"))


@pytest.fixture(scope="module")
def pytorch() -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Carries out a call in an interpreter that has PyTorch."""
    python = os.environ.get("DTORCH_TEST_TORCH_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("needs PyTorch: DTORCH_TEST_TORCH_PYTHON names no interpreter")
    script = Path(__file__).with_name("evaluation.py")

    def begin() -> Any:
        return subprocess.Popen(
            [python, "-W", "ignore", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def end() -> None:
        process.stdout.close()
        process.kill()
        process.communicate()

    def evaluate_there(call: dict[str, Any]) -> dict[str, Any]:
        nonlocal process
        process.stdin.write(json.dumps(call).encode() + b"\n")
        process.stdin.flush()
        head = process.stdout.read(8)
        if not head:  # the call has killed it
            end()
            process = begin()
            return {"error": ["Crash"], "message": "the process died", "stage": "value"}
        return pickle.loads(process.stdout.read(*struct.unpack("<q", head)))

    process = begin()
    try:
        yield evaluate_there
    finally:
        end()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_what_pytorch_gives(name: str, pytorch: Any) -> None:
    @settings(
        max_examples=max(DRAWS // len(CALLS), 1),
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(CALLS[name])
    def run(call: dict[str, Any]) -> None:
        ours, theirs = evaluate(dtorch, call), pytorch(call)
        found = difference(call, ours, theirs)
        if found is not None and intended(call, ours, theirs, found) is None:
            pytest.fail(f"{found}\n{json.dumps(call)}", pytrace=False)

    run()


@pytest.mark.parametrize("name", CALLS)
def test_an_error_is_of_our_own_and_says_what_is_wrong(name: str) -> None:
    @settings(
        max_examples=4,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CALLS[name])
    def run(call: dict[str, Any]) -> None:
        outcome = evaluate(dtorch, call)
        if "error" in outcome:
            assert {"DtorchError", "TypeError", "OverflowError"} & set(outcome["error"]), outcome
            assert outcome["message"], call

    run()
