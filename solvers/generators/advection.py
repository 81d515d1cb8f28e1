r"""Advection and diffusion of a concentration in closed vessels of varying shape.

    c_t + v . grad c = kappa Laplace(c),  v = (psi_y, -psi_x),  v . n = 0 and c_n = 0 on the walls.

The stream function psi is piecewise quadratic and constant on each wall, so v is divergence-free and tangential
exactly, not up to the size of cells. With linear elements for c

    M c' = -(K + kappa A) c,  K_ij = int (v . grad phi_j) phi_i,

K is skew and its columns add up to zero: the mass of c stays to rounding, and its L2 norm does not grow. In time the
scheme of `_stepping`. Data are computed on the once refined mesh and projected (L2), which keeps the mass as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import skfem
from numpy.typing import ArrayLike
from skfem.models.poisson import laplace, mass

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.progress import progress_of
from meshmove.solvers.data.dataset import TrajectoryDataset
from meshmove.solvers.data.trajectories import Trajectories
from meshmove.solvers.fem.constrained import Constrained, factorised
from meshmove.solvers.fem.imex import Linear, step
from meshmove.solvers.fem.meshes import skfem_mesh

from .vessels import Vessel, blobs, random_vessel, sides, vessel_of

__all__ = ["advection_dataset", "advection_frames", "random_vessel", "stream_function", "velocity_of"]


#: root of the mean square speed; the largest is not fixed, since it is reached in corners and grows with the mesh
SPEED = 0.4


def stream_function(
    mesh: CellMesh | skfem.MeshTri, vorticity: Callable[[Array], Array], walls: Mapping[str, float]
) -> Array:
    """Quadratic psi with -Laplace(psi) = vorticity and the given constant on each wall, (n_dofs,).

    Parameters
    ----------
    mesh
        Triangles with named boundaries.
    vorticity
        A function of points (2, ...).
    walls
        Boundary -> psi there; every part of the boundary needs one. Differences between walls are the flow rate
        between them.

    Raises
    ------
    ValueError
        The names are not those of the mesh's boundaries.

    >>> mesh = skfem.MeshTri().refined(2).with_boundaries({"wall": lambda x: np.ones(x.shape[1], bool)})
    >>> bool(stream_function(mesh, lambda x: 1 + 0 * x[0], {"wall": 0.0}).max() > 0.07)
    True
    """
    grid = _grid(mesh)
    if set(walls) != set(grid.boundaries or {}):
        raise ValueError(f"Expected the boundaries {sorted(grid.boundaries or {})} (got {sorted(walls)})")
    basis = skfem.Basis(grid, skfem.ElementTriP2(), intorder=4)
    load = skfem.LinearForm(lambda v, w: vorticity(w.x) * v).assemble(basis)
    psi = np.zeros(basis.N)
    for name, value in walls.items():
        psi[basis.get_dofs(name).all()] = value
    held = basis.get_dofs(list(walls)).all()
    return Constrained(laplace.assemble(basis), held, psi[held]).solve(load)


def velocity_of(mesh: CellMesh | skfem.MeshTri, stream: ArrayLike) -> Array:
    """The velocity of a stream function, projected to linear elements, (2, n_points)."""
    basis, slope = _transport_basis(_grid(mesh), np.asarray(stream, float))
    matrix = mass.assemble(basis).tocsc()
    loads = [skfem.LinearForm(lambda v, w: w.f * v).assemble(basis, f=f) for f in (slope[1], -slope[0])]
    return factorised(matrix).solve(np.stack(loads, axis=1)).T


def advection_frames(
    mesh: CellMesh | skfem.MeshTri,
    c0: ArrayLike,
    stream: ArrayLike,
    diffusivity: float,
    *,
    frames: int,
    interval: float,
    steps: int = 4,
) -> Iterator[Array]:
    """The concentration (n_points,) at times 0, interval, 2 interval, ...

    Parameters
    ----------
    mesh
        Triangles.
    c0
        Values at the vertices.
    stream
        Of `stream_function`.
    diffusivity
        kappa, positive. Layers thinner than a cell, kappa < |v| h^2 / 2 over their length, give wiggles.
    frames, interval, steps
        Number of frames, the time between them, and in how many steps it is taken.

    Raises
    ------
    FieldError
        The values are not finite or not as many as vertices, or the stream function is of another mesh.
    ValueError
        A number is not positive.

    >>> mesh = skfem.MeshTri().refined(2).with_boundaries({"wall": lambda x: np.ones(x.shape[1], bool)})
    >>> psi = stream_function(mesh, lambda x: 10 + 0 * x[0], {"wall": 0.0})
    >>> *_, end = advection_frames(mesh, np.ones(25), psi, 0.01, frames=3, interval=0.1)
    >>> bool(np.allclose(end, 1))
    True
    """
    grid, c = _grid(mesh), np.array(c0, float)
    if c.shape != (grid.nvertices,) or not np.isfinite(c).all():
        raise FieldError(f"Expected {grid.nvertices} finite values (got an array of shape {c.shape})")
    if min(frames, steps) < 1 or not (interval > 0 and diffusivity > 0):
        raise ValueError(
            "Expected positive numbers "
            f"(got frames={frames}, steps={steps}, interval={interval}, diffusivity={diffusivity})"
        )
    basis, slope = _transport_basis(grid, np.asarray(stream, float))
    carried = skfem.BilinearForm(lambda u, v, w: (w.v[0] * u.grad[0] + w.v[1] * u.grad[1]) * v)
    operator = carried.assemble(basis, v=np.stack([slope[1], -slope[0]])) + diffusivity * laplace.assemble(basis)
    return _frames(c, [Linear(mass.assemble(basis).tocsr(), operator.tocsr(), interval / steps)], frames, steps)


def _frames(c: Array, parts: list[Linear], frames: int, steps: int) -> Iterator[Array]:
    for k in range(frames):
        if k:
            for _ in range(steps):
                (c,) = step(parts, [c])
        yield c.copy()


def _grid(mesh: CellMesh | skfem.MeshTri) -> skfem.MeshTri:
    return skfem_mesh(mesh) if isinstance(mesh, CellMesh) else mesh


def _transport_basis(grid: skfem.MeshTri, stream: Array) -> tuple[skfem.Basis, Array]:
    """Linear elements, and the slope of psi at their quadrature points (2, cells, q)."""
    basis = skfem.Basis(grid, skfem.ElementTriP1(), intorder=2)  # exact for a linear velocity
    quadratic = basis.with_element(skfem.ElementTriP2())
    if stream.shape != (quadratic.N,) or not np.isfinite(stream).all():
        raise FieldError(f"Expected a stream function of {quadratic.N} finite values (got shape {stream.shape})")
    return basis, np.asarray(quadratic.interpolate(stream).grad)


def advection_dataset(
    n_meshes: int = 10,
    per_mesh: int = 8,
    *,
    seed: int = 0,
    nodes: tuple[int, int] = (600, 1500),
    diffusivity: tuple[float, float] = (0.003, 0.012),
    frames: int = 31,
    interval: float = 0.05,
    steps: int = 2,
    progress: bool = False,
) -> TrajectoryDataset:
    """Random vessels, and in each of them trajectories of random flow, diffusivity and initial concentration.

    The flow is steady, its mean square speed 0.4^2, of a random smooth vorticity and circulation about the holes. The
    concentration starts as one to three smooth blobs. What a trajectory is does not depend on how many there are.

    Parameters
    ----------
    n_meshes, per_mesh
        Meshes, and trajectories on each.
    nodes
        The range that numbers of vertices are drawn from. They come out within about a tenth, or, below some 500, as
        more: small curves need theirs.
    diffusivity
        The range that it is drawn from, uniform in its logarithm; the attribute "diffusivity".
    frames, interval, steps
        See `advection_frames`.
    progress
        Show a progress bar.

    Returns
    -------
    TrajectoryDataset
        One group for each mesh, boundaries "wall" and "hole"; fields "c", "vx", "vy", the latter two constant in time.

    Raises
    ------
    ValueError
        A number is not positive, or a range is not increasing.

    >>> data = advection_dataset(2, 1, nodes=(100, 150), frames=3)
    >>> len(data), len(data.groups), data.fields, data.attributes
    (2, 2, ('c', 'vx', 'vy'), ('diffusivity',))
    """
    if min(n_meshes, per_mesh) < 1 or not (20 <= nodes[0] <= nodes[1] and 0 < diffusivity[0] <= diffusivity[1]):
        raise ValueError(
            "Expected at least one mesh and trajectory, and increasing positive ranges, of at least 20 nodes (got "
            f"n_meshes={n_meshes}, per_mesh={per_mesh}, nodes={nodes}, diffusivity={diffusivity})"
        )
    series = _Series(diffusivity, frames, interval, steps)
    return TrajectoryDataset(
        tuple(_group(seed, m, per_mesh, nodes, series) for m in progress_of(range(n_meshes), "advection", progress))
    )


class _Series(NamedTuple):
    diffusivity: tuple[float, float]
    frames: int
    interval: float
    steps: int


def _group(seed: int, m: int, n: int, nodes: tuple[int, int], series: _Series) -> Trajectories:
    """The trajectories in vessel m."""
    vessel = vessel_of(np.random.default_rng([seed, m]), nodes)
    values = {name: np.empty((n, series.frames, vessel.mesh.n_points), np.float32) for name in ("c", "vx", "vy")}
    kappa = np.empty(n)
    for k in range(n):
        rng = np.random.default_rng([seed, m, k])
        kappa[k] = np.exp(rng.uniform(*np.log(series.diffusivity)))
        stream = _random_stream(vessel, rng)
        values["vx"][k], values["vy"][k] = (vessel.projection(v) for v in velocity_of(vessel.fine, stream))
        start = blobs(vessel, rng)
        for j, c in enumerate(_concentrations(vessel, start, stream, kappa[k], series)):
            values["c"][k, j] = c
    return Trajectories(
        vessel.mesh.points,
        {"triangle": vessel.mesh.blocks[0].nodes},
        series.interval * np.arange(series.frames, dtype=float),
        values,
        sides(vessel.mesh),
        {"diffusivity": kappa},
        {"equation": "advection-diffusion", "seed": seed, "steps": series.steps},
    )


def _concentrations(vessel: Vessel, start: Array, stream: Array, kappa: float, series: _Series) -> Iterator[Array]:
    _, frames, interval, steps = series
    fine = advection_frames(vessel.fine, start, stream, kappa, frames=frames, interval=interval, steps=steps)
    return (vessel.projection(c) for c in fine)


def _random_stream(vessel: Vessel, rng: np.random.Generator) -> Array:
    """A vortex that fills the vessel, disturbed by waves, and circulation about the holes."""
    waves, phase = rng.uniform(-5, 5, (4, 2)), rng.uniform(0, 2 * np.pi, 4)
    weight, swirl = rng.standard_normal(4), rng.standard_normal()

    def vorticity(x: Array) -> Array:
        return swirl + np.tensordot(
            weight, np.sin(np.tensordot(waves, x, 1) + phase.reshape(-1, *[1] * (x.ndim - 1))), 1
        )

    names = sorted(vessel.fine.boundaries)
    still = stream_function(vessel.fine, vorticity, dict.fromkeys(names, 0.0))
    holes = 0.5 * np.abs(still).max() * rng.standard_normal(2)
    round_holes = dict(zip(names, [*holes[: len(names) - 1], 0.0], strict=True))  # the wall is the last name
    stream = stream_function(vessel.fine, vorticity, round_holes)
    basis, slope = _transport_basis(vessel.fine, stream)
    return stream * SPEED / np.sqrt(float((slope**2 * basis.dx).sum() / basis.dx.sum()))
