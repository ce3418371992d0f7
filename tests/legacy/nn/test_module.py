"""The protocol of layers: state, sharing, flat parameters, and what is refused."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import pytest

import dtorch
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.legacy import nn


def network() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_training_in_the_old_manner_converges():
    net, criterion = network().add(nn.LogSoftMax()), nn.ClassNLLCriterion()
    inputs = dtorch.randn(40, 3)
    target = (inputs[:, 0] > inputs[:, 1]).long()
    for _ in range(200):
        loss = criterion.forward(net.forward(inputs), target)
        net.zeroGradParameters()
        net.backward(inputs, criterion.backward(net.output, target))
        net.updateParameters(0.5)
    assert loss < 0.1
    assert (net.output.max(1)[1] == target).float().mean() > 0.95


def test_layers_of_users_need_the_output_only():
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = dtorch.ones(2)
            self.gradWeight = dtorch.zeros(2)

        def compute(self, input: Any, weight: Any) -> Any:
            return input[0] * weight + input[1]

    layer, one = Weighted(), dtorch.ones(2)
    net = nn.Sequential(layer, nn.Square())
    assert net.forward([3 * one, one]).tolist() == [16, 16]
    assert [g.tolist() for g in net.backward([3 * one, one], one)] == [[8, 8], [8, 8]]
    assert layer.gradWeight.tolist() == [24, 24]


def test_layers_of_users_may_have_the_whole_protocol_themselves():
    class Doubling(nn.Module):
        def updateOutput(self, input: Any) -> Any:
            self.output = input * 2
            return self.output

        def updateGradInput(self, input: Any, gradOutput: Any) -> Any:
            self.gradInput = gradOutput * 2
            return self.gradInput

    both = nn.ConcatTable().add(Doubling()).add(nn.Identity())
    net, one = nn.Sequential(both, nn.CAddTable()), dtorch.ones(2)
    assert net.forward(one).tolist() == [3, 3]
    assert net.backward(one, one).tolist() == [3, 3]
    with pytest.raises(NotImplementedError, match="compute"):
        nn.Module().forward(one)


def test_gradients_are_those_of_parameters_as_they_are_now():
    layer, one = nn.Mul(), dtorch.ones(3)
    layer.forward(one)
    layer.weight.fill_(5)
    assert layer.updateGradInput(one, one).tolist() == [5, 5, 5]


def test_tensors_of_autograd_are_taken_and_leave_no_history():
    given = dtorch.ones(2, 3, requires_grad=True)
    net = network()
    with dtorch.no_grad():
        assert not net.forward(given).requires_grad
        net.backward(given, dtorch.ones(2, 2))
    assert given.grad is None
    assert net.get(0).gradWeight.abs().sum() > 0


def test_backward_of_another_input_or_gradient_is_refused():
    layer = nn.Linear(3, 2)
    layer.forward(dtorch.ones(4, 3))
    with pytest.raises(ShapeError, match=r"\(5, 3\).*\(4, 3\)"):
        layer.backward(dtorch.ones(5, 3), dtorch.ones(5, 2))
    with pytest.raises(ShapeError, match=r"\(4, 3\).*\(4, 2\)"):
        layer.backward(dtorch.ones(4, 3), dtorch.ones(4, 3))
    with pytest.raises(ArgumentError, match="2 tensors, expected 1"):
        layer.backward(dtorch.ones(4, 3), [dtorch.ones(4, 2)] * 2)
    assert layer.gradWeight.abs().sum() == 0


def test_a_layer_told_to_computes_no_gradient_of_its_input():
    net = network()
    net.get(0).gradInput = None
    one = dtorch.ones(2, 3)
    net.forward(one)
    assert net.backward(one, dtorch.ones(2, 2)) is None
    assert net.get(0).gradWeight.abs().sum() > 0
    net.get(1).gradInput = None
    with pytest.raises(ArgumentError, match="gradOutput is None"):
        net.backward(one, dtorch.ones(2, 2))


def test_in_place_layers_overwrite_their_input():
    given = dtorch.tensor([-1.0, 2.0])
    layer = nn.ELU(inplace=True)
    assert layer.forward(given).data_ptr() == given.data_ptr()
    assert given[1] == 2
    assert given[0] < -0.6
    assert layer.backward(given, dtorch.ones(2)).tolist() == pytest.approx(
        [0.367879, 1.0], rel=1e-4
    )


def test_training_and_use_differ_in_chance_and_statistics():
    net = nn.Sequential(nn.BatchNormalization(3), nn.Dropout(0.5))
    given = dtorch.randn(50, 3) + 2
    net.training()
    assert (net.forward(given) == 0).any()
    mean = net.get(0).running_mean
    assert mean.mean().item() == pytest.approx(0.2, abs=0.1)
    net.evaluate()
    assert [m.train for m in net.listModules()] == [False] * 3
    before = mean.clone()
    assert not (net.forward(given) == 0).any()
    assert mean.equal(before)
    assert nn.SpatialDropout(0.25).forward(dtorch.ones(1, 8, 1, 1)).unique().tolist() == [0, 1]
    layer = nn.SpatialDropout(0.25)
    layer.evaluate()
    assert layer.forward(dtorch.ones(1, 2, 1, 1)).unique().tolist() == [0.75]


def test_flat_parameters_are_one_memory_that_stays_shared():
    net = network().add(nn.Linear(2, 2))
    tied = nn.Sequential(net.get(3), net.get(3).clone("weight", "gradWeight"), net)
    count = 3 * 4 + 4 + 4 * 2 + 2 + 2 * 2 + 2
    values = tied.get(0).weight.clone()
    flat, grad = tied.flattenParameters()
    assert flat.numel() == grad.numel() == count + 2  # the bias of the clone
    assert tied.get(0).weight.equal(values)
    flat.fill_(3)
    assert all(bool((p == 3).all()) for p in tied.parameters()[0])
    net.forward(dtorch.ones(1, 3))
    net.backward(dtorch.ones(1, 3), dtorch.ones(1, 2))
    assert grad.abs().sum() == sum(g.abs().sum() for g in net.parameters()[1])
    assert nn.Tanh().flattenParameters()[0].numel() == 0


def test_flat_parameters_keep_overlaps_strides_and_order():
    base = dtorch.arange(12.0).view(3, 4)
    layer = nn.Module()
    layer.weight, layer.bias = base.t(), base[1:, 1]
    layer.gradWeight, layer.gradBias = dtorch.zeros(4, 3), dtorch.zeros(2)
    flat, grad = layer.flattenParameters()
    assert flat.tolist() == list(range(12))
    assert grad.numel() == 14
    assert layer.weight.tolist() == base.t().tolist()
    flat.mul_(2)
    assert layer.bias.tolist() == [10, 18]
    layer.bias = dtorch.ones(2).double()
    with pytest.raises(DtypeError, match="DoubleTensor"):
        layer.flattenParameters()


def test_conversion_keeps_what_is_shared_and_names_the_type():
    net = network()
    net.flattenParameters()
    assert net.double() is net
    assert net.type() == "dtorch.DoubleTensor"
    assert net.get(0).bias.dtype is dtorch.float64
    assert net.get(0).weight.storage().data_ptr() == net.get(2).bias.storage().data_ptr()
    first = nn.Linear(2, 2)
    second = first.clone("weight")
    cache: Any = {}
    first.type("torch.DoubleTensor", cache)
    second.type(dtorch.DoubleTensor, cache)
    first.weight.fill_(7)
    assert second.weight[0, 0] == 7
    with pytest.raises(TypeError):
        net.type("torch.NoTensor")
    copying = nn.Copy("torch.FloatTensor", "torch.DoubleTensor", dontCast=True)
    assert copying.double().type() == "dtorch.FloatTensor"


def test_shared_parameters_are_updated_once():
    first = nn.Mul()
    second = first.clone("weight", "gradWeight")
    one = dtorch.ones(1)
    for layer in (first, second):
        layer.forward(one)
        layer.weight.fill_(1)
    first.sharedAccUpdateGradParameters(one, one, 0.25)
    assert second.weight.item() == 0.75
    assert first.backwardUpdate(one, one, 0.25).item() == 0.75
    assert second.weight.item() == 0.5


def test_copies_and_files_hold_the_layer_but_not_what_it_computed():
    net, given = network(), dtorch.ones(2, 3)
    output = net.forward(given)
    for twin in (copy.deepcopy(net), net.clone(), pickle.loads(pickle.dumps(net))):
        assert twin.forward(given).equal(output)
        assert twin.get(0).weight.data_ptr() != net.get(0).weight.data_ptr()
    file = io.BytesIO()
    dtorch.save(net, file)
    file.seek(0)
    assert dtorch.load(file).forward(given).equal(output)
    net.clearState()
    assert net.output.numel() == net.get(0).output.numel() == 0
    for method in (net.read, net.write):
        with pytest.raises(NotImplementedError, match="dtorch"):
            method(file)


def test_files_name_layers_by_the_modules_of_pytorch_or_here_and_load_the_package():
    program = """
import sys, dtorch
from dtorch.serialization.objects import find_own_kind
assert "dtorch.legacy" not in sys.modules
kinds = [find_own_kind(f"torch.legacy.nn.{name}", name) for name in ("Linear", "MSECriterion")]
kinds.append(find_own_kind("dtorch.legacy.nn.linear", "Linear"))
print([kind.cls.__name__ for kind in kinds])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['Linear', 'MSECriterion', 'Linear']\n"


def test_layers_are_found_replaced_and_visited():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Tanh(), nn.Linear(2, 2)))
    nodes, holders = net.findModules(nn.Linear)
    assert nodes == [net.get(0), net.get(1).get(1)]
    assert holders == [net, net.get(1)]
    seen: list[Any] = []
    net.apply(seen.append)
    assert seen == net.listModules() == [net, net.get(0), net.get(1), *net.get(1).modules]
    made = net.replace(lambda m: nn.Sigmoid() if isinstance(m, nn.Tanh) else m)
    assert made is net
    assert isinstance(net.get(1).get(0), nn.Sigmoid)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Threshold(0, 1, True), "at most"),
        (lambda: nn.HardTanh(1, -1), "max_value is -1"),
        (lambda: nn.RReLU(1, 0.5), "lower is 1"),
        (lambda: nn.Dropout(1), "p is 1"),
        (lambda: nn.Dropout().setp(-1), "p is -1"),
        (lambda: nn.Normalize(0), "p is 0"),
        (lambda: nn.View(-1, -1), r"\[-1, -1\]"),
        (lambda: nn.SoftMax().forward(dtorch.ones(1, 1, 1, 1, 1)), "5 dims"),
        (lambda: nn.SpatialDropout().forward(dtorch.ones(2, 2)), "2 dims"),
        (lambda: nn.Normalize(2).forward(dtorch.ones(1, 1, 1)), "3 dims"),
        (lambda: nn.BatchNormalization(3).forward(dtorch.ones(3)), r"\(3,\)"),
        (lambda: nn.BatchNormalization(3).forward(dtorch.ones(2, 4)), "3 features"),
        (lambda: nn.SpatialSubtractiveNormalization(1, dtorch.ones(2)), "odd"),
        (lambda: nn.SpatialSubtractiveNormalization(1, dtorch.ones(1, 1, 1)), "3 dims"),
        (lambda: nn.Reshape(2, 2).forward(dtorch.ones(3, 3)), r"\(3, 3\)"),
        (lambda: nn.Padding(0, 1, index=3).forward(dtorch.ones(2)), "index is 3"),
        (lambda: nn.SpatialZeroPadding(1).forward(dtorch.ones(2)), "1 dims"),
        (lambda: nn.MM().forward([dtorch.ones(2), dtorch.ones(2, 2)]), "1 and 2 dims"),
        (lambda: nn.MV().forward([dtorch.ones(2), dtorch.ones(2, 2)]), "1 and 2 dims"),
        (lambda: nn.MixtureTable().forward([dtorch.ones(2), [dtorch.ones(2)]]), "2 gates"),
        (lambda: nn.SpatialUpSamplingNearest(0), "scale is 0"),
        (lambda: nn.SpatialFractionalMaxPooling(2, 2, 0.5, 3), "0.5 and 3"),
        (lambda: nn.SpatialFractionalMaxPooling(1, 2, 3, 3), "1 by 2"),
        (lambda: nn.SpatialMaxUnpooling(nn.SpatialMaxPooling(2, 2)).forward(dtorch.ones(1, 1, 1)),
         "first"),
        (lambda: nn.ClassSimplexCriterion(1), "nClasses is 1"),
        (lambda: nn.MultiMarginCriterion(3), "p is 3"),
        (lambda: nn.ParallelCriterion().add(nn.MSECriterion()).forward([], []), "1 criteria"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_gradients_that_are_not_those_of_the_output():
    given = dtorch.tensor([[1.0, -2.0]])
    reverse = nn.GradientReversal(0.5)
    assert reverse.forward(given).equal(given)
    assert reverse.backward(given, dtorch.ones(1, 2)).tolist() == [[-0.5, -0.5]]
    reverse.setLambda(2)
    assert reverse.backward(given, dtorch.ones(1, 2)).tolist() == [[-2, -2]]
    penalty = nn.L1Penalty(0.5, sizeAverage=True)
    assert penalty.forward(given).equal(given)
    assert penalty.loss == 0.75
    assert penalty.backward(given, dtorch.ones(1, 2)).tolist() == [[1.25, 0.75]]
    alone = nn.L1Penalty(0.5, provideOutput=False)
    alone.forward(given)
    assert alone.backward(given, dtorch.ones(1, 2)).tolist() == [[0.5, -0.5]]
    table = nn.CriterionTable(nn.MSECriterion())
    assert table.forward([given, given * 0]) == 2.5
    assert table.backward([given, given * 0], 1)[0].tolist() == [[1, -2]]
    root = nn.Sqrt()
    root.forward(dtorch.zeros(2))
    assert root.backward(dtorch.zeros(2), dtorch.ones(2)).tolist() == [0, 0]


def test_criteria_without_forward_or_of_another_target_give_the_gradient_of_what_they_get():
    criterion, given = nn.MSECriterion(), dtorch.ones(2)
    assert criterion.backward(given, given * 0).tolist() == [1, 1]
    criterion.forward(given, given)
    assert criterion.backward(given, given * 0).tolist() == [1, 1]
    given.fill_(3)
    assert criterion.backward(given, given).tolist() == [0, 0]
    target = given * 0
    criterion.forward(given, target)
    target.fill_(2)
    assert criterion.backward(given, target).tolist() == [1, 1]
    scored = nn.ClassSimplexCriterion(3)
    corners = scored.simplex @ scored.simplex.t()
    assert corners.flatten().tolist() == pytest.approx(
        [1, -0.5, -0.5, -0.5, 1, -0.5, -0.5, -0.5, 1]
    )
    assert scored.getTopPrediction(scored.simplex).tolist() == [0, 1, 2]
    assert scored.getPredictions(scored.simplex[0]).shape == (1, 3)


def test_rows_of_tables_are_padded_scaled_and_changed_at_once():
    table = nn.LookupTable(4, 2, paddingValue=1).setMaxNorm(1.0).setNormType(2)
    table.weight.fill_(3)
    index = dtorch.tensor([0, 1, 1, 3])
    table.forward(index)
    assert table.weight.norm(2, 1).tolist() == pytest.approx([1, 1, 18**0.5, 1])
    table.backward(index, dtorch.ones(4, 2))
    assert table.gradWeight[:, 0].tolist() == [1, 0, 0, 1]
    only = nn.LookupTable(2, 1).scaleGradByFreq().setPadding(-1).accUpdateOnly()
    only.weight.fill_(1)
    twice = dtorch.tensor([0, 0])
    only.forward(twice)
    only.backward(twice, dtorch.ones(2, 1))
    only.zeroGradParameters()
    only.accUpdateGradParameters(twice, dtorch.ones(2, 1), 0.5)
    assert only.weight.view(-1).tolist() == [0.5, 1]
    assert only.gradWeight is None


def test_some_outputs_of_a_layer_are_computed_alone():
    layer = nn.PartialLinear(3, 4)
    one = dtorch.ones(1, 3)
    whole = layer.forward(one)
    layer.setPartition(dtorch.tensor([2, 0]))
    assert layer.forward(one).tolist() == [[whole[0, 2], whole[0, 0]]]
    layer.backward(one, dtorch.ones(1, 2))
    assert layer.gradWeight[:, 0].tolist() == [1, 0, 1, 0]
    layer.resetPartition()
    assert layer.forward(one).equal(whole)


def test_parameters_are_drawn_again_with_a_deviation():
    for layer in (nn.Linear(30, 40), nn.SpatialConvolution(4, 8, 3, 3), nn.LookupTable(30, 40)):
        layer.reset(0.1)
        assert layer.weight.std().item() == pytest.approx(0.1, rel=0.15)
    maps = nn.SpatialConvolutionMap.maps
    layer = nn.SpatialConvolutionMap(maps.random(6, 9, 2), 3, 3)
    assert layer.connTable[:, 0].long().bincount().tolist() == [3] * 6
    assert layer.weight.abs().max() <= 1 / 18**0.5
    assert maps.oneToOne(2).tolist() == [[0, 0], [1, 1]]
    batch = nn.BatchNormalization(300)
    assert 0 <= batch.weight.min() < batch.weight.max() <= 1


def test_regions_of_pooling_are_fixed_when_told_to_be():
    layer, given = nn.SpatialFractionalMaxPooling(2, 2, 0.7, 0.7), dtorch.randn(1, 4, 20, 20)
    assert not layer.forward(given).equal(layer.forward(given))
    layer.fixPoolingRegions()
    assert layer.forward(given).equal(layer.forward(given))
    average = nn.SpatialAveragePooling(2, 2, 2, 2, 1, 1).setCountExcludePad()
    assert average.forward(dtorch.ones(1, 2, 2)).unique().tolist() == [1]
    assert average.setCountIncludePad().forward(dtorch.ones(1, 2, 2)).unique().tolist() == [0.25]
    assert nn.SpatialMaxPooling(2, 2).ceil().floor().forward(dtorch.ones(1, 3, 3)).shape == (
        1,
        1,
        1,
    )
