"""Inverses of a Laplacian in pieces, without a library for it."""

from .condensed import Condensed
from .schwarz import Schwarz, shift_and_width

__all__ = ["Condensed", "Schwarz", "shift_and_width"]
