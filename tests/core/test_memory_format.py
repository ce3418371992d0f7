"""Strides tell in which order the elements lie, and operations keep the order of images."""

from __future__ import annotations

import copy
import pickle

import pytest

import dtorch
from dtorch import nn
from dtorch.core.errors import ArgumentError

F = nn.functional
LAST, LAST_3D = dtorch.channels_last, dtorch.channels_last_3d
SHAPE, STRIDE = (2, 3, 4, 5), (60, 1, 15, 3)


@pytest.fixture(params=["cpu", "meta"])
def image(request):
    return dtorch.rand(SHAPE, device=request.param)


def test_each_way_gives_the_strides_of_the_format(image):
    ways = (
        image.contiguous(memory_format=LAST), image.to(memory_format=LAST),
        image.to(dtorch.float64, memory_format=LAST), image.clone(memory_format=LAST),
        image.half(memory_format=LAST), dtorch.empty(SHAPE, memory_format=LAST),
        dtorch.zeros_like(image, memory_format=LAST), dtorch.rand_like(image, memory_format=LAST),
        dtorch.full_like(image, 2, memory_format=LAST), dtorch.empty_like(image, memory_format=LAST),
    )  # fmt: skip
    for tensor in ways:
        assert tensor.stride() == STRIDE
        assert tensor.is_contiguous(memory_format=LAST)
        assert not tensor.is_contiguous()
        assert tensor.contiguous(memory_format=LAST) is tensor
        assert tensor.contiguous().stride() == image.stride()
    volume = dtorch.rand(2, 3, 4, 5, 6, device=image.device).to(memory_format=LAST_3D)
    assert volume.stride() == (360, 1, 90, 18, 3)
    assert volume.is_contiguous(memory_format=LAST_3D)
    assert not volume.is_contiguous(memory_format=LAST)


def test_numbers_and_gradients_do_not_depend_on_it():
    x = dtorch.rand(SHAPE, requires_grad=True)
    y = x.contiguous(memory_format=LAST)
    assert y.equal(x)
    (y * dtorch.arange(120.0).view(SHAPE)).sum().backward()
    assert x.grad.flatten().tolist() == list(range(120))


def test_sizes_of_one_fit_either_format():
    x = dtorch.rand(2, 1, 4, 5)
    assert x.is_contiguous(memory_format=LAST)
    assert x.contiguous(memory_format=LAST) is x
    assert x.to(memory_format=LAST).stride() == (20, 1, 5, 1)
    assert dtorch.empty(0, 3, 2, 2).is_contiguous(memory_format=LAST)


def test_what_is_made_like_another_tensor_has_its_order(image):
    last = image.to(memory_format=LAST)
    for make in (dtorch.empty_like, dtorch.zeros_like, dtorch.ones_like, dtorch.rand_like,
                 dtorch.randn_like, dtorch.clone, copy.deepcopy, lambda x: dtorch.full_like(x, 3),
                 lambda x: x.double(), lambda x: x + 1):  # fmt: skip
        assert make(last).stride() == STRIDE
    turned = image.permute(3, 1, 0, 2)
    assert dtorch.zeros_like(turned).stride() == turned.stride()
    assert dtorch.zeros_like(image[:, :, ::2]).stride() == (30, 10, 5, 1)
    plain = dtorch.ones_like(last, memory_format=dtorch.contiguous_format)
    assert plain.is_contiguous()


OPERATIONS = {
    "relu": F.relu, "gelu": F.gelu, "dropout": F.dropout, "exp": dtorch.exp,
    "conv": lambda x: F.conv2d(x, dtorch.ones(4, 3, 3, 3)),
    "pointwise": lambda x: F.conv2d(x, dtorch.ones(4, 3, 1, 1)),
    "grouped": lambda x: F.conv2d(x, dtorch.ones(3, 1, 3, 3), groups=3),
    "transposed": lambda x: F.conv_transpose2d(x, dtorch.ones(3, 4, 3, 3)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "batch_norm, not training": lambda x: F.batch_norm(x, dtorch.ones(3), dtorch.ones(3)),
    "group_norm": lambda x: F.group_norm(x, 3), "max_pool": lambda x: F.max_pool2d(x, 2),
    "avg_pool": lambda x: F.avg_pool2d(x, 2), "adaptive": lambda x: F.adaptive_avg_pool2d(x, 2),
    "adaptive_max": lambda x: F.adaptive_max_pool2d(x, 2),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "pad": lambda x: F.pad(x, (1, 1)), "reflect": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "cat": lambda x: dtorch.cat([x, x], 1), "where": lambda x: dtorch.where(x > 0, x, x),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_keep_the_format(name):
    dtorch.manual_seed(1)
    x = dtorch.rand(2, 3, 6, 7)
    dtorch.manual_seed(2)
    expected = OPERATIONS[name](x)
    dtorch.manual_seed(2)
    found = OPERATIONS[name](x.to(memory_format=LAST))
    assert found.is_contiguous(memory_format=LAST)
    assert expected.is_contiguous()
    assert found.allclose(expected)


def test_the_weight_decides_as_well():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(24, 2))
    model.to(memory_format=LAST)
    assert model[0].weight.stride() == (27, 1, 9, 3)
    assert model[3].weight.is_contiguous()
    x = dtorch.rand(SHAPE)
    assert model[:2](x).is_contiguous(memory_format=LAST)
    model(x).sum().backward()
    layer = nn.Sequential(nn.Conv2d(3, 4, 3))
    nn.utils.convert_conv2d_weight_memory_format(layer, LAST)
    assert layer[0].weight.is_contiguous(memory_format=LAST)


def test_formats_are_values_of_their_own():
    assert repr(LAST) == "dtorch.channels_last"
    assert isinstance(LAST, dtorch.memory_format)
    assert pickle.loads(pickle.dumps(LAST)) is copy.deepcopy(LAST) is LAST


def test_a_format_for_other_dims_is_refused():
    for ask in (lambda: dtorch.ones(2, 3).to(memory_format=LAST),
                lambda: dtorch.ones(SHAPE).contiguous(memory_format=LAST_3D),
                lambda: dtorch.empty(2, memory_format=LAST),
                lambda: dtorch.ones(SHAPE).clone(memory_format="last"),
                lambda: dtorch.empty(SHAPE, memory_format=dtorch.preserve_format)):  # fmt: skip
        with pytest.raises(ArgumentError, match=r"memory_format|required rank|memory format"):
            ask()
    assert not dtorch.ones(2).is_contiguous(memory_format=LAST)
