"""What a mesh in one piece and a mesh in many pieces have in common: sums over all of it, and values at shared nodes.

Objectives are sums over cells, and descents need products of vectors over nodes. Where each process holds a piece of
the mesh, with the nodes that it owns first and then those of its cells that others own (ghosts), it takes no more than
this to make one mover of any number of processes. The form of one process, `SERIAL`, does nothing and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["SERIAL", "Communicator", "Serial", "box_of"]


T = TypeVar("T")


class Communicator(Protocol):
    """Sums over the processes that share a mesh, and values (n, ...) at the nodes of this process's piece.

    All processes call the same methods in the same order. Results of reductions are the same on all of them, so that
    what is decided by them is decided alike.
    """

    @property
    def serial(self) -> bool:
        """Whether the mesh is in one piece, for which some algorithms differ from those for any number of pieces."""
        ...

    @property
    def alone(self) -> bool:
        """Whether there is nobody to tell of what is found, one process having all pieces."""
        ...

    def sum(self, values: Array) -> Array:
        """Of arrays of one shape, number by number, over all processes."""
        ...

    def maximum(self, values: Array) -> Array: ...

    def minimum(self, values: Array) -> Array: ...

    def every(self, flag: bool) -> bool:
        """Whether all processes say so."""
        ...

    def each(self, values: Array) -> Array:
        """A small array of each process, one after the other along a first axis, on all of them."""
        ...

    def before(self, count: int) -> int:
        """The sum of what the processes before this one count."""
        ...

    def first(self, flags: Sequence[bool]) -> int | None:
        """The first of some flags that all processes have set, if there is one."""
        ...

    def settled(self, evaluate: Callable[[], T]) -> T:
        """What `evaluate` gives, which looks up values where nodes are and then sums over all processes.

        Whether all of them had the values at hand is told along with the sum; where not, they are asked for, and it is
        evaluated anew.
        """
        ...

    def own(self, values: Array) -> Array:
        """The rows of the nodes that this process owns: over all processes each node once."""
        ...

    def dot(self, a: Array, b: Array) -> float:
        """Product of two vectors over all nodes."""
        ...

    def update(self, values: Array) -> Array:
        """Values with what the owners have at ghosts; in place."""
        ...

    def accumulate(self, values: Array) -> Array:
        """Values with what others have at ghosts added where they are owned, and zero at ghosts; in place."""
        ...


class Serial:
    """Of a mesh in one piece."""

    serial = alone = True

    def sum(self, values: Array) -> Array:
        return values

    def maximum(self, values: Array) -> Array:
        return values

    def minimum(self, values: Array) -> Array:
        return values

    def every(self, flag: bool) -> bool:
        return flag

    def each(self, values: Array) -> Array:
        return values[None]

    def before(self, count: int) -> int:
        return 0

    def first(self, flags: Sequence[bool]) -> int | None:
        return next((k for k, flag in enumerate(flags) if flag), None)

    def settled(self, evaluate: Callable[[], T]) -> T:
        return evaluate()

    def own(self, values: Array) -> Array:
        return values

    def dot(self, a: Array, b: Array) -> float:
        return float(np.vdot(a, b))

    def update(self, values: Array) -> Array:
        return values

    def accumulate(self, values: Array) -> Array:
        return values


SERIAL = Serial()


def box_of(points: Array, across: Communicator = SERIAL) -> tuple[Array, Array]:
    """Lowest and highest coordinates (dim,) of points (n, dim) of all processes, in one reduction.

    >>> import numpy as np
    >>> box_of(np.array([[0.0, 2.0], [1.0, -1.0]]))
    (array([ 0., -1.]), array([1., 2.]))
    """
    low, high = points.min(axis=0, initial=np.inf), points.max(axis=0, initial=-np.inf)
    both = across.maximum(np.concatenate([-low, high]))
    return 0.0 - both[: len(low)], both[len(low) :]
