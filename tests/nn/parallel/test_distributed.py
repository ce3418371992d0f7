"""DistributedDataParallel: the gradients of n processes are those of one with all the data."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest
from loopback import LoopbackTransport, mesh

import dtorch
from dtorch import distributed as dist
from dtorch.core.errors import ArgumentError, DtorchError, GradError
from dtorch.core.parameter import Parameter
from dtorch.distributed.backends.registry import TRANSPORTS
from dtorch.distributed.rendezvous import name_from
from dtorch.nn.module import Module
from dtorch.nn.parallel import DistributedDataParallel
from dtorch.nn.parallel.buckets import assign


class Net(Module):
    """Two layers, a buffer, and parameters that a forward pass may leave out."""

    def __init__(self, seed=0, width=8, dtype=dtorch.float32):
        super().__init__()
        rng = np.random.default_rng(seed)

        def parameter(*size):
            return Parameter(dtorch.from_numpy(rng.standard_normal(size).astype(dtype.numpy)))

        self.first = parameter(4, width)
        self.bias = parameter(width)
        self.second = parameter(width, 1)
        self.scale = parameter(1)
        self.register_buffer("seen", dtorch.zeros(2))
        self.register_buffer("count", dtorch.zeros(1, dtype=dtorch.int64))

    def forward(self, x, scaled=True):
        y = (x @ self.first + self.bias).relu() @ self.second
        return y * self.scale if scaled else y


def data_of(rank, world=2, step=0):
    rng = np.random.default_rng([step, 5])
    x = rng.standard_normal((4 * world, 4)).astype(np.float32)
    return dtorch.from_numpy(x[rank::world].copy()), dtorch.from_numpy(x)


def joined(rank, meeting, world=2):
    dist.init_process_group(
        init_method=f"file:///{meeting}", rank=rank, world_size=world, timeout=600
    )


def grads(module):
    return [None if p.grad is None else p.grad.numpy().copy() for p in module.parameters()]


def reference(world=2, steps=1):
    """Gradients of one process over all the data, of each step with fresh data."""
    net = Net()
    found = []
    for step in range(steps):
        for p in net.parameters():
            p.grad = None
        net(data_of(0, world, step)[1]).mean().backward()
        found.append(grads(net))
    return found


def close(a, b):
    return all(
        (x is None and y is None) or np.allclose(x, y, rtol=1e-5, atol=1e-6)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("cap_mb", [None, 1e-6])
def test_gradients_are_those_of_one_process_with_all_the_data(run_ranks, meeting, world, cap_mb):
    def body(rank):
        joined(rank, meeting, world)
        model = DistributedDataParallel(Net(seed=rank), bucket_cap_mb=cap_mb)
        steps = []
        for step in range(3):
            for p in model.parameters():
                p.grad = None
            model(data_of(rank, world, step)[0]).mean().backward()
            steps.append(grads(model))
        dist.destroy_process_group()
        return steps

    expected = reference(world, 3)
    results = run_ranks(world, body)
    for steps in results:
        assert all(close(a, b) for a, b in zip(steps, expected, strict=True))
    for steps in results[1:]:  # and the same bits on all ranks
        for a, b in zip(steps, results[0], strict=True):
            assert all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def test_all_ranks_start_with_parameters_and_buffers_of_rank_0(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        net = Net(seed=rank)
        net.seen.fill_(rank + 3)
        before = DistributedDataParallel(net, init_sync=False).module.seen.tolist()
        model = DistributedDataParallel(net)
        dist.destroy_process_group()
        return before, (model.module.first.tolist(), model.module.seen.tolist())

    (first_before, first), (second_before, second) = run_ranks(2, body)
    assert (first_before, second_before) == ([3, 3], [4, 4])
    assert first == second
    assert first == (Net(seed=0).first.tolist(), [3, 3])


def test_gradients_lie_in_shared_memory_and_keep_their_place(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), gradient_as_bucket_view=True, static_graph=True)
        places = []
        for step in range(3):
            for p in model.parameters():
                p.grad = None
            model(data_of(rank, step=step)[0]).mean().backward()
            assert all(p.grad.is_shared() for p in model.parameters())
            places.append([p.grad.data_ptr() for p in model.parameters()])
        dist.destroy_process_group()
        return places[0] == places[1] == places[2]

    assert run_ranks(2, body) == [True, True]


def test_gradients_accumulate_inside_no_sync_and_are_averaged_after(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net())
        mine, plain = data_of(rank)[0], Net()
        plain(mine).mean().backward()
        with model.no_sync():
            model(mine).mean().backward()
        local = close(grads(model), grads(plain))
        model(mine).mean().backward()
        dist.destroy_process_group()
        return local, grads(model)

    twice = [2 * g for g in reference()[0]]
    for local, averaged in run_ranks(2, body):
        assert local
        assert close(averaged, twice)


def test_a_second_backward_pass_accumulates(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net())
        for _ in range(2):
            model(data_of(rank)[0]).mean().backward()
        dist.destroy_process_group()
        return grads(model)

    for averaged in run_ranks(2, body):
        assert close(averaged, [2 * g for g in reference()[0]])


def test_a_parameter_left_out_is_named_in_the_next_forward_pass(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net())
        model(data_of(rank)[0], scaled=False).mean().backward()
        with pytest.raises(GradError, match=r"no gradient to scale.*find_unused_parameters"):
            model(data_of(rank)[0])
        dist.destroy_process_group()

    run_ranks(2, body)


def test_parameters_left_out_are_allowed_when_asked_for(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), find_unused_parameters=True, bucket_cap_mb=1e-6)
        model(data_of(rank)[0], scaled=False).mean().backward()  # by all ranks
        nowhere = model.module.scale.grad is None
        for p in model.parameters():
            p.grad = None
        model(data_of(rank)[0], scaled=rank == 0).mean().backward()  # by one of two
        plain = Net()
        plain(data_of(0)[0]).mean().backward()
        dist.destroy_process_group()
        return nowhere, np.allclose(model.module.scale.grad.numpy(), plain.scale.grad.numpy() / 2)

    assert run_ranks(2, body) == [(True, True)] * 2


def test_two_backward_passes_of_one_forward_pass_are_refused(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 1)
        model = DistributedDataParallel(Net())
        loss = model(data_of(0)[0]).mean()
        loss.backward(retain_graph=True)
        with pytest.raises(GradError, match="second gradient"):
            loss.backward()
        dist.destroy_process_group()

    run_ranks(1, body)


def test_buffers_of_rank_0_go_to_all_before_each_training_pass(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        net = Net()
        model = DistributedDataParallel(net)
        net.seen.fill_(rank + 1)
        net.count.fill_(rank + 5)
        model(data_of(rank)[0])
        trained = net.seen.tolist(), net.count.tolist()
        net.seen.fill_(rank + 1)
        model.eval()
        if rank == 0:
            model(data_of(rank)[0])  # a single rank may evaluate
        dist.barrier()
        dist.destroy_process_group()
        return trained, net.seen.tolist()

    assert run_ranks(2, body) == [(([1, 1], [5]), [r + 1, r + 1]) for r in range(2)]


def test_frozen_parameters_and_outputs_in_containers_are_fine(run_ranks, meeting):
    class Pair(Net):
        def forward(self, x):
            y = super().forward(x)
            return {"y": y, "more": (y * 2, [y.detach()])}

    def body(rank):
        joined(rank, meeting)
        net = Pair()
        net.bias.requires_grad_(False)
        model = DistributedDataParallel(net, find_unused_parameters=True)
        model(data_of(rank)[0])["more"][0].mean().backward()
        dist.destroy_process_group()
        return net.bias.grad is None, close([net.first.grad.numpy()], [2 * reference()[0][0]])

    assert run_ranks(2, body) == [(True, True)] * 2


def test_mixed_dtypes_share_no_bucket(run_ranks, meeting):
    class Mixed(Module):
        def __init__(self):
            super().__init__()
            self.a = Parameter(dtorch.ones(3))
            self.b = Parameter(dtorch.ones(3, dtype=dtorch.float64))

        def forward(self, x):
            return (self.a * x).sum() + (self.b * x).sum()

    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Mixed())
        model(rank + 1.0).backward()
        dist.destroy_process_group()
        return [(str(p.grad.dtype), p.grad.tolist()) for p in model.parameters()]

    expected = [("dtorch.float32", [1.5] * 3), ("dtorch.float64", [1.5] * 3)]
    assert run_ranks(2, body) == [expected] * 2


def test_keys_of_the_state_dict_begin_with_module(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 1)
        model = DistributedDataParallel(Net())
        dist.destroy_process_group()
        return sorted(model.state_dict())

    names = ["bias", "count", "first", "scale", "second", "seen"]
    assert run_ranks(1, body) == [[f"module.{name}" for name in names]]


def test_ranks_with_different_models_are_told_where_they_differ(start_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        DistributedDataParallel(Net(width=8 + rank))

    for error in start_ranks(2, body).join().results.values():
        assert isinstance(error, DtorchError)
        assert "rank 1 has first: dtorch.float32 (4, 9)" in str(error)
        assert "rank 0 has first: dtorch.float32 (4, 8)" in str(error)


def test_wrong_arguments_are_named(run_ranks, meeting):
    def body(rank):
        with pytest.raises(ValueError, match="init_process_group"):
            DistributedDataParallel(Net())
        joined(rank, meeting, 1)
        with pytest.raises(ArgumentError, match="device_ids"):
            DistributedDataParallel(Net(), device_ids=[0])
        frozen = Net()
        frozen.requires_grad_(False)
        with pytest.raises(GradError, match="requires grad"):
            DistributedDataParallel(frozen)
        dist.destroy_process_group()

    run_ranks(1, body)


def test_a_rank_killed_in_the_backward_pass_is_named_by_the_other(start_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net())
        for step in range(1000):
            loss = model(data_of(rank, step=step)[0]).mean()
            if rank == 1 and step == 3:
                os.kill(os.getpid(), 9)
            loss.backward()

    error = start_ranks(2, body).join().results[0]
    assert isinstance(error, dist.PeerLost)
    assert error.rank == 1


def test_a_full_bucket_is_averaged_while_the_backward_pass_goes_on(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), bucket_cap_mb=1e-6)
        x = data_of(rank)[0].requires_grad_()

        def wait_for_averages(grad):
            assert model._reducer._begun
            deadline = time.monotonic() + 120
            while not all(work.is_completed() for work in model._reducer._works):
                assert time.monotonic() < deadline
                time.sleep(0.001)

        hidden = x * 1.0
        hidden.register_hook(wait_for_averages)
        model(hidden).mean().backward()
        dist.destroy_process_group()
        return grads(model)

    for averaged in run_ranks(2, body):
        assert close(averaged, reference()[0])


def test_a_parameter_used_twice_or_under_two_names_is_averaged_once(run_ranks, meeting):
    class Tied(Net):
        def __init__(self):
            super().__init__()
            self.tied = self.first

        def forward(self, x):
            return super().forward(x) + (x @ self.tied).sum()

    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Tied(), bucket_cap_mb=1e-6)
        model(data_of(rank)[0]).mean().backward()
        dist.destroy_process_group()
        plain = Tied()
        (plain(data_of(0)[0]).mean() + plain(data_of(1)[0]).mean()).backward()
        return close(grads(model), [grad / 2 for grad in grads(plain)])

    assert run_ranks(2, body) == [True] * 2


def test_collectives_of_hooks_take_their_turn_between_buckets(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), bucket_cap_mb=1e-6)
        seen = []

        def sum_up(_):
            x = dtorch.ones(3) * (rank + 1)
            dist.all_reduce(x)
            seen.append(x.tolist())

        for parameter in model.parameters():
            parameter.register_post_accumulate_grad_hook(sum_up)
        for _ in range(3):
            model.zero_grad()
            model(data_of(rank)[0]).mean().backward()
        dist.destroy_process_group()
        return grads(model), seen

    for averaged, seen in run_ranks(2, body):
        assert close(averaged, reference()[0])
        assert seen == [[3, 3, 3]] * 12


def test_a_pass_that_fails_on_all_ranks_leaves_the_model_usable(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), bucket_cap_mb=1e-6)
        x = data_of(rank)[0].requires_grad_()
        hidden = x * 1.0
        hidden.register_hook(lambda grad: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            (model(hidden).mean() + hidden.sum()).backward()
        with contextlib.suppress(GradError):  # where the hook came before the last parameter
            model(x)
        model.zero_grad()
        model(x).mean().backward()
        dist.destroy_process_group()
        return grads(model)

    for averaged in run_ranks(2, body):
        assert close(averaged, reference()[0])


def test_an_interrupt_while_others_are_waited_for_comes_at_once_and_they_are_told(
    start_ranks, meeting
):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), bucket_cap_mb=1e-6, broadcast_buffers=False)
        if rank == 1:
            dist.recv(dtorch.ones(1), 0)  # which never comes

        def interrupt(*_):
            if model._reducer._begun:
                raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            model(data_of(rank)[0]).mean().backward()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    results = start_ranks(2, body).join().results
    assert isinstance(results[0], KeyboardInterrupt)
    assert isinstance(results[1], dist.PeerLost)
    assert "KeyboardInterrupt" in str(results[1])


@pytest.mark.filterwarnings("error")
def test_infinite_gradients_are_averaged_in_silence(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting)
        model = DistributedDataParallel(Net(), bucket_cap_mb=1e-6)
        loss = model(data_of(rank)[0]).mean() * (float("inf") if rank else float("-inf"))
        loss.backward()
        dist.destroy_process_group()
        return bool(model.module.scale.grad.isnan().all())

    assert run_ranks(2, body) == [True] * 2


def test_any_registered_transport_will_do(monkeypatch, start_ranks, meeting):
    monkeypatch.setitem(TRANSPORTS, "loopback", LoopbackTransport)

    def body(rank):
        dist.init_process_group(
            "loopback", f"file:///{meeting}", rank=rank, world_size=3, timeout=600
        )
        assert dist.get_backend() == "loopback"
        model = DistributedDataParallel(Net(seed=rank), bucket_cap_mb=1e-6)
        model(data_of(rank, 3)[0]).mean().backward()
        dist.destroy_process_group()
        return grads(model)

    with mesh(name_from(f"file:///{meeting}"), 3):
        ranks = start_ranks(3, body)
    for averaged in ranks.join().values():
        assert close(averaged, reference(3)[0])


def test_buckets_go_from_the_last_parameter_to_the_first_and_start_small():
    parameters = [dtorch.zeros(300_000) for _ in range(8)]  # 1.2 MB each
    assert assign(parameters, 25 << 20) == [[7], [6, 5, 4, 3, 2, 1, 0]]
    assert assign(parameters, 1) == [[k] for k in range(7, -1, -1)]
