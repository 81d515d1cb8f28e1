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
from typing import Any

import numpy as np
import skfem

from meshmove.geometry.arrays import Array, Ids
from meshmove.solvers.pde.statement import Statement
from meshmove.solvers.pde.unit import InteriorRows

from .evaluation import Finder, PiecewisePolynomial
from .fitted import conductivity, curved, fitted_mesh, on_curves, regions_of_cells, sound
from .linear import source_load, system_of
from .meshes import mapping_of

__all__ = ["MeshLevel", "Solved", "solve_refined"]

_FINE = 1e-2  #: estimates up to this need no explanation
_START = 0.25  #: size of the first cells, relative to half the longer side of the box
_BULK = 0.6  #: share of the squared indicators in the cells that are refined
_UNKNOWNS = 60_000  #: of the last solve at effort 1
_LEVELS = 80
_SMALLEST = 1e-12  #: relative to the extent: smaller cells have no shape in double precision
_SCOUT = 20_000  #: scattered points at which sources are looked for that no cell sees
_FAR = 3.0  #: times the largest source that a cell sees: one that it does not see
_SLOWEST, _FASTEST = 0.97, 0.01  #: factors by which changes fall from mesh to mesh that are believed
#: of the changes to come, of the jumps of the flux in the scale of u, and of their energy, in the estimated error:
#: chosen on the seed `CALIBRATION` of `benchmarks.hypino.jumps`, which shows for others how many errors lie below
_CHANGES, _JUMPS, _ENERGY = 2.0, 0.15, 1.0
_RULES = 8, 10  #: degrees of quadrature, of the solution and of what it is compared with
_SOURCE = 0.3  #: of what the source varies in cells, beside the jumps of the flux
_FEW = 4  #: meshes below this many say nothing of how changes fall


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

    @property
    def comparable(self) -> bool:
        """Whether there are meshes enough to tell how changes fall."""
        return len(self.levels) >= _FEW

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
    and the largest of the last few count. Of too few meshes the fluxes alone tell, and count double.
    """
    last = levels[-1]
    told = max(_JUMPS * last.residual, _ENERGY * last.energy)
    if len(levels) < _FEW:
        share = 2 * told + last.unseen
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
    mesh = fitted_mesh(pde, _START)
    levels: list[MeshLevel] = []
    before: PiecewisePolynomial | None = None
    while True:
        basis = skfem.Basis(curved(pde, mesh), skfem.ElementTriP3(), intorder=_RULES[0])
        system, load = system_of(pde, basis)
        dofs = system.solve(load)
        now = PiecewisePolynomial(pde.unit, basis, dofs)
        squares, energy, residual = _indicators(pde, basis, dofs)
        size = _norm(basis, np.asarray(basis.interpolate(dofs)))
        change = float("nan")
        if before is not None:
            coarser = before(np.asarray(basis.doflocs))  # on halved cells it is one of the functions of this basis
            change = _norm(basis, np.asarray(basis.interpolate(coarser - dofs))) / size
        blind, unseen = _unseen(pde, basis, now.finder, scout)
        again = source_load(pde, skfem.Basis(basis.mesh, basis.elem, intorder=_RULES[1])) - source_load(pde, basis)
        unseen += _norm(basis, np.asarray(basis.interpolate(system.solve(load + again) - dofs))) / size
        levels.append(
            MeshLevel(mesh.nelements, basis.N, residual / size, energy, change, unseen, time.perf_counter() - start)
        )
        solved = Solved(now, tuple(levels))
        marked = np.union1d(_bulk(squares, mesh), blind)
        finer = sound(pde, on_curves(pde, mesh.refined(marked)))
        enough = solved.error < tolerance and solved.comparable
        if enough or len(levels) == _LEVELS or 4.5 * finer.nelements > _UNKNOWNS * effort:
            return solved
        mesh, before = finer, now


def _norm(basis: skfem.CellBasis, values: Any) -> float:
    return max(float(np.sqrt((np.asarray(values) ** 2 * basis.dx).sum())), 1e-300)


def _bulk(squares: Array, mesh: skfem.MeshTri) -> Ids:
    """The cells with most of what is to be refined: as few as have `_BULK` of it, none that is all but a point."""
    extent = float(np.linalg.norm(np.ptp(mesh.p, axis=1)))
    corners = mesh.p[:, mesh.t]
    large = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=0).max(axis=0) > _SMALLEST * extent
    squares = np.where(large, squares, 0.0)
    order = np.argsort(squares)[::-1]
    share = np.cumsum(squares[order])
    return order[: int(np.searchsorted(share, _BULK * share[-1])) + 1]


def _indicators(pde: Statement, basis: skfem.CellBasis, dofs: Array) -> tuple[Array, float, float]:
    """Squares (cells,) of what is to be refined, in the scale of the energy; those of the jumps of the flux together,
    relative to the energy of u; the root of their sum in the scale of u.
    """
    which = regions_of_cells(pde, basis.mesh)
    mapping = mapping_of(basis.mesh)
    sides = [skfem.InteriorFacetBasis(basis.mesh, basis.elem, mapping, side=s, intorder=8) for s in (0, 1)]
    x, n = np.asarray(sides[0].global_coordinates()), np.asarray(sides[0].normals)
    flux, most = np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
    for sign, side in zip((1, -1), sides, strict=True):
        k = conductivity(pde, which[side.tind], x)
        flux += sign * np.einsum("ijfq,jfq,ifq->fq", k, np.asarray(side.interpolate(dofs).grad), n)
        most = np.maximum(most, np.einsum("iifq->fq", k))
    length = sides[0].dx.sum(axis=1)
    energy = length * (flux**2 / most * sides[0].dx).sum(axis=1)
    value = length**3 * ((flux / most) ** 2 * sides[0].dx).sum(axis=1)
    cells = sum(np.bincount(side.tind, energy, minlength=basis.mesh.nelements) for side in sides)
    grad = np.asarray(basis.interpolate(dofs).grad)
    k = conductivity(pde, which, np.asarray(basis.global_coordinates()))
    cells = cells + _SOURCE * _rough(pde, basis) / np.einsum("iicq->cq", k).mean(axis=1)
    whole = float((np.einsum("icq,ijcq,jcq->cq", grad, k, grad) * basis.dx).sum())
    return np.asarray(cells), float(energy.sum()) / max(whole, 1e-300), float(np.sqrt(value.sum()))


def _rough(pde: Statement, basis: skfem.CellBasis) -> Array:
    """h^2 |f - mean f|^2 (cells,)."""
    f, area = _source(pde, basis), basis.dx.sum(axis=1)
    mean = (f * basis.dx).sum(axis=1) / area
    return area * ((f - mean[:, None]) ** 2 * basis.dx).sum(axis=1)


def _source(pde: Statement, basis: skfem.CellBasis) -> Array:
    x = np.asarray(basis.global_coordinates())
    return pde.source_at(x.reshape(2, -1)).reshape(x.shape[1:])


def _unseen(pde: Statement, basis: skfem.CellBasis, finder: Finder, scout: InteriorRows) -> tuple[Ids, float]:
    """Cells in which the source is far larger at scattered points than where it is integrated; the share of these."""
    seen = np.abs(_source(pde, basis)).max(axis=1)
    cells, size = finder.cells(pde.unit.to_physical(scout.points)), np.abs(scout.source)
    missed = size > _FAR * seen[cells] + 1e-9 * size.max(initial=0.0)
    whole = max(float((scout.weights * size).sum()), 1e-300)
    return np.unique(cells[missed]), float((scout.weights * size)[missed].sum()) / whole
