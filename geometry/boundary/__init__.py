"""Boundaries: facets, feature curves and surfaces, and gliding along them."""

from .facets import Facets, facets_of
from .slide import Slide

__all__ = ["Facets", "Slide", "facets_of"]
