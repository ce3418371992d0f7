"""What is made of the variables of launchers."""

import os
import subprocess
import sys

import pytest

import dtorch
from dtorch import distributed as dist
from dtorch.core.errors import ArgumentError
from dtorch.data.distributed import DistributedSampler
from dtorch.distributed.__main__ import main
from dtorch.distributed.environment import LAUNCHERS, Told, detect

TORCH = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "1",
    "MASTER_ADDR": "h1", "MASTER_PORT": "29500",
}  # fmt: skip
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_NODE_RANK": "1", "PMIX_NAMESPACE": "h@1",
}  # fmt: skip
HYDRA = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
SLURM = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "4", "SLURM_NTASKS": "5",
    "SLURM_LOCALID": "0", "SLURM_NODEID": "2", "SLURM_STEP_NUM_NODES": "3",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_STEP_NODELIST": "gpu[07-09]",
}  # fmt: skip
BATCH = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    known = {name for row in LAUNCHERS for names in row.variables.values() for name in names}
    marks = {name for row in LAUNCHERS for name in (*row.marks, *row.job)}
    for name in (*known, *marks, "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "launcher", "ranks", "local", "node", "master"),
    [
        ({}, "none", (0, 1), (0, 1), (0, 1), (None, None)),
        ({**TORCH, "DTORCH_JOB_ID": "j"}, "dtorch-launch", (3, 4), (1, 2), (1, None), ("h1", 29500)),
        ({**TORCH, "TORCHELASTIC_RUN_ID": "r"}, "torchrun", (3, 4), (1, 2), (1, None), ("h1", 29500)),
        (TORCH, "variables set by hand", (3, 4), (1, 2), (1, None), ("h1", 29500)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, "variables set by hand", (0, 1), (0, 1), (0, 1), (None, None)),
        (OPEN_MPI, "Open MPI", (1, 2), (1, 2), (0, 1), (None, None)),
        ({**OPEN_MPI, "MASTER_ADDR": "h:5"}, "Open MPI", (1, 2), (1, 2), (0, 1), ("h", 5)),
        (HYDRA, "MPICH", (1, 2), (1, 2), (0, 1), (None, None)),
        ({**HYDRA, "I_MPI_MPIRUN": "mpirun"}, "Intel MPI", (1, 2), (1, 2), (0, 1), (None, None)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, "MPICH", (1, 2), (None, None), (None, None), (None, None)),
        (SLURM, "Slurm", (4, 5), (0, 1), (2, 3), ("gpu07", None)),
        ({**SLURM, "SLURM_STEP_NODELIST": "a,b[1-2]"}, "Slurm", (4, 5), (0, 1), (2, 3), ("a", None)),
        # Shells of sbatch and of salloc, whose steps have numbers of their own.
        (BATCH, "none", (0, 1), (0, 1), (0, 1), (None, None)),
        ({**BATCH, "SLURM_STEP_ID": "4294967290"}, "none", (0, 1), (0, 1), (0, 1), (None, None)),
        # The inner launcher counts: dtorch-launch under srun, mpirun whose daemons srun started.
        ({**SLURM, **TORCH, "DTORCH_JOB_ID": "j"}, "dtorch-launch", (3, 4), (1, 2), (1, None), ("h1", 29500)),
        ({**SLURM, **OPEN_MPI}, "Open MPI", (1, 2), (1, 2), (0, 1), (None, None)),
        # A program may copy what its launcher told, or start more processes for each.
        ({**OPEN_MPI, "RANK": "1", "WORLD_SIZE": "2"}, "variables set by hand", (1, 2), (1, 2), (0, 1), (None, None)),
        ({**OPEN_MPI, "RANK": "5", "WORLD_SIZE": "8"}, "variables set by hand", (5, 8), (None, None), (None, None), (None, None)),
    ],
)  # fmt: skip
def test_a_launcher_is_known_by_its_variables(variables, launcher, ranks, local, node, master):
    found = detect(variables)
    assert found.launcher == launcher
    assert (found.rank, found.world_size) == ranks
    assert (found.local_rank, found.local_size) == local
    assert (found.node_rank, found.nodes) == node
    assert (found.master_addr, found.master_port) == master


def test_each_value_says_which_variable_told_it():
    sources = detect({**OPEN_MPI, "RANK": "1", "WORLD_SIZE": "2"}).sources
    assert sources["rank"] == Told("RANK", "1")
    assert sources["local_rank"] == Told("OMPI_COMM_WORLD_LOCAL_RANK", "1")
    assert detect({}).sources == {}


def test_a_program_that_copies_what_its_launcher_told_is_still_of_its_job():
    assert detect({**OPEN_MPI, "RANK": "1", "WORLD_SIZE": "2"}).job == detect(OPEN_MPI).job == "h@1"
    assert detect(SLURM).job == "7 0"
    assert detect({**TORCH, "TORCHELASTIC_RUN_ID": "r"}).job == ""


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "1"}, "RANK is '1', but WORLD_SIZE is not set; expected both or neither"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is '2', but RANK is not set"),
        ({"MASTER_PORT": "5"}, "MASTER_PORT is '5', but RANK and WORLD_SIZE are not set"),
        ({"PMI_SIZE": "2"}, "PMI_SIZE is '2', but PMI_RANK is not set"),
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "1"}, "SLURM_PROCID is '1', but SLURM_STEP_NUM_TASKS"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x', expected a whole number"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK is '-1', expected a whole number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, r"rank 2 of world_size 2 \(RANK is '2' and WORLD_SIZE is '2'\)"),
        ({"LOCAL_RANK": "1"}, "LOCAL_RANK is '1'; RANK and WORLD_SIZE are not set"),
        ({**TORCH, "LOCAL_RANK": "2"}, "local_rank 2 of local_size 2"),
        ({**TORCH, "LOCAL_WORLD_SIZE": "5"}, "local_size 5 of world_size 4"),
        ({**TORCH, "GROUP_WORLD_SIZE": "1"}, "node_rank 1 of nodes 1"),
        ({**TORCH, "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "1"}, "local_size 2 of nodes 1"),
        ({**TORCH, "MASTER_PORT": "http"}, "MASTER_PORT is 'http'"),
        ({**OPEN_MPI, "RANK": "0", "WORLD_SIZE": "1"}, "WORLD_SIZE is '1', but Open MPI says OMPI_COMM"),
        ({**SLURM, "RANK": "1", "WORLD_SIZE": "5"}, "RANK is '1' .* Slurm says SLURM_PROCID is '4'"),
    ],
)  # fmt: skip
def test_variables_that_are_missing_or_contradict_are_named(variables, message):
    with pytest.raises(ArgumentError, match=message):
        detect(variables)


def test_arguments_go_before_variables():
    told = detect({"RANK": "0", "WORLD_SIZE": "1"}, rank=3, world_size=8)
    assert (told.launcher, told.rank, told.world_size, told.local_rank) == ("arguments", 3, 8, None)
    assert detect({"WORLD_SIZE": "4"}, rank=2).world_size == 4
    assert detect(OPEN_MPI, rank=1, world_size=2).launcher == "Open MPI"
    assert detect({"RANK": "0"}, rank=1, world_size=2).rank == 1
    with pytest.raises(ArgumentError, match="rank is '0', but WORLD_SIZE is not set"):
        detect({}, rank=0)


def test_a_process_that_no_launcher_started_is_a_world_of_one():
    dist.init_process_group(init_method="env://")
    try:
        assert (dist.get_rank(), dist.get_world_size(), dist.get_node_local_rank()) == (0, 1, 0)
        tensor = dtorch.ones(2)
        dist.all_reduce(tensor)
        dist.broadcast(tensor, 0)
        dist.barrier()
        parts = [dtorch.zeros(2)]
        dist.all_gather(parts, tensor)
        dist.all_to_all(parts, [tensor])
        dist.reduce_scatter(tensor, [tensor])
        assert parts[0].tolist() == tensor.tolist() == [1, 1]
        group = dist.new_group([0])
        assert dist.get_process_group_ranks(group) == dist.get_process_group_ranks(None) == [0]
        assert (dist.get_global_rank(group, 0), dist.get_group_rank(group, 0)) == (0, 0)
        with pytest.raises(ArgumentError, match="group_rank is 1, expected 0 to 0"):
            dist.get_global_rank(group, 1)
    finally:
        dist.destroy_process_group()


def test_alone_is_only_who_asks_for_no_other_meeting():
    for options in ({"init_method": "tcp://localhost:5"}, {"store": dist.HashStore()}):
        with pytest.raises(ArgumentError, match="rank and world_size are not given"):
            dist.init_process_group(**options)


def test_ranks_of_several_machines_are_refused(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ArgumentError, match=r"only 1 of 5 are here .* between machines are not there"
    ):
        dist.init_process_group()


def test_the_local_rank_is_what_a_launcher_told(monkeypatch):
    with pytest.raises(RuntimeError, match="LOCAL_RANK is not set"):
        dist.get_node_local_rank()
    assert dist.get_node_local_rank(3) == 3
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert dist.get_node_local_rank(3) == 2
    assert not dist.is_torchelastic_launched()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert dist.is_torchelastic_launched()


def test_a_sampler_has_the_share_of_its_rank_before_there_is_a_group(monkeypatch):
    for name, value in OPEN_MPI.items():
        monkeypatch.setenv(name, value)
    assert list(DistributedSampler(range(4), shuffle=False)) == [1, 3]


def test_processes_of_open_mpi_meet_by_who_started_them_also_through_a_shell():
    program = """if True:
        import dtorch, dtorch.distributed as dist
        dist.init_process_group(timeout=60)
        tensor = dtorch.tensor([1.0 + dist.get_rank()])
        dist.all_reduce(tensor)
        print(dist.get_rank(), tensor.item(), dist.get_node_local_rank())
        dist.destroy_process_group()
    """
    command = [sys.executable, "-c", program]
    told = {name: value for name, value in OPEN_MPI.items() if name != "PMIX_NAMESPACE"}
    started = []
    try:
        for rank, line in enumerate((command, ["sh", "-c", '"$@"; exit $?', "sh", *command])):
            mine = {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_LOCAL_RANK": str(rank)}
            environ = {**os.environ, **told, **mine}
            started.append(subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, text=True))
        said = [process.communicate(timeout=60)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert said == ["0 3.0 0\n", "1 3.0 1\n"]


def test_info_shows_what_was_found_and_fails_where_it_contradicts(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dtorch.distributed", "info"])
    for name, value in OPEN_MPI.items():
        monkeypatch.setenv(name, value)
    main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["launcher", "Open", "MPI"] in lines
    assert ["rank", "1", "OMPI_COMM_WORLD_RANK=1"] in lines
    assert ["transport", "shm"] in lines
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", "0")
    main()
    assert "none: only 1 of 2 are here" in capsys.readouterr().out
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit, match="RANK is '0', but WORLD_SIZE is not set"):
        main()
