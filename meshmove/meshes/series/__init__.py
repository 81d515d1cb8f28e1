"""Time series of meshes, from files and to files."""
