r"""A step of Burgers' equation on any mesh of triangles, by finite volumes: a base for the neural time stepper.

    u_t + (u^2/2)_x + (u^2/2)_y = nu (u_xx + u_yy),  u = 0 on the boundary.

On a uniform grid of the unit square it is `burgers_frames`. Elsewhere unknowns are means over the median dual cells
around nodes: fluxes go along edges, by the same limiter and flux, where what lies behind a node is extrapolated by its
gradient (Barth & Jespersen 1989); diffusion is that of linear elements with lumped mass. Conservative but for the
walls, second order where the solution is smooth and the mesh too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack, vstack

from meshmove.geometry import CellMesh, FieldError, facets_of
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import simplex_volumes
from meshmove.meshes.source import Source

from .burgers import burgers_frames

if TYPE_CHECKING:
    from .burgers_tensors import BurgersTensors

__all__ = ["BurgersStep", "Edges"]

Ids = NDArray[np.int64]


class BurgersStep:
    """``step(mesh, fields, dt, attributes)`` for the field "u" and the attribute "viscosity".

    What it needs of a mesh is kept for as long as that is in use.

    Examples
    --------
    >>> from meshmove.solvers.generators.burgers import burgers_mesh
    >>> mesh = burgers_mesh(16)
    >>> u = np.sin(np.pi * mesh.points[:, 0]) * np.sin(np.pi * mesh.points[:, 1])
    >>> after = BurgersStep()(mesh, {"u": u}, 0.1, {"viscosity": 0.01})["u"]
    >>> bool(abs(after).max() < abs(u).max()), bool((after[mesh.points[:, 0] == 0] == 0).all())
    (True, True)
    """

    #: that of the files of models which correct it
    name = "burgers-volumes"
    #: what `describe` gives
    numbers = ("cell Peclet number", "cell Fourier number", "Courant number")

    def __init__(self, cfl: float = 0.9) -> None:
        self.cfl = cfl
        self._kernels: WeakKeyDictionary[CellMesh, Edges] = WeakKeyDictionary()
        self._grids: WeakKeyDictionary[CellMesh, tuple[int, Ids]] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type[BurgersStep], tuple[float]]:
        return type(self), (self.cfl,)

    def __call__(
        self, mesh: Any, fields: Mapping[str, Array], dt: float, attributes: Mapping[str, float]
    ) -> dict[str, Array]:
        """The field (n,) after the time dt.

        Raises
        ------
        FieldError
            The field is not one of finite values at the nodes.
        ValueError
            The mesh is not in the plane, or the viscosity is negative.
        """
        cells, u, viscosity = _checked(mesh, fields, attributes)
        n, place = self.grid(cells)
        if not n:
            return {"u": self.edges(cells).after(u, dt, viscosity, self.cfl)}
        grid = np.empty(n * n)
        grid[place] = u
        after = next(burgers_frames(grid.reshape(n, n), [dt], viscosity, cfl=self.cfl))
        return {"u": after.ravel()[place]}

    def describe(self, mesh: Any, fields: Mapping[str, Array], dt: float, attributes: Mapping[str, float]) -> Array:
        """Numbers without a dimension (n, 3) on which the error of a step depends; the logarithm, or asinh, of each.

        With the size h of a node's cell they are u h / nu, nu dt / h^2 and u dt / h.
        """
        cells, u, viscosity = _checked(mesh, fields, attributes)
        size, nu = self.edges(cells).size, max(viscosity, 1e-12)
        return np.stack([np.arcsinh(u * size / nu), np.log(nu * dt / size**2), np.arcsinh(u * dt / size)], axis=1)

    @cached_property
    def tensors(self) -> BurgersTensors:
        """The same steps on tensors of torch, with gradients."""
        from .burgers_tensors import BurgersTensors

        return BurgersTensors(self)

    def edges(self, mesh: CellMesh) -> Edges:
        """The dual cells of a mesh."""
        if mesh not in self._kernels:
            self._kernels[mesh] = Edges.of(mesh)
        return self._kernels[mesh]

    def grid(self, mesh: CellMesh) -> tuple[int, Ids]:
        """Nodes a side of a uniform grid on the unit square, and the place of each node in it; 0 for other meshes."""
        if mesh not in self._grids:
            self._grids[mesh] = _as_grid(mesh.points)
        return self._grids[mesh]


def _checked(mesh: Any, fields: Mapping[str, Array], attributes: Mapping[str, float]) -> tuple[CellMesh, Array, float]:
    cells = mesh if isinstance(mesh, CellMesh) else Source.of(mesh).cells
    if cells.dim != 2:
        raise ValueError(f"Expected a mesh in the plane (got one in {cells.dim} dimensions)")
    if "u" not in fields or "viscosity" not in attributes:
        raise FieldError(f"Expected a field 'u' and an attribute 'viscosity' (got {[*fields]} and {[*attributes]})")
    u, viscosity = np.asarray(fields["u"], float), float(attributes["viscosity"])
    if u.shape != (cells.n_points,) or not np.isfinite(u).all():
        raise FieldError(f"Expected finite values of 'u' at {cells.n_points} nodes (got shape {u.shape}, "
                         f"{int((~np.isfinite(u)).sum())} not finite)")  # fmt: skip
    if not viscosity >= 0:
        raise ValueError(f"Expected a viscosity of at least 0 (got {viscosity})")
    return cells, u, viscosity


def _as_grid(points: Array) -> tuple[int, Ids]:
    """Nodes a side of a uniform grid on the unit square, and the place of each node in it; 0 for other meshes."""
    n = round(len(points) ** 0.5)
    none = 0, np.zeros(0, np.int64)
    if n * n != len(points) or n < 5:
        return none
    at = np.rint(points * (n - 1))
    if np.abs(points * (n - 1) - at).max() > 1e-9 * n or at.min() < 0 or at.max() > n - 1:
        return none
    place = (at[:, 0] * n + at[:, 1]).astype(np.int64)
    return (n, place) if len(np.unique(place)) == n * n else none


@dataclass(frozen=True, eq=False)
class Edges:
    """The dual cells of a mesh: `ends` (2, e) of edges with `normal` (e,), the sum of the components of the dual face's
    normal, and twice what is `along` (2, e) them; `size` (n,), the root of the cell's volume; which nodes are `inside`,
    which ends (2, e) on `walls`. Matrices: of the `gradient` (2 n, n), and of `rates` (n, e + n) from fluxes over edges
    and values times the viscosity. `limits`: of each node, how fast speed and viscosity let it change, (n,) each."""

    ends: Ids
    along: Array
    normal: Array
    size: Array
    inside: NDArray[np.bool_]
    walls: NDArray[np.bool_]
    gradient: csr_matrix
    rates: csr_matrix
    limits: tuple[Array, Array]

    @classmethod
    def of(cls, mesh: CellMesh) -> Edges:
        x, n = mesh.points, mesh.n_points
        cells = np.asarray(mesh.simplicial().blocks[0].nodes, np.int64)
        signed = simplex_volumes(x, cells)
        cells = np.where((signed < 0)[:, None], cells[:, ::-1], cells)  # all turn the same way
        area, grads = np.abs(signed), _gradients(x, cells)
        volume = np.bincount(cells.ravel(), np.repeat(area / 3, 3), n).astype(float, copy=False)
        edges, normal = _dual_faces(x, cells)
        ends, which = np.ascontiguousarray(edges.T), np.arange(len(edges))
        facets = facets_of(mesh)
        inside = np.ones(n, bool)
        inside[np.unique(facets.nodes[facets.exterior])] = False
        rows, columns = np.repeat(cells, 3, axis=1).ravel(), np.tile(cells, 3).ravel()
        local = [np.repeat((area / 3)[:, None], 3, 1)[:, :, None] * grads[:, None, :, k] for k in range(2)]
        gradient = [csr_matrix((part.ravel(), (rows, columns)), (n, n)) for part in local]
        stiff = csr_matrix((np.einsum("cik,cjk,c->cij", grads, grads, area).ravel(), (rows, columns)), (n, n))
        scale = diags(1 / np.where(volume > 0, volume, 1.0))
        signs = np.concatenate([-np.ones(len(edges)), np.ones(len(edges))])
        sums = csr_matrix((signs, (ends.ravel(), np.tile(which, 2))), (n, len(edges)))
        free = diags(inside.astype(float)) @ scale
        faces = np.bincount(ends.ravel(), np.tile(np.abs(normal), 2), n) / volume
        return cls(
            ends,
            2 * np.ascontiguousarray((x[ends[1]] - x[ends[0]]).T),
            normal,
            np.sqrt(volume),
            inside,
            ~inside[ends],
            vstack([scale @ part for part in gradient]).tocsr(),
            (free @ hstack([sums, -stiff])).tocsr(),
            (faces, np.maximum((free @ stiff).diagonal(), 0)),
        )

    def after(self, u: Array, dt: float, viscosity: float, cfl: float) -> Array:
        """The field after a time, by Shu and Osher's third-order steps that are short enough to make no new extrema."""
        u = np.where(self.inside, u, 0.0)
        count = self.steps(u, dt, viscosity, cfl)
        space = np.empty((8, self.ends.shape[1])), np.empty(self.rates.shape[1])
        for _ in range(count):
            stage = u + dt / count * self.rate(u, viscosity, space)
            for weight in (0.25, 2 / 3):
                stage += dt / count * self.rate(stage, viscosity, space)
                stage *= weight
                stage += (1 - weight) * u
            u = stage
        return u

    def steps(self, u: Array, dt: float, viscosity: float, cfl: float) -> int:
        """How many steps a time takes from a field."""
        fastest = (np.abs(u).max() * self.limits[0] + viscosity * self.limits[1]).max()
        return max(1, int(np.ceil(dt * fastest / cfl)))

    def rate(self, u: Array, viscosity: float, space: tuple[Array, Array] | None = None) -> Array:
        """du/dt (n,); zero on the boundary. Work space is of 8 edges' arrays, and of one of fluxes and values."""
        edges, given = space or (np.empty((8, self.ends.shape[1])), np.empty(self.rates.shape[1]))
        left, right, step, slope, *own = edges
        i, j = self.ends
        np.take(u, i, out=left, mode="clip")  # which needs no copy
        np.take(u, j, out=right, mode="clip")
        np.subtract(right, left, out=step)
        gradient = (self.gradient @ u).reshape(2, -1)
        for end, value, sign, wall in ((i, left, 0.5, self.walls[0]), (j, right, -0.5, self.walls[1])):
            # what lies behind either end; beyond a wall the field continues as an odd one
            np.multiply(gradient[0][end], self.along[0], out=slope)
            slope += np.multiply(gradient[1][end], self.along[1], out=own[0])
            slope -= step
            np.copyto(slope, step, where=wall)
            value += _limited(slope, step, sign, own)
        flux, speed = given[: len(i)], own[0]
        np.maximum(np.abs(left, out=speed), np.abs(right, out=own[1]), out=speed)
        speed *= np.subtract(right, left, out=own[2])
        speed *= np.abs(self.normal, out=own[2])
        speed *= 0.5
        np.multiply(left, left, out=flux)
        flux += np.multiply(right, right, out=right)
        flux *= self.normal
        flux *= 0.25
        flux -= speed
        np.multiply(u, viscosity, out=given[len(i) :])
        return self.rates @ given


def _limited(a: Array, b: Array, scale: float, space: Sequence[Array]) -> Array:
    """Van Albada's mean of two slopes, 0 at extrema, times a scale; in the first of four arrays."""
    product, total, squares, other = space
    np.maximum(np.multiply(a, b, out=product), 0, out=product)
    product *= np.add(a, b, out=total)
    np.multiply(a, a, out=squares)
    squares += np.multiply(b, b, out=other)
    squares += 1e-30
    product /= squares
    product *= scale
    return product


def _gradients(x: Array, cells: Ids) -> Array:
    """Of the three barycentric coordinates of each triangle, (c, 3, 2)."""
    sides = x[cells[:, 1:]] - x[cells[:, :1]]
    inverse = np.linalg.inv(sides).transpose(0, 2, 1)
    return np.concatenate([-inverse.sum(axis=1, keepdims=True), inverse], axis=1)


def _dual_faces(x: Array, cells: Ids) -> tuple[Ids, Array]:
    """Edges (e, 2), from the lower number to the higher, and the sum of the components of their dual faces' normals:
    from the middle of the edge to the centres of the triangles beside it, turned towards the higher number."""
    n, centre = len(x), x[cells].mean(axis=1)
    pairs = np.concatenate([cells[:, [k, (k + 1) % 3]] for k in range(3)])
    face = np.tile(centre, (3, 1)) - x[pairs].mean(axis=1)
    normal = face[:, 1] - face[:, 0]  # of the face turned to the right, along the edge of a triangle that turns left
    flipped = pairs[:, 0] > pairs[:, 1]
    pairs, normal = np.sort(pairs, axis=1), np.where(flipped, -normal, normal)
    keys, which = np.unique(pairs[:, 0] * n + pairs[:, 1], return_inverse=True)
    return np.stack(np.divmod(keys, n), axis=1), np.bincount(which, normal, len(keys)).astype(float, copy=False)
