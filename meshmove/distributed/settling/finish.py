"""The end of a move of a mesh in pieces: valid as it is written, never worse than it came, with a report."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from meshmove.adaptation.result import Report
from meshmove.geometry import Validity, corner_volumes
from meshmove.geometry.arrays import Array
from meshmove.movers.imbalance import size
from meshmove.outcomes import Outcome

from ..mesh import DistributedMesh
from ..moves import SharedResult
from ..unit import SharedMesh
from .second import SecondNodes

__all__ = ["Finished", "finish"]


#: shares of a step that are tried where rounding of the mesh's own coordinates folds a cell
SHARES = (1.0, 0.99, 0.9, 0.5, 0.0)


@dataclass(frozen=True, eq=False)
class Finished:
    """Positions (n, dim) of vertices and (k, dim) of nodes of second order, in the mesh's coordinates, and a report."""

    points: Array
    nodes: Array | None
    report: Report


def finish(unit: SharedMesh, mesh: DistributedMesh, result: SharedResult, mover: str, began: float) -> Finished:
    """Positions in the mesh's coordinates, and what there is to say of the whole mesh."""
    layout, move = unit.layout, result.move
    second = None if mesh.second is None else SecondNodes(unit, mesh.second)
    points, nodes, settled = _settled(unit, mesh, second, move.points)
    found = (points - unit.centre) / unit.scale if settled < 1 else move.points
    problem = unit.problem(result.density, unit.start, 1.0)
    before, after = (size(problem.balance(x), problem.volume, layout) for x in (unit.start, found))
    error = None if result.predict is None else result.predict(found)
    told = list(move.warnings)
    if settled < 1:
        why = "by rounding" if second is None else "by rounding, or by the curves of their edges"
        told.append(Outcome.STEP_SHORTENED.told(f"cells would have folded {why}: {settled:.0%} of the step left"))
    if second is not None and second.straightened:
        bent = f"second-order cells would have folded: {second.straightened} of their edges inside were straightened"
        told.append(Outcome.STEP_SHORTENED.told(bent))
    rest = result.error_before
    worse = after > before * (1 + 1e-9) + 1e-12 if rest is None or error is None else error > rest * (1 + 1e-9)
    if worse:
        told.append(Outcome.STAYED.told("what was left of the step would have made the mesh worse: it stays as it is"))
        points, after, error = mesh.points.copy(), before, rest
        nodes = None if mesh.second is None else mesh.second.cells.nodes
    told += _complaints(result, before, after) if not worse else []
    local = mesh.local()
    step = points - mesh.points
    ratio = corner_volumes(local, points) / corner_volumes(local)
    report = Report(
        mover=mover,
        iterations=move.iterations,
        inverted_cells=0,
        imbalance_before=before,
        imbalance_after=after,
        min_volume_ratio=float(layout.minimum(ratio.min(initial=np.inf))),
        max_displacement=float(layout.maximum(np.sqrt((step**2).sum(axis=1)).max(initial=0.0))),
        seconds=time.perf_counter() - began,
        monitor=result.name,
        predicted_error_before=rest,
        predicted_error_after=error,
        predicted_for=result.element if rest is not None else "",
        objective=result.objective,
        warnings=tuple(dict.fromkeys(told)),
    )
    return Finished(points, nodes, report)


def _settled(
    unit: SharedMesh, mesh: DistributedMesh, second: SecondNodes | None, found: Array
) -> tuple[Array, Array | None, float]:
    """Positions in the mesh's coordinates in which no cell is inverted, and the share of the step that they are."""
    validity, step = Validity(mesh.local()), (found - unit.start) * unit.scale
    for share in SHARES:
        points = unit.layout.update(mesh.points + share * step)  # ghosts to the last bit where their owners are
        if unit.layout.every(not len(validity.lost(points))):
            nodes = None if second is None else second.at(points)
            if second is None or nodes is not None:
                return points, nodes, share
    return mesh.points.copy(), None if mesh.second is None else mesh.second.cells.nodes, 0.0


def _complaints(result: SharedResult, rest: float, reached: float) -> list[str]:
    """A monitor that was asked for and is far from being met."""
    if not result.move.iterations or result.automatic or reached <= min(max(0.3, 0.5 * rest), 1.0):
        return []
    text = (
        f"the imbalance only falls from {rest:.3g} to {reached:.3g}: the monitor is too steep for these cells, or too "
        "many nodes are held. Smooth or bound the monitor, refine the mesh, or raise the effort"
    )
    return [Outcome.TOO_STEEP.told(text)]
