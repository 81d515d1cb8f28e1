"""Meshes as users have them: libraries, files, fields, regions, and what they mean to a move."""
