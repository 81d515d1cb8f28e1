"""Accelerated relaxation of the displacement: the first, long part of a move, in a few dozen cheap steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import simplex_volumes
from meshmove.geometry.sliding import Slide
from meshmove.movers.laplacian import corner_weights, simplex_gradients
from meshmove.movers.objectives.equidistribution import Functional

__all__ = ["Relaxed", "divergence", "relax"]


#: give up when the residual is still above this share of the initial one after so many steps
HOPELESS, PATIENCE = 0.8, 9
#: share of the limit to stretching along curved boundaries: its whole is 30 times as stiff as the Laplacian that steps
#: are made with, and nothing that they can follow. What is left to it the descent does, which has all of it
LIMITED = 0.1
#: changes of the update are taken for dependent below this share of the largest singular value
INDEPENDENT = 1e-10


@dataclass(frozen=True)
class Relaxed:
    """Positions (n, dim), the residual reached and the one at rest, steps taken."""

    points: Array
    residual: float
    initial: float
    iterations: int


def divergence(mesh: CellMesh) -> list[csr_matrix]:
    """One matrix (n_cells, n) for each component: volume-weighted divergence of a displacement on every cell."""
    simplices, owner = mesh.corners
    volume = np.abs(simplex_volumes(mesh.points, simplices))
    grads = simplex_gradients(mesh.points, simplices) * (volume * corner_weights(mesh))
    rows, cols = np.tile(owner, mesh.dim + 1), simplices.T.ravel()
    shape = (mesh.n_cells, mesh.n_points)
    return [csr_matrix((grads[:, c].ravel(), (rows, cols)), shape=shape) for c in range(mesh.dim)]


def relax(
    functional: Functional,
    forces: list[csr_matrix],
    lift: Callable[[Array], Array],
    slide: Slide,
    start: Array,
    *,
    steps: int = 25,
    tolerance: float = 3e-3,
    step_size: float = 0.3,
    memory: int = 8,
    across: Communicator = SERIAL,
) -> Relaxed:
    r"""d <- d - tau K^-1 B^T (q - 1) with Anderson acceleration (Walker & Ni 2011).

    B is the divergence on the reference mesh and K the Laplacian of each component, so that
    a step is the gradient of a potential up to the boundary: the relaxation of the Monge-Ampère equation by
    Benamou, Froese & Oberman (2010) and Awanou (2015), written for the displacement, which lets nodes at
    re-entrant corners stay where they are. `forces` is B^T by component. Intermediate meshes may have inverted
    cells, and may have to; the one with the smallest residual |K^-1/2 B^T (q - 1)| is returned, inverted cells or not.
    """
    total = float(across.sum(functional.volume.sum()))
    past = _Past(memory, across)

    def residual(d: Array, before: Array | None = None) -> tuple[Array, float, Array, Array]:
        with np.errstate(all="ignore"):  # a step may go astray; its norm then says so
            return _residual(d, before)

    def _residual(d: Array, before: Array | None) -> tuple[Array, float, Array, Array]:
        points = slide.retract(slide.origin + d)
        q, _ = functional.balance(points)
        force = np.stack([b @ (q - 1) for b in forces], axis=1)
        if functional.limit is not None:
            force += LIMITED * functional.limit(points)[1]
        force = slide.gather(across.accumulate(force))
        step = slide.spread(lift(force))
        square, factors = past.told(float(np.vdot(across.own(step), across.own(force))), -step_size * step, before)
        norm = np.sqrt(max(square, 0.0) / total) if np.isfinite(square) else np.inf
        return -step_size * step, norm, points, factors

    d = start - slide.origin
    update, initial, points, factors = residual(d)
    norm = initial
    best = Relaxed(points, norm, initial, 0)
    k = 0
    while k < steps and norm > tolerance * initial and np.isfinite(norm):
        k += 1
        direction = past.mixed(update, factors)
        length = 1.0
        new = residual(d + direction, update)
        while not new[1] < 3 * norm:  # the residual may rise, but not run away
            length *= 0.5
            if length < 0.05:
                past.forget()
                direction, length = update, 0.3
                new = residual(d + length * direction, update)
                break
            new = residual(d + length * direction, update)
        if not np.isfinite(new[1]) or (k >= PATIENCE and best.residual > HOPELESS * initial):
            break
        past.learn(length * direction, new[0] - update)
        d = d + length * direction
        update, norm, points, factors = new
        if norm < best.residual:
            best = Relaxed(points, norm, initial, k)
    return Relaxed(best.points, best.residual, initial, k)


class _Past:
    """Changes of the displacement and of the update in the last few steps, of which Anderson's step is mixed."""

    def __init__(self, memory: int, across: Communicator) -> None:
        self._memory, self._across = memory, across
        self.forget()

    def forget(self) -> None:
        self._d: list[Array] = []
        self._f: list[Array] = []

    def learn(self, by: Array, change: Array) -> None:
        self._d, self._f = [*self._d, by][-self._memory :], [*self._f, change][-self._memory :]

    def told(self, square: float, update: Array, before: Array | None) -> tuple[float, Array]:
        """The sum of `square` over all processes, and in the same reduction what `mixed` needs of this update, should
        it be what follows the one before: triangular factors of each process's rows.

        Products of the vectors would do, too, but lose half of the digits, and what is then taken for dependent hangs
        on the partition (Demmel, Grigori, Hoemmen & Langou, SIAM J. Sci. Comput. 34, 2012).
        """
        if self._across.serial:
            return square, np.zeros(0)
        if before is None:
            return float(self._across.sum(np.array(square))), np.zeros(0)
        columns = [*self._f, update - before][-self._memory :]
        rows = np.stack([self._across.own(f).ravel() for f in (*columns, update)], axis=1)
        width = rows.shape[1]
        mine = np.zeros((width + 1, width))
        factor = np.linalg.qr(rows, mode="r")
        mine[: len(factor)], mine[-1, 0] = factor, square
        every = self._across.each(mine)
        return float(every[:, -1, 0].sum()), every[:, :-1].reshape(-1, width)

    def mixed(self, update: Array, factors: Array) -> Array:
        """The next step; `factors`: what was told with this update."""
        if not self._d:
            return update
        x, f = (np.stack([a.ravel() for a in past], axis=1) for past in (self._d, self._f))
        if self._across.serial:
            mix = np.linalg.lstsq(f, update.ravel(), rcond=INDEPENDENT)[0]
        else:
            mix = np.linalg.lstsq(factors[:, :-1], factors[:, -1], rcond=INDEPENDENT)[0]
        return update - ((x + f) @ mix).reshape(update.shape)
