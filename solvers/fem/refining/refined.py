r"""-div(k grad u) + b . grad u + c u = f: cubic finite elements on meshes that are refined where they are needed.

Where k jumps between regions meshes are fitted to these. The weak form

    int k grad u . grad v + b . grad u v + c u v = int f v + oint (k grad u . n) v

holds u and the flux continuous across interfaces by itself. Cells are refined where the flux of the solution jumps
across their sides (Petzoldt, Adv. Comput. Math. 16, 2002, for estimates that are robust in the jump of k), and where
the source varies,

    eta_T^2 = sum over sides F of  h_F |n . [k grad u]|^2_F / k_F  +  0.3 h_T^2 |f - mean f|^2_T / k_T,

k_F the larger of both sides. So crossings and corners of interfaces, where u behaves
like a small power of r, get the cells that they need, and so do fronts along any curve.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import skfem

from meshmove.geometry.arrays import Array, Ids
from meshmove.solvers.fem.constrained import Constrained
from meshmove.solvers.fem.evaluation import Finder, PiecewisePolynomial
from meshmove.solvers.fem.fitted import curved, fitted_mesh, on_curves, sound
from meshmove.solvers.fem.linear import system_by
from meshmove.solvers.fem.tables import Table
from meshmove.solvers.pde.sides import DIRICHLET
from meshmove.solvers.pde.statement import Statement
from meshmove.solvers.pde.unit import InteriorRows

from .indicators import bulk, indicators, rough, source_on

__all__ = ["MeshLevel", "Solved", "solve_refined"]

_FINE = 1e-2  #: estimates up to this need no explanation
_START = 0.25  #: size of the first cells, relative to half the longer side of the box
_UNKNOWNS, _PER_CELL = 60_000, 4.5  #: of the last solve at effort 1, and of a cell
#: share of the source that varies within cells, above which it is not resolved at all; of the cells of the last mesh,
#: those of the first at most, which leaves as many meshes as are to be compared
_VARIES, _BEGUN = 0.5, 0.2
_ROOM = 0.4  #: for new cells, relative to those there, below which changes would say nothing of the error
_LEVELS = 80
_SCOUT = 20_000  #: scattered points at which sources are looked for that no cell sees
_FAR = 3.0  #: times the largest source that a cell sees: one that it does not see
_SLOWEST, _FASTEST = 0.97, 0.01  #: factors by which changes fall from mesh to mesh that are believed
#: of the changes to come, of the jumps of the flux in the scale of u, and of their energy, in the estimated error:
#: chosen on the seed `CALIBRATION` of `benchmarks.hypino.jumps`, which shows for others how many errors lie below
_CHANGES, _JUMPS, _ENERGY = 2.0, 0.15, 1.0
_RULES = 8, 10  #: degrees of quadrature, of the solution and of what it is compared with
_FEW = 4  #: meshes below this many say nothing of how changes fall
#: meshes after which fluxes that tell of a tolerance from here on, doubled, are believed, if the change does as well
#: and the least singular value is this share of the operator's terms: fluxes do not know how waves add up
_TWO, _LOOSE, _STEADY = 2, 5e-4, 0.1
_BOUNDARY = 4_000  #: points at which values on the boundary are looked at
_ITERATIONS = 4  #: of the inverse iteration for the smallest singular value


@dataclass(frozen=True)
class MeshLevel:
    """One mesh of the refinement.

    `triangles`, `unknowns`; `residual`: what the jumps of the flux, in the scale of u, tell of the relative error;
    `energy`: the square of what they tell of in the energy, relative to that of u; `change` of u from the coarser mesh,
    relative L2 (NaN on the first); `unseen`: share of the source in peaks that no cell sees, and what another rule of
    quadrature changes of u; `seconds` since the start.
    """

    triangles: int
    unknowns: int
    residual: float
    energy: float
    change: float
    unseen: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Solved:
    """A solution as a `field` in unit coordinates, and the `levels` that led to it."""

    field: PiecewisePolynomial
    levels: tuple[MeshLevel, ...]

    @property
    def error(self) -> float:
        """Estimate of the relative L2 error, infinite where nothing is known of it."""
        return estimated(self.levels)

    #: what is solved, for other right-hand sides, and its forms
    system: Constrained
    table: Table

    def meets(self, tolerance: float) -> bool:
        """Whether the error is less, told by meshes enough."""
        if self.comparable or not (tolerance >= _LOOSE and len(self.levels) >= _TWO and self.error < tolerance):
            return self.comparable and self.error < tolerance
        return self.weakest() > _STEADY * self.field.unit.largest_term

    @property
    def comparable(self) -> bool:
        """Whether there are meshes enough to tell how changes fall."""
        return len(self.levels) >= _FEW

    def unheld(self) -> float:
        """Integral of what prescribed values are off between the nodes on the boundary, relative to the norm of u."""
        unit = self.field.unit
        rows = unit.boundary(_BOUNDARY, seed=5)
        held = rows.kinds == DIRICHLET
        missed = np.abs(self.field(unit.to_physical(rows.points[:, held])) - rows.values[held])
        size = self.table.norm(self.field.dofs) / np.sqrt(unit.half.prod())
        return float((rows.weights[held] * missed).sum()) / size

    def weakest(self) -> float:
        """min |L v| / |v| over functions v that are zero where the solution is held, by inverse iteration."""
        v, least = 1 + 0.3 * np.random.default_rng(0).standard_normal(self.table.basis.N), np.inf
        for _ in range(_ITERATIONS):
            v = self.system.solve_zero(self.table.load(self.table.values(v / self.table.norm(v))), transposed=True)
            v = v / self.table.norm(v)
            v = self.system.solve_zero(self.table.load(self.table.values(v)))
            least = min(least, 1 / self.table.norm(v))
        return least

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences on a solution whose estimated error is more than 1 %; else none."""
        last = self.levels[-1]
        if self.error <= _FINE:
            return ()
        what = "the flux still jumps across the sides of cells: a layer, or a crossing or corner of interfaces"
        if last.unseen > 0.5 * min(self.error, 1.0):
            what = "the source has peaks between the points of the cells"
        return (f"{what}, that {last.triangles} triangles do not resolve; try a larger effort=",)


def estimated(levels: Sequence[MeshLevel]) -> float:
    """The error of the last of several levels: the sum of the changes to come, or what its fluxes tell of.

    Changes fall as they have fallen; meshes that are refined near a point change less than others, so that the slowest
    and the largest of the last few count. Of too few meshes the fluxes tell, and count double, or the last change.
    """
    last = levels[-1]
    told = max(_JUMPS * last.residual, _ENERGY * last.energy)
    if len(levels) < _FEW:
        change = last.change if np.isfinite(last.change) else 0.0
        share = max(2 * told, change) + last.unseen
        return float(share / (1 - share)) if share < 1 else float("inf")
    changes = np.array([level.change for level in levels[1:]][-4:])
    rates = changes[1:] / np.maximum(changes[:-1], 1e-300)
    mean = float(np.prod(rates) ** (1 / len(rates)))
    rate = float(np.clip(max(mean, rates[-1]), _FASTEST, _SLOWEST))
    to_come = _CHANGES * max(changes[-1], changes[-2] * mean) * rate / (1 - rate)
    share = max(to_come, told) + last.unseen
    return float(share / (1 - share)) if share < 1 else float("inf")


def solve_refined(pde: Statement, *, tolerance: float = 3e-5, effort: float = 1.0, seed: int = 0) -> Solved:
    """Meshes that are refined until the estimated error is less than `tolerance` or the next would cost too much.

    Raises
    ------
    MissingPackageError
        There are regions, and Gmsh, which makes the first mesh, is not installed.
    DomainError
        Regions have corners or layers too thin to be meshed.
    """
    start = time.perf_counter()
    scout = pde.unit.interior(_SCOUT, seed=seed + 7919)
    most = _UNKNOWNS * effort / _PER_CELL
    mesh = _begun(pde, scout, _BEGUN * most)
    levels: list[MeshLevel] = []
    before: PiecewisePolynomial | None = None
    while True:
        basis = skfem.Basis(curved(pde, mesh), skfem.ElementTriP3(), intorder=1)
        table, other = (Table(basis, degree) for degree in _RULES)
        f = source_on(pde, table.points)
        system, load = system_by(pde, table, f)
        dofs = system.solve(load)
        now = PiecewisePolynomial(pde.unit, basis, dofs)
        told, size = indicators(pde, table, dofs, f), table.norm(dofs)
        change = float("nan")
        if before is not None:
            coarser = before(np.asarray(basis.doflocs))  # on halved cells it is one of the functions of this basis
            change = table.norm(coarser - dofs) / size
        blind, unseen = _unseen(pde, f, now.finder, scout)
        again = table.load(f) - other.load(source_on(pde, other.points))
        unseen += table.norm(system.solve(load + again) - dofs) / size
        levels.append(
            MeshLevel(
                mesh.nelements, basis.N, told.residual / size, told.energy, change, unseen, time.perf_counter() - start
            )
        )
        solved = Solved(now, tuple(levels), system, table)
        if solved.meets(tolerance) or len(levels) == _LEVELS:
            return solved
        finer = _within(pde, mesh, _all(blind, bulk(told.squares, mesh)), most)
        if finer is None:
            return solved
        mesh, before = finer, now


def _begun(pde: Statement, scout: InteriorRows, most: float) -> skfem.MeshTri:
    """The first mesh: halved, before anything is solved, where the source is not resolved at all, up to some cells."""
    mesh, unseen = fitted_mesh(pde, _START), 1.0
    blind = np.empty(0, int)
    while True:
        basis = skfem.Basis(curved(pde, mesh), skfem.ElementTriP0(), intorder=_RULES[0])
        f, dx = source_on(pde, np.asarray(basis.global_coordinates())), np.asarray(basis.dx)
        varies, whole = rough(f, dx), float((dx.sum(axis=1) * (f**2 * dx).sum(axis=1)).sum())
        if unseen > 0:  # what finer cells do not see, solves will tell
            blind, unseen = _unseen(pde, f, Finder(basis), scout)
        if varies.sum() <= _VARIES * whole and unseen <= _VARIES:
            return mesh
        finer = _finer(pde, mesh, _all(blind, bulk(varies, mesh)))
        if finer.nelements > most:
            return mesh
        mesh = finer


def _finer(pde: Statement, mesh: skfem.MeshTri, marked: Ids) -> skfem.MeshTri:
    return sound(pde, on_curves(pde, mesh.refined(marked)))


def _within(pde: Statement, mesh: skfem.MeshTri, marked: Ids, most: float) -> skfem.MeshTri | None:
    """Cells halved, the first of those that are marked where all would be too many; None where that leaves too few."""
    room = (most - mesh.nelements) / mesh.nelements
    if room <= 0:
        return None
    finer = _finer(pde, mesh, marked)
    if finer.nelements > most and room > _ROOM:
        share = 0.9 * (most - mesh.nelements) / (finer.nelements - mesh.nelements)
        finer = _finer(pde, mesh, marked[: int(share * len(marked))])
    return finer if finer.nelements <= most else None


def _all(first: Ids, second: Ids) -> Ids:
    return np.concatenate([first, second[~np.isin(second, first)]])


def _unseen(pde: Statement, f: Array, finder: Finder, scout: InteriorRows) -> tuple[Ids, float]:
    """Cells in which the source is far larger at scattered points than where it is integrated; the share of these."""
    seen = np.abs(f).max(axis=1)
    cells, size = finder.cells(pde.unit.to_physical(scout.points)), np.abs(scout.source)
    missed = size > _FAR * seen[cells] + 1e-9 * size.max(initial=0.0)
    whole = max(float((scout.weights * size).sum()), 1e-300)
    return np.unique(cells[missed]), float((scout.weights * size)[missed].sum()) / whole
