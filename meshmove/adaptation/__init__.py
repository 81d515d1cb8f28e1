"""Adapting a mesh to a field or a monitor: once, in a loop of solves, through time."""
