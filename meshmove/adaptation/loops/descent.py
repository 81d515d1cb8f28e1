"""A round of Ritz descent: from a mesh and its solution to one on which the user's energy is lower."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.adapt import Options, adapt, read_options
from meshmove.adaptation.finish import finish
from meshmove.adaptation.moves import Result
from meshmove.adaptation.result import Adaptation
from meshmove.adaptation.settle import Placing
from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry import PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import EnergyError
from meshmove.meshes.source import Source, fixed_vertices, read_fields
from meshmove.monitors import NodalDensity
from meshmove.movers import Ritz, moved_by
from meshmove.movers.lift import Lift

from .energy import EnergyOfMesh, Examined

__all__ = ["descended", "rounds"]

Solve = Callable[[Any], Any]

#: derivatives that a difference contradicts by more than this share of it are of something else
OFF = 0.1
#: length of that difference, in parts of the step that strains an edge by its own length
TRIAL = 1e-3
#: an energy that rises by this share of what it should have fallen by is integrated too coarsely
RISEN = 0.1
#: of an energy: smaller changes are rounding errors
ROUNDED = 1e-10
#: of all that has been gained, the least that a round has to bring for another one
WORTH = 0.01


def value_of(energy: EnergyOfMesh, mesh: Any, field: Any) -> float:
    """The energy of a solution.

    Raises
    ------
    EnergyError
        It is not finite.
    """
    value = energy(mesh, field)[0]
    if not np.isfinite(value):
        raise EnergyError(f"Expected a finite energy of the solution (got {value})")
    return value


def descended(
    mesh: Any, field: Any, first: Any, solve: Solve, energy: EnergyOfMesh, adapt_options: Mapping[str, Any]
) -> Adaptation:
    """The mesh moved such that the energy of its solutions is lower, by one solve a step.

    Nodes on curved boundaries stay, since the domain that the facets enclose would change with them and the energy
    with the domain; so do those along whose facets prescribed values change.

    Parameters
    ----------
    mesh, field
        To begin with, and its solution.
    first
        The reference mesh.
    solve, energy
        ``solve(mesh)`` returns what `energy` takes together with that mesh.
    adapt_options
        Of `adapt`.

    Raises
    ------
    EnergyError
        An energy that is not finite or not stationary, or derivatives that are not its own.
    """
    began = time.perf_counter()
    options, choice = _read(adapt_options)
    source = Source.of(mesh, choice.get("regions", "auto"))
    fields = read_fields(source, field)
    pinned = fixed_vertices(source, choice.get("fixed"))
    examined = energy.examined(mesh, field, _at_nodes(source, pinned))
    pinned |= examined.held[source.cells.vertex_nodes]
    boundary = choice.get("boundary", "slide")
    unit = UnitMesh(source, source.cells.vertex_nodes[pinned], boundary, first)
    curved = np.unique(unit.slide.curved_edges)
    if not pinned[curved].all():
        pinned[curved] = True
        unit = UnitMesh(source, source.cells.vertex_nodes[pinned], boundary, first)
    at = _Energy(source, unit, solve, energy, mesh, field)
    before, forces = at(unit.start)
    if forces is None:
        raise EnergyError(f"Expected a finite energy of the solution, with finite derivatives (got {before})")
    if not examined.stationary:
        _try(at, unit, forces)
    result = _moved(at, unit, examined, options.effort, before)
    _check_rule(energy, mesh, field, at, before - at(result.move.points)[0])
    return finish(source, unit, fields, result, options.transfer, Ritz.name, began)


def _read(adapt_options: Mapping[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Those options that a descent has use for, effort and transfer read."""
    read = {k: adapt_options[k] for k in ("effort", "transfer") if k in adapt_options}
    return read_options(**read), dict(adapt_options)


def _at_nodes(source: Source, vertices: NDArray[np.bool_]) -> NDArray[np.bool_]:
    out = np.zeros(source.cells.n_nodes, bool)
    out[source.cells.vertex_nodes[vertices]] = True
    return out


class _Energy:
    """The energy as a function of positions in unit coordinates; the last answer is kept."""

    def __init__(
        self, source: Source, unit: UnitMesh, solve: Solve, energy: EnergyOfMesh, mesh: Any, field: Any
    ) -> None:
        self._lift, self._scale = source.cells.lift, unit.scale
        self._place, self._solve, self._energy = Placing(source, unit), solve, energy
        self.solves = 0
        self.last = mesh, field  # what was last asked for: a mesh and its solution
        self._points, self._last = unit.current.points, self._of(mesh, field)

    def __call__(self, points: Array) -> tuple[float, Array | None]:
        """J and its derivatives by the vertices (n, dim); (inf, None) where a cell folds or J is not finite."""
        if np.abs(points - self._points).max() > 1e-14:
            self._points, self._last = points.copy(), self._at(points)
        return self._last

    def _at(self, points: Array) -> tuple[float, Array | None]:
        mesh = self._place(points)
        if mesh is None:
            return np.inf, None
        self.solves += 1
        self.last = mesh, self._solve(mesh)
        return self._of(*self.last)

    def _of(self, mesh: Any, field: Any) -> tuple[float, Array | None]:
        value, forces = self._energy(mesh, field)
        if not (np.isfinite(value) and np.isfinite(forces).all()):
            return np.inf, None
        by_vertices = forces if self._lift is None else self._lift.T @ forces
        return value, self._scale * by_vertices


def _moved(at: _Energy, unit: UnitMesh, examined: Examined, effort: float, before: float) -> Result:
    density = NodalDensity(np.ones(unit.current.n_points), PointLocator(unit.current.simplicial()))
    problem = unit.problem(density, unit.start, effort, predict=lambda points: at(points)[0])
    move = moved_by(Ritz(at, examined.gap), problem)
    after = at(move.points)[0]
    size = max(abs(before - after), abs(before) * 1e-12, 1e-300)

    def relative(points: Array) -> float:
        """1 at the start, less where the energy is lower, whatever its sign."""
        return 1.0 + (at(points)[0] - before) / size

    values = np.ones(unit.current.n_points)
    return Result(
        density, values, move, "", 1.0, relative(move.points), relative, automatic=True, objective="energy",
        energies=(before, size), solves=at.solves,
    )  # fmt: skip


def _try(at: _Energy, unit: UnitMesh, forces: Array) -> None:
    """Raise where a difference of the energy along the lifted forces says something else than they do."""
    slide, start = unit.slide, unit.start
    slide.refresh(start)
    gathered = slide.gather(forces)
    direction = slide.spread(Lift(unit.base, slide)(gathered))
    a, b = unit.base.edges.T
    strain = np.linalg.norm(direction[a] - direction[b], axis=1) / np.linalg.norm(start[a] - start[b], axis=1)
    if not strain.max() > 0:
        return
    step = TRIAL / strain.max()
    up, down = (at(slide.retract(start + sign * step * direction))[0] for sign in (1, -1))
    told, seen = float(np.vdot(gathered, direction)), (up - down) / (2 * step)
    at(start)
    if not abs(seen - told) <= OFF * abs(seen):
        raise EnergyError(
            "Expected derivatives of the energy by positions, with the solution of each mesh (along the steepest "
            f"descent they say {told:.4g}, the energies of two solves {seen:.4g}). If the energy is stationary at "
            "what `solve` returns, they are those at fixed degrees of freedom; where it is not, or where prescribed "
            "values change with the place, there is more to them"
        )


def _check_rule(energy: EnergyOfMesh, mesh: Any, field: Any, at: _Energy, drop: float) -> None:
    """Raise where descent has lowered what the rule of quadrature makes of the energy, and not the energy.

    Cells go to where the rule errs in favour of them: a source between the points of a coarse rule is a known case.
    """
    once, now = energy.finer(mesh, field), energy.finer(*at.last)
    if once is None or now is None:
        return
    if not now - once <= RISEN * drop + ROUNDED * (abs(once) + abs(now)):
        raise EnergyError(
            "Expected an energy that is integrated finely enough to be lowered (by its own rule it has fallen by "
            f"{drop:.3g}, by a finer one it has risen by {now - once:.3g}). Give the basis in `solve` a higher "
            "intorder, by 2 or more; a form on a boundary as (form, name, intorder)"
        )


def rounds(
    first: Any, solve: Solve, energy: EnergyOfMesh, steps: int, adapt_options: Mapping[str, Any]
) -> Iterator[Adaptation]:
    """A move to the field of one solution, and `steps` - 1 rounds of descent; one of descent where `steps` is 1.

    Descent begins at the mesh as it came where the move has raised the energy while nothing that is prescribed moved.
    It ends early where a round lowers the energy by less than a percent of what has been gained.
    """
    mesh, field = first, solve(first)
    rest = value_of(energy, mesh, field)
    if steps > 1:
        held = energy.examined(mesh, field, np.zeros(Source.of(first).cells.n_nodes, bool)).held
        out = adapt(mesh, field, **adapt_options)
        yield out
        moved = solve(out.mesh)
        if value_of(energy, out.mesh, moved) < rest or out.displacement[held].any():
            mesh, field = out.mesh, moved
    gained = 0.0
    for k in range(max(1, steps - 1)):
        if k:
            mesh = out.mesh
            field = solve(mesh)
        out = descended(mesh, field, first, solve, energy, adapt_options)
        yield out
        drop = (out.report.energy_before or 0.0) - (out.report.energy_after or 0.0)
        gained += drop
        if not drop > WORTH * gained:
            break
