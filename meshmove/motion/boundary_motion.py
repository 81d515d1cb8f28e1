r"""Boundaries that move as they are told, and the nodes inside that make room for them.

The displacement of the boundary is continued inwards by the Laplacian

.. math:: -\nabla \cdot (|K|^{-1} \nabla u) = 0

with the inverse volume of each cell as coefficient, so that small cells move as rigid bodies and large ones give way
(Masud, Bhanabhagvanwala & Khurram, Comput. Mech. 39, 2007). Nodes on other boundaries glide on them. A motion by which
cells would be inverted is taken in parts, the continuation being made anew on the mesh after each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry import FieldError
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import first_ids
from meshmove.geometry.facets import facets_of
from meshmove.geometry.quality import corner_volumes, simplex_volumes
from meshmove.meshes.source import Source
from meshmove.movers.laplacian import stiffness
from meshmove.movers.lift import Lift
from meshmove.options import as_numbers, called
from meshmove.outcomes import Outcome, Told

from .following.state import State
from .setting import Setting

__all__ = ["Base", "Deformed", "Home", "deformed", "goals_of", "told", "with_boundary"]

#: parts in which a motion is taken at most, and the least share of what is left that a part takes
PARTS, LEAST = 40, 1 / 64
#: the reference keeps at least this share of each corner's volume: a mesh that is flatter serves nobody
FLAT = 1e-3
#: a mesh this near to its reference, relative to its size, is the reference itself
STILL = 1e-12

Motion = Callable[[Array, float], Any] | Mapping[str, Any]


def goals_of(source: Source, home: Array, motion: Motion, time: float) -> tuple[Ids, Array]:
    """Vertices that are moved (k,), and where they are to be at `time`, (k, dim).

    Parameters
    ----------
    source
        The mesh, for its boundaries' names.
    home
        (n, dim): where vertices were in the first reference.
    motion
        Functions f(x, t), or positions (d, k), by names of boundaries; or one function for all of the boundary.

    Raises
    ------
    ValueError
        A name that the mesh does not have, positions of another shape, or two for one node.
    FieldError
        Positions that are not finite.
    """
    facets = facets_of(source.cells)
    if callable(motion):
        named: Mapping[str, Any] = {"": motion}
    elif isinstance(motion, Mapping) and motion:
        named = motion
    else:
        raise ValueError(
            f"Expected boundary_motion as a function f(x, t), or a dict of them by name (got {type(motion).__name__})"
        )
    wanted = np.full(home.shape, np.nan)
    for name, how in named.items():
        if name and name not in facets.names:
            known = ", ".join(map(repr, facets.names)) or "none"
            raise ValueError(f"Expected the name of a boundary of the mesh (got {name!r}; it has: {known})")
        nodes = facets.nodes[facets.names[name] if name else facets.exterior]
        ids = np.unique(nodes[nodes >= 0])
        there = _positions(source, home[ids], how, time, f"boundary {name!r}" if name else "the boundary")
        twice = np.isfinite(wanted[ids, 0]) & (np.abs(wanted[ids] - there).max(axis=1) > 1e-9 * source.cells.extent)
        if twice.any():
            raise ValueError(
                f"Expected boundaries that move alike where they meet (got two places for vertices "
                f"{first_ids(ids[twice])}, one of them by boundary {name!r})"
            )
        wanted[ids] = there
    moved = np.flatnonzero(np.isfinite(wanted[:, 0]))
    return moved, wanted[moved]


def _positions(source: Source, home: Array, how: Any, time: float, what: str) -> Array:
    """(k, dim) of a function of x (d, k) and time, or an array (d, k)."""
    x = source.columns(home)
    given = called(lambda y: how(y, time), x, f"the motion of {what}") if callable(how) else as_numbers(how, what)
    if given.shape != x.shape:
        raise ValueError(f"Expected positions {x.shape} of the {x.shape[1]} vertices of {what} (got {given.shape})")
    bad = np.flatnonzero(~np.isfinite(given).all(axis=0))
    if len(bad):
        raise FieldError(f"At time {time:g}: expected finite positions of {what} (got others at {len(bad)} vertices)")
    there = np.ascontiguousarray(np.asarray(given, float).T)
    return there if source.cells.frame is None else source.cells.frame.project(there)


class Deformed:
    """Node positions of several meshes after a motion of their boundary: `meshes`, of which those that could not follow
    are None, the share of the motion that was possible, and the number of parts in which it was taken."""

    def __init__(self, meshes: Sequence[Array | None], share: float, parts: int) -> None:
        self.meshes, self.share, self.parts = meshes, share, parts


def deformed(unit: UnitMesh, room: Array, meshes: Sequence[Array], ids: Ids, goals: Array) -> Deformed:
    """Meshes (n, dim) of one topology whose vertices `ids` are moved to `goals`, in unit coordinates.

    The first is the mesh in use, which must stay valid half-way; the second is the reference, whose corners keep their
    share of the volumes `room` (s,). What is possible for both is done.
    """
    valid = unit.problem(None, unit.start, 1.0).valid
    now: list[Array | None] = list(meshes)
    start, parts, share = meshes[0][ids], 0, 0.0

    def possible(there: Sequence[Array | None]) -> bool:
        mesh, reference = there[0], there[1]
        assert mesh is not None and reference is not None
        if not (valid(mesh) and valid(reference) and valid(0.5 * (meshes[0] + mesh))):
            return False
        return bool((corner_volumes(replace(unit.base, points=reference)) / room > FLAT).all())

    while share < 1 and parts < PARTS:
        at = start + share * (goals - start)
        ways = [None if p is None else _continued(unit, p, ids, goals - at) for p in now]
        part = 1.0
        while part >= LEAST:
            to = goals if part == 1 else at + part * (goals - at)
            there = [
                None if p is None or way is None else _placed(unit, p + part * way, ids, to)
                for p, way in zip(now, ways, strict=True)
            ]
            if possible(there):
                break
            part /= 2
        else:
            break
        now = [p if p is None or k < 2 or valid(p) else None for k, p in enumerate(there)]
        share = 1.0 if part == 1 else share + part * (1 - share)
        parts += 1
    return Deformed(now, share, parts)


def _continued(unit: UnitMesh, points: Array, ids: Ids, by: Array) -> Array:
    """Displacements (n, dim) of all vertices at `points` by which those of `ids` are `by`."""
    return _Continuation(unit, points)(ids, by)


class _Continuation:
    """The Laplacian of the module's docstring, on the mesh with vertices at `points` (n, dim)."""

    def __init__(self, unit: UnitMesh, points: Array) -> None:
        mesh = replace(unit.base, points=points)
        volume = np.abs(simplex_volumes(points, mesh.corners[0]))
        weight = volume.mean() / volume
        self._slide, self._points = unit.slide, points
        self._matrix, self._lift = stiffness(mesh, weight)[0], Lift(mesh, unit.slide, weight)

    def __call__(self, ids: Ids, by: Array) -> Array:
        out = np.zeros_like(self._points)
        out[ids] = by
        self._slide.refresh(self._points)
        return out + self._slide.spread(self._lift.solve(self._slide.gather(-(self._matrix @ out))))


def _placed(unit: UnitMesh, points: Array, ids: Ids, to: Array) -> Array:
    """On the boundary, which may have grown beyond the ends of its lines, with vertices `ids` exactly where told."""
    out = unit.slide.retract(points, ends=False)
    out[ids] = to
    return out


def told(out: Deformed, time: float) -> tuple[Told, ...]:
    """What is to be said of a motion."""
    if out.share < 1:
        text = (
            f"the boundary went {100 * out.share:.3g} % of its way in the step to time {time:g}: beyond it cells would "
            "be inverted or flat"
        )
        return (Outcome.BOUNDARY_HELD_BACK.told(text),)
    if out.parts > 1:
        text = f"the boundary's motion would have inverted cells at once: it was taken in {out.parts} parts"
        return (Outcome.SUBSTEPPED.told(text),)
    return ()


class Home:
    """The first reference, with vertices that are told where to go: a mask (n,).

    A motion from here depends on where the boundary is alone, not on the way there: what comes back finds its mesh as
    it was. `room` (s,): the volumes of its corners.
    """

    def __init__(self, setting: Setting, pinned: NDArray[np.bool_]) -> None:
        nodes = setting.source.cells.vertex_nodes[pinned]
        self._unit = UnitMesh(setting.source, nodes, setting.boundary, setting.given)
        self._points = self._unit.base.points
        self._continued = _Continuation(self._unit, self._points)
        self.room = corner_volumes(self._unit.base)

    def moved(self, ids: Ids, goals: Array) -> Array | None:
        """The reference (n, dim) with the vertices `ids` at `goals`; None where that inverts or flattens cells."""
        by = self._continued(ids, goals - self._points[ids])
        out = _placed(self._unit, self._points + by, ids, goals)
        ratio = corner_volumes(replace(self._unit.base, points=out)) / self.room
        return out if (ratio > FLAT).all() and self._unit.problem(None, out, 1.0).valid(out) else None


@dataclass(frozen=True, eq=False)
class Base:
    """A reference that has been moved with its boundary: the mesh, a mask (n,) of vertices that stay on it where they
    are, and centre and scale of the unit coordinates."""

    source: Source
    pinned: NDArray[np.bool_]
    unit: tuple[Array, float]

    @classmethod
    def of(cls, source: Source, reference: Any, unit: UnitMesh, points: Array, pinned: NDArray[np.bool_]) -> Base:
        """With vertices at `points` (n, dim), in unit coordinates; `reference`: the mesh where they were."""
        base = unit.base
        by = base.lifted((points - base.points) * unit.scale)
        nodes = None if base.nodes is None else base.nodes * unit.scale + unit.centre + by
        cells = replace(base, points=points * unit.scale + unit.centre, nodes=nodes)
        mesh = source.converter.write(reference, by)
        return cls(Source(mesh, source.converter, cells, source.regions), pinned, (unit.centre, unit.scale))

    def unit_mesh(self, boundary: Any, points: Array) -> UnitMesh:
        """What moves on it, with the vertices that stay at `points` (n, dim), in its coordinates."""
        nodes = self.source.cells.vertex_nodes[self.pinned]
        unit = UnitMesh(self.source, nodes, boundary, None, self.unit)
        unit.slide.hold(points)
        return unit


def with_boundary(unit: UnitMesh, home: Home, state: State, ids: Ids, goals: Array) -> tuple[Deformed, State]:
    """A state with its boundary moved, and the nodes taken along."""
    there, old = (goals - unit.centre) / unit.scale, unit.base.points
    place = () if state.place is None else (state.place.carried, state.place.target)
    out = deformed(unit, home.room, (state.points, old, *place), ids, there)
    reference = home.moved(ids, there)
    if reference is not None:
        rests = state.place is None and np.abs(state.points - old).max() < STILL  # it is its reference, and stays so
        if rests and unit.problem(None, reference, 1.0).valid(0.5 * (state.points + reference)):
            out = Deformed((reference, reference), 1.0, 1)
        elif out.share == 1:
            out.meshes = [out.meshes[0], reference, *out.meshes[2:]]
    points, _, *rest = out.meshes
    assert points is not None
    carried, target = rest or (None, None)
    if state.place is None or carried is None or target is None:
        return out, replace(state, points=points, place=None)
    # across a body thinner than its way, a node is not near the cell where it was found last
    forgotten = replace(state.place, carried=carried, target=target, cells=None, sides=None, home=None)
    return out, replace(state, points=points, place=forgotten)
