"""The command line: the top layer, which may import all others."""

from .commands import main

__all__ = ["main"]
