"""The public functions on tensors."""

import os

import pytest

import dtorch
from dtorch import distributed as dist
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError


def joined(rank, meeting, world, **options):
    options.setdefault("timeout", 600)
    dist.init_process_group(
        init_method=f"file:///{meeting}", rank=rank, world_size=world, **options
    )


def test_every_collective_gives_what_its_docstring_says(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 3)
        mine = dtorch.tensor([rank, 10.0 * rank])
        seen = {}

        x = mine.clone()
        dist.broadcast(x, src=2)
        seen["broadcast"] = x.tolist()
        x = mine.clone()
        dist.all_reduce(x)
        seen["all_reduce"] = x.tolist()
        x = mine.clone()
        dist.all_reduce(x, op=dist.ReduceOp.AVG)
        seen["avg"] = x.tolist()
        x = mine.clone()
        dist.reduce(x, dst=1, op=dist.ReduceOp.MAX)
        seen["reduce"] = x.tolist()
        outs = [dtorch.zeros(2) for _ in range(3)]
        dist.all_gather(outs, mine)
        seen["all_gather"] = [out.tolist() for out in outs]
        outs = [dtorch.zeros(2) for _ in range(3)] if rank == 0 else None
        dist.gather(mine, outs, dst=0)
        seen["gather"] = outs and [out.tolist() for out in outs]
        x = dtorch.zeros(1)
        parts = [dtorch.tensor([float(k)]) for k in (5, 6, 7)] if rank == 1 else None
        dist.scatter(x, parts, src=1)
        seen["scatter"] = x.tolist()
        dist.reduce_scatter(x, [dtorch.tensor([float(k)]) for k in range(3)])
        seen["reduce_scatter"] = x.tolist()
        outs = [dtorch.zeros(1) for _ in range(3)]
        dist.all_to_all(outs, [dtorch.tensor([10.0 * rank + k]) for k in range(3)])
        seen["all_to_all"] = [out.item() for out in outs]
        x = dtorch.zeros(6)
        dist.all_gather_into_tensor(x, mine)
        seen["all_gather_into_tensor"] = x.tolist()
        objects = [None] * 3
        dist.all_gather_object(objects, {"rank": rank, "text": "x" * rank})
        seen["all_gather_object"] = objects
        objects = [f"from {rank}", rank]
        dist.broadcast_object_list(objects, src=2)
        seen["broadcast_object_list"] = objects
        dist.destroy_process_group()
        return seen

    results = run_ranks(3, body)
    every = [[0, 0], [1, 10], [2, 20]]
    for rank, seen in enumerate(results):
        assert seen["broadcast"] == [2, 20]
        assert seen["all_reduce"] == [3, 30]
        assert seen["avg"] == [1, 10]
        assert seen["reduce"] == ([2, 20] if rank == 1 else every[rank])
        assert seen["all_gather"] == every
        assert seen["gather"] == (every if rank == 0 else None)
        assert seen["scatter"] == [5 + rank]
        assert seen["reduce_scatter"] == [3 * rank]
        assert seen["all_to_all"] == [rank, 10 + rank, 20 + rank]
        assert seen["all_gather_into_tensor"] == [0, 0, 1, 10, 2, 20]
        assert seen["all_gather_object"] == [{"rank": k, "text": "x" * k} for k in range(3)]
        assert seen["broadcast_object_list"] == ["from 2", 2]


def test_tensors_in_shared_memory_and_views_are_changed_where_they_lie(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 2)
        shared = dtorch.full((100_000,), float(rank + 1)).share_memory_()
        view = shared[:10]
        address = shared.data_ptr()
        dist.all_reduce(shared)
        column = dtorch.ones(3, 4)
        dist.all_reduce(column[:, 1])
        dist.destroy_process_group()
        return view.tolist() == [3.0] * 10, shared.data_ptr() == address, column[0].tolist()

    assert run_ranks(2, body) == [(True, True, [1, 2, 1, 1])] * 2


def test_autograd_notices_that_a_tensor_was_changed(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 1)
        x = dtorch.ones(2, requires_grad=True)
        kept = dtorch.ones(2)
        y = (x * kept).sum()
        dist.all_reduce(kept)
        with pytest.raises(RuntimeError, match="in place"):
            y.backward()
        dist.destroy_process_group()

    run_ranks(1, body)


def test_async_collectives_run_in_order_and_sync_ones_after_them(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 2)
        tensors = [dtorch.full((50_000,), float(rank + k)) for k in range(5)]
        works = [dist.all_reduce(x, async_op=True) for x in tensors]
        last = dtorch.ones(3)
        dist.all_reduce(last)
        done = [work.is_completed() for work in works]
        assert all(work.wait() for work in works)
        dist.destroy_process_group()
        return [x[0].item() for x in tensors], last.tolist(), done

    assert run_ranks(2, body) == [([1, 3, 5, 7, 9], [2, 2, 2], [True] * 5)] * 2


def test_an_async_collective_raises_where_it_is_waited_for(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 2)
        work = dist.all_reduce(dtorch.ones(2 + rank), async_op=True)
        with pytest.raises(dist.CollectiveMismatch):
            work.wait()
        dist.barrier()
        dist.destroy_process_group()

    run_ranks(2, body)


def test_messages_pass_between_two_ranks(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 3)
        big = dtorch.arange(300_000.0)
        if rank == 0:
            dist.send(big, 1)
            dist.send(dtorch.ones(2), 2, tag=7)
            got = dtorch.zeros(1)
            sources = {dist.recv(got), dist.recv(got)}
            assert sources == {1, 2}
        elif rank == 1:
            got = dtorch.zeros(300_000)
            assert dist.recv(got, 0) == 0
            assert got.tolist() == big.tolist()
            dist.send(dtorch.ones(1), 0)
        else:
            got = dtorch.zeros(2)
            dist.recv(got, 0, tag=7)
            assert got.tolist() == [1, 1]
            dist.send(dtorch.ones(1), 0)
        dist.barrier()
        dist.destroy_process_group()

    run_ranks(3, body)


def test_a_message_of_another_shape_is_refused_on_both_sides(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 2)
        move = (dist.send, dist.recv)[rank]
        with pytest.raises(dist.CollectiveMismatch, match=r"float32 \(3,\)"):
            move(dtorch.ones(3 + rank), 1 - rank)
        if rank == 0:
            dist.send(dtorch.ones(3), 1)
        else:
            dist.recv(dtorch.ones(3), 0)
        dist.destroy_process_group()

    run_ranks(2, body)


@pytest.mark.parametrize("receiving", [True, False])
def test_a_killed_partner_of_a_message_is_named(start_ranks, meeting, receiving):
    def body(rank):
        joined(rank, meeting, 2)
        if rank == 1:
            os.kill(os.getpid(), 9)
        elif receiving:
            dist.recv(dtorch.ones(3), 1)
        else:
            dist.send(dtorch.ones(3), 1)

    error = start_ranks(2, body).join().results[0]
    assert isinstance(error, dist.PeerLost)
    assert error.rank == 1


def test_a_group_of_some_ranks_leaves_the_others_alone(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 3)
        some = dist.new_group([0, 2])
        x = dtorch.full((2,), float(rank))
        dist.all_reduce(x, group=some)
        y = dtorch.full((1,), float(rank))
        dist.broadcast(y, src=2, group=some)
        numbers = dist.get_rank(some), dist.get_world_size(some), dist.get_rank()
        if rank == 0:
            with pytest.raises(ArgumentError, match="src is 1"):
                dist.broadcast(y, src=1, group=some)
        dist.barrier()
        dist.destroy_process_group(some)
        dist.barrier()
        dist.destroy_process_group()
        return x.tolist(), y.tolist(), numbers

    assert run_ranks(3, body) == [
        ([2, 2], [2], (0, 2, 0)),
        ([1, 1], [1], (-1, -1, 1)),
        ([2, 2], [2], (1, 2, 2)),
    ]


def test_bad_arguments_are_named_before_anybody_waits(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 1)
        x = dtorch.ones(2)
        with pytest.raises(ArgumentError, match=r"broadcast: src is 3, expected one of \[0\]"):
            dist.broadcast(x, 3)
        with pytest.raises(ArgumentError, match="has 2 tensors, expected one for each of 1 ranks"):
            dist.all_gather([x, x], x)
        with pytest.raises(ShapeError, match=r"tensor_list\[0\] has shape \(3,\), expected \(2,\)"):
            dist.all_gather([dtorch.ones(3)], x)
        with pytest.raises(DtypeError, match="int64"):
            dist.all_reduce(dtorch.ones(2, dtype=dtorch.int64), dist.ReduceOp.AVG)
        with pytest.raises(TypeError, match="got list, expected a tensor"):
            dist.all_reduce([1, 2])
        with pytest.raises(ArgumentError, match="this rank itself"):
            dist.send(x, 0)
        dist.destroy_process_group()

    run_ranks(1, body)


def test_messages_that_were_started_arrive_in_order_whoever_waits_first(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 3)
        got = [dtorch.zeros(2) for _ in range(2)]
        incoming = [dist.irecv(out, src=(rank - 1) % 3) for out in got]
        outgoing = [
            dist.isend(dtorch.full((2,), 10.0 * rank + k), dst=(rank + 1) % 3) for k in range(2)
        ]
        for request in (*incoming, *outgoing):
            assert request.wait()
            assert request.is_completed()
        anybody = dtorch.zeros(1)
        if rank == 0:
            dist.irecv(anybody).wait()
        elif rank == 1:
            dist.isend(dtorch.ones(1), 0).wait()
        dist.destroy_process_group()
        return [out[0].item() for out in got], anybody.item()

    results = run_ranks(3, body)
    assert results == [([20.0, 21.0], 1.0), ([0.0, 1.0], 0.0), ([10.0, 11.0], 0.0)]


def test_classic_halves_make_whole_collectives(run_ranks, meeting):
    def body(rank):
        joined(rank, meeting, 2)
        mine, gathered = dtorch.tensor([float(rank)]), [dtorch.zeros(1) for _ in range(2)]
        if rank == 0:
            dist.gather_recv(gathered, mine)
            dist.scatter_send([dtorch.tensor([k]) for k in (5.0, 6.0)], mine)
        else:
            dist.gather_send(mine, 0)
            dist.scatter_recv(mine, 0)
        dist.destroy_process_group()
        return mine.item(), [out.item() for out in gathered]

    assert run_ranks(2, body) == [(5.0, [0.0, 1.0]), (6.0, [0.0, 0.0])]
    with pytest.raises(NotImplementedError, match="collectives"):
        dist.init_master_worker("tcp")
