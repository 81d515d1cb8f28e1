"""What the caller asked of boundaries by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from meshmove.geometry.arrays import Ids
from meshmove.geometry.facets import Facets

__all__ = ["fixed_facets"]


def fixed_facets(facets: Facets, boundary: str | Mapping[str, str]) -> list[Ids]:
    """Facets whose nodes stay, as "slide", "fixed" or a dict of them by boundary name says.

    Raises
    ------
    ValueError
        For another word, and for a name that the mesh does not have.
    """
    modes = ("slide", "fixed")
    if isinstance(boundary, str):
        if boundary not in modes:
            raise ValueError(f"Expected boundary 'slide', 'fixed' or a dict of them by name (got {boundary!r})")
        return [np.flatnonzero(facets.exterior)] if boundary == "fixed" else []
    if not isinstance(boundary, Mapping):
        raise ValueError(f"Expected boundary 'slide', 'fixed' or a dict of them by name (got {boundary!r})")
    out = []
    for name, mode in boundary.items():
        if not isinstance(name, str) or name not in facets.names:
            known = ", ".join(map(repr, facets.names)) or "none"
            raise ValueError(f"Expected the name of a boundary of the mesh (got {name!r}; it has: {known})")
        if not isinstance(mode, str) or mode not in modes:
            raise ValueError(f"Expected 'slide' or 'fixed' for boundary {name!r} (got {mode!r})")
        if mode == "fixed":
            out.append(facets.names[name])
    return out
