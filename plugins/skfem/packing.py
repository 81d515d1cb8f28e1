"""scikit-fem's meshes taken apart into plain arrays, and made from them again, with tags, orientation and periods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import skfem
import skfem.mesh
from skfem.generic_utils import OrientedBoundary

from .periodic import is_periodic

__all__ = ["packed", "unpacked"]


def packed(mesh: skfem.Mesh) -> tuple[str, dict[str, Any]]:
    """The name of the class, and what a mesh of it is made from."""
    parts: dict[str, Any] = {"doflocs": mesh.doflocs, "t": mesh.t, "sort_t": mesh.sort_t}
    parts["subdomains"] = mesh.subdomains
    parts["boundaries"] = mesh.boundaries and {
        name: (np.asarray(facets), facets.ori if isinstance(facets, OrientedBoundary) else None)
        for name, facets in mesh.boundaries.items()
    }
    if is_periodic(mesh) and hasattr(mesh, "_orig"):
        parts["periodic"] = (packed(mesh._orig), mesh._ix)
    return type(mesh).__name__, parts


def unpacked(kind: str, parts: Mapping[str, Any]) -> skfem.Mesh:
    """The mesh; what scikit-fem does to new ones, such as sorting its cells, has been done to this one before."""
    boundaries = parts["boundaries"] and {
        name: facets if ori is None else OrientedBoundary(facets, ori)
        for name, (facets, ori) in parts["boundaries"].items()
    }
    mesh = getattr(skfem.mesh, kind)(
        parts["doflocs"], parts["t"], boundaries, parts["subdomains"], sort_t=False, validate=False
    )
    mesh.sort_t, mesh.validate = parts["sort_t"], True
    if "periodic" in parts:
        (of, inner), mesh._ix = parts["periodic"]
        mesh._orig = unpacked(of, inner)
    return mesh
