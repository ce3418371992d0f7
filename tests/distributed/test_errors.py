"""Errors between processes keep what they know when they are passed on."""

import pickle

from dtorch.distributed.errors import CollectiveTimeout, DistributedError, PeerLost


def test_a_lost_peer_is_an_ordinary_exception_with_its_rank():
    error = pickle.loads(pickle.dumps(PeerLost(3, 42, "all_reduce #7", "its process has ended")))
    assert (error.rank, error.pid, error.collective) == (3, 42, "all_reduce #7")
    assert str(error) == "all_reduce #7: lost rank 3 (pid 42): its process has ended"
    assert isinstance(error, RuntimeError)


def test_a_timeout_is_both_kinds_of_error():
    error = CollectiveTimeout("x", (1, 2))
    assert isinstance(error, TimeoutError)
    assert isinstance(error, DistributedError)
    assert error.ranks == (1, 2)
