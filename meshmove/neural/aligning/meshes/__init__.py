"""Meshes of triangles as tensors, many at once, and as arrays, one by itself; and what formulas on either need."""
