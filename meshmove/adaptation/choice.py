"""Choosing the monitor: of a few candidates, the mesh on which the solution is predicted to be best."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

from scipy.sparse import csr_matrix

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.monitors import Monitor, NodalDensity, optimal_exponent
from meshmove.monitors.monitor import smoother
from meshmove.movers import Density, Move, Mover, Problem, moved_by
from meshmove.progress import stage

from .judging.prediction import Predictor, Predicts

__all__ = ["Chosen", "Densities", "Predictor", "Trials", "choose", "nodal_densities", "transports"]


#: intensities in rising order, and where the search among them begins
INTENSITIES = (0.4, 1.0, 2.5, 6.0, 15.0, 40.0)
FIRST = 2
#: exponents of the Hessian's norm relative to the optimal one: recovered Hessians of steep fields want less contrast
EXPONENTS = (0.6, 1.0)
#: intensities of the moves that go before alignment
TRANSPORT = (2.5, 6.0)
#: effort of a trial relative to that of the final move: little more than the relaxation on meshes above LARGE nodes
TRIAL, TRIAL_LARGE, LARGE = 0.4, 0.1, 20_000
#: nodes beyond which one move with FIRST's intensity takes the place of the search: on 21,000 nodes it reached 78 to
#: 106 % of the search's gain, in a third of the time
HUGE = 40_000
#: effort below which a mesh is carried once: where relaxation cannot go all the way, what else is tried takes ten times
#: as long on 960 hexahedra
QUICK = 0.5


@dataclass(frozen=True, eq=False)
class Chosen:
    """The monitor and the move that were chosen. `move` is None when staying put is predicted to be best."""

    monitor: Monitor
    density: Density
    values: Array
    move: Move | None
    error: float


#: of a monitor the function of space, and its values (n,) at the vertices
Densities = Callable[[Monitor], tuple[Density, Array]]


def nodal_densities(
    indicator: Array, mesh: CellMesh, locator: PointLocator, smooth: csr_matrix | None = None
) -> Densities:
    """Those of an indicator (n,) at the vertices of a mesh; `smooth`: its `smoother`, where that is known."""
    smooth = smoother(mesh) if smooth is None else smooth

    def of(monitor: Monitor) -> tuple[NodalDensity, Array]:
        values = monitor.values(mesh, indicator, smooth)
        return NodalDensity(values, locator), values

    return of


class Trials:
    """Trial moves for candidate monitors, each starting from the best mesh so far.

    `densities` makes monitors functions of space; `n_points` of the mesh is how much its moves cost.
    `problem(density, start, effort, predict)` states the problem of one candidate.
    """

    def __init__(
        self,
        densities: Densities,
        predict: Predicts,
        problem: Callable[[Density, Array, float, Predicts | None], Problem],
        mover: Mover,
        start: Array,
        effort: float,
        n_points: int,
    ) -> None:
        self._densities, self._predict = densities, predict
        self._problem, self._mover, self._start, self._effort = problem, mover, start, effort
        self.once_only = n_points > HUGE or effort < QUICK
        self.huge = n_points > HUGE
        self._trial_effort = effort * (TRIAL if n_points <= LARGE else TRIAL_LARGE)
        self.best: Chosen | None = None

    def by(self, mover: Mover) -> Trials:
        """Trials of another mover."""
        other = copy(self)
        other._mover, other.best = mover, None
        return other

    @property
    def rest(self) -> float:
        """The predicted error of the mesh as it is."""
        return self._predict.rest

    def trial(self, monitor: Monitor) -> float:
        density, values = self._densities(monitor)
        start = self._start if self.best is None or self.best.move is None else self.best.move.points
        problem = self._problem(density, start, self._trial_effort, self._predict)
        move = moved_by(self._mover, problem)
        error = self._predict(move.points)
        stage("trial at intensity %g: %.3g of the predicted error", monitor.intensity, error / self.rest)
        if self.best is None or error < self.best.error:
            self.best = Chosen(monitor, density, values, move, error)
        return error

    def carried(self, monitor: Monitor, move: Move | None) -> Chosen:
        """A move to a monitor from where another has led, whatever error is predicted there."""
        density, values = self._densities(monitor)
        problem = self._problem(density, self._start if move is None else move.points, self._effort, None)
        further = moved_by(self._mover, problem)
        before = 0 if move is None else move.iterations
        return Chosen(monitor, density, values, replace(further, iterations=before + further.iterations), self.rest)

    def unmoved(self, monitor: Monitor) -> Chosen:
        """The monitor of the first transport, for a mover that lowers the predicted error by itself."""
        monitor = replace(monitor, intensity=TRANSPORT[0])
        density, values = self._densities(monitor)
        return Chosen(monitor, density, values, None, self._predict.rest)

    def along_intensity(self, monitor: Monitor) -> None:
        """From the middle of the list up while it gets better, else down."""
        errors = {FIRST: self.trial(replace(monitor, intensity=INTENSITIES[FIRST]))}
        for step in (1, -1):
            k = FIRST + step
            while 0 <= k < len(INTENSITIES):
                errors[k] = self.trial(replace(monitor, intensity=INTENSITIES[k]))
                if errors[k] >= 0.98 * errors[k - step]:
                    break
                k += step
            if k != FIRST + 1:  # going up has helped: no need to look below
                break

    def once(self, monitor: Monitor) -> Chosen:
        """A single move with full effort; gentler ones only where it is predicted to make things worse."""
        self._trial_effort = self._effort
        for intensity in INTENSITIES[FIRST::-1]:
            if self.trial(replace(monitor, intensity=intensity)) < self._predict.rest:
                break
        return self.or_rest()

    def finished(self) -> Chosen:
        """The best candidate once more, with full effort."""
        best = self.best
        if best is None or best.move is None:
            raise ValueError("Expected at least one trial before the choice")
        final = moved_by(self._mover, self._problem(best.density, best.move.points, self._effort, self._predict))
        error = self._predict(final.points)
        if error < best.error:
            self.best = replace(best, move=final, error=error)
        return self.or_rest()

    def or_rest(self) -> Chosen:
        """The best so far; no move where even that is predicted to be worse than none."""
        best, rest = self.best, self._predict.rest
        if best is None:
            raise ValueError("Expected at least one trial before the choice")
        return best if best.error < rest else replace(best, move=None, error=rest)


def choose(monitor: Monitor, trials: Trials, dim: int) -> Chosen:
    """Fill in what a `Monitor` leaves open by trial moves, judged by the predicted error."""
    open_exponent = monitor.kind == "hessian" and monitor.exponent is None
    optimum = optimal_exponent(dim)
    smoothing = 0 if monitor.smoothing is None else monitor.smoothing
    exponent = EXPONENTS[0] * optimum if open_exponent else monitor.exponent
    first = replace(monitor, exponent=exponent, smoothing=smoothing)
    if trials.huge:
        return trials.once(first)
    trials.along_intensity(first)
    if open_exponent:
        for factor in EXPONENTS[1:]:
            for intensity in INTENSITIES[1:3]:
                trials.trial(replace(first, exponent=factor * optimum, intensity=intensity))
    return trials.finished()


def transports(monitor: Monitor, trials: Trials, thorough: Mover) -> list[Chosen]:
    """Where cells are carried to before they are aligned: a move, and where that was a long way another from there.

    What is predicted of such meshes tells little of what alignment makes of them, so they are not judged: of peaks that
    are narrow beside the mesh, those that were predicted to be worse ended with a third less error. Where the way was
    short, the second, to a higher intensity, left up to 15 % more. Huge meshes and quick moves get one.

    Where relaxation cannot go all the way, as in thin layers on unstructured meshes, the better one of two moves by
    `thorough` is another place to align from.
    """
    first, second = (replace(monitor, intensity=intensity) for intensity in TRANSPORT)
    carried = trials.carried(first, None)
    if carried.move is None or carried.move.met or trials.once_only:
        return [carried]
    judged = trials.by(thorough)
    for asked in (first, second):
        if judged.trial(asked) >= trials.rest:
            break
    return [trials.carried(second, carried.move), judged.or_rest()]
