"""The second part of a move to a field: from where cells were carried, descent of the predicted H1 error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from meshmove.geometry.arrays import Array
from meshmove.monitors import NodalThirds
from meshmove.movers import Alignment, Mover, Problem, QuadraticAlignment, moved_by

from .choice import Chosen
from .judging.between_nodes import BetweenNodes
from .judging.galerkin import Galerkin
from .judging.prediction import BothNorms, Predicts
from .unit_mesh import UnitMesh

__all__ = ["aligned_from", "both_norms", "carried_only", "within"]


#: of the way that descent went, where the L2 error is looked at if it rises at the end
SHARES = (0.5, 0.25, 0.125, 0.0625)

#: of a field that a mesh does not resolve, how many times further off than now the interpolant on an aligned mesh may
#: be from what the mesh shows of it. Alignment raised the true error, up to 2.2 times, of 14 of 18 with 2.2 and more,
#: and of none of 8 with 1.4 and less
TRUSTED = 1.75

States = Callable[[object, Array, float, BothNorms, Alignment], Problem]


def both_norms(fields: Predicts, unit: UnitMesh, distortion: float) -> BothNorms:
    """What judges alignment, and is descended by it, for fields of a mesh where it is now."""
    hessians, mesh, slide, rest = fields.hessians, unit.base, unit.slide, unit.current.points
    kind = QuadraticAlignment if isinstance(hessians, NodalThirds) else Alignment
    key = kind.__name__, distortion, hessians.inside
    if key not in unit.workspace:
        unit.workspace[key] = kind(mesh, hessians, rest, distortion, slide.curved_edges, slide.shells)
    objective = unit.workspace[key].of(hessians, rest, relative=True)
    simplices = all(b.kind.is_simplex for b in mesh.blocks)
    return BothNorms(fields, objective, rest, None if simplices else Galerkin(hessians, unit.facets, rest))


def aligned_from(
    carried: Chosen, predict: BothNorms, start: Array, problem: States, mover: Mover, effort: float
) -> Chosen:
    """Descent from where cells were carried, and where that is predicted to be worse than the start from there, too;
    no move where neither helps.

    `problem` states the problem of a density, a start, an effort, what judges and what is descended.
    """

    def descended(start: Array, before: int) -> Chosen:
        stated = problem(carried.density, start, effort, predict, predict.objective)
        move = moved_by(mover, stated)
        move = replace(move, points=within(predict, stated, move.points), iterations=before + move.iterations)
        return replace(carried, move=move, error=predict(move.points))

    ends = []
    if carried.move is not None:
        ends.append(descended(carried.move.points, carried.move.iterations))
    if carried.move is None or not predict(carried.move.points) < predict.rest:
        ends.append(descended(start, 0))
    out = min(ends, key=lambda end: end.error)
    return out if out.error <= predict.rest else replace(out, move=None, error=predict.rest)


def carried_only(
    end: Chosen, leads: Sequence[Chosen], between: Callable[[], BetweenNodes], predict: BothNorms
) -> Chosen | None:
    """Of a field that the mesh does not resolve, a move that alignment began from instead of its end, or none.

    None where the end can be trusted. Where it could not, transport to a gentle monitor left 0.25 to 1.18 times the
    true error.
    """
    if end.move is None:
        return None
    shown = between()
    if shown.error(end.move.points) <= TRUSTED:
        return None
    carried = [replace(led, error=predict(led.move.points)) for led in leads if led.move is not None]
    rest = replace(end, move=None, error=predict.rest)
    better = [led for led in carried if led.move is not None and led.error <= predict.rest]
    return min(better, key=lambda led: shown.error(led.move.points) if led.move else 0.0, default=rest)


def within(predict: BothNorms, problem: Problem, points: Array) -> Array:
    """`points`, or where they would have a larger L2 error than the mesh that came, the best on the way that has not.

    Where the L2 error of that mesh is less than second derivatives tell, as for harmonic fields on squares, descent of
    the H1 error raises it in the end; the first part of the way lowers both. A prediction without a solve
    does not know: to heed it cost the ring on triangles a tenth of its gain in H1, and a twentieth in L2.
    """
    if not predict.solved or predict.plain(points) <= 1:
        return points
    on_the_way = [problem.slide.retract(problem.start + t * (points - problem.start)) for t in SHARES]
    valid = [there for there in on_the_way if problem.admissible(there)]
    return min([problem.start, *(there for there in valid if predict.plain(there) <= 1)], key=predict)
