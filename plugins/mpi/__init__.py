"""Meshes in many pieces by mpi4py and petsc4py: what `meshmove.distributed` needs of them."""

from .laplacian import PetscInverses
from .ranks import MPIRanks

__all__ = ["MPIRanks", "PetscInverses"]
