"""`Domain`: what every shape can do, and the operators that combine shapes.

``a | b`` is the union, ``a & b`` the intersection, ``a - b`` the difference; ``a - [b, c]`` takes away several.
Combinations are regularised: contacts along a line or at a point that enclose no area vanish.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry.arrays import Array

from ..errors import DomainError
from ..given import chosen, count, generator
from ..mesh import CellMesh
from .boundary import Boundary, as_points, cover
from .meshing.mesh_domain import mesh_domain
from .raster import Raster, rasterize

__all__ = ["BoundarySample", "Difference", "Domain", "Intersection", "Union"]

Seed = int | np.random.Generator
#: of one sample
MOST_POINTS = 100_000_000


class BoundarySample(NamedTuple):
    """Points on a boundary (2, n), the names of the pieces they lie on (n,), and outward unit normals (2, n)."""

    points: Array
    names: NDArray[np.str_]
    normals: Array


class Domain(ABC):
    """A region of the plane, closed, bounded by named pieces.

    All evaluations take points of shape (2, n). Area, distance, normals and samples are those of the true curves and
    of the true boundary of a combination: pieces that other shapes hide are gone, and what is left keeps the name of
    the shape that it comes from. Accuracy is relative to the extent: pieces within 1e-9 of it coincide, corners
    within 1e-7 are one.
    """

    @abstractmethod
    def _build(self) -> Boundary:
        """The boundary pieces, the domain on their left."""

    @cached_property
    def boundary(self) -> Boundary:
        """The true boundary as segments and arcs; empty for an empty domain."""
        return self._build()

    # ---- operators
    def __or__(self, other: Domain | Iterable[Domain]) -> Domain:
        return _fold(Union, self, other)

    def __and__(self, other: Domain | Iterable[Domain]) -> Domain:
        return _fold(Intersection, self, other)

    def __sub__(self, other: Domain | Iterable[Domain]) -> Domain:
        return _fold(Difference, self, other)

    # ---- what it is
    @property
    def is_empty(self) -> bool:
        return len(self.boundary) == 0

    @property
    def area(self) -> float:
        """The area, exact up to rounding also for curved shapes (Green's theorem on the pieces).

        >>> from meshmove.geometry.domains import Disk, Rectangle
        >>> round((Rectangle((-1, -1), (1, 1)) - Disk((0, 0), 0.5)).area - (4 - np.pi / 4), 12)
        0.0
        """
        return self.boundary.area

    @property
    def perimeter(self) -> float:
        """Length of the true boundary."""
        return float(self.boundary.lengths.sum())

    @property
    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lower left and upper right corner of the bounding box; `Rectangle(*domain.bounds)` draws it."""
        (x0, y0), (x1, y1) = self._nonempty("bounds").bounds.tolist()
        return (x0, y0), (x1, y1)

    @property
    def boundary_names(self) -> tuple[str, ...]:
        """Names of the pieces of the true boundary.

        >>> from meshmove.geometry.domains import Disk, Rectangle
        >>> (Rectangle((0, 0), (4, 4), "outer") - [Disk((1, 1), 0.5, "hole"), Disk((9, 9), 1, "far")]).boundary_names
        ('outer', 'hole')
        """
        return self.boundary.names

    # ---- evaluation
    def signed_distance(self, x: ArrayLike) -> Array:
        """Euclidean distance to the true boundary (n,), negative inside; +inf for an empty domain.

        Exact, for combinations as well (the pointwise min and max of the usual CSG only bound it from below), hence
        1-Lipschitz. Points closer than rounding to the boundary may get either sign.

        >>> from meshmove.geometry.domains import Rectangle
        >>> two = Rectangle((0, 0), (1, 1)) | Rectangle((1, 0), (2, 1))
        >>> two.signed_distance([[1.0, 3.0], [0.5, 2.0]]).round(6)
        array([-0.5     ,  1.414214])
        """
        return self.boundary.signed_distance(as_points(x))

    def contains(self, x: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie in the domain, (n,): ``signed_distance(x) <= 0``."""
        return self.signed_distance(x) <= 0

    def normal(self, x: ArrayLike) -> Array:
        """Outward unit normals (2, n) of the boundary at the boundary points nearest to x.

        At a corner it is the normal of one of the two sides.

        >>> from meshmove.geometry.domains import Disk, Rectangle
        >>> ring = Rectangle((-2, -2), (2, 2)) - Disk((0, 0), 1)
        >>> ring.normal([[1.0, 0.3], [0.0, 2.0]]).round(6) + 0
        array([[-1.,  0.],
               [ 0.,  1.]])
        """
        boundary = self._nonempty("normals")
        _, piece, s = boundary.nearest(as_points(x))
        return boundary.evaluate(piece, s)[1]

    # ---- samples
    def sample_interior(self, n: int, seed: Seed = 0) -> Array:
        """Points (2, n) distributed uniformly over the area; the same seed gives the same points.

        Rejection from a quadtree that has been refined to hug the domain, so thin domains cost little more.

        >>> from meshmove.geometry.domains import Disk
        >>> Disk((3, 0), 1).sample_interior(5, seed=1).shape
        (2, 5)
        """
        boundary = self._nonempty("interior samples")
        n, rng = count(n, "a number of points", high=MOST_POINTS, error=DomainError), generator(seed, DomainError)
        low, cell = cover(boundary)
        fill = boundary.area / (cell.prod() * low.shape[1])
        found, have = [], 0
        while have < n:
            trial = rng.integers(low.shape[1], size=min(int(1.1 * (n - have) / fill) + 8, 1 << 18))
            x = low[:, trial] + cell[:, None] * rng.random((2, len(trial)))
            found.append(x[:, boundary.encloses(x)])
            have += found[-1].shape[1]
        return np.concatenate(found, axis=1)[:, :n] if found else np.empty((2, 0))

    def sample_boundary(self, n: int, seed: Seed = 0, name: str | None = None) -> BoundarySample:
        """Points distributed uniformly by arc length over the true boundary, or over its pieces of one name.

        Returns
        -------
        BoundarySample
            The tuple (points (2, n), names (n,), normals (2, n)).

        Raises
        ------
        DomainError
            If the domain is empty or has no boundary of that name.

        >>> from meshmove.geometry.domains import Disk, Rectangle
        >>> ring = Rectangle((-2, -2), (2, 2), "outer") - Disk((0, 0), 1, "hole")
        >>> x, names, normals = ring.sample_boundary(100, seed=3, name="hole")
        >>> bool(np.allclose(x, -normals)), set(names.tolist())
        (True, {'hole'})
        """
        boundary = self._nonempty("boundary samples")
        n, rng = count(n, "a number of points", high=MOST_POINTS, error=DomainError), generator(seed, DomainError)
        labels = np.array([p.name for p in boundary.pieces])
        if name is not None:
            chosen(name, boundary.names, "the name of a boundary", DomainError)
        ids = np.flatnonzero(labels == name) if name is not None else np.arange(len(labels))
        end = np.cumsum(boundary.lengths[ids])
        at = rng.random(n) * end[-1]
        k = np.minimum(np.searchsorted(end, at, side="right"), len(ids) - 1)
        fraction = np.clip(1 - (end[k] - at) / boundary.lengths[ids[k]], 0, 1)
        piece, s = ids[k], np.empty(n)
        for i in np.unique(piece):
            s[piece == i] = boundary.pieces[i].along(fraction[piece == i])
        x, normals = boundary.evaluate(piece, s)
        return BoundarySample(x, labels[piece], normals)

    # ---- other forms
    def rasterize(self, shape: tuple[int, int] = (224, 224), bounds: tuple | None = None) -> Raster:
        """Pixel masks of the interior and, by name, of the boundary; see `Raster`."""
        return rasterize(self.boundary, shape, bounds)

    def mesh(self, size: float, engine: str = "auto", seed: int = 0) -> CellMesh:
        """Triangles with edges of about `size` and facets named as the boundary; see `mesh_domain`."""
        return mesh_domain(self._nonempty("a mesh"), size, engine, seed)

    def _nonempty(self, what: str) -> Boundary:
        if self.is_empty:
            raise DomainError(f"Expected a domain with an interior for {what} (got the empty domain {self!r})")
        return self.boundary


@dataclass(frozen=True, repr=False)
class _Combination(Domain):
    left: Domain
    right: Domain

    symbol = ""
    operation = ""

    def __post_init__(self) -> None:
        for side in (self.left, self.right):
            if not isinstance(side, Domain):
                raise TypeError(f"Expected domains to combine with {self.symbol!r} (got {type(side).__name__})")

    def _build(self) -> Boundary:
        # down the left spine without recursion, so that hundreds of holes are fine
        chain: list[_Combination] = []
        base: Domain = self
        while isinstance(base, _Combination) and "boundary" not in base.__dict__:
            chain.append(base)
            base = base.left
        boundary = base.boundary
        for node in reversed(chain):
            boundary = boundary.combined(node.right.boundary, node.operation)  # type: ignore[arg-type]
        return boundary

    def __repr__(self) -> str:
        terms: list[str] = []
        node: Domain = self
        while type(node) is type(self):
            terms.append(f"({node.right!r})" if isinstance(node.right, _Combination) else repr(node.right))
            node = node.left
        terms.append(f"({node!r})" if isinstance(node, _Combination) else repr(node))
        return f" {self.symbol} ".join(reversed(terms))


@dataclass(frozen=True, repr=False)
class Union(_Combination):
    """Points of either domain, ``left | right``."""

    symbol = "|"
    operation = "union"


@dataclass(frozen=True, repr=False)
class Intersection(_Combination):
    """Points of both domains, ``left & right``."""

    symbol = "&"
    operation = "intersection"


@dataclass(frozen=True, repr=False)
class Difference(_Combination):
    """Points of `left` outside `right`, ``left - right``."""

    symbol = "-"
    operation = "difference"


def _fold(kind: type[_Combination], left: Domain, right: Domain | Iterable[Domain]) -> Domain:
    if isinstance(right, Domain):
        return kind(left, right)
    if not isinstance(right, Iterable) or isinstance(right, str) or getattr(right, "ndim", None) == 0:
        return NotImplemented
    for other in right:
        left = kind(left, other)
    return left
