r"""Burgers' equation for one scalar on the unit square, by finite volumes.

    u_t + (u^2/2)_x + (u^2/2)_y = nu (u_xx + u_yy).

The unknowns are values at the nodes of a uniform grid, each the mean over the control volume around it. Fluxes take
the slopes of van Albada's limiter and the Rusanov flux (MUSCL, van Leer 1979; LeVeque, Finite Volume Methods for
Hyperbolic Problems, 2002, chapter 6), diffusion takes central differences, time the third-order Runge-Kutta method
that preserves monotony (Shu & Osher 1988). Second order where the solution is smooth, conservative to rounding on the
torus, and without new extrema.

On the torus x + y = s is a one-dimensional problem, w_t + 2 (w^2/2)_s = 2 nu w_ss, which the Cole-Hopf transform
solves: `travelling_wave` is what the solver is checked against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.progress import progress_of
from meshmove.solvers.data.trajectories import Trajectories

__all__ = ["burgers_frames", "burgers_mesh", "burgers_trajectories", "random_field", "travelling_wave"]

Boundary = Literal["wall", "periodic"]
#: of the number of values a side, a generator of random numbers and, by name, `boundary`
Start = Callable[..., Array]


def burgers_frames(
    u0: ArrayLike, times: Iterable[float], viscosity: float, *, boundary: Boundary = "wall", cfl: float = 0.9
) -> Iterator[Array]:
    """Solutions at increasing times, each of the shape of the field at time 0.

    Parameters
    ----------
    u0
        Values (n, n) at (i h, j h), first index x. With "wall" h = 1 / (n - 1), the first and last rows and columns
        lie on the boundary and are held at 0. With "periodic" h = 1 / n.
    times
        Not before 0, increasing; 0 gives the initial field.
    viscosity
        nu, at least 0. Layers are some 4 nu / jump wide.
    cfl
        Time step relative to the longest for which a step of Euler's method makes no new extrema.

    Raises
    ------
    FieldError
        The field is not square, not finite, or has fewer than 5 values a side.
    ValueError
        Negative viscosity or decreasing times, or an unknown boundary.

    >>> start = np.ones((8, 8))  # a constant is a solution on the torus
    >>> end, = burgers_frames(start, [0.3], 0.01, boundary="periodic")
    >>> bool(np.allclose(end, 1))
    True
    """
    u = np.array(u0, float)
    if u.ndim != 2 or u.shape[0] != u.shape[1] or len(u) < 5 or not np.isfinite(u).all():
        raise FieldError(f"Expected finite values on a square grid, at least 5 a side (got shape {u.shape})")
    if boundary not in ("wall", "periodic"):
        raise ValueError(f"Expected boundary 'wall' or 'periodic' (got {boundary!r})")
    if not (np.isfinite(viscosity) and viscosity >= 0):
        raise ValueError(f"Expected a viscosity of at least 0 (got {viscosity})")
    return _frames(u, times, viscosity, boundary == "wall", cfl)


def _frames(u: Array, times: Iterable[float], viscosity: float, wall: bool, cfl: float) -> Iterator[Array]:
    h = 1 / (len(u) - 1 if wall else len(u))
    if wall:
        u[[0, -1]] = u[:, [0, -1]] = 0
    now, rate = 0.0, _Rate(len(u), h, viscosity, wall)
    for time in times:
        if time < now:
            raise ValueError(f"Expected increasing times from 0 on (got {time} after {now})")
        while time - now > 1e-12:
            # extrema do not grow, so the limit of the start of a stretch holds throughout it
            fastest = 4 * np.abs(u).max() / h + 4 * viscosity / h**2
            dt = (time - now) / np.ceil((time - now) * max(fastest / cfl, 1e-12))
            stretch = min(round((time - now) / dt), 20)
            for _ in range(stretch):
                u = _step(u, dt, rate)
            now += stretch * dt
        now = time
        yield u.copy()


class _Rate:
    """du/dt of a grid of values; zero on walls.

    Its work space is kept: at this size the page faults of fresh arrays would cost three times the arithmetic.
    """

    def __init__(self, n: int, h: float, viscosity: float, wall: bool) -> None:
        self._h, self._viscosity, self._wall = h, viscosity, wall
        self._v, self._d, self._squares = (np.empty((n + k, n)) for k in (4, 3, 3))
        self._slope, self._product = (np.empty((n + 2, n)) for _ in range(2))
        self._left, self._right, self._flux, self._jump = (np.empty((n + 1, n)) for _ in range(4))
        self._along_x, self._along_y = np.empty((n, n)), np.empty((n, n))

    def __call__(self, u: Array) -> Array:
        """The rate; its array is used again by the next call."""
        self._along_rows(u, self._along_x)
        self._along_rows(u.T, self._along_y)
        total = np.add(self._along_x, self._along_y.T, out=self._along_x)
        if self._wall:
            total[[0, -1]] = total[:, [0, -1]] = 0
        return total

    def _along_rows(self, u: Array, out: Array) -> None:
        """-(f(u) - nu u_x)_x along the first index."""
        v, d, slope, product, left, right, flux, jump = (
            self._v, self._d, self._slope, self._product, self._left, self._right, self._flux, self._jump
        )  # fmt: skip
        v[2:-2] = u
        # the field continues beyond walls as an odd one: with u = 0 on the wall u_nn = 0 follows from the equation
        v[:2], v[-2:] = (-u[2:0:-1], -u[-2:-4:-1]) if self._wall else (u[-2:], u[:2])
        np.subtract(v[1:], v[:-1], out=d)
        # van Albada's mean of two slopes a and b, ab (a + b) / (a^2 + b^2), 0 at extrema; half of it to either side
        np.multiply(d[:-1], d[1:], out=product)
        np.maximum(product, 0, out=product)
        product *= np.add(d[:-1], d[1:], out=slope)
        np.multiply(d, d, out=self._squares)
        np.add(self._squares[:-1], self._squares[1:], out=slope)
        slope *= 2
        slope += 1e-30  # flat regions: no 0/0
        np.divide(product, slope, out=slope)
        np.add(v[1:-2], slope[:-1], out=left)
        np.subtract(v[2:-1], slope[1:], out=right)
        # Rusanov: the mean of the two fluxes less half the jump times the largest speed, and diffusion
        np.subtract(left, right, out=jump)
        np.multiply(left, left, out=flux)
        flux += np.multiply(right, right, out=product[1:])
        flux *= 0.5
        jump *= np.maximum(np.abs(left, out=left), np.abs(right, out=right), out=left)
        flux += jump
        flux *= 0.5
        flux -= np.multiply(d[1:-1], self._viscosity / self._h, out=jump)
        np.subtract(flux[:-1], flux[1:], out=out)
        out /= self._h


def _step(u: Array, dt: float, rate: _Rate) -> Array:
    stage = rate(u)
    stage = np.add(u, np.multiply(stage, dt, out=stage))
    for weight in (0.25, 2 / 3):
        change = rate(stage)
        change *= dt
        stage += change
        stage *= weight
        stage += np.multiply(u, 1 - weight, out=change)
    return stage


def travelling_wave(viscosity: float, amplitude: float = 0.9) -> Callable[[Array, float], Array]:
    """An exact solution u(x, t) on the torus, for x (2, ...), a function of x + y alone.

    Cole-Hopf: w = -2 nu theta_s / theta solves w_t + 2 w w_s = 2 nu w_ss where theta_t = 2 nu theta_ss; here
    theta = 1 + amplitude exp(-8 pi^2 nu t) cos(2 pi s). The amplitude, below 1, sets how steep it is.

    >>> u = travelling_wave(0.01)
    >>> x = np.array([[0.0, 0.2], [0.5, 0.3]])
    >>> bool(np.isclose(u(x, 0.0)[0], u(x, 0.0)[1]))
    True
    """

    def exact(x: Array, t: float) -> Array:
        s = 2 * np.pi * (x[0] + x[1])
        a = amplitude * np.exp(-8 * np.pi**2 * viscosity * t)
        return 4 * np.pi * viscosity * a * np.sin(s) / (1 + a * np.cos(s))

    return exact


def random_field(n: int, rng: np.random.Generator, *, boundary: Boundary = "wall", modes: int = 5) -> Array:
    """A random smooth field (n, n), its largest absolute value 1, the same function on every grid.

    A sum of sines of up to `modes` half-waves a side ("wall") or of waves of up to half as many ("periodic"), with
    normal coefficients that fall like the fourth power of the inverse wave number.

    >>> coarse, fine = (random_field(n, np.random.default_rng(3)) for n in (9, 17))
    >>> float(np.corrcoef(coarse.ravel(), fine[::2, ::2].ravel())[0, 1].round(9))
    1.0
    """
    wall = boundary == "wall"
    x = np.arange(n) / (n - 1 if wall else n)
    k = np.arange(1, modes + 1) if wall else np.arange(-(modes // 2), modes // 2 + 1)
    size = (k[:, None] ** 2 + k**2) / (2.0 if wall else 0.5)
    weight = 1 / (2 + size) ** 2
    if wall:
        waves = np.sin(np.pi * np.outer(k, x))
        u = waves.T @ (weight * rng.standard_normal(size.shape)) @ waves
        u[[0, -1]] = u[:, [0, -1]] = 0
    else:
        waves = np.exp(2j * np.pi * np.outer(k, x))
        coefficients = weight * (rng.standard_normal(size.shape) + 1j * rng.standard_normal(size.shape))
        u = (waves.T @ coefficients @ waves).real
    return u / np.abs(u).max()


def burgers_trajectories(
    n: int = 100,
    *,
    seed: int = 0,
    cells: int = 192,
    stride: int = 4,
    frames: int = 31,
    end: float = 1.0,
    viscosity: float | tuple[float, ...] = 0.005,
    height: float | tuple[float, ...] = 1.0,
    start: Start = random_field,
    boundary: Boundary = "wall",
    progress: bool = False,
) -> Trajectories:
    """Trajectories of random initial fields, computed on cells x cells and sub-sampled by `stride`.

    The points are the (cells / stride + 1)^2 nodes of triangles on the closed unit square, x slowest; on the torus
    the last row and column repeat the first. Trajectory i does not depend on how many there are.

    Parameters
    ----------
    viscosity
        One, or several to take in turn; they are the attribute "viscosity".
    height
        Largest absolute value of the initial field; one, or several to take in turn.
    start
        Draws an initial field of height 1, see `random_field`.
    progress
        Show a progress bar.

    Raises
    ------
    ValueError
        The stride does not divide the number of cells, or a number is not positive.

    >>> data = burgers_trajectories(2, cells=16, stride=2, frames=3, end=0.1)
    >>> data
    Trajectories(2 trajectories of 3 frames, 81 nodes; fields: u)
    """
    if min(n, cells, stride, frames) < 1 or cells % stride:
        raise ValueError(
            f"Expected positive numbers, and a stride that divides the cells (got n={n}, cells={cells}, "
            f"stride={stride}, frames={frames})"
        )
    viscosities, heights = (np.resize(np.atleast_1d(np.asarray(v, float)), n) for v in (viscosity, height))
    times = np.linspace(0, end, frames)
    wall = boundary == "wall"
    values = np.empty((n, frames, (cells // stride + 1) ** 2), np.float32)
    for i in progress_of(range(n), "Burgers", progress):
        u0 = heights[i] * start(cells + 1 if wall else cells, np.random.default_rng([seed, i]), boundary=boundary)
        for k, u in enumerate(burgers_frames(u0, times, viscosities[i], boundary=boundary)):
            closed = u if wall else np.pad(u, (0, 1), mode="wrap")
            values[i, k] = closed[::stride, ::stride].ravel()
    points, triangles, sides = _square(cells // stride)
    return Trajectories(
        points,
        {"triangle": triangles},
        times,
        {"u": values},
        sides,
        {"viscosity": viscosities},
        {"equation": "burgers", "seed": seed, "cells": cells, "stride": stride, "boundary": boundary},
    )


def burgers_mesh(cells: int) -> CellMesh:
    """Triangles on the unit square, two in each of cells x cells squares, with named sides; as those of the data.

    >>> burgers_mesh(4).n_points
    25
    """
    points, triangles, sides = _square(cells)
    return replace(CellMesh.single(points, triangles, "triangle"), facets=sides)


def _square(n: int) -> tuple[Array, NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Nodes, triangles and named sides of the unit square, n cells a side, node i (n + 1) + j at (i, j) / n."""
    ids = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    points = np.stack(np.divmod(ids.ravel(), n + 1), axis=1) / n
    a, b, c, d = ids[:-1, :-1].ravel(), ids[1:, :-1].ravel(), ids[1:, 1:].ravel(), ids[:-1, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    ends = {"left": ids[0], "right": ids[-1], "bottom": ids[:, 0], "top": ids[:, -1]}
    return points, triangles, {name: np.stack([e[:-1], e[1:]], axis=1) for name, e in ends.items()}
