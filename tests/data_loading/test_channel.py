"""Messages between a loader and its worker arrive whole and in order, whatever room there is."""

from __future__ import annotations

import os
import socket

import pytest

from dtorch.data.channel import Channel


@pytest.fixture
def ends():
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_short_messages_are_read_at_once_and_given_one_by_one(ends):
    ours, theirs = ends
    for word in (b"a", b"", b"long" * 100):
        ours.post(word)
    assert [bytes(theirs.receive()[0]) for _ in range(3)] == [b"a", b"", b"long" * 100]
    assert not theirs.has_arrived


def test_what_finds_no_room_waits_for_a_flush(ends):
    ours, theirs = ends
    messages = [bytes([number]) * 300_000 for number in range(3)]
    for message in messages:
        ours.post(message)
    assert not ours.flush()
    ours.post_end()
    theirs.socket.setblocking(False)
    arrived = bytearray()
    while True:
        try:
            data = theirs.socket.recv(1 << 16)
        except BlockingIOError:
            ours.flush()
            continue
        if not data:
            break
        arrived += data
    assert ours.flush()
    assert len(arrived) == 3 * (16 + 300_000)
    assert all(message in arrived for message in messages)


def test_descriptors_come_with_their_message(ends):
    ours, theirs = ends
    reader, writer = os.pipe()
    ours.post(b"none")
    ours.post(b"one" * 1000, [reader])
    ours.post(b"none")
    ours.post(b"two" * 30_000, [reader, writer])
    counts = []
    for _ in range(4):
        message, _, fds = theirs.receive()
        counts.append((bytes(message[:3]), len(fds)))
        for fd in fds:
            os.close(fd)
    os.close(reader)
    os.close(writer)
    assert counts == [(b"non", 0), (b"one", 1), (b"non", 0), (b"two", 2)]


def test_buffers_are_read_into_the_memory_given_for_them(ends):
    ours, theirs = ends
    memories = []

    def memory(nbytes):
        memories.append(bytearray(nbytes))
        return memories[-1]

    ours.send(b"m", [b"x" * 10, b"y" * 70_000])
    ours.post(b"next")
    message, buffers, _ = theirs.receive(memory)
    assert bytes(message) == b"m"
    assert buffers == memories == [b"x" * 10, b"y" * 70_000]
    assert theirs.receive()[0] == b"next"


def test_the_end_is_seen_after_what_was_posted_and_answers_still_come(ends):
    ours, theirs = ends
    ours.post(b"last")
    ours.post_end()
    assert theirs.receive()[0] == b"last"
    with pytest.raises(EOFError):
        theirs.receive()
    theirs.send(b"answer")
    assert ours.receive()[0] == b"answer"
