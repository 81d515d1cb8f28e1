"""What a mover gives back, checked in one place before anybody believes it."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import MoverError, first_ids
from meshmove.outcomes import Outcome

from .problem import Move, Mover, Problem

__all__ = ["checked", "moved_by"]


#: nodes further than this from where they may be, in parts of the mesh's size, are not there by rounding
OFF, OFF_SINGLE = 1e-9, 1e-6
#: positions this far off, in the mesh's size, are no slip of a few nodes, and their squares would overflow
FAR = 1e100
#: a mesh is worse than the start where its merit is larger by more than this share
WORSE = 1e-9


def moved_by(mover: Mover, problem: Problem) -> Move:
    """What `mover` makes of a problem, checked; the problem's start is a copy that it may write to."""
    nodes = problem.mesh.points.copy()
    move = mover(replace(problem, start=problem.start.copy()))
    if not np.array_equal(problem.mesh.points, nodes):
        problem.mesh.points[...] = nodes
        raise MoverError(f"Expected the mover {mover.name!r} to leave problem.mesh as it is (got it with other points)")
    return checked(move, problem, mover.name)


def checked(move: Any, problem: Problem, name: str) -> Move:
    """A move that is admissible, without inverted cells, and by `Problem.merit` no worse than the start.

    Nodes that left their boundary, fixed nodes that moved, and periodic images that parted are brought back. Where
    cells are inverted then, the nodes go back towards the start until none is. Where the mesh is worse than the
    start, the start it is. Each of these adds a warning that names the mover.

    Raises
    ------
    MoverError
        No `Move`, positions of another shape or type or not finite, or a count of iterations that is none.
    """
    points = _positions(move, problem, name)
    allowed = OFF_SINGLE if move.points.dtype == np.float32 else OFF
    if problem.same(points, problem.start):
        return replace(move, points=problem.start)
    warnings = list(move.warnings)
    back = problem.slide.retract(points)
    off = np.flatnonzero(np.abs(back - points).max(axis=1) > allowed)
    if not problem.across.every(not len(off)):
        text = (
            f"the mover {name!r} left {len(off)} nodes off their boundary or moved ones that are fixed (vertices "
            f"{first_ids(off)}): they were brought back"
        )
        warnings.append(Outcome.BROUGHT_BACK.told(text))
        points = back
    elif move.points.dtype == np.float32:
        points = back  # the rounding of single precision is put right without a word
    if not problem.admissible(points):
        points, share = problem.drawn_back(points)
        how = f"{share:.0%} of the way was gone" if share else "the mesh stays as it was"
        text = f"the mover {name!r} left inverted cells or cut off a curved boundary: {how}"
        warnings.append(Outcome.BROUGHT_BACK.told(text))
    as_judged = move.judged is True and len(warnings) == len(move.warnings)
    if not as_judged and not problem.same(points, problem.start):
        before, after = problem.merit(problem.start), problem.merit(points)
        if not after <= before * (1 + WORSE):
            what = "imbalance" if problem.predict is None else "predicted error"
            text = f"the mover {name!r} raised the {what} from {before:.3g} to {after:.3g}: the mesh stays as it was"
            warnings.append(Outcome.MADE_WORSE.told(text))
            points = problem.start
    return replace(move, points=points, warnings=tuple(warnings))


def _positions(move: Any, problem: Problem, name: str) -> Array:
    if not isinstance(move, Move):
        raise MoverError(f"Expected the mover {name!r} to return a Move (got {type(move).__name__})")
    points, shape = move.points, problem.start.shape
    if not isinstance(points, np.ndarray) or points.dtype.kind not in "fiu" or points.shape != shape:
        got = f"{points.dtype} of shape {points.shape}" if isinstance(points, np.ndarray) else type(points).__name__
        raise MoverError(
            f"Expected positions of the mover {name!r} as an array of real numbers of shape {shape}, as "
            f"problem.start (got {got})"
        )
    points = np.ascontiguousarray(points, dtype=np.float64)
    bad = np.flatnonzero(~(np.abs(points) < FAR).all(axis=1))
    if len(bad):
        raise MoverError(
            f"Expected finite positions of the mover {name!r}, as problem.start (NaN, infinity or beyond {FAR:g} at "
            f"{len(bad)} vertices: {first_ids(bad)})"
        )
    if not isinstance(move.iterations, Integral) or isinstance(move.iterations, bool) or move.iterations < 0:
        raise MoverError(f"Expected the mover {name!r} to count its iterations (got {move.iterations!r})")
    if not isinstance(move.warnings, tuple | list) or not all(isinstance(w, str) for w in move.warnings):
        raise MoverError(f"Expected the warnings of the mover {name!r} as strings (got {move.warnings!r})")
    for what, value in (("step_cut", move.step_cut), ("polish", move.polish)):
        if value is not None and not isinstance(value, Real):
            raise MoverError(f"Expected a number or None as {what} of the mover {name!r} (got {value!r})")
    return points
