"""The smooth surfaces that the facets of a mesh stand for."""

from .over_facets import smooth_patches

__all__ = ["smooth_patches"]
