"""The Python blocks of README.md, CONTRIBUTING.md, docs/ and examples/ run, and their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]
# The info string of a block that only shows something says so: ```python no-run
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def python_blocks() -> list[pytest.ParameterSet]:
    """Every block, with its file and line."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(1))
            name = f"{path.relative_to(ROOT)}:{line + 1}"
            found.append(pytest.param("\n" * line + match[1], str(path), id=name))
    return found


@pytest.mark.parametrize(("code", "path"), python_blocks())
def test_code_of_documents_runs(code, path, tmp_path):
    # A process of its own: a block may define an operation, must import what it uses, and leaves
    # the files it writes.
    runner = "import sys; exec(compile(sys.argv[1], sys.argv[2], 'exec'), {'__name__': '__main__'})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", runner, code, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_documents_lead_somewhere(path):
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    local = [target for target in targets if not target.startswith("http")]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_operation_of_the_contributing_guide_passes_its_derived_tests():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = BLOCK.search(text)
    assert block is not None
    check = """
import numpy as np
from op_samples import samples_of
for args, kwargs in samples_of(leaky):
    expected = leaky.reference(*(a.numpy() if hasattr(a, "numpy") else a for a in args), **kwargs)
    np.testing.assert_allclose(leaky.function(*args, **kwargs).numpy(), expected)
    args[0].requires_grad_()
    leaky.function(*args, **kwargs).sum().backward()
    assert args[0].grad.shape == args[0].shape
x = args[0].detach()
assert x.leaky_() is x
"""
    done = subprocess.run(
        [sys.executable, "-c", block[1] + check],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT / "tests",
    )
    assert done.returncode == 0, done.stderr
