"""Many meshes on executors that reach further than one machine; each is skipped where its package is not installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skfem

import meshmove
from tests.shapes import front

TRI = skfem.MeshTri().refined(3)
FAST = {"monitor": meshmove.Monitor("gradient", intensity=4)}
FIELDS = [front(TRI.p), front(TRI.p[::-1]), np.full(TRI.p.shape[1], np.nan), front(TRI.p)]


def assert_moved_but_the_third(results):
    for number, (out, field) in enumerate(zip(results, FIELDS, strict=True)):
        if number == 2:
            assert isinstance(out, meshmove.Failure) and isinstance(out.error, meshmove.FieldError)
            assert out.number == 2 and out.trace
        else:
            alone = meshmove.adapt(TRI, field, **FAST)
            np.testing.assert_allclose(out.displacement, alone.displacement, atol=1e-9)
            np.testing.assert_allclose(out.mesh.p, TRI.p + out.displacement.T, atol=1e-12)


@pytest.mark.filterwarnings("default")  # of Dask's own
def test_on_a_cluster_of_dask():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (pip install distributed)")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        with pytest.raises(TypeError, match="client.get_executor"):
            meshmove.adapt_many([TRI], FIELDS, executor=client)
        pool = client.get_executor()
        assert_moved_but_the_third(meshmove.adapt_many(TRI, iter(FIELDS), executor=pool, in_flight=2, **FAST))
        there = client.scatter([TRI] * len(FIELDS))  # meshes that lie on the cluster
        assert_moved_but_the_third(meshmove.adapt_many(there, FIELDS, executor=pool, **FAST))


SCRIPT = """
from mpi4py.futures import MPIPoolExecutor
import meshmove
from tests.meshmove.adaptation.test_many_elsewhere import FAST, FIELDS, TRI, assert_moved_but_the_third

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        assert_moved_but_the_third(meshmove.adapt_many(TRI, iter(FIELDS), executor=pool, in_flight=2, **FAST))
        print("all moved by", pool.num_workers if hasattr(pool, "num_workers") else "some")
"""


@pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or shutil.which("mpiexec") is None,
    reason="mpi4py or mpiexec is not installed (apt-get install python3-mpi4py)",
)
def test_on_processes_of_mpi(tmp_path):
    script, here = tmp_path / "many.py", Path(__file__).parents[3]
    script.write_text(SCRIPT)
    allowed = {f"OMPI_{name}": "1" for name in ("ALLOW_RUN_AS_ROOT", "ALLOW_RUN_AS_ROOT_CONFIRM")}
    path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | allowed | {"PYTHONPATH": path, "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    command = ["mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "all moved" in done.stdout, done.stderr[-3000:]
