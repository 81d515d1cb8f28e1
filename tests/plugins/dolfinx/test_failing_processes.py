"""What several processes, or PETSc, cannot do ends with an error, and nobody waits for ever."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("petsc4py", reason="PETSc is not installed here: make test-mpi runs these")

from meshmove.distributed import Alone, Condensed  # noqa: E402
from meshmove.distributed.layout import Layout  # noqa: E402
from meshmove.plugins.dolfinx.parallel import default_inverses  # noqa: E402
from meshmove.plugins.mpi import MPIRanks, PetscInverses  # noqa: E402

KILLED = """
import os, signal
import numpy as np
from dolfinx import mesh
from mpi4py import MPI
from meshmove.plugins.dolfinx import adapt

def field(x):
    if MPI.COMM_WORLD.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.tanh(9 * (x[0] - 0.4))

adapt(mesh.create_unit_square(MPI.COMM_WORLD, 6, 6), field)
print("done", flush=True)
"""


def layout(ranks):
    return Layout(ranks, np.arange(3), np.zeros(3, int), 3)


def test_petsc_of_complex_numbers_is_refused(monkeypatch):
    double = SimpleNamespace(PETSc=SimpleNamespace(ScalarType=np.complex128))
    monkeypatch.setitem(sys.modules, "petsc4py", double)
    with pytest.raises(RuntimeError, match="complex numbers.*real build"):
        PetscInverses(Alone(), layout(Alone()))


def test_without_petsc_of_real_numbers_pieces_are_condensed(monkeypatch):
    assert default_inverses() is PetscInverses
    double = SimpleNamespace(PETSc=SimpleNamespace(ScalarType=np.complex128))
    for found in (double, None):
        monkeypatch.setitem(sys.modules, "petsc4py", found)
        assert default_inverses() is Condensed


def test_petsc_without_mpi_is_refused():
    with pytest.raises(RuntimeError, match="Expected processes of MPI for PETSc .got Alone."):
        PetscInverses(Alone(), layout(Alone()))
    with pytest.raises(TypeError, match="communicator of mpi4py"):
        MPIRanks(None)


@pytest.mark.skipif(shutil.which("mpiexec") is None, reason="there is no mpiexec")
def test_where_a_process_is_killed_the_others_end_with_an_error():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_COMM", "PMIX", "PMI_"))}
    command = ["mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", "2", sys.executable, "-c", KILLED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode != 0
    assert "done" not in done.stdout
    assert "signal 9" in done.stderr + done.stdout
