"""The view of live arenas from outside."""

import json
import multiprocessing
import os
import signal

import pytest

from dtorch.multiprocessing import arena, status
from dtorch.multiprocessing.__main__ import main

fork = multiprocessing.get_context("fork")


def mine():
    return [found for found in status.arenas() if found.owner == os.getpid()]


def test_an_arena_is_shown_with_its_owner_blocks_and_holders():
    block = arena.allocate(3 << 20)
    here, there = fork.Pipe()
    process = fork.Process(target=hold, args=(there,), daemon=True)
    process.start()
    here.send(arena.send(block))
    here.recv()
    (shown,) = [found for found in mine() if found.id == f"{block.arena.id:016x}"]
    assert shown.owner_is_alive
    assert shown.blocks >= 1
    assert shown.holders[os.getpid()] >= 1
    assert shown.holders[process.pid] >= 1
    assert shown.resident_nbytes >= 3 << 20
    assert {os.getpid(), process.pid} <= set(shown.open_in)
    process.kill()
    process.join()
    (shown,) = [found for found in mine() if found.id == f"{block.arena.id:016x}"]
    assert process.pid not in shown.holders


def hold(end):
    block = arena.receive(end.recv())
    end.send(None)
    signal.pause()
    del block


def test_messages_under_way_are_counted():
    handle = arena.send(arena.allocate(10))
    assert sum(found.messages for found in mine()) >= 1
    arena.receive(handle)


def test_the_command_line_prints_a_table_or_json(capsys):
    block = arena.allocate(10)
    main(["status"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["ARENA", "OWNER"]
    assert any(f"{block.arena.id:016x}" in line and str(os.getpid()) in line for line in lines)
    main(["status", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert f"{block.arena.id:016x}" in {entry["id"] for entry in found}


def test_nothing_to_show_is_said(monkeypatch):
    monkeypatch.setattr(status, "arenas", list)
    assert "no arenas" in status.table()


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["dance"])
    assert "dance" in capsys.readouterr().err
