"""Meshes of domains: Gmsh where it is installed, else Delaunay by SciPy."""
