"""The end of a move: the mesh as it is written, never worse than it came, with its fields and a report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from meshmove.geometry import corner_volumes
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Fields, Source
from meshmove.movers.imbalance import size
from meshmove.outcomes import Outcome
from meshmove.transfer.carrier import Carrier

from .judging.cellwise import CellErrors
from .moves import Result
from .result import Adaptation, Report
from .settle import Settled, settle
from .unit_mesh import UnitMesh

__all__ = ["finish"]


@dataclass(frozen=True)
class _Numbers:
    """What there is to say of the mesh that comes back: imbalances, and the predicted error where a field is known."""

    imbalance_before: float
    imbalance_after: float
    error: float | None
    balance: Array

    def worse(self, result: Result) -> bool:
        """Than the mesh that came, by the measure in force."""
        if self.error is not None and result.error_before is not None:
            return self.error > result.error_before * (1 + 1e-9)
        return self.imbalance_after > self.imbalance_before * (1 + 1e-9) + 1e-12

    def complaints(self, result: Result) -> tuple[str, ...]:
        """A monitor that was asked for and is far from being met; one that was chosen for its error is not missed."""
        rest, reached = self.imbalance_before, self.imbalance_after
        if not result.move.iterations or result.automatic or reached <= min(max(0.3, 0.5 * rest), 1.0):
            return ()
        went = f"stays at {reached:.3g}" if reached >= 0.98 * rest else f"only falls from {rest:.3g} to {reached:.3g}"
        if reached > 1.02 * rest:
            went = f"rises from {rest:.3g} to {reached:.3g}, where the predicted error is least"
        if result.predict is not None:
            advice = f"{result.name} is too much for these cells. Lower it, leave it to be chosen, or refine the mesh"
        else:
            advice = (
                "the monitor is too steep for these cells, or too many nodes are held. Smooth or bound the monitor, "
                "refine the mesh, or raise the effort"
            )
        return (Outcome.TOO_STEEP.told(f"the imbalance {went}: {advice}"),)


def _no_worse(source: Source, unit: UnitMesh, result: Result) -> tuple[Settled, _Numbers]:
    """The mesh as it is written, and what it is like; the mesh that came where it would be better."""
    problem = unit.problem(result.density, unit.current.points, 1.0)
    at_rest = problem.balance(unit.current.points)
    rest = size(at_rest, problem.volume)

    def judged(points: Array) -> tuple[Settled, _Numbers]:
        settled = settle(source, unit, points)
        if not settled.displacement.any():
            return settled, _Numbers(rest, rest, result.error_before, at_rest)
        found = (settled.moved.points - unit.centre) / unit.scale
        as_found = result.predict is None or np.abs(found - points).max() <= 1e-12
        error = result.error_after if as_found or result.predict is None else result.predict(found)
        balance = problem.balance(found)
        return settled, _Numbers(rest, size(balance, problem.volume), error, balance)

    settled, numbers = judged(result.move.points)
    if not numbers.worse(result):
        return settled, numbers
    stayed, numbers = judged(unit.current.points)
    why = Outcome.STAYED.told("what was left of the step would have made the mesh worse: it stays as it is")
    return replace(stayed, warnings=(*settled.warnings, why)), numbers


def _energy(result: Result, numbers: _Numbers) -> float | None:
    """That on the mesh that comes back, of a descent of an energy."""
    if result.energies is None or numbers.error is None:
        return None
    before, scale = result.energies
    return before + scale * (numbers.error - 1)


def finish(
    source: Source, unit: UnitMesh, fields: Fields, result: Result, transfer: str | None, mover: str, began: float
) -> Adaptation:
    """Write the mesh, check it once more as it was written, carry the fields, and report."""
    move = result.move
    settled, numbers = _no_worse(source, unit, result)
    mesh, moved, displacement = settled.mesh, settled.moved, settled.displacement
    carrier = Carrier(source, mesh, moved, displacement, transfer or "interpolate")
    carried = {} if transfer is None else carrier.all(fields)
    notes = (*fields.warnings, *(carrier.notes(fields) if transfer else ()))
    if carried:
        stored = source.converter.fields(source.mesh)
        mesh = source.converter.with_fields(mesh, {k: v for k, v in carried.items() if k in stored})
    ratio = corner_volumes(source.cells, moved.points) / corner_volumes(source.cells)
    told = (*notes, *move.warnings, *settled.warnings, *numbers.complaints(result), *unit.lost_shape(moved))
    warnings = dict.fromkeys(told)
    report = Report(
        mover=mover,
        iterations=move.iterations,
        inverted_cells=0,
        imbalance_before=numbers.imbalance_before,
        imbalance_after=numbers.imbalance_after,
        min_volume_ratio=float(ratio.min()),
        max_displacement=float(np.sqrt((displacement**2).sum(axis=1)).max()),
        seconds=time.perf_counter() - began,
        monitor=result.name,
        predicted_error_before=None if result.energies is not None else result.error_before,
        predicted_error_after=None if result.energies is not None else numbers.error,
        predicted_for=result.element,
        objective=result.objective,
        warnings=tuple(warnings),
        step_cut=move.step_cut,
        polish=move.polish,
        regions=source.cells.region_names,
        energy_before=None if result.energies is None else result.energies[0],
        energy_after=_energy(result, numbers),
        solves=result.solves,
        cast=_cast(source.mesh, mesh),
    )
    return Adaptation(
        mesh=mesh,
        original=source.mesh,
        displacement=displacement,
        fields=carried,
        report=report,
        monitor=result.values / result.values.mean(),
        cells=source.cells,
        moved=moved,
        _transfer=carrier.asked,
        moved_for=_field(source, fields),
        balance=numbers.balance,
    )


def _field(source: Source, fields: Fields) -> CellErrors | None:
    """The field moved to, without the adjoint solution of a goal; None where a monitor alone was given."""
    if fields.values is None:
        return None
    own = fields.values[:, : fields.values.shape[1] - fields.dual]
    return CellErrors(fields.name, source.cells, own, fields.degree)


def _cast(given: object, moved: object) -> str:
    """From which class of meshes to which, where they are not the same."""
    before, after = type(given).__name__, type(moved).__name__
    return "" if before == after else f"{before} to {after}"
