r"""Gray-Scott: two substances that react and diffuse, in a cube of tetrahedra.

    u_t = Du Laplace(u) - u v^2 + F (1 - u),
    v_t = Dv Laplace(v) + u v^2 - (F + k) v,  no flux through the walls

(Pearson, Complex patterns in a simple system, Science 261, 1993). Linear elements with the lumped mass: on the
tetrahedra here, which have no obtuse angle, diffusion alone makes no new extrema under short or long implicit Euler
steps, and reactions act node by node. In time the scheme of `_stepping`, of second order, reactions explicit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import diags
from skfem.models.poisson import laplace, mass

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.meshes.registry import converter_for
from meshmove.progress import progress_of
from meshmove.solvers.data.trajectories import Trajectories
from meshmove.solvers.fem.imex import Linear, step

__all__ = ["DIFFUSION", "cube_mesh", "gray_scott_frames", "gray_scott_trajectories"]

#: of u and v: fronts are about 0.7 units of length wide, which cells should be, or they stick to the grid
DIFFUSION = (0.1, 0.05)


def cube_mesh(cells: int, side: float = 1.0) -> CellMesh:
    """The cube [0, side]^3 of cells^3 small cubes, six tetrahedra each; boundaries "left", "right", "bottom", ...

    >>> mesh = cube_mesh(2)
    >>> mesh, sorted(mesh.facets)
    (CellMesh(3-D: 27 points, 48 tetra), ['back', 'bottom', 'front', 'left', 'right', 'top'])
    """
    if cells < 1 or not side > 0:
        raise ValueError(f"Expected at least one cell and a positive side (got {cells}, {side})")
    grid = skfem.MeshTet.init_tensor(*[np.linspace(0, side, cells + 1)] * 3).with_defaults()
    mesh = converter_for(grid).read(grid)
    nodes = mesh.blocks[0].nodes.copy()
    corners = mesh.points[nodes]
    inverted = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0
    nodes[inverted] = nodes[inverted][:, [0, 2, 1, 3]]
    return CellMesh.single(mesh.points, nodes, "tetra", facets=mesh.facets)


def gray_scott_frames(
    mesh: CellMesh,
    u0: ArrayLike,
    v0: ArrayLike,
    feed: float,
    kill: float,
    *,
    frames: int,
    interval: float,
    steps: int = 10,
    diffusion: tuple[float, float] = DIFFUSION,
) -> Iterator[tuple[Array, Array]]:
    """u and v (n_points,) at times 0, interval, 2 interval, ...

    Parameters
    ----------
    mesh
        Tetrahedra.
    u0, v0
        Values at the vertices.
    feed, kill
        F and k, not negative.
    frames, interval, steps
        Number of frames, the time between them, and in how many steps it is taken: of at most about 2, as reactions
        are explicit.
    diffusion
        Du and Dv, not negative.

    Raises
    ------
    FieldError
        Values are not finite or not as many as vertices; or blew up, the steps being too long.
    ValueError
        A number is out of its range.

    >>> mesh = cube_mesh(2)
    >>> *_, (u, v) = gray_scott_frames(mesh, np.ones(27), np.zeros(27), 0.04, 0.06, frames=3, interval=10)
    >>> bool(np.allclose(u, 1) and not v.any())  # nothing reacts
    True
    """
    values = [np.array(u0, float), np.array(v0, float)]
    for array in values:
        if array.shape != (mesh.n_points,) or not np.isfinite(array).all():
            raise FieldError(f"Expected {mesh.n_points} finite values (got an array of shape {array.shape})")
    if min(frames, steps) < 1 or not interval > 0 or not min(feed, kill, *diffusion) >= 0:
        raise ValueError(
            f"Expected positive frames, steps and interval, no negative rates (got frames={frames}, steps={steps}, "
            f"interval={interval}, feed={feed}, kill={kill}, diffusion={diffusion})"
        )
    parts, lumped = _parts(mesh, diffusion, interval / steps)
    return _frames(values, parts, lumped, (feed, kill), frames, steps)


def _parts(mesh: CellMesh, diffusion: tuple[float, float], dt: float) -> tuple[list[Linear], Array]:
    (block,) = mesh.blocks
    grid = skfem.MeshTet(np.ascontiguousarray(mesh.points.T), np.ascontiguousarray(block.nodes.T))
    basis = skfem.Basis(grid, skfem.ElementTetP1(), intorder=2)
    lumped = np.asarray(mass.assemble(basis).sum(axis=1)).ravel()
    stiffness = laplace.assemble(basis).tocsr()
    return [Linear(diags(lumped).tocsr(), d * stiffness, dt) for d in diffusion], lumped


def _frames(
    values: list[Array], parts: list[Linear], lumped: Array, rates: tuple[float, float], frames: int, steps: int
) -> Iterator[tuple[Array, Array]]:
    feed, kill = rates

    def loads(now: Sequence[Array]) -> list[Array]:
        u, v = now
        reaction = u * v**2
        return [lumped * (feed * (1 - u) - reaction), lumped * (reaction - (feed + kill) * v)]

    for k in range(frames):
        if k:
            with np.errstate(over="ignore", invalid="ignore"):
                for _ in range(steps):
                    values = step(parts, values, loads)
            if not np.isfinite(values[0].sum() + values[1].sum()):
                raise FieldError(f"Expected a stable reaction (it blew up before frame {k}); take more steps a frame")
        yield values[0].copy(), values[1].copy()


def gray_scott_trajectories(
    n: int = 20,
    *,
    seed: int = 0,
    cells: int = 10,
    side: float = 7.5,
    feed: tuple[float, float] = (0.045, 0.06),
    kill: tuple[float, float] = (0.056, 0.06),
    frames: int = 31,
    interval: float = 5.0,
    steps: int = 5,
    refine: int = 2,
    progress: bool = False,
) -> Trajectories:
    """Patterns that grow from a few random seeds, each trajectory with its own rates.

    u = 1, v = 0 but for one to three balls where v is 0.5 to 0.7. Trajectory i does not depend on how many there are.

    Parameters
    ----------
    cells, side
        See `cube_mesh`.
    feed, kill
        The ranges that F and k are drawn from; they are the attributes "feed" and "kill".
    frames, interval, steps
        See `gray_scott_frames`.
    refine
        Compute on cells so many times smaller, and keep the values at the nodes of the mesh.
    progress
        Show a progress bar.

    Raises
    ------
    ValueError
        A number is out of its range.

    >>> gray_scott_trajectories(2, cells=3, frames=2)
    Trajectories(2 trajectories of 2 frames, 64 nodes; fields: u, v)
    """
    if min(n, refine) < 1:
        raise ValueError(f"Expected at least one trajectory and a refinement of at least 1 (got {n}, {refine})")
    mesh, fine = cube_mesh(cells, side), cube_mesh(cells * refine, side)
    kept = np.arange(fine.n_points).reshape([cells * refine + 1] * 3)[::refine, ::refine, ::refine].ravel()
    values = {name: np.empty((n, frames, mesh.n_points), np.float32) for name in ("u", "v")}
    rates = np.empty((2, n))
    for i in progress_of(range(n), "Gray-Scott", progress):
        rng = np.random.default_rng([seed, i])
        rates[:, i] = rng.uniform(*feed), rng.uniform(*kill)
        u0, v0 = _seeds(fine, side, rng)
        series = gray_scott_frames(fine, u0, v0, *rates[:, i], frames=frames, interval=interval, steps=steps)
        for k, (u, v) in enumerate(series):
            values["u"][i, k], values["v"][i, k] = u[kept], v[kept]
    return Trajectories(
        mesh.points,
        {"tetra": mesh.blocks[0].nodes},
        interval * np.arange(frames, dtype=float),
        values,
        mesh.facets,
        {"feed": rates[0], "kill": rates[1]},
        {"equation": "gray-scott", "seed": seed, "cells": cells, "side": side, "steps": steps, "refine": refine},
    )


def _seeds(mesh: CellMesh, side: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Smooth balls of v, where half of u is used up; smaller or thinner ones would go out."""
    n = int(rng.integers(1, 4))
    centers, radius = rng.uniform(0.15, 0.85, (n, 1, 3)) * side, rng.uniform(0.15, 0.22, (n, 1)) * side
    away = np.linalg.norm(mesh.points - centers, axis=2)
    ball = (0.5 - 0.5 * np.tanh(4 * (away / radius - 1))).max(axis=0)
    return 1 - 0.5 * ball, rng.uniform(0.5, 0.7) * ball
