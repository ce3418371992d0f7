"""Programs for the unpickler, drawn from a grammar; see `pickle_grammar`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROUNDS = 20 * int(os.environ.get("DTORCH_TEST_FUZZ_ROUNDS", "500"))
# With more rounds other files are drawn, too.
FIRST = 1 if ROUNDS <= 10_000 else int.from_bytes(os.urandom(4), "little")


def test_whatever_a_pickle_asks_for_there_is_an_object_or_a_checkpoint_error(tmp_path):
    script, note = Path(__file__).with_name("pickle_grammar.py"), tmp_path / "note"
    command = [sys.executable, "-W", "error", str(script), str(FIRST), str(ROUNDS), str(note)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = f"file {note.read_text().strip() if note.exists() else '(none)'}"
    assert done.returncode == 0, f"{last}: ended with {done.returncode}\n{done.stderr[-3000:]}"
    refused, read, tensors = map(int, done.stdout.split())
    assert refused > ROUNDS // 10
    assert read > ROUNDS // 10
    assert tensors > ROUNDS // 100
