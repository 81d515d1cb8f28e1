"""What the neural time stepper learns from: trajectories, data sets of them, and the solvers that make them."""

from .dataset import TrajectoryDataset, cached_dataset
from .symmetry import Symmetry
from .trajectories import DatasetError, Trajectories, cached

__all__ = ["DatasetError", "Symmetry", "Trajectories", "TrajectoryDataset", "cached", "cached_dataset"]
