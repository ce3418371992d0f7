"""Each wrong command line gets one message that names the flag or file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtorch.launch.arguments import parse
from dtorch.launch.job import usable_cores


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "train.py"
    path.write_text("")
    return str(path)


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    message, hint = captured.err.splitlines()
    assert hint == "Try 'dtorch-launch --help'."
    return message


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.5", ""])
def test_number_of_workers_must_be_positive(capsys, script, value):
    message = error_of(capsys, "--nproc-per-node", value, script)
    assert message == (
        f"dtorch-launch: error: argument --nproc-per-node: {value!r}: "
        "expected a number from 1 on, auto or cpu"
    )


def test_unknown_flag_is_named_with_the_nearest_known_one(capsys, script):
    message = error_of(capsys, "--nproc", "2", script)
    assert "unknown flag --nproc;" in message
    assert "did you mean --nproc-per-node?" in message


def test_unknown_flag_without_a_neighbour_is_named(capsys, script):
    assert "unknown flag --xyzzy (" in error_of(capsys, "--xyzzy=3", script)


def test_missing_script_is_named_with_the_directory(capsys):
    message = error_of(capsys, "no/such.py")
    assert f"script not found: no/such.py (looked in {Path.cwd()})" in message


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "no program given"),
        (["--no-python", "no-such-program"], "program not found: no-such-program"),
        (["--mode", "mpi", "x.py"], "mode 'mpi' is not supported; supported: ddp, hogwild"),
        (["--engine", "ssh", "x.py"], "engine 'ssh' is not supported; supported: local"),
        (["--nnodes", "2", "x.py"], "--nnodes: number of machines '2' is not supported"),
        (["--nproc-per-node", "gpu", "x.py"], "GPUs are not counted yet"),
        (["--env", "NAME", "x.py"], "'NAME': expected NAME=VALUE"),
        (["--env", "RANK=3", "x.py"], "RANK is set by the launcher"),
        (["--master-port", "70000", "x.py"], "'70000': expected a port"),
        (["--max-restarts", "-1", "x.py"], "'-1': expected a number from 0 on"),
        (["--nproc-per-node", "5000", "x.py"], "'5000': expected at most 4096"),
        (["--nproc-per-node", "9" * 30, "x.py"], "expected at most 4096"),
        (["--grace", "soon", "x.py"], "'soon': expected a number of seconds"),
        (["--exit-timeout", "inf", "x.py"], "'inf': expected a number of seconds"),
        (["-m", "--no-python", "x"], "--module and --no-python exclude each other"),
    ],
)
def test_wrong_value_is_named_with_what_was_expected(capsys, argv, expected):
    assert expected in error_of(capsys, *argv)


def test_rank_filter_must_name_existing_ranks(capsys, script):
    message = error_of(capsys, "--nproc-per-node=2", "--local-ranks-filter=0,2", script)
    assert "there is no rank 2; with 2 workers ranks go from 0 to 1" in message


def test_address_of_another_machine_is_refused(capsys, script):
    message = error_of(capsys, "--master-addr", "192.0.2.1", script)
    assert "--master-addr 192.0.2.1: not an address of this machine" in message


def test_flags_may_be_typed_with_underscores(script):
    options = parse(["--nproc_per_node=3", "--max_restarts", "2", "--no_prefix", script])
    assert (options.nproc_per_node, options.max_restarts, options.no_prefix) == (3, 2, True)


def test_flags_after_the_program_belong_to_the_program(script):
    program = parse([script, "--nproc-per-node", "9", "--help", "--"]).program
    assert program.args == ("--nproc-per-node", "9", "--help", "--")


@pytest.mark.parametrize("word", ["auto", "cpu"])
def test_auto_means_one_worker_for_each_usable_core(script, word):
    assert parse(["--nproc-per-node", word, script]).nproc_per_node == usable_cores()


def test_torchrun_command_line_is_understood(script):
    options = parse(["--standalone", "--nnodes=1", "--node_rank=0", "--nproc_per_node=2", script])
    assert options.nproc_per_node == 2


def test_help_shows_each_flag_once_with_dashes(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert "--nproc-per-node" in text
    assert "--nproc_per_node" not in text


def test_flags_of_torchrun_that_choose_nothing_here_are_accepted_and_noted(script):
    options = parse(
        ["--rdzv-backend=c10d", "--rdzv_endpoint", "localhost:0", "--rdzv-id=1", "--role=x",
         "--start-method=spawn", "--redirects=3", "-t", "3", "--local-addr=127.0.0.1",
         "--shutdown-timeout=5", script, "--tee", "2"]
    )  # fmt: skip
    assert options.program.args == ("--tee", "2")
    assert options.grace == 5
    assert options.without_effect == [
        "--rdzv-backend", "--rdzv_endpoint", "--rdzv-id", "--role", "--start-method",
        "--redirects", "-t", "--local-addr",
    ]  # fmt: skip
    assert parse([script]).without_effect is None
