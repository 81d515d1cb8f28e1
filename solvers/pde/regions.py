"""Regions of a medium whose conductivity jumps between them: -div(k grad u) with a k of its own on each.

What is solved is the flow: u and the flux n . k grad u are continuous across interfaces, and within each region the
equation holds with the region's k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains import Domain

from .divergence import Tensor, check_tensor, flowing, tensor_of
from .functions import Function, ProblemError, evaluate
from .mesh_domain import MeshDomain

__all__ = ["Region", "pieced", "region_at", "regions_of"]

#: areas below this share of the domain's are rounding
_NOTHING = 1e-9
_WHAT = "divergence"


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the domain with a conductivity of its own.

    `name` in messages; `shape`; `tensor`: k as 2 by 2 entries; `lower`: coefficients of u, ux and uy beside the flow.
    """

    name: str
    shape: Domain
    tensor: Tensor
    lower: tuple[Function, ...] = (0.0, 0.0, 0.0)

    def conductivity(self, x: Array) -> Array:
        """k (2, 2, n) at points (2, n)."""
        return np.stack([np.stack([evaluate(k, x, _WHAT) for k in row]) for row in self.tensor])


@dataclass(frozen=True)
class _Pieced:
    """A function that is another one in each region."""

    shapes: tuple[Domain, ...]
    functions: tuple[Function, ...]
    what: str

    __name__ = "f"  # in the text of an equation, as of a lambda

    def __call__(self, x: Array) -> Array:
        which, out = region_at(self.shapes, x), np.empty(x.shape[1])
        for k, f in enumerate(self.functions):
            at = which == k
            out[at] = evaluate(f, x[:, at], self.what)
        return out


def region_at(shapes: Sequence[Domain], x: Array) -> Ids:
    """The shape (n,) that each of the points (2, n) is in, or nearest to."""
    return np.argmin([shape.signed_distance(x) for shape in shapes], axis=0)


def regions_of(given: Mapping[Any, Any], domain: Domain, lower: tuple[Function, ...]) -> tuple[Region, ...]:
    """Regions from a dict of shapes, or of names of a mesh's cells, and what k is there.

    Raises
    ------
    ProblemError
        A key is neither; regions overlap, leave the domain or do not cover it; a k is not symmetric and positive.
    """
    if not given:
        raise ProblemError("Expected at least one region in divergence= (got an empty dict)")
    regions = tuple(
        Region(str(key) if isinstance(key, str) else repr(key), _shape(key, domain), tensor_of(k), lower)
        for key, k in given.items()
    )
    _check_tiling(regions, domain)
    for region in regions:
        try:
            check_tensor(region.tensor, region.shape)
            _check_symmetric(region)
        except ProblemError as error:
            raise ProblemError(f"In the region {region.name}: {error}") from error
    return regions


def pieced(regions: Sequence[Region], terms: Mapping[str, Function]) -> dict[str, Function]:
    """All terms of an operator with -div(k grad u) added, each region by itself; numbers where all agree."""
    parts = [flowing(region.tensor, terms, region.shape) for region in regions]
    shapes = tuple(region.shape for region in regions)
    out: dict[str, Function] = {}
    for name in parts[0]:
        functions = tuple(part[name] for part in parts)
        same = not any(callable(f) for f in functions) and len(set(functions)) == 1
        whole = same or all(f is terms[name] for f in functions)
        out[name] = functions[0] if whole else _Pieced(shapes, functions, f"the coefficient {name}")
    return out


def _shape(key: Any, domain: Domain) -> Domain:
    if isinstance(key, Domain):
        if key.is_empty:
            raise ProblemError(f"Expected regions with an interior (got the empty domain {key!r})")
        return key
    labels = domain.mesh_arrays.labels if isinstance(domain, MeshDomain) else {}
    sets = {name: cells for name, cells in labels.items() if cells.dtype == bool and cells.any()}
    if isinstance(key, str) and key in sets:
        return domain.part(sets[key])  # type: ignore[attr-defined]
    known = f"; the mesh names {', '.join(map(repr, sets))}" if sets else ""
    raise ProblemError(
        f"Expected regions as shapes of meshmove.geometry, or as names of cells of a mesh (got {key!r}{known}): "
        "divergence={disk: 10.0, square - disk: 1.0}"
    )


def _check_tiling(regions: Sequence[Region], domain: Domain) -> None:
    whole = domain.area
    for region in regions:
        out = (region.shape - domain).area
        if out > _NOTHING * whole:
            raise ProblemError(
                f"Expected regions inside of the domain (got {region.name}, of which an area of {out:.3g} is outside); "
                "take its part inside: region & domain"
            )
    boxes = [np.array(region.shape.bounds) for region in regions]
    for (a, p), (b, q) in combinations(zip(regions, boxes, strict=True), 2):
        if (p[0] < q[1]).all() and (q[0] < p[1]).all():
            both = (a.shape & b.shape).area
            if both > _NOTHING * whole:
                raise ProblemError(
                    f"Expected regions that do not overlap (got {a.name} and {b.name}, which share an area of "
                    f"{both:.3g}); take one away from the other: a - b"
                )
    bare = whole - sum(region.shape.area for region in regions)
    if bare > _NOTHING * whole:
        raise ProblemError(
            f"Expected regions that cover the domain (got {len(regions)} that leave {bare:.3g} of its area {whole:.3g} "
            "bare); give the rest a k as well: {region: 10.0, domain - region: 1.0}"
        )


def _check_symmetric(region: Region) -> None:
    x = region.shape.sample_interior(256, seed=0)
    (_, b), (c, _) = k = region.conductivity(x)
    off = np.flatnonzero(np.abs(b - c) > 1e-12 * np.abs(k).max(axis=(0, 1)))
    if len(off):
        at = ", ".join(f"{v:.4g}" for v in x[:, off[0]])
        raise ProblemError(
            f"Expected a symmetric tensor k in -div(k grad u) (got {b[off[0]]:.4g} and {c[off[0]]:.4g} beside the "
            f"diagonal at ({at})); an antisymmetric part is a term of first order, ux= and uy="
        )
