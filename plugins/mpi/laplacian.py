"""Inverses of a Laplacian in pieces by PETSc: conjugate gradients with algebraic multigrid, factors for small meshes.

As in one piece, a factorisation is the better bargain up to some size: PETSc's own, of the whole matrix on each
process, which does not depend on the partition. Its hundreds of solves take a tenth of the time of those by MUMPS with
a part of the factors on each, and a hundredth where the processor has other things to do.
Options are PETSc's own, with the prefix ``meshmove_``: ``-meshmove_pc_type hypre`` takes BoomerAMG, where PETSc was
built with it, and ``-meshmove_ksp_view`` says what is done.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from meshmove.distributed.laplacian import shift_and_width
from meshmove.distributed.layout import Layout, by_process
from meshmove.distributed.ranks import Ranks
from meshmove.geometry.arrays import Array
from meshmove.movers.laplacian import DIRECT, Inverse

from .ranks import MPIRanks

__all__ = ["PetscInverses"]


PREFIX = "meshmove_"
#: accuracy of `Inverse.solve`, and steps that it may take: with 1e-2 relaxation stalled on three of four partitions of
#: 320,000 triangles, and errors were 37 % apart, with 1e-4 0.7 %, in less time
ACCURATE, STEPS = 1e-4, 30
#: couplings that count for no aggregate, relative to the strongest: on 97,000 triangles in 1, 2 and 3 pieces errors are
#: 1 % apart so, and 9 % with all couplings, at the same cost
WEAK = 0.02


class PetscInverses:
    """Makes an `Inverse` of the sum of all processes' matrices, of one unknown a node or several.

    Raises
    ------
    RuntimeError
        PETSc was built for complex numbers, or `ranks` are not those of MPI.
    """

    def __init__(self, ranks: Ranks, layout: Layout) -> None:
        from petsc4py import PETSc

        if np.issubdtype(PETSc.ScalarType, np.complexfloating):
            raise RuntimeError(
                "Expected PETSc of real numbers (got one that was built for complex numbers). Set PETSC_DIR and "
                "PETSC_ARCH to a real build, or pass inverses=meshmove.distributed.Schwarz"
            )
        if not isinstance(ranks, MPIRanks):
            raise RuntimeError(f"Expected processes of MPI for PETSc (got {type(ranks).__name__})")
        self._petsc, self._ranks, self._layout, self._comm = PETSc, ranks, layout, ranks.comm
        counts = ranks.gather(layout.n_owned)
        self._first = sum(counts[: ranks.rank])
        number = np.zeros(len(layout.ids))
        number[: layout.n_owned] = self._first + np.arange(layout.n_owned)
        #: numbers of PETSc, of the nodes of the piece, and the process of each
        self._number = layout.update(number).astype(PETSc.IntType)
        self._process = np.searchsorted(np.cumsum(counts), self._number, side="right")

    def __call__(self, matrix: csr_matrix, mass: Array, dim: int, free: NDArray | None = None) -> Inverse:
        n, (shift, width) = matrix.shape[0], shift_and_width(matrix, mass, self._layout)
        owned = self._layout.n_owned * width
        on = np.ones(n, bool) if free is None else np.asarray(free)
        system = self._assembled(csr_matrix(matrix + diags(shift * mass)), on, width)
        solver = self._solver(system, system.getSize()[0] <= DIRECT[dim])
        x, y = system.createVecs()

        def apply(rhs: Array, how: Any) -> Array:
            x.array[:] = np.where(on[:owned], rhs[:owned], 0.0)
            how(x, y)
            out = np.zeros(n)
            out[:owned] = y.array_r
            return out

        multigrid = solver.getPC()
        return Inverse(None, lambda rhs: apply(rhs, multigrid.apply), lambda rhs: apply(rhs, solver.solve))

    def _solver(self, system: Any, small: bool) -> Any:
        solver = self._petsc.KSP().create(self._comm)
        solver.setOptionsPrefix(PREFIX)
        solver.setOperators(system)
        solver.setType("cg")
        solver.setTolerances(rtol=ACCURATE, max_it=STEPS)
        if small:
            solver.setType("preonly")
            solver.getPC().setType("cholesky" if self._comm.size == 1 else "redundant")
            if self._comm.size > 1:
                options = self._petsc.Options(PREFIX)
                if not options.hasName("redundant_pc_type"):
                    options["redundant_pc_type"] = "cholesky"
        else:
            solver.getPC().setType("gamg")
            options = self._petsc.Options(PREFIX)
            if not options.hasName("pc_gamg_threshold"):
                options["pc_gamg_threshold"] = WEAK
        solver.setFromOptions()
        solver.setUp()
        return solver

    def _assembled(self, local: csr_matrix, on: NDArray[np.bool_], width: int) -> Any:
        """The matrix with rows of all nodes, `width` a node; of those that are held nothing but a diagonal."""
        part = coo_matrix(local)
        keep = on[part.row] & on[part.col]
        row, col = (self._number[k[keep] // width] * width + k[keep] % width for k in (part.row, part.col))
        value, process = part.data[keep], self._process[part.row[keep] // width]
        away = np.flatnonzero(process != self._ranks.rank)
        sent = {k: away[rows] for k, rows in by_process(process[away]).items()}
        came = [self._ranks.swap({k: x[rows] for k, rows in sent.items()}) for x in (row, col, value)]
        here, order = process == self._ranks.rank, sorted(came[0])
        row, col, value = (
            np.concatenate([x[here], *(of[k] for k in order)]) for x, of in zip((row, col, value), came, strict=True)
        )
        owned, first = self._layout.n_owned * width, self._first * width
        total = int(self._layout.sum(np.array(float(owned))))
        rows = coo_matrix((value, (row - first, col)), shape=(owned, total)).tocsr()
        diagonal = rows.diagonal(first)[:owned] if owned else np.zeros(0)
        size, count = self._layout.sum(np.array([diagonal.sum(), (diagonal > 0).sum()]))
        alone = np.flatnonzero(diagonal == 0)
        if len(alone):
            ones = (np.full(len(alone), size / max(count, 1)), (alone, first + alone))
            rows = csr_matrix(rows + coo_matrix(ones, rows.shape))
        kind = self._petsc.IntType
        csr = (rows.indptr.astype(kind), rows.indices.astype(kind), rows.data)
        out = self._petsc.Mat().createAIJ(((owned, total), (owned, total)), csr=csr, comm=self._comm)
        out.setBlockSize(width)
        out.setOption(self._petsc.Mat.Option.SYMMETRIC, True)
        out.setOption(self._petsc.Mat.Option.SPD, True)
        return out
