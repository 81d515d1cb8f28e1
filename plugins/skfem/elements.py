"""Of which degree scikit-fem's elements are, as far as their errors can be predicted; how it numbers vertices."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["HEX", "degree_of", "element_of"]

#: where each VTK vertex of a hexahedron stands in scikit-fem's numbering
HEX = np.array([0, 3, 6, 2, 1, 5, 7, 4])
#: Lagrange elements by degree; what derives from them (discontinuous ones) interpolates alike
_LAGRANGE = {
    1: ("ElementTriP1", "ElementQuad1", "ElementTetP1", "ElementHex1", "ElementWedge1"),
    2: ("ElementTriP2", "ElementQuad2", "ElementTetP2", "ElementHex2"),
}


def element_of(field: Any) -> Any:
    """The element of a pair of a basis and its dofs, in either order; vectors' and discontinuous ones' component."""
    element = next(part.elem for part in field if hasattr(part, "elem") and hasattr(part, "N"))
    while type(element).__name__ in ("ElementVector", "ElementDG"):
        element = element.elem
    return element


def degree_of(element: Any) -> int | None:
    """Degree of a Lagrange element of the first or second degree; None for any other.

    >>> import skfem
    >>> degree_of(skfem.ElementTriP2()), degree_of(skfem.ElementTriArgyris())
    (2, None)
    """
    names = {cls.__name__ for cls in type(element).__mro__}
    return next((degree for degree, known in _LAGRANGE.items() if names.intersection(known)), None)
