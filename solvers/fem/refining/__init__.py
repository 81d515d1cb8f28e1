"""Meshes that are refined where elements tell of errors."""

from .refined import MeshLevel, Solved, solve_refined

__all__ = ["MeshLevel", "Solved", "solve_refined"]
