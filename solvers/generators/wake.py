r"""The wake of a cylinder: vortex shedding at Reynolds numbers 100 to 200, on one unstructured mesh.

A cylinder of diameter 1 in a stream of speed 1, Re = 1 / nu, between walls that let the fluid slip. Lengths are in
diameters, times in diameters over speed. The mesh is uniform in stretched coordinates: fine at the cylinder and in its
wake, coarser away from them; the cylinder is a polygon with 48 sides.

The Strouhal number (frequency) of an unconfined cylinder is St = -3.3265 / Re + 0.1816 + 1.6e-4 Re for laminar
shedding, Re 49 to 178 (Williamson, Oblique and parallel modes of vortex shedding in the wake of a circular cylinder at
low Reynolds numbers, J. Fluid Mech. 206, 1989). Walls speed up the flow beside the cylinder, and with it the shedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import skfem
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.domains import Polygon, Rectangle
from meshmove.progress import progress_of
from meshmove.solvers.data.trajectories import Trajectories
from meshmove.solvers.fem.flow import Flow, FlowError
from meshmove.solvers.fem.meshes import skfem_mesh

__all__ = ["refined_wake_mesh", "strouhal_law", "strouhal_number", "wake_flow", "wake_mesh", "wake_trajectories"]


#: the channel, from inlet to outlet and from wall to wall, and within which distance the mesh is not stretched
LENGTH, HEIGHT = (-4.0, 12.0), 10.0
_CORE, _GROWTH = 1.2, 0.5
SIDES = 48
#: where the velocity is watched for the frequency
PROBE = (2.0, 0.0)


def strouhal_law(reynolds: ArrayLike) -> Array:
    """Williamson's fit for an unconfined cylinder.

    >>> strouhal_law([100.0, 150.0]).round(3)
    array([0.164, 0.183])
    """
    re = np.asarray(reynolds, float)
    return -3.3265 / re + 0.1816 + 1.6e-4 * re


def wake_mesh(size: float = 0.215, *, height: float = HEIGHT, sides: int = SIDES, seed: int = 0) -> CellMesh:
    """Triangles around the cylinder, with the boundaries "inlet", "outlet", "walls" and "cylinder".

    Parameters
    ----------
    size
        Edge length in the wake; the default gives about 2,500 vertices.
    height
        Distance of the walls, between which the cylinder is in the middle.
    sides
        Of the polygon that stands for the cylinder.
    seed
        Of the meshing, which needs nothing but SciPy.

    >>> mesh = wake_mesh(0.6)
    >>> sorted(mesh.facets)
    ['cylinder', 'inlet', 'outlet', 'walls']
    """
    inlet, side = _shrunk(np.array([LENGTH[0], height / 2]))
    angle = 2 * np.pi * np.arange(sides) / sides
    cylinder = Polygon(tuple(zip(0.5 * np.cos(angle), 0.5 * np.sin(angle), strict=True)), name="cylinder")
    # downstream nothing is stretched
    box = Rectangle((inlet, -side), (LENGTH[1], side), names=("walls", "outlet", "walls", "inlet"))
    mesh = (box - cylinder).mesh(size, engine="scipy", seed=seed)
    points = mesh.points.copy()
    points[:, 1] = _stretched(points[:, 1])
    points[:, 0] = np.where(points[:, 0] < 0, _stretched(points[:, 0]), points[:, 0])
    return mesh.moved(points)


def _stretched(s: Array) -> Array:
    """Coordinates on the core as they are, beyond it growing like a parabola."""
    return s + np.sign(s) * _GROWTH * np.maximum(np.abs(s) - _CORE, 0) ** 2


def _shrunk(s: Array) -> Array:
    """The inverse of `_stretched`."""
    beyond = np.maximum(np.abs(s) - _CORE, 0)
    return np.sign(s) * (np.minimum(np.abs(s), _CORE) + (np.sqrt(1 + 4 * _GROWTH * beyond) - 1) / (2 * _GROWTH))


def wake_flow(mesh: CellMesh | skfem.MeshTri, reynolds: float, dt: float = 0.01) -> Flow:
    """The stream at rest of vortices: started from a uniform one with a swirl, so that shedding sets in early.

    Raises
    ------
    ValueError
        A Reynolds number that is not positive.
    """
    if not (np.isfinite(reynolds) and reynolds > 0):
        raise ValueError(f"Expected a positive Reynolds number (got {reynolds})")
    grid = skfem_mesh(mesh) if isinstance(mesh, CellMesh) else mesh
    conditions = {"walls": (None, 0.0), "inlet": (1.0, 0.0), "cylinder": (0.0, 0.0)}
    flow = Flow(grid, 1 / reynolds, dt, conditions)
    flow.start(_beginning)
    return flow


def _beginning(x: Array) -> tuple[Array, Array]:
    """Slow near the cylinder, where a jump would call for short steps; and a swirl behind it."""
    u = 1 - np.exp(-(((np.hypot(*x) - 0.5) / 0.4) ** 2))
    return u, 0.5 * np.exp(-((x[0] - 2) ** 2) - x[1] ** 2)


def strouhal_number(signal: ArrayLike, dt: float) -> float:
    """Frequency of an oscillating signal (n,) at intervals dt, from its upward crossings of its mean.

    Raises
    ------
    ValueError
        Fewer than two crossings.

    >>> t = np.arange(0, 40, 0.1)
    >>> round(strouhal_number(np.sin(2 * np.pi * 0.17 * t + 1) + 3, 0.1), 4)
    0.17
    """
    s = np.asarray(signal, float)
    s = s - 0.5 * (s.max() + s.min())
    up = np.flatnonzero((s[:-1] < 0) & (s[1:] >= 0))
    if len(up) < 2:
        raise ValueError(f"Expected a signal that crosses its mean upwards twice (got {len(up)} crossings); go on")
    at = up + s[up] / (s[up] - s[up + 1])
    return float((len(at) - 1) / (at[-1] - at[0]) / dt)


def wake_trajectories(
    n: int = 12,
    *,
    seed: int = 0,
    reynolds: tuple[float, float] = (100.0, 200.0),
    size: float = 0.215,
    sides: int = SIDES,
    refined: bool = False,
    frames: int = 30,
    interval: float = 0.25,
    dt: float = 0.01,
    development: float = 60.0,
    settling: float = 20.0,
    progress: bool = False,
) -> Trajectories:
    """Vorticity and velocity in the shedding regime, each trajectory at its own Reynolds number and phase.

    The first flow develops for `development`; each further one goes on from the one before, in order of Reynolds
    numbers, and settles for `settling` and a random part of 6 time units. Numbers are spread evenly over the range
    with random offsets, and the trajectories are shuffled.

    Parameters
    ----------
    refined
        Give the values on the once refined mesh, four times as many cells, whose first nodes are those of the mesh:
        the velocity is quadratic on the mesh's cells and has that much to tell.
    interval
        Between frames; a multiple of dt.
    progress
        Show a progress bar.

    Returns
    -------
    Trajectories
        Fields "vorticity", "u", "v"; attributes "reynolds" and "strouhal", the latter measured over the frames and
        the 20 time units before them, or 0 where there were fewer than 15.

    Raises
    ------
    FlowError
        The time step is too long for the mesh.
    ValueError
        An interval that is not a multiple of the time step, or no trajectory or frame.
    """
    every = round(interval / dt)
    if every < 1 or abs(every * dt - interval) > 1e-9 or n < 1 or frames < 1:
        raise ValueError(
            f"Expected at least one trajectory and frame, and an interval that is a multiple of dt (got n={n}, "
            f"frames={frames}, interval={interval}, dt={dt})"
        )
    rng = np.random.default_rng(seed)
    numbers = reynolds[0] + (np.arange(n) + rng.random(n)) / n * (reynolds[1] - reynolds[0])
    phases = rng.random(n) * 6
    mesh = wake_mesh(size, sides=sides)  # the same for every seed, so that data sets share it
    grid = skfem_mesh(mesh)
    nodes = grid.nvertices + (grid.nfacets if refined else 0)
    values = {name: np.empty((n, frames, nodes), np.float32) for name in ("vorticity", "u", "v")}
    strouhal = np.zeros(n)
    previous: Flow | None = None
    for i in progress_of(range(n), "cylinder wake", progress):
        flow = wake_flow(grid, numbers[i], dt)
        if previous is not None:
            flow.continued(previous)
        wait = (development if previous is None else settling) + phases[i]
        signal = list(_probed(flow, round(wait / dt)))
        for k in range(frames):
            if k:
                signal += _probed(flow, every)
            values["vorticity"][i, k] = flow.vorticity()[:nodes]
            values["u"][i, k], values["v"][i, k] = flow.velocity[:, :nodes]
        recent = np.array(signal[-round(20 / dt) - (frames - 1) * every :])
        strouhal[i] = strouhal_number(recent, dt) if len(recent) * dt > 15 else 0.0
        previous = flow
    order = rng.permutation(n)
    points, triangles, facets = _written(mesh, grid, refined)
    return Trajectories(
        points,
        {"triangle": triangles},
        interval * np.arange(frames, dtype=float),
        {name: v[order] for name, v in values.items()},
        facets,
        {"reynolds": numbers[order], "strouhal": strouhal[order]},
        {"equation": "navier-stokes", "seed": seed, "size": size, "dt": dt, "refined": refined},
    )


def refined_wake_mesh(mesh: CellMesh, grid: skfem.MeshTri) -> CellMesh:
    """The once refined mesh, on whose nodes a flow on `grid`, made of the mesh, has its values."""
    points, triangles, facets = _written(mesh, grid, True)
    return replace(CellMesh.single(points, triangles, "triangle"), facets=facets)


def _probed(flow: Flow, steps: int) -> Iterator[float]:
    """The cross-stream velocity behind the cylinder after each of some steps."""
    probe = int(np.argmin(((flow.points - np.array(PROBE)[:, None]) ** 2).sum(axis=0)))
    for _ in range(steps):
        flow.step()
        yield float(flow.velocity[1, probe])


def _written(mesh: CellMesh, grid: skfem.MeshTri, refined: bool) -> tuple[Array, NDArray, dict[str, NDArray]]:
    """Points, triangles and facets of the mesh, or of the once refined one with nodes numbered as P2 values are."""
    if not refined:
        return mesh.points, mesh.blocks[0].nodes, dict(mesh.facets)
    points = np.concatenate([grid.p.T, grid.p[:, grid.facets].mean(axis=1).T])
    (a, b, c), (ab, bc, ac) = grid.t, grid.nvertices + grid.t2f
    parts = [(a, ab, ac), (ab, b, bc), (ac, bc, c), (ab, bc, ac)]
    triangles = np.concatenate([np.stack(p, axis=1) for p in parts])
    e1, e2 = points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    clockwise = e1[:, 0] * e2[:, 1] < e1[:, 1] * e2[:, 0]
    triangles[clockwise] = triangles[clockwise][:, [0, 2, 1]]
    facets = {}
    for name, ids in grid.boundaries.items():
        (low, high), middle = grid.facets[:, ids], grid.nvertices + ids
        facets[name] = np.concatenate([np.stack([low, middle], axis=1), np.stack([middle, high], axis=1)])
    return points, triangles, facets


__all__ += ["FlowError"]
