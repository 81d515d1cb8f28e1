"""Many right-hand sides of one operator: one factor for all, and an estimate of each that is nearly free."""

from .shared import alike, settle

__all__ = ["alike", "settle"]
