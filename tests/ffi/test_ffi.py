"""A file in C, compiled and called with tensors."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dtorch
from dtorch import ffi

HEADER = """
#include <stddef.h> /* such lines are left out */
#define PLAIN 1
typedef struct { int rows; double scale; } options;
int scaled_add(THFloatTensor *a, const THFloatTensor *b, float scale, THFloatTensor *out); // in place
double total(THDoubleTensor *);
int64_t corner(THLongTensor *t);
THIntTensor *counting(int n);
THFloatTensor *first_of(THFloatTensor *a, THFloatTensor *b);
void grow(THFloatTensor *t, int rows);
extern unsigned char most(THByteTensor *t);
void set_all(THShortStorage *s, int value);
int nothing(void);
void affine(THDoubleTensor *to, THDoubleTensor *t, THDoubleTensor *a, THDoubleTensor *b);
"""

SOURCE = """
#include <TH/TH.h>

int scaled_add(THFloatTensor *a, const THFloatTensor *b, float scale, THFloatTensor *out) {
  if (!THFloatTensor_isSameSizeAs(a, b)) THError("sizes differ: %d and %d dims", a->nDimension, b->nDimension);
  THFloatTensor_resizeAs(out, a);
  THFloatTensor_cadd(out, a, scale, b);
  return 1;
}

double total(THDoubleTensor *t) {
  THDoubleTensor *c = THDoubleTensor_newContiguous(t), *twice = THDoubleTensor_newClone(c);
  const double *data = THDoubleTensor_data(c);
  double sum = 0;
  for (ptrdiff_t i = 0; i < THDoubleTensor_nElement(c); i++) sum += data[i];
  THDoubleTensor_mul(twice, twice, 2);
  THArgCheck(THDoubleTensor_sumall(twice) == 2 * sum, 1, "sums differ");
  THDoubleTensor_free(c);
  THDoubleTensor_free(twice);
  return sum;
}

int64_t corner(THLongTensor *t) { return THLongTensor_get2d(t, 1, 2); }

THIntTensor *counting(int n) {
  THIntTensor *t = THIntTensor_newWithSize1d(n);
  for (int i = 0; i < n; i++) THIntTensor_set1d(t, i, i);
  THIntTensor_cdiv(t, t, t);
  return t;
}

THFloatTensor *first_of(THFloatTensor *a, THFloatTensor *b) { return THFloatTensor_dot(a, b) ? a : b; }

void grow(THFloatTensor *t, int rows) {
  THFloatTensor_resize2d(t, rows, 2);
  THFloatTensor_fill(t, 7);
}

unsigned char most(THByteTensor *t) { return THByteTensor_maxall(t); }

void set_all(THShortStorage *s, int value) { THShortStorage_fill(s, value); }

int nothing(void) { return 3; }

void affine(THDoubleTensor *to, THDoubleTensor *t, THDoubleTensor *a, THDoubleTensor *b) {
  if (b->nDimension == 2) THDoubleTensor_addmm(to, 2, t, 3, a, b);
  else if (a->nDimension == 2) THDoubleTensor_addmv(to, 2, t, 3, a, b);
  else THDoubleTensor_addr(to, 2, t, 3, a, b);
  THDoubleTensor_pow(to, to, 2);
  THDoubleTensor_sqrt(to, to);
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    where = tmp_path_factory.mktemp("ffi")
    (where / "lib.h").write_text(HEADER)
    (where / "lib.c").write_text(SOURCE)
    return where


@pytest.fixture(scope="module")
def lib(folder: Path) -> Any:
    pytest.importorskip("cffi", reason="cffi is not installed (extra 'ffi')")
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    built = ffi.create_extension(
        ".ext.lib", "lib.h", ["lib.c"], verbose=False, relative_to=str(folder / "build.py"),
        extra_compile_args=["-Wall", "-Wextra"],
    )  # fmt: skip
    built.build()
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("ext.lib")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "ext"]:
            del sys.modules[name]


def test_functions_read_write_and_resize_tensors(lib):
    a, out = dtorch.ones(2, 3), dtorch.FloatTensor()
    assert lib.scaled_add(a, a.t().contiguous().t(), 0.5, out) == 1
    assert out.tolist() == [[1.5] * 3] * 2
    view = dtorch.zeros(2, 6)
    lib.scaled_add(a, a, 2, view[:, ::2])
    assert view.tolist() == [[3, 0, 3, 0, 3, 0]] * 2
    lib.scaled_add(a, a, 1, a)
    assert a.tolist() == [[2] * 3] * 2
    assert lib.total(dtorch.arange(6.0).double().view(2, 3).t()) == 15
    assert lib.corner(dtorch.arange(6).view(2, 3)) == 5
    assert lib.most(dtorch.tensor([3, 250, 1]).byte()) == 250
    assert lib.nothing() == 3
    assert lib.__all__ == [
        "scaled_add", "total", "corner", "counting", "first_of", "grow", "most", "set_all",
        "nothing", "affine",
    ]  # fmt: skip


def test_products_are_those_of_dtorch(lib):
    def x(*sizes):
        return dtorch.rand(*sizes).double()

    for t, a, b, product in [
        (x(2, 4), x(2, 3), x(4, 3).t(), lambda a, b: a @ b),
        (x(2), x(3, 2).t(), x(3), lambda a, b: a @ b),
        (x(2, 3), x(2), x(3), dtorch.outer),
    ]:
        out = dtorch.DoubleTensor()
        lib.affine(out, t, a, b)
        assert dtorch.allclose(out, 2 * t + 3 * product(a, b))
    square = x(2, 2)
    expected = 2 * square + 3 * square @ square
    lib.affine(square, square, square, square)
    assert dtorch.allclose(square, expected)
    with pytest.raises(RuntimeError, match="affine: argument 5: sizes do not match"):
        lib.affine(square, square, x(2, 3), x(2, 3))


def test_tensors_grow_and_shrink_as_c_resizes_them(lib):
    t = dtorch.zeros(6)
    lib.grow(t, 2)
    assert t.tolist() == [[7, 7], [7, 7]]
    lib.grow(t, 4)
    assert t.tolist() == [[7, 7]] * 4
    lib.grow(t, 0)
    assert t.shape == (0, 2)
    storage = dtorch.ShortStorage(3)
    lib.set_all(storage, 5)
    assert storage.tolist() == [5, 5, 5]


def test_tensors_that_are_returned_are_new_ones_or_those_that_were_given(lib):
    with pytest.raises(RuntimeError, match="counting: division by 0"):
        lib.counting(3)
    a, b = dtorch.ones(2), dtorch.ones(2)
    assert lib.first_of(a, b) is a
    assert lib.first_of(a, b * 0) is not a


def test_errors_of_c_are_errors_here_and_leave_tensors_as_they_were(lib):
    a, out = dtorch.ones(2, 3), dtorch.ones(1)
    with pytest.raises(RuntimeError, match="scaled_add: sizes differ: 2 and 1 dims"):
        lib.scaled_add(a, dtorch.ones(6), 1, out)
    assert out.tolist() == [1]
    with pytest.raises(RuntimeError, match="argument 3: index 2 is out of range"):
        lib.corner(dtorch.zeros(2, 2).long())
    with pytest.raises(RuntimeError, match="argument 1: the tensor is empty"):
        lib.most(dtorch.ByteTensor())
    with pytest.raises(RuntimeError, match="argument 3: size -1"):
        lib.grow(a, -1)
    assert a.shape == (2, 3)


def test_other_types_and_numbers_of_arguments_are_refused(lib):
    with pytest.raises(TypeError, match=r"argument 0.*float64.*THFloatTensor"):
        lib.grow(dtorch.zeros(2).double(), 1)
    with pytest.raises(TypeError, match=r"argument 0.*bool"):
        lib.most(dtorch.ones(2).bool())
    with pytest.raises(TypeError, match="got 1 arguments, expected 2"):
        lib.grow(dtorch.zeros(2))
    with pytest.raises(TypeError):
        lib.grow(3, 1)


def test_what_cannot_be_built_is_refused_before_anything_is_written(folder, monkeypatch):
    pytest.importorskip("cffi", reason="cffi is not installed (extra 'ffi')")
    at = {"verbose": False, "relative_to": str(folder / "build.py")}
    with pytest.raises(RuntimeError, match="with_cuda"):
        ffi.create_extension("other", "lib.h", ["lib.c"], with_cuda=True, **at)
    with pytest.raises(FileNotFoundError, match=r"absent\.c"):
        ffi.create_extension("other", "lib.h", ["absent.c"], **at)
    for text, message in [
        ("int f(unknown_t x);", "cannot be read"),
        ("int x;", "no function"),
        ("int f(const char *text, ...);", "any number"),
    ]:
        (folder / "bad.h").write_text(text)
        with pytest.raises(ValueError, match=message):
            ffi.create_extension("other", ["bad.h"], ["lib.c"], **at)
    monkeypatch.setitem(sys.modules, "cffi", None)
    with pytest.raises(ImportError, match=r"dtorch\[ffi\]"):
        ffi.create_extension("other", "lib.h", ["lib.c"], **at)
    assert not (folder / "other").exists()


def test_a_package_of_a_setup_script_has_its_whole_name(folder):
    pytest.importorskip("cffi", reason="cffi is not installed (extra 'ffi')")
    made = ffi.create_extension(
        "pack.inner", ["lib.h"], ["lib.c"], package=True, relative_to=str(folder / "build.py")
    )
    assert callable(made.build)
    assert "pack.inner._inner" in str(vars(made))
    assert (folder / "pack" / "__init__.py").is_file()


@pytest.mark.parametrize(
    "body", ["return", "THFloatTensor_gels(0);"], ids=["syntax", "of TH, not in TH.h"]
)
def test_sources_that_do_not_compile_are_an_error(folder, capfd, body):
    pytest.importorskip("cffi", reason="cffi is not installed (extra 'ffi')")
    (folder / "broken.c").write_text(f"#include <TH/TH.h>\nint nothing(void) {{ {body} }}")
    (folder / "broken.h").write_text("int nothing(void);")
    made = ffi.create_extension(
        "broken", "broken.h", ["broken.c"], verbose=False, relative_to=str(folder / "build.py")
    )
    with pytest.raises(RuntimeError, match="broken could not be compiled"):
        made.build()


def test_the_module_is_also_one_of_utils():
    assert dtorch.utils.ffi is dtorch.ffi
    code = "import torch.utils.ffi as a, torch.ffi; print(a.create_extension.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", f"import dtorch.compat; dtorch.compat.install(); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "dtorch.ffi.extension\n"
    assert importlib.util.find_spec("dtorch.ffi.calls")
