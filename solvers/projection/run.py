"""What the grids of one problem share: its projection onto any splines, a fresh look at it, and what it may cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.unit import InteriorRows

from .features.singular import corner_features, hole_features
from .features.splines import Splines
from .field import Expansion
from .grids import DEGREE, Feature, Level, Projection, fit
from .middles import Middles
from .trust import told

__all__ = ["SCOUT", "Run", "size_of", "told_of"]

SCOUT = 20_000  #: scattered points at which sources are looked for that all grids miss
#: told of by a grid after which one that takes such a share of the work is not tried, without patience; the share after
#: two of which the finer tells of more than so much of what the coarser did
_HOPELESS, _DEAR, _STUCK, _CHEAP = 0.5, 0.15, 0.8, 0.02


@dataclass
class Run:
    """A problem, what its projections may cost, and what they share."""

    unit: UnitProblem
    extra: Sequence[Feature]
    tolerance: float
    work: float
    seed: int
    scout: int
    floor: float = 0.0  #: the least L2 norm that errors are relative to: to that of u, where it is more
    weakest: float = float("inf")  #: the least of all grids: on finer ones it can only rise by rounding
    patient: bool = True  #: whether the dearest grids are tried after others that tell of an error of the size of u
    stopped: bool = False  #: whether some were not
    #: whether something else meets the tolerance, asked where the first grid tells of a large error
    instead: Callable[[Projection], bool] | None = None
    begun: float = field(default_factory=time.perf_counter)
    samples: dict[int, InteriorRows] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.corners = corner_features(self.unit)
        self.more = sum(f.size for f in self.corners) + sum(f.size for f in self.extra)

    def rows(self, n: int) -> InteriorRows:
        """The equation at so many scattered points."""
        if n not in self.samples:
            self.samples[n] = self.unit.interior(n, seed=self.seed + 7919)
        return self.samples[n]

    @property
    def scattered(self) -> InteriorRows:
        """The equation where sources are looked for that grids miss."""
        return self.rows(self.scout)

    def features(self, splines: Splines) -> list[Feature]:
        """The singular functions that splines ask for, and further ones."""
        longest = max(float(splines.shares(a).max()) / n for a, n in enumerate(splines.cells))
        holes = hole_features(self.unit, 4.0 / max(splines.cells) if splines.knots is None else 4.0 * longest)
        return [*self.corners, *holes, *self.extra]

    def fitted(self, splines: Splines, smeared: bool = False) -> Projection:
        """The projection onto splines and the features that they ask for."""
        return fit(self.unit, splines, self.features(splines), seed=self.seed, smeared=smeared)

    def look(self, splines: Splines, levels: Sequence[Level], before: Expansion | None = None) -> Projection:
        """The projection onto splines with what a fresh look tells of it, as the next level after others."""
        now = self.fitted(splines)
        middles = Middles(now)
        u = middles.values(now.field.weights / now.system.scales)
        change = float("nan")
        if before is not None:
            change = middles.norm(before.jets(middles.points)[0] - u) / max(middles.norm(u), self.floor, 1e-300)
        seen = told(self.unit, now, middles, self.scattered, self.floor, self.weakest)
        self.weakest = min(self.weakest, seen.weakest)
        level = Level(
            splines.cells,
            len(now.field.weights),
            seen.residual,
            change,
            seen.interior + seen.unseen + seen.unsolved,
            seen.missed,
            time.perf_counter() - self.begun,
            splines.knots is not None,
        )
        return replace(now, levels=(*levels, level), seen=seen)

    def size(self, now: Projection) -> float:
        """L2 norm that errors are relative to."""
        return max(size_of(now), self.floor)

    def affordable(self, cells: tuple[int, int]) -> bool:
        """Whether a solve costs no more than it may: the factor of the band, and the columns that go through it."""
        return self._work(cells) <= self.work

    def hopeless(self, now: Projection, cells: tuple[int, int]) -> bool:
        """Whether a grid is not worth its cost after this one."""
        told = [level.interior + level.missed for level in now.levels[-2:]]
        dear = _CHEAP if len(told) == 2 and told[1] > _STUCK * told[0] else _DEAR
        hopeless = not self.patient and told[-1] > _HOPELESS and self._work(cells) > dear * self.work
        self.stopped = self.stopped or hopeless
        return hopeless

    def _work(self, cells: tuple[int, int]) -> float:
        splines = Splines(cells, DEGREE)
        return splines.size * splines.band * (splines.band + 4.0 * self.more)


def told_of(now: Projection) -> float:
    """The relative error that a fresh look tells of."""
    return now.levels[-1].interior + now.levels[-1].missed


def size_of(now: Projection) -> float:
    """L2 norm of a solution."""
    middles = Middles(now)
    return middles.norm(middles.values(now.field.weights / now.system.scales))
