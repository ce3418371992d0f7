"""Who connects is heard when he speaks, and nobody waits for those who do not."""

import os
import secrets
import select
import socket

import pytest

from dtorch.multiprocessing.reception import Reception, answer, peer_of


@pytest.fixture
def address():
    return f"dtorch-test-{secrets.token_hex(8)}"


@pytest.fixture
def reception(address):
    found = Reception(address, nbytes=10, nfds=1, farewell=b"bye")
    yield found
    found.close()


@pytest.fixture
def connect(address):
    """``connect(*messages)`` -> a connection on which they were sent."""
    peers = []

    def connect(*messages):
        peers.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        peers[-1].connect("\0" + address)
        for message in messages:
            peers[-1].send(message)
        return peers[-1]

    yield connect
    for peer in peers:
        peer.close()


def heard(reception):
    callers = []
    while select.select([reception], [], [], 0)[0]:
        callers += reception.callers()
    for caller in callers:
        caller.socket.close()
        for fd in caller.fds:
            os.close(fd)
    return callers


def test_those_who_speak_are_heard_with_their_process(reception, connect):
    connect()
    connect(b"hello")
    connect(b"x" * 100)
    assert [(caller.message, caller.pid) for caller in heard(reception)] == [
        (b"hello", os.getpid()), (b"x" * 10, os.getpid()),
    ]  # fmt: skip


def test_an_answer_reaches_the_caller(reception, connect):
    peer = connect(b"hello")
    assert peer_of(peer) == (os.getpid(), os.getuid())
    heard(reception)  # accepts
    connect(b"other")
    callers = []
    while not callers:
        callers += reception.callers()
    answer(callers[0].socket, b"here")
    callers[0].socket.close()
    assert callers[0].message == b"other"


def test_those_who_leave_cost_nothing(reception, connect):
    before = os.listdir("/proc/self/fd")
    for _ in range(50):
        connect().close()
    assert heard(reception) == []
    assert os.listdir("/proc/self/fd") == before


def test_the_first_of_many_silent_ones_has_to_go(reception, connect):
    peers = [connect() for _ in range(300)]
    assert heard(reception) == []
    peers[-1].send(b"hello")
    assert [caller.message for caller in heard(reception)] == [b"hello"]
    assert peers[0].recv(10) == b"bye"
    assert peers[0].recv(10) == b""


def test_one_that_has_spoken_is_heard_though_it_would_have_to_go(reception, connect):
    first = connect()
    reception_turn = list(reception.callers())
    assert reception_turn == []
    first.send(b"hello")
    for _ in range(300):
        connect()
    assert [caller.message for caller in heard(reception)] == [b"hello"]


def test_descriptors_beyond_those_asked_for_are_not_kept(reception, connect):
    null = os.open(os.devnull, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    peer = connect()
    socket.send_fds(peer, [b"hello"], [null] * 3)
    (caller,) = heard(reception)
    assert len(caller.fds) == 1
    assert len(os.listdir("/proc/self/fd")) == before + 1  # the peer's
    os.close(null)


def test_an_address_is_used_once(reception, address):
    with pytest.raises(OSError, match="in use"):
        Reception(address, nbytes=10)
