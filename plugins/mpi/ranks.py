"""Processes of MPI."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MPIRanks"]


#: messages of these tags are those of `swap` and `trade`
SWAP, TRADE = 7101, 7102


class MPIRanks:
    """The processes of a communicator of mpi4py; see `meshmove.distributed.Ranks`.

    An exception that no other process knows of ends the whole job (`MPI_Abort`), with its traceback on the standard
    error: the others wait for a message that will not come.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        if not isinstance(comm, MPI.Comm):
            raise TypeError(f"Expected a communicator of mpi4py, such as mesh.comm (got {type(comm).__name__})")
        self.comm, self._mpi = comm, MPI
        self._how = {"sum": MPI.SUM, "max": MPI.MAX, "min": MPI.MIN}
        self.rank, self.size = int(comm.rank), int(comm.size)

    def reduce(self, values: NDArray, how: str) -> NDArray:
        sent = np.ascontiguousarray(values)
        out = np.empty_like(sent)
        self.comm.Allreduce(sent, out, self._how[how])
        return out.reshape(np.shape(values))

    def gather(self, value: Any) -> list[Any]:
        return self.comm.allgather(value)

    def swap(self, parts: Mapping[int, NDArray]) -> dict[int, NDArray]:
        out = [np.ascontiguousarray(parts[k]) if k in parts else None for k in range(self.size)]
        shapes = self.comm.alltoall([None if v is None else (v.shape, v.dtype.str) for v in out])
        into = {k: np.empty(s[0], s[1]) for k, s in enumerate(shapes) if s is not None}
        self._pass({k: v for k, v in enumerate(out) if v is not None}, into, SWAP)
        return into

    def trade(self, parts: Mapping[int, NDArray], into: Mapping[int, NDArray]) -> None:
        self._pass({k: np.ascontiguousarray(v) for k, v in parts.items()}, into, TRADE)

    def _pass(self, parts: Mapping[int, NDArray], into: Mapping[int, NDArray], tag: int) -> None:
        if self.rank in parts:
            into[self.rank][...] = parts[self.rank]
        waiting = [self.comm.Irecv(v, k, tag) for k, v in into.items() if k != self.rank]
        waiting += [self.comm.Isend(v, k, tag) for k, v in parts.items() if k != self.rank]
        self._mpi.Request.Waitall(waiting)

    def end(self, error: BaseException) -> None:
        if self.size == 1:
            return
        sys.stderr.write(f"process {self.rank} of {self.size}:\n{''.join(traceback.format_exception(error))}")
        sys.stderr.flush()
        self.comm.Abort(1)
