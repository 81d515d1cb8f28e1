"""Where nodes go, frame after frame, for fields that are known on the mesh at rest: what time steppers predict.

The nodes' place is that of `places`, as in `MovingMesh`: a few steps of the same descent from where they were. What
differs is what the caller knows. Here fields are those of the mesh at rest, not of nodes on their way; frames have no
time between them that a pace could be from; and a position is one of the field and of the positions before alone, with
no memory besides, so that runs can be cut, cached and repeated to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshmove.adaptation.movers_by_name import MOVERS
from meshmove.adaptation.movers_by_name import mover_of as mover_by_name
from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Source
from meshmove.monitors import Monitor, NodalDensity, Recovery
from meshmove.monitors.monitor import smoother
from meshmove.movers import Mover, Problem, moved_by

from .following.course import Place
from .following.places import STEPS, Target

__all__ = ["Following", "MONITOR", "Moving", "mover_of"]


#: moderately steep: interpolation on strained cells costs more than a few nodes more on a front gain
MONITOR = Monitor("hessian", intensity=2.0, exponent=0.5, smoothing=2)
#: weight of the cells' shapes: that of the meshes which the shipped models were trained on
DISTORTION = 0.005
#: descent ends where a step lowers E by less than this share, as on the meshes that the shipped models were trained on
SLOW = 0.01
#: an imbalance, and a share of that at rest, up to which following is good enough
FOLLOWED = 0.15, 0.3


def mover_of(name: str | Mover) -> Mover:
    """The mover of this name, one of `MOVERS`; others pass. A rollout leaves no choice to "auto".

    Raises
    ------
    ValueError
        Another name, or no mover.
    """
    if isinstance(name, str) and name not in MOVERS:
        *rest, last = map(repr, MOVERS)
        raise ValueError(f"Expected mover {', '.join(rest)} or {last} (got {name!r})")
    return mover_by_name(name)


class Moving:
    """Moved positions of the nodes of one mesh, for one field after the other.

    From the positions of the frame before, a few steps of descent follow the monitor: factorisations, recovery and
    point location are kept. Where that does not reach far enough, and for the first frame, the mover goes all the way.
    No cell is ever inverted.

    Parameters
    ----------
    mesh
        Which stays the reference of every move.
    monitor
        With a fixed intensity: a rollout has no time to try several.
    mover
        Name or object.
    steps
        Of descent from the frame before, at most; 0: the mover goes all the way every time.

    Examples
    --------
    >>> import skfem
    >>> mesh = Source.of(skfem.MeshTri().refined(4)).cells
    >>> moving, points = Moving(mesh), None
    >>> for at in (0.4, 0.43):
    ...     points = moving(np.tanh(20 * (mesh.points[:, 0] - at)), points)
    >>> bool(abs(points[:, 0] - 0.43).mean() < abs(mesh.points[:, 0] - 0.43).mean())
    True
    """

    def __init__(
        self, mesh: CellMesh, monitor: Monitor = MONITOR, mover: str | Mover = "monge-ampere", steps: int = STEPS
    ) -> None:
        self.mesh, self.monitor, self.mover, self.steps = mesh, monitor, mover_of(mover), steps
        self._unit = UnitMesh(Source.of(mesh), None, "slide", None)
        base = self._unit.base
        self._recovery, self._smooth = Recovery(base), smoother(base)
        self._locator = PointLocator(base.simplicial())
        self._target = Target(self._unit, "vertices", None, steps / STEPS, DISTORTION, slow=SLOW, close=0.0)
        #: of the mesh's simplices
        self.locator = PointLocator(mesh.simplicial())

    def __call__(self, values: ArrayLike, start: ArrayLike | None = None) -> Array:
        """Positions (n, d) for nodal values (n,) or (n, k), from positions `start` of the frame before."""
        s = self._unit
        indicator = self.monitor.indicator(self._recovery, np.asarray(values, float))
        m = self.monitor.values(s.base, indicator, self._smooth)
        if np.ptp(m) < 1e-9 * m.max():
            return self.mesh.points
        problem: Any = s.problem(NodalDensity(m, self._locator), s.start, 1.0)
        points = None
        if start is not None and self.steps and np.shape(start) == s.start.shape:
            if not np.array_equal(start, self.mesh.points):  # from rest it is a long way
                points = self._followed(problem, (np.asarray(start, float) - s.centre) / s.scale)
        if points is None:
            points = moved_by(self.mover, problem).points
        return np.asarray(points) * s.scale + s.centre

    def _followed(self, problem: Problem, start: Array) -> Array | None:
        """Positions after a few steps of descent from those of the frame before; None where that is not enough."""
        slide = problem.slide
        start = slide.retract(start)
        if not problem.valid(start):
            return None
        points = self._target.near(problem.density, None, start, Place(start, start)).target
        if not problem.admissible(points):
            return None
        left = problem.imbalance(points)
        enough = left < FOLLOWED[0] or left < FOLLOWED[1] * problem.imbalance(problem.start)
        return points if enough else None


class Following:
    """Where nodes go, for a model that computes without: each time from where they went the last time."""

    def __init__(self, make: Callable[[], Moving]) -> None:
        self._make = make
        self._moving: Moving | None = None
        self._points: Array | None = None

    def __call__(self, values: Array) -> Array:
        self._moving = self._moving or self._make()
        self._points = self._moving(values, self._points)
        return self._points
