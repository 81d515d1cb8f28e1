"""Values at the vertices of pieces, carried to where these have moved."""

from .swept import swept_across

__all__ = ["swept_across"]
