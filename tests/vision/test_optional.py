from __future__ import annotations

import subprocess
import sys

import pytest

from dtorch.vision.optional import pillow, require


def test_without_pillow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install 'dtorch\[vision\]'"):
        pillow()


def test_an_error_inside_of_a_package_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zlib", None)
    monkeypatch.delitem(sys.modules, "gzip", raising=False)
    with pytest.raises(ModuleNotFoundError, match="zlib"):
        require("gzip", "this", "that")


def test_networks_and_tensors_need_no_pillow() -> None:
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "import dtorch, dtorch.vision as vision\n"
        "image = vision.transforms.Resize(4)(dtorch.zeros(3, 8, 8))\n"
        "vision.models.squeezenet1_1(num_classes=2)\n"
        "vision.datasets.FakeData\n"
        "vision.utils.make_grid([image, image])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
