"""What a program misses is found before it runs."""

from __future__ import annotations

import pytest

from dtorch.compat.scan import find_missing, find_program, scan


def scanned(tmp_path, files: dict[str, str]) -> list[tuple[str, int, str]]:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return [
        (found.path.rpartition("/")[2], found.line, found.name)
        for found in scan(tmp_path / "program.py")
    ]


def test_absent_names_are_found_wherever_they_were_imported_to(tmp_path):
    program = (
        "import torch as t, torch.nn\n"
        "from torch import nn as layers, optim\n"
        "from torch.nn.functional import relu, relo\n"
        "import torchvision.transforms as T\n"
        "layers.Linear(2, 3); layers.Linaer(2, 3)\n"
        "def f():\n"
        "    return t.nn.init.xavier(1), torch.nn.utils.nothing.at.all\n"
        "optim.SGD.frobnicate; T.Compose; t.Tensor.add_; t.float32.is_anything\n"
        "class A(layers.Modul): pass\n"
    )
    assert scanned(tmp_path, {"program.py": program}) == [
        ("program.py", 3, "torch.nn.functional.relo"),
        ("program.py", 5, "torch.nn.Linaer"),
        ("program.py", 7, "torch.nn.init.xavier"),
        ("program.py", 7, "torch.nn.utils.nothing"),
        ("program.py", 8, "torch.optim.SGD.frobnicate"),
        ("program.py", 9, "torch.nn.Modul"),
    ]


def test_what_a_program_is_prepared_for_is_no_absence(tmp_path):
    program = (
        "import torch\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from torch.types import Nothing\n"
        "try:\n"
        "    from torch.foo import bar\n"
        "except (ImportError, OSError):\n"
        "    bar = torch.baz\n"
        "if hasattr(torch, 'frobnicate'):\n"
        "    torch.frobnicate.it()\n"
        "getattr(torch.nn, 'Nothing', None) and torch.nn.Nothing()\n"
        "torch.of_mine = 3\n"
        "unknown.torch.x\n"
    )
    assert scanned(tmp_path, {"program.py": program}) == [("program.py", 8, "torch.baz")]


def test_modules_that_the_program_imports_are_read_too(tmp_path):
    files = {
        "program.py": "import models.net, numpy, json\nfrom helpers_of_mine import make\n",
        "models/__init__.py": "from .losses import loss\n",
        "models/net.py": "from . import losses\nimport torch\ntorch.nothing\n",
        "models/losses.py": "import torch.nn.functional as F\nF.nothing_lost\n",
        "helpers_of_mine.py": "import torch\nmake = torch.maker\n",
    }
    found = scanned(tmp_path, files)
    assert sorted(found) == [
        ("helpers_of_mine.py", 2, "torch.maker"),
        ("losses.py", 2, "torch.nn.functional.nothing_lost"),
        ("net.py", 3, "torch.nothing"),
    ]


def test_the_nearest_name_is_told(tmp_path):
    (tmp_path / "program.py").write_text("import torch\ntorch.nn.Linaer\n")
    (absence,) = scan(tmp_path / "program.py")
    assert absence.nearest == "torch.nn.Linear"
    assert str(absence).endswith(
        "program.py:2: torch.nn.Linaer is not there; the nearest: torch.nn.Linear"
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("torch.nn.functional.relu", None),
        ("torch.float32.anything", None),
        ("torch.nn.Linear.no_such_method", "torch.nn.Linear.no_such_method"),
        ("torch.optim.nothing.more", "torch.optim.nothing"),
        ("torch.utils.data.DataLoader", None),
        ("torchvision.__version__", None),
        ("functorch.__version__.split", None),
    ],
)
def test_a_dotted_name_is_followed_as_far_as_modules_and_classes_go(name, missing):
    assert find_missing(name) == missing


def test_a_file_that_is_no_python_is_said_to_be_none(tmp_path):
    (tmp_path / "program.py").write_text("print 'of Python 2'\n")
    with pytest.raises(SyntaxError):
        scan(tmp_path / "program.py")
    with pytest.raises(FileNotFoundError, match="no such file"):
        find_program(str(tmp_path / "nothing.py"))
    with pytest.raises(ModuleNotFoundError, match="no such module"):
        find_program("no_such_module_at_all.main", is_module=True)
