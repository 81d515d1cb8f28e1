"""Solvers whose trajectories the neural time stepper learns from."""
