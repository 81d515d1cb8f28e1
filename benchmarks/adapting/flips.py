"""What swapping diagonals of triangles adds to alignment: errors after `adapt_loop`, after flips, and aligned anew.

Two triangles that share an edge and make a convex quadrilateral can be cut along its other diagonal. It is swapped
where that lowers the predicted H1 error of the two, with Hessians recovered of the solution, a set of edges at a time
of which no two are of one triangle, until nothing is left to gain. Nodes and cells stay as many.
"""

from __future__ import annotations

from benchmarks.adapting.aligned import h1_error
from benchmarks.harness import Rows, main, row, timed

import numpy as np  # isort: skip
import skfem
from numpy.typing import NDArray

import meshmove
from meshmove.geometry import CellMesh
from meshmove.geometry.cells import kind_of
from meshmove.monitors import Recovery
from meshmove.monitors.isoparametric import Isoparametric, second_moments
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import l2_error, solve_poisson

CHOSEN = ("ring", "peak", "boundary_layer", "oblique_layer", "crossed_layers", "shock")
#: a flip must lower the error of its two triangles by so much
WORTH = 1e-3
SWEEPS = 30


def squares(x: NDArray, nodes: NDArray, hessian: NDArray) -> NDArray:
    """Predicted squared H1 errors (k,) of triangles (k, 3); infinite where one is turned over."""
    p = x[:, nodes.T]
    a, b = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    out = Isoparametric(kind_of("triangle")).squares(p, second_moments(hessian[None][:, :, nodes.T]))
    return np.where(a[0] * b[1] - a[1] * b[0] > 1e-14, out, np.inf)


def flipped(x: NDArray, nodes: NDArray, hessian: NDArray) -> tuple[NDArray, int]:
    """Triangles (k, 3), counter-clockwise, with diagonals swapped while that pays, and how many were."""
    nodes, count = nodes.copy(), 0
    for _ in range(SWEEPS):
        edges = np.concatenate([nodes[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))])
        cell, far = np.tile(np.arange(len(nodes)), 3), np.concatenate([nodes[:, k] for k in (2, 0, 1)])
        order = np.lexsort(np.sort(edges, axis=1).T)
        same = np.flatnonzero((np.sort(edges[order[1:]], 1) == np.sort(edges[order[:-1]], 1)).all(axis=1))
        one, other = order[same], order[same + 1]
        a, b, c, d = *edges[one].T, far[one], far[other]  # a -> b with c on its left and d on its right
        new = np.stack([np.stack([a, d, c], axis=1), np.stack([d, b, c], axis=1)])
        old = squares(x, nodes[cell[one]], hessian) + squares(x, nodes[cell[other]], hessian)
        gain = old - squares(x, new[0], hessian) - squares(x, new[1], hessian)
        gain[gain <= WORTH * old] = 0
        best = np.zeros(len(nodes))
        for cells in (cell[one], cell[other]):
            np.maximum.at(best, cells, gain)
        swap = np.flatnonzero((gain > 0) & (gain >= best[cell[one]]) & (gain >= best[cell[other]]))
        if not len(swap):
            break
        nodes[cell[one][swap]], nodes[cell[other][swap]] = new[0][swap], new[1][swap]
        count += len(swap)
    return nodes, count


def flips_of(mesh: skfem.MeshTri, u: NDArray) -> tuple[skfem.MeshTri, int]:
    """A mesh with diagonals swapped for a field (n,)."""
    x, t = mesh.p, mesh.t.T.copy()
    a, b = x[:, t[:, 1]] - x[:, t[:, 0]], x[:, t[:, 2]] - x[:, t[:, 0]]
    turned = a[0] * b[1] - a[1] * b[0] < 0
    t[turned] = t[turned][:, [0, 2, 1]]
    h = Recovery(CellMesh.single(x.T, t, "triangle")).hessian(u)
    t, count = flipped(x, t, np.stack([h[0, 0], h[0, 1], h[1, 1]]))
    return skfem.MeshTri(x.copy(), np.ascontiguousarray(t.T)), count


def flip_rows(name: str, n: int) -> Rows:
    problem = PROBLEMS[name]

    def solve(m):
        return solve_poisson(m, problem.source, problem.exact)

    def errors(m):
        u = solve(m)
        return np.array([l2_error(m, u, problem.exact), h1_error(m, u, problem.exact, 8)])

    mesh = problem.mesh(n)
    aligned = meshmove.adapt_loop(mesh, solve).mesh
    seconds, (swapped, count) = timed(lambda: flips_of(aligned, solve(aligned)))
    again = meshmove.adapt_loop(swapped, solve, steps=1).mesh
    found = [errors(m) for m in (mesh, aligned, swapped, again)]
    rows: Rows = []
    for k, norm in enumerate(("L2", "H1")):
        of = [e[k] for e in found]
        label, measured = f"{name} {n}x{n}, {norm}: over flips", of[1] / of[2]
        more = {"gain": of[0] / of[1], "again": of[1] / of[3], "flips": count, "seconds": seconds}
        rows.append(row(label, measured, "> 1", measured > 1, **more))
    return rows


def run(quick: bool = False) -> Rows:
    return [r for name in CHOSEN if name in PROBLEMS for r in flip_rows(name, 20 if quick else 40)]


if __name__ == "__main__":
    main(run)
