"""How tensors print: texts as the reference implementation prints them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import dtorch
from dtorch.autograd import Variable
from dtorch.core.printing import set_printoptions

nan, inf = float("nan"), float("inf")

TEXTS = [
    ("dtorch.tensor(3.0)", "tensor(3.)"),
    ("dtorch.tensor(3)", "tensor(3)"),
    ("dtorch.tensor([1,2,3])", "tensor([1, 2, 3])"),
    ("dtorch.tensor([1.5,2,3])", "tensor([1.5000, 2.0000, 3.0000])"),
    ("dtorch.tensor([1.,2,3])", "tensor([1., 2., 3.])"),
    (
        "dtorch.tensor([[1,-20],[300,4]])",
        """\
tensor([[  1, -20],
        [300,   4]])""",
    ),
    ("dtorch.tensor([True,False])", "tensor([ True, False])"),
    ("dtorch.tensor([1e-5,1.0])", "tensor([1.0000e-05, 1.0000e+00])"),
    ("dtorch.tensor([1e10,1.0])", "tensor([1.0000e+10, 1.0000e+00])"),
    ("dtorch.tensor([1e5,1.0])", "tensor([1.0000e+05, 1.0000e+00])"),
    ("dtorch.tensor([1000.5,0.1])", "tensor([1.0005e+03, 1.0000e-01])"),
    ("dtorch.tensor([1000.5,1.1])", "tensor([1000.5000,    1.1000])"),
    ("dtorch.tensor([nan,1.0])", "tensor([nan, 1.])"),
    ("dtorch.tensor([inf,-inf,nan])", "tensor([inf, -inf, nan])"),
    ("dtorch.tensor([inf,1.5])", "tensor([   inf, 1.5000])"),
    ("dtorch.tensor([])", "tensor([])"),
    ("dtorch.tensor([],dtype=dtorch.int64)", "tensor([], dtype=dtorch.int64)"),
    ("dtorch.zeros(0,3)", "tensor([], size=(0, 3))"),
    ("dtorch.zeros(2,0,dtype=dtorch.int32)", "tensor([], size=(2, 0), dtype=dtorch.int32)"),
    ("dtorch.arange(2000)", "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    (
        "dtorch.arange(2000.)",
        """\
tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.9970e+03, 1.9980e+03,
        1.9990e+03])""",
    ),
    (
        "dtorch.arange(24).view(2,3,4)",
        """\
tensor([[[ 0,  1,  2,  3],
         [ 4,  5,  6,  7],
         [ 8,  9, 10, 11]],

        [[12, 13, 14, 15],
         [16, 17, 18, 19],
         [20, 21, 22, 23]]])""",
    ),
    (
        "dtorch.arange(24.).view(2,3,4)",
        """\
tensor([[[ 0.,  1.,  2.,  3.],
         [ 4.,  5.,  6.,  7.],
         [ 8.,  9., 10., 11.]],

        [[12., 13., 14., 15.],
         [16., 17., 18., 19.],
         [20., 21., 22., 23.]]])""",
    ),
    (
        "dtorch.arange(30)",
        """\
tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])""",
    ),
    (
        "dtorch.arange(40.)/7",
        """\
tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,
        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,
        2.5714, 2.7143, 2.8571, 3.0000, 3.1429, 3.2857, 3.4286, 3.5714, 3.7143,
        3.8571, 4.0000, 4.1429, 4.2857, 4.4286, 4.5714, 4.7143, 4.8571, 5.0000,
        5.1429, 5.2857, 5.4286, 5.5714])""",
    ),
    ("dtorch.ones(2,dtype=dtorch.float64)", "tensor([1., 1.], dtype=dtorch.float64)"),
    ("dtorch.ones(2,dtype=dtorch.int32)", "tensor([1, 1], dtype=dtorch.int32)"),
    ("dtorch.ones(2,dtype=dtorch.uint8)", "tensor([1, 1], dtype=dtorch.uint8)"),
    ("dtorch.ones(2,dtype=dtorch.float16)", "tensor([1., 1.], dtype=dtorch.float16)"),
    (
        "dtorch.tensor([1.5,2.25],dtype=dtorch.bfloat16)",
        "tensor([1.5000, 2.2500], dtype=dtorch.bfloat16)",
    ),
    ("dtorch.tensor([1+2j,3-1j])", "tensor([1.+2.j, 3.-1.j])"),
    ("dtorch.tensor([1.5+2j,3.25-1j])", "tensor([1.5000+2.j, 3.2500-1.j])"),
    ("dtorch.tensor(1+2j)", "tensor(1.+2.j)"),
    ("dtorch.tensor([1+2j],dtype=dtorch.complex128)", "tensor([1.+2.j], dtype=dtorch.complex128)"),
    ("dtorch.ones(2,requires_grad=True)", "tensor([1., 1.], requires_grad=True)"),
    ("dtorch.tensor([0.0,0.0])", "tensor([0., 0.])"),
    ("dtorch.tensor([-0.0,1.0])", "tensor([-0., 1.])"),
    ("dtorch.tensor([1e-8])", "tensor([1.0000e-08])"),
    ("dtorch.tensor([123456789.0])", "tensor([1.2346e+08])"),
    ("dtorch.tensor([0.1,100000.0])", "tensor([1.0000e-01, 1.0000e+05])"),
    ("dtorch.tensor([1.0,100000000.0])", "tensor([1.0000e+00, 1.0000e+08])"),
    ("dtorch.tensor([1.0,1000000000.0])", "tensor([1.0000e+00, 1.0000e+09])"),
    ("dtorch.tensor([1.5,2000.0])", "tensor([1.5000e+00, 2.0000e+03])"),
    (
        "dtorch.arange(27.).view(3,3,3)*1000",
        """\
tensor([[[    0.,  1000.,  2000.],
         [ 3000.,  4000.,  5000.],
         [ 6000.,  7000.,  8000.]],

        [[ 9000., 10000., 11000.],
         [12000., 13000., 14000.],
         [15000., 16000., 17000.]],

        [[18000., 19000., 20000.],
         [21000., 22000., 23000.],
         [24000., 25000., 26000.]]])""",
    ),
    (
        "dtorch.zeros(3,1001)",
        """\
tensor([[0., 0., 0.,  ..., 0., 0., 0.],
        [0., 0., 0.,  ..., 0., 0., 0.],
        [0., 0., 0.,  ..., 0., 0., 0.]])""",
    ),
    (
        "dtorch.arange(12).view(3,4).t()",
        """\
tensor([[ 0,  4,  8],
        [ 1,  5,  9],
        [ 2,  6, 10],
        [ 3,  7, 11]])""",
    ),
    (
        "dtorch.tensor([[1.5,nan],[inf,2]])",
        """\
tensor([[1.5000,    nan],
        [   inf, 2.0000]])""",
    ),
    ("dtorch.tensor(nan)", "tensor(nan)"),
    ("dtorch.tensor(1e-9)", "tensor(1.0000e-09)"),
    ("dtorch.tensor(True)", "tensor(True)"),
    ("dtorch.tensor([[]])", "tensor([], size=(1, 0))"),
    ("dtorch.tensor([100,2000000,3])", "tensor([    100, 2000000,       3])"),
    ("dtorch.tensor([1,2],dtype=dtorch.int8)", "tensor([1, 2], dtype=dtorch.int8)"),
    (
        "dtorch.tensor([0.5],dtype=dtorch.float64,requires_grad=True)",
        "tensor([0.5000], dtype=dtorch.float64, requires_grad=True)",
    ),
    (
        "dtorch.arange(1100.).view(11,100)/3",
        """\
tensor([[0.0000e+00, 3.3333e-01, 6.6667e-01,  ..., 3.2333e+01, 3.2667e+01,
         3.3000e+01],
        [3.3333e+01, 3.3667e+01, 3.4000e+01,  ..., 6.5667e+01, 6.6000e+01,
         6.6333e+01],
        [6.6667e+01, 6.7000e+01, 6.7333e+01,  ..., 9.9000e+01, 9.9333e+01,
         9.9667e+01],
        ...,
        [2.6667e+02, 2.6700e+02, 2.6733e+02,  ..., 2.9900e+02, 2.9933e+02,
         2.9967e+02],
        [3.0000e+02, 3.0033e+02, 3.0067e+02,  ..., 3.3233e+02, 3.3267e+02,
         3.3300e+02],
        [3.3333e+02, 3.3367e+02, 3.3400e+02,  ..., 3.6567e+02, 3.6600e+02,
         3.6633e+02]])""",
    ),
    ("dtorch.tensor([[1e-3,1e3]])", "tensor([[1.0000e-03, 1.0000e+03]])"),
    ("dtorch.tensor([[1e-4,1.]])", "tensor([[1.0000e-04, 1.0000e+00]])"),
    ("dtorch.tensor(12345678)", "tensor(12345678)"),
    ("dtorch.tensor(123456.789)", "tensor(123456.7891)"),
    ("dtorch.tensor([1e38,1e-38])", "tensor([1.0000e+38, 1.0000e-38])"),
]


@pytest.fixture(autouse=True)
def _default_options() -> Iterator[None]:
    yield
    set_printoptions(profile="default")


@pytest.mark.parametrize(("expression", "text"), TEXTS, ids=[e for e, _ in TEXTS])
def test_text_is_that_of_the_reference(expression: str, text: str) -> None:
    assert repr(eval(expression)) == text


def test_middle_of_rows_and_columns_is_left_out() -> None:
    lines = repr(dtorch.arange(10000).view(100, 100)).splitlines()
    assert lines[0] == "tensor([[   0,    1,    2,  ...,   97,   98,   99],"
    assert lines[3] == "        ...,"
    assert lines[6] == "        [9900, 9901, 9902,  ..., 9997, 9998, 9999]])"


def test_history_and_mode_are_told() -> None:
    x = dtorch.ones(2, requires_grad=True)
    assert repr(x * 2) == "tensor([2., 2.], grad_fn=<MulBackward0>)"
    assert repr(Variable(dtorch.ones(2), volatile=True)) == "tensor([1., 1.], volatile=True)"
    assert repr(dtorch.ones(2, dtype=dtorch.float64, requires_grad=True)) == (
        "tensor([1., 1.], dtype=dtorch.float64, requires_grad=True)"
    )


def test_options() -> None:
    x = dtorch.tensor([1.23456789, 100.0])
    set_printoptions(precision=2)
    assert repr(x) == "tensor([  1.23, 100.00])"
    set_printoptions(sci_mode=True)
    assert repr(x) == "tensor([1.23e+00, 1.00e+02])"
    set_printoptions(profile="short")
    assert repr(x) == "tensor([  1.23, 100.00])"
    set_printoptions(profile="default", threshold=4, edgeitems=1)
    assert repr(dtorch.arange(6)) == "tensor([0,  ..., 5])"
    set_printoptions(profile="default", linewidth=20)
    assert repr(dtorch.arange(8)) == "tensor([0, 1, 2, 3,\n        4, 5, 6, 7])"
    with pytest.raises(ValueError, match="'loud'"):
        set_printoptions(profile="loud")


def test_numbers_are_formatted_like_numbers() -> None:
    x = dtorch.tensor(3.14159)
    assert f"{x:.2f}" == "3.14"
    assert "%.1f" % x == "3.1"  # noqa: UP031 - the old way is what is tested
    assert str(dtorch.tensor([1])) == f"{dtorch.tensor([1])}" == "tensor([1])"
    assert str(dtorch.device("cuda", 1)) == "cuda:1"
    assert repr(dtorch.Size([2, 3])) == "dtorch.Size([2, 3])"
