"""Fields in units of their own spread, so that nothing depends on their unit, and nothing overflows or vanishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry.arrays import Array

__all__ = ["Standard"]


@dataclass(frozen=True, eq=False)
class Standard:
    """A nodal field (n,) as `values` * 2^`exponent`, plus a constant; the values spread over less than 2.

    Powers of two change no digit. `magnitude`: of the field itself, in the unit of the values: the rounding errors of
    the field are as large as those of numbers of this size.

    >>> field = Standard.of(1e300 * np.array([-1.0, 1.0]))
    >>> bool(np.allclose(np.ldexp(field.values, field.exponent), [0, 2e300]))
    True
    """

    values: Array
    exponent: int
    magnitude: float

    @classmethod
    def of(cls, field: Array, across: Communicator = SERIAL) -> Standard:
        """`across`: the processes that share the nodes."""
        u = np.asarray(field, float)
        largest, first = np.frexp(across.maximum(np.abs(u).max(initial=0.0)))
        u = np.ldexp(u, -first)
        u = u - (u[:1] if across.serial else across.minimum(u.min(initial=np.inf)))
        spread, second = np.frexp(across.maximum(np.abs(u).max(initial=0.0)))
        if not spread:
            return cls(np.zeros_like(u), 0, 0.0)
        return cls(np.ldexp(u, -second), int(first + second), float(np.ldexp(largest, -second)))

    def to_field(self, error: float) -> float:
        """A number in the unit of the values, in that of the field."""
        return float(np.ldexp(error, self.exponent))
