"""Solve and move in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshmove.adaptation.adapt import Adapting, check_options, lasting
from meshmove.adaptation.result import Adaptation, Report
from meshmove.geometry.arrays import Array
from meshmove.meshes.registry import named
from meshmove.meshes.source import Source
from meshmove.notebook import table
from meshmove.options import count

from . import descent, goals
from .energy import energy_of

__all__ = ["LoopResult", "adapt_loop"]

_HEAD = ("round", "predicted error", "imbalance", "largest step", "seconds")


#: of the predicted error, the least that a round after the first has to take away for another one
WORTH = 0.02


@dataclass(frozen=True, eq=False)
class LoopResult:
    """The last `Adaptation` of a loop, the report of each round, and the mesh that the first began from.

    Unpacks to ``(adaptation, history)``; `mesh` is the final mesh. Prints as a table of the rounds, with what all of
    them did together.
    """

    adaptation: Adaptation
    history: tuple[Report, ...]
    first: Any = field(default=None, repr=False)

    @property
    def mesh(self) -> Any:
        return self.adaptation.mesh

    @property
    def report(self) -> Report:
        return self.adaptation.report

    @property
    def grid(self) -> Any:
        """The final mesh for PyVista; see `Adaptation.grid`."""
        return self.adaptation.grid

    def plot(self, kind: str | None = None, **options: Any) -> Any:
        """Draw the first mesh and the final one; see `Adaptation.plot`."""
        pictures: Any = named("pyvista")
        return pictures.plotted(self, kind, options)

    def view(self, filename: Any = None, **options: Any) -> Any:
        """Go from the first mesh to the final one by a slider; see `Adaptation.view`."""
        pictures: Any = named("pyvista")
        return pictures.viewed(self, filename, options)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.adaptation, self.history))

    def __str__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[c]) for row in rows) for c in range(len(_HEAD))]
        lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._below()])

    def _repr_html_(self) -> str:
        kind, nodes = type(self.mesh).__name__, self.adaptation.cells.n_nodes
        return table(self._rows(), _HEAD, f"{kind} with {nodes:,} nodes", self._below())

    def _rows(self) -> list[tuple[str, ...]]:
        return [_row(k, r) for k, r in enumerate(self.history, start=1)]

    def _below(self) -> list[str]:
        """What all rounds did together, and their warnings."""
        rounds = f"all {n} rounds" if (n := len(self.history)) > 1 else "one round"
        last = f"{rounds}: {self._together()}, {sum(r.seconds for r in self.history):.3g} s"
        return [last, *(f"warning: {w}" for w in dict.fromkeys(w for r in self.history for w in r.warnings))]

    def __repr__(self) -> str:
        kind, nodes = type(self.mesh).__name__, self.adaptation.cells.n_nodes
        return f"<LoopResult of {len(self.history)} rounds on a {kind} with {nodes} nodes: {self._together()}>"

    def _together(self) -> str:
        """The change from the mesh that came to the last one, by the measure that the rounds had."""
        first, last = self.history[0], self.history[-1]
        energies = [r for r in self.history if r.energy_before is not None]
        if energies:
            change = f"energy {energies[0].energy_before:.9g} -> {energies[-1].energy_after:.9g}"
        elif first.predicted_error_before and last.predicted_error_after:
            before, after = first.predicted_error_before, last.predicted_error_after
            gain = f" ({before / after:.3g} times less)" if after < before else ""
            change = f"predicted error {before:.3g} -> {after:.3g}{gain}"
        else:
            change = f"imbalance {first.imbalance_before:.3g} -> {last.imbalance_after:.3g}"
        return f"{change}, {last.inverted_cells} inverted cells"


def _row(number: int, report: Report) -> tuple[str, ...]:
    errors = (report.predicted_error_before, report.predicted_error_after)
    return (
        str(number),
        "not predicted" if None in errors else " -> ".join(f"{e:.3g}" for e in errors),
        f"{report.imbalance_before:.3g} -> {report.imbalance_after:.3g}",
        f"{report.max_displacement:.3g}",
        f"{report.seconds:.3g}",
    )


def adapt_loop(
    mesh: Any,
    solve: Callable[[Any], Any],
    *,
    steps: int = 3,
    energy: Any = None,
    goal: Any = None,
    adjoint: Callable[[Any, Array], Any] | None = None,
    progress: Callable[[int, Report], None] | None = None,
    **adapt_options: Any,
) -> LoopResult:
    """Solve, move the mesh to the solution, solve again on the moved mesh, and so on.

    Every round moves relative to the first mesh (`reference`), so that rounds do not drift.

    Without an energy or a goal, the first round carries cells to where the solution needs them and aligns them; later
    ones align them to the solution that is better known then. Where that says that the mesh before was better, or shows
    more error than the solution there did, the mesh moves back to it, and one more round moves it gently. Rounds also
    end where one changes nothing, or, of those after the first, lowers the predicted error by less than two percent.

    Parameters
    ----------
    mesh
        As for `adapt`.
    solve
        solve(mesh) -> field, in any form that `adapt` takes.
    steps
        Number of rounds at most; without an energy solve is called once in each.
    energy
        What the solution minimises, if there is such: the mesh then also moves such that it falls ("Ritz descent"),
        and with it the error in the norm of the energy. For scikit-fem a `skfem.Functional` of ``w["u"]`` and ``w.x``,
        or a list of such and of pairs (Functional, name of a boundary or subdomain), for solutions that `solve` returns
        as (basis, dofs). For any library a function energy(mesh, field) that returns the value and its derivatives
        (n_nodes, dim) by the positions of the nodes. The first of several rounds moves the mesh to the field, as
        without an energy; those after it take up to 20 steps of descent each, at effort 1, and call solve in every
        step. Nodes on curved boundaries stay in these, and those between which prescribed values change.
    goal
        A number that is wanted of the solution, and that the mesh is to be good for: for scikit-fem, a
        `skfem.Functional` of ``w["u"]`` and ``w.x``, a list as for an energy, or a function goal(basis, dofs) that
        returns the value and its derivatives (N,) by the degrees of freedom. `solve` returns (basis, dofs).
    adjoint
        Goes with a goal: adjoint(basis, load) solves the transposed problem, with zeros where values are prescribed.
    progress
        Called with the number of the round, from 1, and its report.
    adapt_options
        Passed on to `adapt`.

    Raises
    ------
    ValueError
        Steps that are no whole number from 1 on, no function, or an option that `adapt` does not know or take.
    GoalError
        A goal that does not depend on the solution, or whose adjoint problem is singular.
    EnergyError
        An energy that is not stationary at the solution, not finite, or whose derivatives are not its own.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> mesh = skfem.MeshTri().refined(3)
    >>> out, history = adapt_loop(mesh, lambda m: np.exp(-50 * ((m.p - 0.5) ** 2).sum(axis=0)), steps=2)
    >>> len(history), out.mesh.t is mesh.t or bool((out.mesh.t == mesh.t).all())
    (2, True)
    """
    steps = count(steps, "at least one step", low=1)
    if not callable(solve):
        raise ValueError(f"Expected a function solve(mesh) (got {type(solve).__name__})")
    if progress is not None and not callable(progress):
        raise ValueError(f"Expected a function progress(number, report) (got {type(progress).__name__})")
    check_options(adapt_options)
    first = Source.of(mesh).mesh
    adapt_options = {"reference": first, **lasting(adapt_options)}
    if energy is None and not callable(adapt_options.get("monitor")):
        solve = _returning(solve)
    if energy is not None and goal is not None:
        raise ValueError("Expected an energy or a goal (got both): a mesh is moved for one of them")
    if goal is not None or adjoint is not None:
        rounds = goals.rounds(first, solve, goal, adjoint, steps, adapt_options)
    elif energy is None:
        rounds = _rounds(first, solve, steps, adapt_options)
    else:
        rounds = descent.rounds(first, solve, energy_of(Source.of(first), energy), steps, adapt_options)
    history = []
    for k, out in enumerate(rounds, start=1):
        history.append(out.report)
        if progress is not None:
            progress(k, out.report)
    return LoopResult(out, tuple(history), first)


def _returning(solve: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same, and an error where it forgets to return the solution."""

    def solved(mesh: Any) -> Any:
        field = solve(mesh)
        if field is None:
            raise ValueError("Expected solve(mesh) to return a field (got None): is its `return` missing?")
        return field

    return solved


def _rounds(
    first: Any, solve: Callable[[Any], Any], steps: int, adapt_options: Mapping[str, Any]
) -> Iterator[Adaptation]:
    """Moves to the solution, until one changes nothing, or improves little on the mesh that was moved before."""
    own = adapt_options["reference"] is first
    adapting = Adapting.of({**adapt_options, "reference": None} if own else adapt_options, rounds=True)
    mesh = first
    for k in range(steps):
        out = adapting(mesh, solve(mesh))
        mesh = out.mesh
        yield out
        aligned = out.report.objective == "alignment"
        if not out.displacement.any() or adapting.ended or (k and aligned and not _worth_it(out.report)):
            break


def _worth_it(report: Report) -> bool:
    before, after = report.predicted_error_before, report.predicted_error_after
    return before is None or after is None or after < (1 - WORTH) * before
