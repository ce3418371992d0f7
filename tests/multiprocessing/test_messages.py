"""The compiled way of counting messages is the one that `messages` spells out."""

import contextlib
import importlib.util

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dtorch.core import backend
from dtorch.multiprocessing import layout, messages
from dtorch.multiprocessing.messages import Messages

if backend.native is None:
    pytest.skip("there is one way without the native module", allow_module_level=True)

RECORDS = 8


def without_native(module):
    """A second copy of a module, as it is where there is no native module."""
    spec = importlib.util.find_spec(module.__name__)
    copy = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "native", None)
        spec.loader.exec_module(copy)
    return copy


SPELLED_OUT = without_native(messages)


class Table:
    """Messages over memory of this process alone, with its cells after the records."""

    def __init__(self, words):
        self.array = words.view(np.uint8)
        self.address = backend.address_of(words)

    def cell(self, index):
        return self.address + 4096 + layout.RECORD.size * layout.MAX_MESSAGES + 8 * index


def table(words):
    plan = layout.layout_of(0)._replace(messages_at=4096)
    return Messages(Table(words), plan, contextlib.nullcontext)


def run(steps, words):
    """Sends and takes; returns every answer."""
    memory, records, answers = Table(words), table(words), []
    for sends, index, slot, which, holds in steps:
        if sends:
            answers.append(records.send(memory.cell(index), index, slot))
        else:
            tickets = [None, *(a for a in answers if isinstance(a, tuple))]
            answers.append(
                records.take(memory.cell(index), tickets[which % len(tickets)], slot, holds)
            )
    return answers


steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 255), st.integers(0, 99),
              st.integers(0, 1)), max_size=40)  # fmt: skip


@given(steps=steps, seed=st.integers(0, 99))
def test_any_sends_and_takes_leave_the_same_memory_and_answers(steps, seed):
    rng = np.random.default_rng(seed)
    words = np.zeros(512 + 3 * layout.MAX_MESSAGES + 4, np.uint64)
    records = words[512:-4].reshape(-1, 3)
    records[:, 0] = layout.state(layout.TAKING, 3, 7, 9)  # somebody is at all but a few
    free = rng.permutation(layout.MAX_MESSAGES)[:RECORDS]
    records[free, 0] = [
        layout.state(layout.FREE, 0, 0, token) for token in (0, layout.TOKEN_MASK) * 4
    ]
    words[-4:] = rng.integers(0, 1 << 63, 4, np.uint64)
    words[-1] = layout.TAKEN_MASK | layout.SENT_MASK
    other = words.copy()
    compiled = run(steps, words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "send_message", SPELLED_OUT.send_message)
        patch.setattr(messages, "take_message", SPELLED_OUT.take_message)
        spelled_out = run(steps, other)
    assert compiled == spelled_out
    assert (words == other).all()
