"""scikit-fem: triangles, quadrilaterals, tetrahedra, hexahedra and wedges, of second order and periodic too."""

from .converter import SkfemConverter, basis_on, converter

__all__ = ["SkfemConverter", "basis_on", "converter"]
