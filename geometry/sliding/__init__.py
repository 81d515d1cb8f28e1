"""Boundaries: facets, feature curves and surfaces, gliding along them, and the volume that they enclose."""

from meshmove.geometry.facets import Facets, facets_of

from .shells import Shells
from .slide import Slide

__all__ = ["Facets", "Shells", "Slide", "facets_of"]
