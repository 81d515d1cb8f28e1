"""Trajectories from files and arrays of other programs."""
