"""Optimizers with their state in shared memory."""

import pytest

import dtorch
from dtorch import nn, optim

MAKERS = {
    "SharedAdam": lambda p: optim.SharedAdam(p),
    "SharedAdamW": lambda p: optim.SharedAdamW(p, amsgrad=True),
    "SharedRMSprop": lambda p: optim.SharedRMSprop(p, momentum=0.9),
    "SharedSGD": lambda p: optim.SharedSGD(p, momentum=0.9, weight_decay=0.1),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_state_is_there_and_shared_from_the_start(name):
    model = nn.Linear(3, 2)
    before = [p.tolist() for p in model.parameters()]
    optimizer = MAKERS[name](model.parameters())
    tensors = [v for state in optimizer.state.values() for v in state.values()]
    assert len(tensors) >= 2
    assert all(t.is_shared() for t in tensors)
    assert [p.tolist() for p in model.parameters()] == before
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("shared", "plain"),
    [
        (optim.SharedAdam, optim.Adam),
        (optim.SharedAdamW, optim.AdamW),
        (optim.SharedRMSprop, optim.RMSprop),
        (optim.SharedSGD, optim.SGD),
    ],
)
def test_steps_are_those_of_the_plain_optimizer(shared, plain):
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(one.state_dict())
    x = dtorch.randn(4, 3)
    for model, optimizer in ((one, shared(one.parameters(), lr=0.01)),
                             (other, plain(other.parameters(), lr=0.01))):  # fmt: skip
        for _ in range(3):
            optimizer.zero_grad()
            model(x).pow(2).sum().backward()
            optimizer.step()
    assert one.weight.tolist() == other.weight.tolist()
