"""Symmetries of an equation: trajectories that are as true as those from which they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.given import real

from .entries import DatasetError
from .trajectories import Trajectories

__all__ = ["Symmetry"]


@dataclass(frozen=True)
class Symmetry:
    r"""x to A x + b, fields times a factor each, and what the sides are called there.

    Parameters
    ----------
    matrix, shift
        A (d, d) and b (d,).
    factors
        By field, 1 for those that are not named.
    sides
        New names of named boundaries; the others keep theirs.

    Examples
    --------
    Burgers' equation on the unit square keeps its form if x and y change places, or if the square is turned by half a
    turn and the field changes its sign:

    >>> from meshmove.solvers.generators.burgers import burgers_trajectories
    >>> data = burgers_trajectories(1, cells=8, stride=2, frames=3, end=0.1)
    >>> turn = Symmetry([[-1, 0], [0, -1]], [1, 1], {"u": -1}, {"left": "right", "right": "left"})
    >>> turned = turn(data)
    >>> bool(np.allclose(turned.points, 1 - data.points)), bool((turned.fields["u"] == -data.fields["u"]).all())
    (True, True)
    """

    matrix: Sequence[Sequence[float]]
    shift: Sequence[float]
    factors: Mapping[str, float] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, data: Trajectories) -> Trajectories:
        """The trajectories as this has them; on a finer mesh, where they are known there, too.

        Raises
        ------
        DatasetError
            Matrix or shift do not fit the points, or a field is named that is not there.
        """
        matrix, shift = self._map(data.points.shape[1])
        unknown = [name for name in self.factors if name not in data.fields]
        if unknown:
            raise DatasetError(f"Expected factors of the fields {list(data.fields)} (got {unknown})")
        fields = {k: v * np.asarray(self.factors.get(k, 1), v.dtype) for k, v in data.fields.items()}
        sides = {self.sides.get(name, name): facets for name, facets in data.boundaries.items()}
        if len(sides) < len(data.boundaries):
            raise DatasetError(f"Expected names of sides that stay apart (got {dict(self.sides)})")
        return replace(
            data,
            points=data.points @ matrix.T + shift,
            fields=fields,
            boundaries=sides,
            finer=None if data.finer is None else self(data.finer),
        )

    def _map(self, dim: int) -> tuple[Array, Array]:
        matrix, shift = (
            real(self.matrix, "a matrix", "numbers", DatasetError),
            real(self.shift, "a shift", "numbers", DatasetError),
        )
        if matrix.shape != (dim, dim) or shift.shape != (dim,) or abs(np.linalg.det(matrix)) < 1e-12:
            raise DatasetError(f"Expected a regular matrix ({dim}, {dim}) and a shift ({dim},) (got shapes "
                               f"{matrix.shape} and {shift.shape})")  # fmt: skip
        return matrix, shift
