"""A run on two nodes, as torchrun and Slurm start it: two processes on this machine, which talk by gloo."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile

import pytest
import torch

from meshmove.learning.alone import Alone
from meshmove.learning.processes import check_launched, spread
from meshmove.learning.weights import read_weights
from meshmove.neural import Settings
from meshmove.neural.training import fit as fitting

HERE = Path(__file__).parents[3]
#: with two bundles of held-out samples, for two processes
CONFIG = fitting.Config(
    Settings(width=8, layers=1), steps=4, batch=2, nodes=(20, 40), pool=6, validate_every=2, validation=10, patience=5
)

SCRIPT = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from meshmove.cli import main
from meshmove.neural.training import fit
from tests.meshmove.learning.test_nodes import CONFIG

fit.CONFIGS[2, "small"], spread, measured = CONFIG, fit.spread, []

def counted(fabric, parts, measure):
    def one(part):
        measured.append(part[0])
        return measure(part)
    return spread(fabric, parts, one)

fit.spread = counted
if __name__ == "__main__":
    try:
        main()
    finally:
        print("measured", json.dumps(sorted(set(measured))), file=sys.stderr, flush=True)
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No word of Fabric's about how many cores there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run_both(commands, environments):
    """(standard output, samples that were measured) of two processes that run at the same time."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    keep |= {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with ExitStack() as stack:
        files = [[stack.enter_context(TemporaryFile("w+")) for _ in range(2)] for _ in commands]
        started = [
            stack.enter_context(
                subprocess.Popen(c, env=keep | e, stdout=out, stderr=err, cwd=HERE, start_new_session=True)
            )
            for c, e, (out, err) in zip(commands, environments, files, strict=True)
        ]
        try:
            ended = until_one_fails(started, seconds=300)
        finally:
            for process in started:  # and what a launcher started
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        said = [[read(file) for file in pair] for pair in files]
    assert ended == [0, 0], "\n".join(
        f"{code}: {out[-1500:]}{err[-3000:]}" for code, (out, err) in zip(ended, said, strict=True)
    )
    return [(out, json.loads(re.search(r"^measured (.*)$", err, re.M)[1])) for out, err in said]


def until_one_fails(started, seconds):
    """The exit statuses of processes, None of those that still run when one has failed or the time is over."""
    end = time.monotonic() + seconds
    while True:
        ended = [process.poll() for process in started]
        if None not in ended or any(ended) or time.monotonic() > end:
            return ended
        time.sleep(0.1)


def read(file):
    file.seek(0)
    return file.read()


def run_alone(folder, upto=None):
    with closing(fitting.fit(CONFIG, folder, accelerator="cpu")) as rows:
        assert list(islice(rows, upto))


def weights(folder):
    """Of the checkpoint: the model's, and their average."""
    tensors = read_weights(folder / "checkpoint.safetensors", "dmm-checkpoint")[1]
    return {name: value for name, value in tensors.items() if not name.startswith("optimizer")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Folders of a run of one process, at its end and half-way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        done, half = (tmp_path_factory.mktemp("alone") / name for name in ("done", "half"))
        run_alone(done, upto=2)
        shutil.copytree(done, half)
        run_alone(done)
    return done, half


def words(folder):
    """Of the command that trains, on two nodes."""
    return ["train", "mover", "--nodes", "2", "--accelerator", "cpu", "--out", str(folder)]


def assert_as_alone(found, first, second, alone):
    """The first process wrote what one process alone writes, the second nothing; each measured its share."""
    (said, mine), (silent, theirs) = found
    assert "step      4" in said and "best.safetensors" in said and "step" not in silent
    assert mine == [0] and theirs == [8]
    assert not second.exists() or not list(second.iterdir())
    tables = [list(csv.DictReader((f / "log.csv").read_text().splitlines())) for f in (first, alone)]
    for a, b in zip(*tables, strict=True):
        assert a["step"] == b["step"] and a["best"] == b["best"]
        for name in ("train_loss", "loss", "imbalance"):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=1e-4, nan_ok=True)
    ours = weights(alone)
    assert all(float((value - ours[name]).abs().max()) < 1e-5 for name, value in weights(first).items())


def test_torchrun_on_two_nodes_trains_as_one_process(script, alone, tmp_path):
    port, folders = free_port(), [tmp_path / "0", tmp_path / "1"]  # the second need not see the first's
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    launcher += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    commands = [[*launcher, f"--node-rank={i}", str(script), *words(folder)] for i, folder in enumerate(folders)]
    found = run_both(commands, [{}, {}])
    assert_as_alone(found, *folders, alone[0])


def test_slurm_goes_on_from_the_checkpoint_of_one_process(script, alone, tmp_path):
    folders = [tmp_path / "0", tmp_path / "1"]
    shutil.copytree(alone[1], folders[0])
    job = {"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NNODES": "2", "SLURM_NODELIST": "127.0.0.1"}
    job |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_STEP_NUM_TASKS": "2", "MASTER_PORT": free_port()}
    tasks = [job | {"SLURM_PROCID": str(i), "SLURM_NODEID": str(i), "SLURM_LOCALID": "0"} for i in range(2)]
    found = run_both([[sys.executable, str(script), *words(folder)] for folder in folders], tasks)
    assert "step      2" not in found[0][0]
    assert_as_alone(found, *folders, alone[0])


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "message"),
    [
        ({}, 2, 2, "2 nodes, started by torchrun or srun .got one that was started by itself"),
        ({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4"}, 2, 1, r"1 x 2 \(got 4, started by torchrun"),
        ({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4"}, 1, 1, r"1 x 1 \(got 4, started by torchrun"),
        ({"SLURM_STEP_NUM_TASKS": "8"}, 2, 2, r"2 x 2 \(got 8, started by srun"),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, 1, 2, r"2 x 1 \(got 3, started by mpiexec"),
        ({}, 0, 1, "one device and one node at least .got 0 devices"),
    ],
)
def test_processes_that_were_not_started_as_asked_for_are_refused(environment, devices, nodes, message, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        check_launched(devices, nodes)


def test_what_trains_alone_is_not_trained_by_several(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(ValueError, match="got 2, started by srun"):
        Alone.on("cpu")


def test_one_process_measures_all_parts_in_order():
    measured = spread(Alone.on("cpu"), [range(2), range(2, 5)], lambda part: torch.tensor([list(part)] * 2))
    assert measured.tolist() == [[0, 1, 2, 3, 4]] * 2
