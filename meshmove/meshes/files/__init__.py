"""Mesh files: every format of meshio and some of VTK, with tags and sets, and nothing half-written."""
