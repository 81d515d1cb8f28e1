"""What a function misses of a linear problem is a problem of the same kind: that of its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import Statement
from meshmove.solvers.pde.functions import evaluate
from meshmove.solvers.pde.sides import NEUMANN, ROBIN
from meshmove.solvers.projection.field import Field, Located

__all__ = ["remainder"]


def remainder(pde: Statement, field: Field) -> Statement:
    """The problem that the error of a function has: the same operator and domain, what is missed as data.

    >>> import numpy as np
    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
    >>> from meshmove.solvers.projection.field import Zero
    >>> pde = LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=1, uyy=1, source=3, conditions={"all": Dirichlet()})
    >>> remainder(pde, Zero()).source_at(np.zeros((2, 1)))
    array([3.])
    """
    u = Located(pde.unit, field)

    def source(x: Array) -> Array:
        return pde.source_at(x) - (pde.coefficients_at(x) * u.jets(x)).sum(axis=0)

    changed: dict[tuple, tuple] = {}
    sides = []
    for side in pde.sides:
        if side.rows not in changed:
            changed[side.rows] = tuple(row._replace(value=_missed(pde, u, row)) for row in side.rows)
        sides.append(side._replace(rows=changed[side.rows]))
    return pde.with_data(source, tuple(sides))


def _missed(pde: Statement, u: Located, row: Any) -> Callable[[Array], Array]:
    def missed(x: Array) -> Array:
        jets = u.jets(x)
        if row.kind == 0:
            has = jets[0]
        elif row.kind in (NEUMANN, ROBIN):
            has = (pde.domain.normal(x) * jets[1:3]).sum(axis=0) + evaluate(row.share, x, row.what) * jets[0]
        else:
            has = jets[2]
        return evaluate(row.value, x, row.what) - has

    return missed
