"""How large the error of a solution is, from what it misses."""

from __future__ import annotations

import numpy as np

from meshmove.solvers.pde import Statement
from meshmove.solvers.projection.field import Field, as_array
from meshmove.solvers.projection.refinement import project_unit

from .remainder import remainder

__all__ = ["estimate_error"]

#: for what coarse grids do not see of the error; `benchmarks.hypino.run --only calibration` shows what comes of it
_SAFETY = 1.5


def estimate_error(pde: Statement, field: Field, effort: float = 0.02) -> float:
    """Relative L2 error of a function in unit coordinates, as a solution of `pde`.

    Its error solves a problem with its residual as data. That problem is projected on coarse grids, and 1.5 times the
    size of its solution is the estimate, and more by the relative error of that projection. Where that is estimated
    as 1 or more nothing is known: then the estimate is at least 1.

    Parameters
    ----------
    effort
        Budget of the projection relative to that of a solve.

    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
    >>> from meshmove.solvers.projection.field import Zero
    >>> pde = LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=1, uyy=1, source=3, conditions={"all": Dirichlet()})
    >>> 1 <= estimate_error(pde, Zero()) < 2
    True
    """
    rest = remainder(pde, field)
    found = project_unit(rest.unit, tolerance=0.2, effort=effort, scout=1500)
    X = rest.unit.interior(1500, seed=3).points
    missed = found.field.jets(X)[0]
    u = as_array(field.jets(X))[0] + missed
    relative = float(np.linalg.norm(missed)) / max(float(np.linalg.norm(u)), 1e-300)
    if found.error >= 1:
        return max(_SAFETY * relative, 1.0)
    return _SAFETY * relative * (1 + found.error)
