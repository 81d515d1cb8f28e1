r"""How fast a mesh should follow: the time in which a field's features move by their own width.

A feature that travels with speed c has u_t = -c . grad u, so that

.. math:: r = \frac{\|\nabla u_t\|}{\|\nabla u\|}

is its speed over its width; for a field that grows or decays in place it is the rate of that. Relaxation with the time
constant 1/r loses little to lag, and its nodes do not jump: a mesh that goes all the way to its target in every step
has node speeds that grow like 1/dt, since targets are never quite steady (x' = (x* - x)/tau is that of MMPDE5, Huang,
Ren & Russell, SIAM J. Numer. Anal. 31, 1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshmove.communicator import Communicator
from meshmove.geometry.arrays import Array
from meshmove.monitors import Averaging

__all__ = ["Pace", "Seen", "dragged", "pace"]


#: when a field comes to a stand the rate fades within so many of its time scales: the mesh has that long to settle.
#: Then nodes stand, too: a target that is recovered on the mesh itself is never quite still
MEMORY = 3.0
#: a field changes as it did while the cosine between its change and that before is above this
STRAIGHT = 0.8


@dataclass(frozen=True, eq=False)
class Seen:
    """A field at a time: values (n, k) at vertices that stood at `points` (n, dim), and the gradients (k, dim, s).

    `rise` (k, s): how it was changing, see `Pace`; None where that is not known.
    """

    values: Array
    points: Array
    gradients: Array
    rise: Array | None = None

    @classmethod
    def of(cls, derivatives: Averaging, values: Array, points: Array) -> Seen:
        """`derivatives`: of the mesh at `points`."""
        vertex = derivatives.sides.vertex
        return cls(values, points, np.array([derivatives.gradient(u[vertex]) for u in values.T]))

    def ahead(self, before: Seen, share: float) -> tuple[Array, Array]:
        """Values and points extrapolated in a straight line by a share of the step from `before`."""
        return self.values + share * (self.values - before.values), self.points + share * (self.points - before.points)


@dataclass(frozen=True)
class Pace:
    """`rate`: 1/time, of change of the field; `speed`: of its features, in the mesh's unit of length.

    `rise` (k, s): u_t of each field relative to its spread; `straight`: the cosine between this one and the one before,
    0 where that is not known. It is -1 where features turn back, at the same rate.
    """

    rate: float
    speed: float
    rise: Array | None = None
    straight: float = 0.0

    @property
    def steady(self) -> float:
        """The rate of a field that goes on changing as it did, else 0."""
        return self.rate if self.straight > STRAIGHT and np.isfinite(self.rate) else 0.0

    def after(self, before: float, scale: float, dt: float) -> tuple[float, float]:
        """The rate to follow with, after the one that was followed with before, and the rate that it fades with."""
        faded = before * float(np.exp(-dt * scale / MEMORY)) if before else 0.0
        return (faded, scale) if faded > self.rate else (self.rate, self.rate)


def pace(derivatives: Averaging, before: Seen, now: Seen, dt: float) -> Pace:
    """Rate and speed of fields between two times `dt` apart; `derivatives`: of the mesh at the later one.

    What nodes see change because they move themselves is taken off with the mean of both gradients, so that a mesh that
    goes far in a field that stands still does not take it for one that moves. Several fields count by their squares
    relative to their spread.
    """
    vertex = derivatives.sides.vertex
    went = (now.points - before.points)[vertex]
    slope = turn = change = 0.0
    across, weight = derivatives.across, derivatives.weight
    rises = np.zeros((now.values.shape[1], len(vertex)))
    for k, (new, old) in enumerate(zip(now.values.T, before.values.T, strict=True)):
        spread = max(_spread(new, across), _spread(old, across))
        if not spread > 0:
            continue
        gradient = now.gradients[k] / spread
        along = 0.5 * (gradient + before.gradients[k] / spread)
        rises[k] = rise = ((new - old)[vertex] / spread - np.einsum("sc,cs->s", went, along)) / dt
        slope += float(weight @ (gradient**2).sum(0))
        turn += float(weight @ (derivatives.gradient(rise) ** 2).sum(0))
        change += float(weight @ rise**2)
    slope, turn, change = (float(x) for x in across.sum(np.array([slope, turn, change])))
    if not turn > 0:
        return Pace(0.0, 0.0)
    if not slope > 0:
        return Pace(np.inf, np.inf)
    straight = _cosine(derivatives, rises, before.rise)
    return Pace(float(np.sqrt(turn / slope)), float(np.sqrt(change / slope)), rises, straight)


def _spread(values: Array, across: Communicator) -> float:
    """Largest less least value over all nodes."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    return float(across.maximum(high) - across.minimum(low))


def _cosine(derivatives: Averaging, now: Array, before: Array | None) -> float:
    if before is None:
        return 0.0
    weight = derivatives.weight
    sums = [(weight @ (a * b).T).sum() for a, b in ((now, now), (before, before), (now, before))]
    here, there, both = (float(x) for x in derivatives.across.sum(np.array(sums)))
    size = np.sqrt(here * there)
    return both / size if size > 0 else 0.0


def dragged(derivatives: Averaging, values: Array, by: Array, dt: float) -> float:
    """The rate |grad (w . grad u)| / |grad u| that nodes see in standing fields (n, k) while they go by (n, dim)."""
    vertex = derivatives.sides.vertex
    slope = turn = 0.0
    for u in values.T:
        spread = np.ptp(u)
        if not spread > 0:
            continue
        gradient = derivatives.gradient(u[vertex] / spread)
        rise = np.einsum("sc,cs->s", by[vertex], gradient) / dt
        slope += float(derivatives.weight @ (gradient**2).sum(0))
        turn += float(derivatives.weight @ (derivatives.gradient(rise) ** 2).sum(0))
    return float(np.sqrt(turn / slope)) if slope > 0 else 0.0
