"""A mesh in pieces that follows a field through time."""

from .motion import DistributedMotion, DistributedStep

__all__ = ["DistributedMotion", "DistributedStep"]
