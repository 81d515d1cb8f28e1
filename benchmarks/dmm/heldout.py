"""The held-out suite: 500 pairs of a mesh and a monitor in 2-D and 60 in 3-D, of families that training never sees.

======= ==================================================== ==========================================================
        held out (here)                                      training set (`meshmove.procedural`)
======= ==================================================== ==========================================================
2-D     annulus, annulus sector, graded polar, sunflower     square, rectangle, polygon, holes, reentrant, airfoil,
meshes  lloyd, gear, cross, tee, u-shape, stadium, trapezoid channel, graded, stretched, structured triangles; quads,
        quads                                                mapped quads (sectors of annuli among them), mixed
3-D     cylinder, corner bricks, shell, beam                 box tets, box Delaunay, ball, box with a hole, box hexes,
meshes                                                       bent hexes
moni-   spiral, lemniscate, crossing layers, boundary layer, bumps, rings, fronts, shear layers, levels, several,
tors    checkers, star, beaded ring, S curve                 gradients and Hessians of shocks and of random fields,
                                                             recovered ones
======= ==================================================== ==========================================================

The two share no code for meshes or monitors; the Delaunay meshes here come from the package's force-based mesher, from
spirals, or from Lloyd's relaxation. "crossing layers" are the nearest to training's "fronts": there layers are sech^2
or have plateaus and may be several, here they are Gaussian and always meet.

``python -m benchmarks.dmm.heldout`` prints the statistics of the suite at rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

from benchmarks.dmm.heldout_meshes import MESHES
from benchmarks.dmm.heldout_monitors import MONITORS
from meshmove.geometry import CellMesh
from meshmove.movers.imbalance import imbalance

__all__ = ["CASES", "CASES_3D", "Case", "Plan", "case", "plan", "steep_third"]

BY_DEFAULT = False  #: statistics of the suite at rest
Array = NDArray[np.float64]

#: pairs in 2-D (seeds 0 to 499) and in 3-D (seeds 500 to 559)
CASES, CASES_3D = 500, 60
#: so that no other generator of the project starts at the same state
SUITE = 20_260
_NODES = {2: (250, 5000), 3: (500, 5000)}


class Plan(NamedTuple):
    """What case `seed` is, before anything is made. `width` is in mesh sizes."""

    shape: str
    form: str
    dim: int
    nodes: int
    width: float
    amplitude: float

    @property
    def name(self) -> str:
        return f"{self.shape}, {self.form}"

    @property
    def steepness(self) -> float:
        """Change of log m from one mesh size to the next, at the steepest."""
        return float(np.log1p(self.amplitude) / self.width)


class Case(NamedTuple):
    """A mesh and a monitor m(x) of points x (dim, n)."""

    name: str
    mesh: CellMesh
    monitor: Callable[[Array], Array]
    steepness: float


def plan(seed: int) -> Plan:
    """Family, size and strength of a case.

    Raises
    ------
    ValueError
        No such case.

    >>> plan(0).dim, plan(500).dim
    (2, 3)
    """
    if not 0 <= seed < CASES + CASES_3D:
        raise ValueError(f"Expected a case from 0 to {CASES + CASES_3D - 1} (got {seed})")
    dim = 2 if seed < CASES else 3
    shapes, forms = list(MESHES[dim]), list(MONITORS)
    rng = np.random.default_rng([SUITE, seed, 0])
    # every shape meets every form: 11 and 8 have no common divisor; 4 and 8 do, so shift there
    shape = shapes[seed % len(shapes)]
    form = forms[(seed if dim == 2 else seed + seed // 8) % len(forms)]
    nodes = round(np.exp(rng.uniform(*np.log(_NODES[dim]))))
    across = nodes ** (1 / dim)
    width = np.exp(rng.uniform(np.log(1.2 if dim == 2 else 1.0), np.log(max(2.4 if dim == 2 else 2.0, 0.08 * across))))
    return Plan(shape, form, dim, nodes, float(width), float(np.exp(rng.uniform(np.log(3), np.log(60)))))


def case(seed: int, nodes: int | None = None) -> Case:
    """The mesh and the monitor of this number; always the same.

    Parameters
    ----------
    nodes
        About so many, instead of the case's own number (250 to 5,000; 500 to 5,000 in 3-D). The monitor's layers
        keep the width that they have in the domain, so that sizes can be compared.

    >>> case(0).name
    'annulus, spiral'
    """
    p = plan(seed)
    rng = np.random.default_rng([SUITE, seed, 1])
    mesh = MESHES[p.dim][p.shape](np.random.default_rng([SUITE, seed, 2]), nodes or p.nodes)
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    centre, half = 0.5 * (low + high), 0.5 * (high - low).max()
    size = 2 * p.nodes ** (-1 / p.dim)
    form = MONITORS[p.form](rng, p.dim, p.width * size, p.amplitude)

    def monitor(x: Array) -> Array:
        return form((np.asarray(x, float) - centre[:, None]) / half)

    return Case(p.name, mesh, monitor, p.steepness)


def steep_third(dim: int = 2) -> list[int]:
    """Seeds of the third of the cases with the largest steepness.

    >>> len(steep_third())
    166
    """
    seeds = range(CASES) if dim == 2 else range(CASES, CASES + CASES_3D)
    return sorted(sorted(seeds, key=lambda s: plan(s).steepness)[-(len(seeds) // 3) :])


def run(quick: bool = False) -> Rows:
    """Imbalance, contrast and size of the cases at rest."""
    rows: Rows = []
    for dim, first, count in ((2, 0, CASES), (3, CASES, CASES_3D)):
        seeds = range(first, first + count, 10 if quick else 1)
        found: dict[str, list[tuple[float, float, float, float]]] = {}
        steep = set(steep_third(dim))
        for seed in seeds:
            seconds, (name, mesh, m, _) = timed(lambda seed=seed: case(seed), clock=CPU)
            values = m(mesh.points.T)
            entry = (imbalance(mesh, mesh.points, m), values.max() / values.min(), mesh.n_points, 1e3 * seconds)
            for group in ("all", *name.split(", "), *(["steep third"] if seed in steep else [])):
                found.setdefault(group, []).append(entry)
        for group, entries in found.items():
            q = np.array(entries)
            rows.append({
                "name": f"{dim}-D {group}",
                "cases": len(q),
                "imbalance, median": float(np.median(q[:, 0])),
                "10 %": float(np.quantile(q[:, 0], 0.1)),
                "90 %": float(np.quantile(q[:, 0], 0.9)),
                "contrast": float(np.median(q[:, 1])),
                "nodes": int(np.median(q[:, 2])),
                "ms to make": float(np.median(q[:, 3])),
            })  # fmt: skip
    return [*rows, row("cases", CASES + CASES_3D)]


if __name__ == "__main__":
    main(run)
