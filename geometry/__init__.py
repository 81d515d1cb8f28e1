"""Ground floor: cells, quality, boundaries, point location and domains, in NumPy and SciPy alone."""

from .cells import KINDS, CellKind, kind_of
from .errors import (
    FieldError,
    InvalidMeshError,
    MeshmoveError,
    MonitorError,
    TangledMeshError,
    UnsupportedMeshError,
)
from .location import Location, PointLocator
from .mesh import CellBlock, CellMesh
from .quality import aspect_ratio, cell_volumes, corner_volumes, scaled_jacobian
from .sides import Sides
from .sliding import Facets, Slide, facets_of
from .validity import Validity, inverted_cells

_DOMAINS = ("Disk", "Domain", "Ellipse", "Polygon", "Rectangle", "Triangle")


def __getattr__(name: str) -> object:
    if name in _DOMAINS:  # only who builds domains pays for them
        from . import domains

        return getattr(domains, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "KINDS",
    "CellBlock",
    "CellKind",
    "CellMesh",
    "Facets",
    "FieldError",
    "InvalidMeshError",
    "Location",
    "MeshmoveError",
    "MonitorError",
    "PointLocator",
    "Sides",
    "Slide",
    "TangledMeshError",
    "UnsupportedMeshError",
    "Validity",
    "aspect_ratio",
    "cell_volumes",
    "corner_volumes",
    "facets_of",
    "inverted_cells",
    "kind_of",
    "scaled_jacobian",
]
