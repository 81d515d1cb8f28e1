"""What one process does for `benchmarks.mpi.run`: its piece of a mesh, moved; the first one prints what came of it.

``python -m benchmarks.mpi.piece triangle|tetra N SEED [layer|aside [EFFORT]]``: SEED is a number for a partition by
bisection of a mesh that each process makes whole first, "dolfinx" for one that DOLFINx cuts and no process ever holds,
or "serial".
"""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import permutations

import numpy as np

from meshmove.geometry import CellMesh, Validity


def layer(x):
    """About a corner: nodes on the diagonal of the square stay on edges of the mesh, up to rounding."""
    return np.tanh(20 * (np.sqrt((x**2).sum(axis=0)) - 0.6))


def aside(x):
    """The same about another point, so that the mesh has no line in common with it."""
    return np.tanh(20 * (np.hypot(x[0] - 0.113, x[1] + 0.071) - 0.6))


FIELDS = {"layer": layer, "aside": aside}


def mesh_of(kind: str, n: int) -> CellMesh:
    import skfem

    grid = np.linspace(0, 1, n + 1)
    mesh = skfem.MeshTri.init_tensor(grid, grid) if kind == "triangle" else skfem.MeshTet.init_tensor(grid, grid, grid)
    return CellMesh.single(mesh.p.T.copy(), mesh.t.T.copy(), kind)


def serial(kind: str, n: int, field, effort: float) -> dict:
    """The same by `adapt`."""
    import skfem

    from meshmove import adapt

    mesh = mesh_of(kind, n)
    cls = skfem.MeshTri if kind == "triangle" else skfem.MeshTet
    given, u = cls(mesh.points.T.copy(), mesh.blocks[0].nodes.T.copy()), field(mesh.points.T)
    wall, cpu = time.perf_counter(), time.process_time()
    report = adapt(given, u, effort=effort).report
    return told(report, 1, time.perf_counter() - wall, time.process_time() - cpu)


def told(report, size: int, wall: float, cpu: float, layout=None) -> dict:
    return {
        "size": size,
        "before": report.predicted_error_before,
        "after": report.predicted_error_after,
        "imbalance": report.imbalance_after,
        "iterations": report.iterations,
        "inverted": report.inverted_cells,
        "wall": wall,
        "cpu": cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        **{name: getattr(layout, name, 0) for name in ("exchanges", "reductions", "evaluations")},
    }


def cut(kind: str, n: int, seed: int, comm):
    """The piece of this process, cut from the whole mesh that each of them makes first: for small ones."""
    from meshmove.distributed.cutting import bisected, pieces_of

    mesh = mesh_of(kind, n)
    centre = mesh.points[mesh.blocks[0].nodes].mean(axis=1)
    process = bisected(centre + 0.06 * seed * np.sin(9 * centre[:, ::-1] + seed), comm.size)
    return pieces_of(mesh, process)[comm.rank]


def spread(kind: str, n: int, comm):
    """The piece of this process of a mesh that DOLFINx cuts, of which each makes a layer: for large ones."""
    import ufl
    from dolfinx.mesh import GhostMode, create_mesh

    from meshmove.plugins.dolfinx.pieces import Piece
    from meshmove.plugins.mpi import MPIRanks

    dim = 2 if kind == "triangle" else 3
    low, high = (n * k // comm.size for k in (comm.rank, comm.rank + 1))
    places = np.indices((high - low, *[n] * (dim - 1)), np.int64).reshape(dim, -1).T + [low, *[0] * (dim - 1)]
    orders = np.array(list(permutations(np.eye(dim, dtype=np.int64))))  # from one corner of a box to the other
    paths = np.concatenate([np.zeros((len(orders), 1, dim), np.int64), orders.cumsum(axis=1)], axis=1)
    cells = (places[:, None, None] + paths) @ (n + 1) ** np.arange(dim - 1, -1, -1)
    last = high + (comm.rank == comm.size - 1)
    x = np.indices((last - low, *[n + 1] * (dim - 1))).reshape(dim, -1).T + [low, *[0] * (dim - 1)]
    element = ufl.Mesh(ufl.VectorElement("Lagrange", kind if dim == 2 else "tetrahedron", 1))
    domain = create_mesh(comm, cells.reshape(-1, dim + 1), x / n, element, GhostMode.none)
    return Piece(domain, MPIRanks(comm)).distributed()


def parallel(kind: str, n: int, seed: str, field, effort: float) -> dict | None:
    from mpi4py import MPI

    from meshmove.distributed import adapt_distributed
    from meshmove.plugins.mpi import MPIRanks, PetscInverses

    comm = MPI.COMM_WORLD
    piece = spread(kind, n, comm) if seed == "dolfinx" else cut(kind, n, int(seed), comm)
    comm.barrier()
    wall, cpu = time.perf_counter(), time.process_time()
    out = adapt_distributed(piece, MPIRanks(comm), field(piece.points.T), inverses=PetscInverses, effort=effort)
    cpu, wall = comm.allreduce(time.process_time() - cpu, MPI.MAX), time.perf_counter() - wall
    lost = comm.allreduce(len(Validity(piece.local()).lost(out.points)))
    assert not lost, f"{lost} cells are inverted"
    found = told(out.report, comm.size, wall, cpu, out.layout)
    memory = comm.allgather(found["memory"])
    return {**found, "memory": max(memory), "together": sum(memory)} if not comm.rank else None


if __name__ == "__main__":
    kind, n, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    field = FIELDS[sys.argv[4] if len(sys.argv) > 4 else "layer"]
    effort = float(sys.argv[5]) if len(sys.argv) > 5 else 1.0
    found = serial(kind, n, field, effort) if seed == "serial" else parallel(kind, n, seed, field, effort)
    if found is not None:
        print("RESULT " + json.dumps(found), flush=True)
