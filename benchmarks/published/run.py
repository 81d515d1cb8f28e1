"""Tasks that learned movers were published with: Poisson's problem of G-Adaptivity, Helmholtz's of UM2N, two in time.

G-Adaptivity (arXiv:2407.04516): n x n nodes of the unit square, u the sum of two round Gaussians, -Laplace(u) = f.
UM2N (NeurIPS 2024): -Laplace(u) + u = f on Gmsh's unit squares, u the sum of one to six Gaussians along random axes.
P1 elements, the exact solution on the boundary; the cut of the L2 error, in percent, over all samples: a mesh that came
back tangled would count as one that cut nothing. Of each mover one move from the solution on the mesh at rest.

Burgers' equation of G-Adaptivity and the swirl of UM2N are in `in_time`. Not here: the published data-free mover
(`meshmove bench dmm-published`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.harness import CPU, Rows, main, row, timed

import gmsh  # isort: skip
import numpy as np
import skfem
import torch
from numpy.typing import NDArray
from skfem.helpers import dot, grad

import meshmove
from benchmarks.dmm.aligning import gaussians
from benchmarks.published.in_time import burgers, swirl
from meshmove.geometry import CellMesh, PointLocator, inverted_cells
from meshmove.monitors import Recovery
from meshmove.solvers.fem.manufactured import Problem
from meshmove.solvers.fem.poisson import l2_error, solve_poisson

torch.set_num_threads(1)
Array = NDArray[np.float64]

#: options of `adapt`; "published monitor" is 1 + 5 |H|^2 / max |H|^2, which G-Adaptivity has for its Monge-Ampere mover
MOVERS: dict[str, dict[str, Any]] = {
    "network": {"mover": "dmm", "effort": 0.1},
    "network, 8 steps": {"mover": "dmm", "effort": 0.8},
    "classical": {},
    "equidistribution": {"objective": "equidistribution"},
    "published monitor": {"mover": "monge-ampere"},
}


def anisotropic(rng: np.random.RandomState) -> Problem:
    """One to six Gaussians A exp(-|M y|^2), M^-1 the widths max(N(1/4, 1/6), 1/8) along random axes, y = x - c."""
    parts = []
    for _ in range(rng.randint(1, 7)):
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        widths = np.maximum(rng.normal(1 / 4, 1 / 6, 2), 1 / 8)
        parts.append((rng.uniform(0, 1), rng.uniform(0, 1, 2), turn / widths**2 @ turn.T))

    def terms(x: Array) -> Iterator[tuple[Array, Array, float]]:
        for height, centre, square in parts:
            y = np.stack([x[0] - centre[0], x[1] - centre[1]])
            pulled = np.einsum("ij,j...->i...", square, y)
            yield height * np.exp(-(y * pulled).sum(0)), (pulled**2).sum(0), float(np.trace(square))

    def exact(x: Array) -> Array:
        return np.sum([u for u, *_ in terms(x)], axis=0)

    def source(x: Array) -> Array:
        return np.sum([u * (1 - 4 * pulled + 2 * trace) for u, pulled, trace in terms(x)], axis=0)

    return Problem("Helmholtz", exact, source)


def solve_helmholtz(mesh: skfem.MeshTri, problem: Problem) -> Array:
    """Nodal values of the finite element solution of -Laplace(u) + u = f."""
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=6)
    matrix = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v)) + u * v).assemble(basis)
    load = skfem.LinearForm(lambda v, w: problem.source(w.x) * v).assemble(basis)
    boundary = mesh.boundary_nodes()
    x = np.zeros(mesh.nvertices)
    x[boundary] = problem.exact(mesh.p[:, boundary])
    return skfem.solve(*skfem.condense(matrix, load, x=x, D=boundary))


def gmsh_square(h: float) -> skfem.MeshTri:
    """The unit square with edges of about h."""
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Verbosity", 0)
        gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
        gmsh.model.occ.synchronize()
        gmsh.option.setNumber("Mesh.MeshSizeMin", h)
        gmsh.option.setNumber("Mesh.MeshSizeMax", h)
        gmsh.model.mesh.generate(2)
        tags, points, _ = gmsh.model.mesh.getNodes()
        (nodes,) = gmsh.model.mesh.getElements(2)[2]
    finally:
        gmsh.finalize()
    number = np.zeros(int(tags.max()) + 1, np.int64)
    number[tags.astype(np.int64)] = np.arange(len(tags))
    cells = number[nodes.astype(np.int64)].reshape(-1, 3)
    used, local = np.unique(cells, return_inverse=True)
    return skfem.MeshTri(points.reshape(-1, 3)[used, :2].T.copy(), local.reshape(-1, 3).T.copy())


def published_monitor(mesh: skfem.MeshTri, values: Array) -> Any:
    """1 + 5 |H|^2 / max |H|^2 of the recovered Hessian, as a function of space."""
    cells = CellMesh.single(mesh.p.T, mesh.t.T, "triangle")
    xx, xy, yy = (matrix @ values for matrix in Recovery(cells).hessian_matrices)
    square = xx**2 + 2 * xy**2 + yy**2
    monitor, locator = 1 + 5 * square / square.max(), PointLocator(cells)
    return lambda x: locator.interpolate(monitor, x)


def cuts(samples: list[tuple[skfem.MeshTri, Problem, Any]], mover: str) -> tuple[Array, int, float]:
    """Cuts (k,) of the L2 error in percent, how many meshes came back tangled, and median CPU seconds a mesh."""
    found, tangled, times = [], 0, []
    for mesh, problem, solve in samples:
        u = solve(mesh, problem)
        options = dict(MOVERS[mover])
        if mover == "published monitor":
            options["monitor"] = published_monitor(mesh, u)
        field = None if "monitor" in options else u
        seconds, out = timed(lambda m=mesh, f=field, o=options: meshmove.adapt(m, f, **o), clock=CPU)
        times.append(seconds)
        if len(inverted_cells(CellMesh.single(mesh.p.T, mesh.t.T, "triangle"), out.mesh.p.T)):
            tangled, cut = tangled + 1, 0.0
        else:
            cut = 1 - l2_error(out.mesh, solve(out.mesh, problem), problem.exact) / l2_error(mesh, u, problem.exact)
        found.append(100 * cut)
    return np.array(found), tangled, float(np.median(times))


def table(task: str, samples: list[tuple[skfem.MeshTri, Problem, Any]], goal: float | None) -> Iterator[dict]:
    """A row a mover; `goal`: so many times the cut by equidistribution is asked of the network."""
    means: dict[str, float] = {}
    for mover in MOVERS:
        found, tangled, seconds = cuts(samples, mover)
        means[mover] = float(found.mean())
        shown = f"{found.mean():.1f}, {found.min():.1f} %; {tangled} of {len(found)}; {1e3 * seconds:.0f} ms"
        yield row(f"{task}, {mover}: mean cut, least; tangled; CPU ms", shown, "0 tangled", tangled == 0)
    if goal is not None:
        for rival in ("equidistribution", "published monitor"):
            met = means["network"] >= goal * means[rival]
            ratio = means["network"] / means[rival]
            yield row(f"{task}: mean cut, network / {rival}", ratio, f">= {goal} (or a rival below 0)", met)


def poisson_samples(count: int, nodes: int) -> list[tuple[skfem.MeshTri, Problem, Any]]:
    """G-Adaptivity's, seed 42."""
    rng = np.random.RandomState(42)
    mesh = Problem("", np.sin, np.sin).mesh(nodes - 1)
    return [
        (mesh, gaussians(rng, 2), lambda mesh, problem: solve_poisson(mesh, problem.source, problem.exact))
        for _ in range(count)
    ]


def helmholtz_samples(count: int, sizes: tuple[float, float]) -> list[tuple[skfem.MeshTri, Problem, Any]]:
    """UM2N's, on meshes whose sizes are spread evenly over the range."""
    rng = np.random.RandomState(7)
    return [(gmsh_square(h), anisotropic(rng), solve_helmholtz) for h in np.linspace(*sizes, count)]


def run(quick: bool = False) -> Rows:
    """All rows; `quick`: fewer samples."""
    meshmove.adapt(skfem.MeshTri().refined(2), lambda x: x[0] ** 3, mover="dmm")  # imports what it needs
    rows: Rows = []
    for part in (
        table("Poisson 15x15", poisson_samples(5 if quick else 25, 15), None),
        table("Helmholtz, h 0.05", helmholtz_samples(5 if quick else 25, (0.05, 0.05)), 1.5),
        table("Helmholtz, h 0.028 to 0.055", helmholtz_samples(3 if quick else 15, (0.028, 0.055)), 1.5),
        burgers(3 if quick else 25),
        swirl(gmsh_square(0.05), 25 if quick else 100),
    ):
        rows.extend(part)
    return rows


if __name__ == "__main__":
    main(run)
